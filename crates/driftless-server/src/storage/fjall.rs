//! Datasets on disk, in one fjall database.
//!
//! Four keyspaces. `NUL` is a zero byte, which none of the ids can contain; numbers are 8 bytes,
//! big-endian, so that rows lie in the order in which they are listed.
//!
//! ```text
//! heads    pool NUL identity NUL dataset                       -> head row
//! log      pool NUL identity NUL dataset NUL count key         -> record row
//! places   pool NUL identity NUL dataset NUL key               -> count
//! notes    key                                                 -> note row
//! ```
//!
//! A record has one row in `log`, at the count that last changed it, and one in `places` that
//! finds it by key. A push is one batch: it removes the log rows of the records it replaces and
//! writes the new ones, their places and the head. So a list since a count reads what changed and
//! nothing else. A row is a version byte and JSON; times are milliseconds.
//!
//! The batch is synced to disk before the call returns. Writes take turns, as they would inside
//! fjall, so that the count that is compared is the count that is swapped. After damage fjall cuts
//! its journal at the last whole batch: counts go back, and clients that are ahead are told "No
//! such SyncCount" and list anew.

mod key;
mod row;

use std::fmt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use driftless_wire::{DatasetName, Record, RecordKey, SyncCount};
use fjall::{
    Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode, Readable, Snapshot,
};

use self::key::{dataset_prefix, end_of, head_key, log_key, owner_prefix, place_key};
use self::row::{
    HeadRow, RecordRow, decode, decode_count, encode, split_head_key, split_log_key, text,
};
use super::{
    Address, Head, Live, NoteChange, Owner, Place, Push, Selection, Storage, StorageError, Swap,
    View,
};

const NUL: u8 = 0;

/// A [`Storage`] on disk; what it acknowledged is there after a crash.
pub struct FjallStorage {
    database: Database,
    heads: Keyspace,
    log: Keyspace,
    places: Keyspace,
    notes: Keyspace,
    writing: Mutex<()>,
}

impl FjallStorage {
    /// Opens the store in a directory, and makes both if they are not there.
    ///
    /// # Errors
    ///
    /// [`StorageError::InUse`] if another process has it open, else what the engine says.
    pub fn open(directory: &Path) -> Result<Self, StorageError> {
        let database = Database::builder(directory).open()?;
        let keyspace = |name| database.keyspace(name, KeyspaceCreateOptions::default);
        Ok(Self {
            heads: keyspace("heads")?,
            log: keyspace("log")?,
            places: keyspace("places")?,
            notes: keyspace("notes")?,
            writing: Mutex::new(()),
            database,
        })
    }

    fn head(&self, at: &Snapshot, address: &Address) -> Result<Head, StorageError> {
        match at.get(&self.heads, head_key(address))? {
            Some(row) => decode::<HeadRow>("head", &row)?.into_head(),
            None => Ok(Head::default()),
        }
    }

    fn count_at(
        &self,
        at: &Snapshot,
        address: &Address,
        key: &RecordKey,
    ) -> Result<Option<SyncCount>, StorageError> {
        let row = at.get(&self.places, place_key(address, key))?;
        row.map(|row| decode_count("place", &row)).transpose()
    }

    fn by_key(
        &self,
        at: &Snapshot,
        address: &Address,
        key: &RecordKey,
    ) -> Result<Option<Record>, StorageError> {
        let Some(count) = self.count_at(at, address, key)? else {
            return Ok(None);
        };
        let Some(row) = at.get(&self.log, log_key(address, count, key))? else {
            return Err(StorageError::Damaged {
                row: "log",
                why: "it is missing",
            });
        };
        Ok(Some(
            decode::<RecordRow>("log", &row)?.into_record(count, key.clone()),
        ))
    }

    fn after(
        &self,
        at: &Snapshot,
        address: &Address,
        place: &Place,
        limit: usize,
    ) -> Result<Vec<Record>, StorageError> {
        let prefix = dataset_prefix(address);
        let start = match &place.key {
            // The byte makes it the first row after the key's own.
            Some(key) => [log_key(address, place.count, key), vec![NUL]].concat(),
            None => [&prefix[..], &place.count.next().get().to_be_bytes()].concat(),
        };
        let rows = at.range(&self.log, start..end_of(&prefix)).take(limit);
        rows.map(|row| {
            let (key, value) = row.into_inner()?;
            let (count, key) = split_log_key(&key[prefix.len()..])?;
            Ok(decode::<RecordRow>("log", &value)?.into_record(count, key))
        })
        .collect()
    }

    /// Runs `fill` on a batch that also sets the head, if the dataset stands at `expected`.
    fn swap(
        &self,
        address: &Address,
        expected: SyncCount,
        fill: impl FnOnce(&mut OwnedWriteBatch, &Snapshot, Head) -> Result<Head, StorageError>,
    ) -> Result<Swap, StorageError> {
        let _turn = self.turn();
        let at = self.database.snapshot();
        let head = self.head(&at, address)?;
        if head.count != expected {
            return Ok(Swap::Moved);
        }
        let mut batch = self.durable_batch();
        let head = fill(&mut batch, &at, head)?;
        self.set_head(&mut batch, address, &head);
        batch.commit()?;
        Ok(Swap::Done)
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.writing
            .lock()
            .expect("no call panics while it holds the lock")
    }

    fn durable_batch(&self) -> OwnedWriteBatch {
        self.database.batch().durability(Some(PersistMode::SyncAll))
    }

    fn set_head(&self, batch: &mut OwnedWriteBatch, address: &Address, head: &Head) {
        let row = encode(&HeadRow::from_head(head));
        batch.insert(&self.heads, head_key(address), row);
    }

    fn note_at(&self, at: &Snapshot, key: &str) -> Result<Option<String>, StorageError> {
        let row = at.get(&self.notes, key)?;
        row.map(|row| decode("note", &row)).transpose()
    }
}

impl Storage for FjallStorage {
    fn read(&self, address: &Address, selection: Selection<'_>) -> Result<View, StorageError> {
        let at = self.database.snapshot();
        let head = self.head(&at, address)?;
        let records = match selection {
            Selection::Head => Vec::new(),
            Selection::Keys(keys) => keys
                .iter()
                .filter_map(|key| self.by_key(&at, address, key).transpose())
                .collect::<Result<_, _>>()?,
            Selection::After(place, limit) => self.after(&at, address, place, limit)?,
        };
        Ok(View { head, records })
    }

    fn list(
        &self,
        owner: &Owner,
        after: Option<&DatasetName>,
        limit: usize,
    ) -> Result<Vec<(DatasetName, Live)>, StorageError> {
        let prefix = owner_prefix(owner);
        let start = match after {
            Some(name) => [&prefix[..], name.as_str().as_bytes(), &[NUL]].concat(),
            None => prefix.clone(),
        };
        let mut found = Vec::new();
        for row in self
            .database
            .snapshot()
            .range(&self.heads, start..end_of(&prefix))
        {
            if found.len() == limit {
                break;
            }
            let (key, value) = row.into_inner()?;
            if let Some(live) = decode::<HeadRow>("head", &value)?.into_head()?.live {
                found.push((text("head", &key[prefix.len()..])?, live));
            }
        }
        Ok(found)
    }

    fn append(
        &self,
        address: &Address,
        expected: SyncCount,
        push: &Push,
    ) -> Result<Swap, StorageError> {
        self.swap(address, expected, |batch, at, head| {
            let count = expected.next();
            for record in &push.records {
                if let Some(old) = self.count_at(at, address, &record.key)? {
                    batch.remove(&self.log, log_key(address, old, &record.key));
                }
                let row = encode(&RecordRow::from_record(record));
                batch.insert(&self.log, log_key(address, count, &record.key), row);
                let count = count.get().to_be_bytes();
                batch.insert(&self.places, place_key(address, &record.key), count);
            }
            Ok(Head {
                count,
                live: Some(push.live.clone()),
                ..head
            })
        })
    }

    fn delete(&self, address: &Address, expected: SyncCount) -> Result<Swap, StorageError> {
        self.swap(address, expected, |batch, at, _| {
            for keyspace in [&self.log, &self.places] {
                for row in at.prefix(keyspace, dataset_prefix(address)) {
                    batch.remove(keyspace, row.key()?);
                }
            }
            Ok(ended_after(expected))
        })
    }

    fn adopt(&self, from: &Address, to: &Address) -> Result<Swap, StorageError> {
        let _turn = self.turn();
        let at = self.database.snapshot();
        let head = self.head(&at, from)?;
        if head.live.is_none() || self.head(&at, to)? != Head::default() {
            return Ok(Swap::Moved);
        }
        let mut batch = self.durable_batch();
        let (old, new) = (dataset_prefix(from), dataset_prefix(to));
        for keyspace in [&self.log, &self.places] {
            for row in at.prefix(keyspace, &old) {
                let (key, value) = row.into_inner()?;
                batch.insert(keyspace, [&new, &key[old.len()..]].concat(), value);
                batch.remove(keyspace, key);
            }
        }
        self.set_head(&mut batch, from, &ended_after(head.count));
        let adopted = Head {
            adopted_at: head.count,
            deleted_at: SyncCount::ZERO,
            ..head
        };
        self.set_head(&mut batch, to, &adopted);
        batch.commit()?;
        Ok(Swap::Done)
    }

    fn scan(
        &self,
        after: Option<&Address>,
        limit: usize,
    ) -> Result<Vec<(Address, Live)>, StorageError> {
        // The byte makes it the first row after the address's own.
        let start = after.map_or_else(Vec::new, dataset_prefix);
        let mut found = Vec::new();
        for row in self.database.snapshot().range(&self.heads, start..) {
            if found.len() == limit {
                break;
            }
            let (key, value) = row.into_inner()?;
            if let Some(live) = decode::<HeadRow>("head", &value)?.into_head()?.live {
                found.push((split_head_key(&key)?, live));
            }
        }
        Ok(found)
    }

    fn note(&self, key: &str) -> Result<Option<String>, StorageError> {
        self.note_at(&self.database.snapshot(), key)
    }

    fn notes(&self, prefix: &str) -> Result<Vec<(String, String)>, StorageError> {
        let at = self.database.snapshot();
        let rows = at.prefix(&self.notes, prefix);
        rows.map(|row| {
            let (key, value) = row.into_inner()?;
            Ok((text("note", &key)?, decode("note", &value)?))
        })
        .collect()
    }

    fn swap_notes(&self, changes: &[NoteChange]) -> Result<Swap, StorageError> {
        let _turn = self.turn();
        let at = self.database.snapshot();
        let mut batch = self.durable_batch();
        for NoteChange {
            key,
            expected,
            next,
        } in changes
        {
            if self.note_at(&at, key)? != *expected {
                return Ok(Swap::Moved);
            }
            match next {
                Some(text) => batch.insert(&self.notes, key.as_str(), encode(text)),
                None => batch.remove(&self.notes, key.as_str()),
            }
        }
        batch.commit()?;
        Ok(Swap::Done)
    }
}

/// The head of a dataset that was deleted at a count.
fn ended_after(count: SyncCount) -> Head {
    let count = count.next();
    Head {
        count,
        deleted_at: count,
        ..Head::default()
    }
}

impl fmt::Debug for FjallStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FjallStorage").finish_non_exhaustive()
    }
}

impl From<fjall::Error> for StorageError {
    fn from(error: fjall::Error) -> Self {
        match error {
            fjall::Error::Locked => Self::InUse,
            error => Self::Engine(Box::new(error)),
        }
    }
}
