//! Writing: a commit becomes one batch of the database.
//!
//! The rule: one writer at a time, and the order of commit numbers is the order of batches in the journal. A batch is
//! one write to the journal and, with [`Durability::Disk`], one fdatasync of it before the commit is acknowledged. The
//! database makes a batch visible only after that. A write that fails leaves the journal in an unknown state, so it is
//! the last one until the store is opened again.

use std::collections::{BTreeMap, HashMap};

use driftless_merge::{Commit, DatasetKey, Durability};
use fjall::PersistMode;

use crate::disk::Rows;
use crate::error::CommitError;
use crate::mark::{Mark, MarkFile, Status};
use crate::recover;
use crate::schema::{self, Head, Kind};

/// The largest row: far above any snapshot of a dataset that the service takes, and small enough to be held in memory.
const MAX_ROW_BYTES: usize = 64 * 1024 * 1024;
/// The longest key that the journal's format has room for.
const MAX_KEY_BYTES: usize = 16 * 1024;

/// What there is one of: who holds it may write.
#[derive(Debug)]
pub(crate) struct Writer {
    /// The number of the last commit.
    last: u64,
    /// The head rows of the datasets that were written to.
    heads: HashMap<DatasetKey, Head>,
    mark: MarkFile,
    /// What the mark says until the store is closed.
    status: Status,
    poisoned: bool,
}

impl Writer {
    pub(crate) fn new(last: u64, mark: MarkFile, status: Status) -> Self {
        Self {
            last,
            heads: HashMap::new(),
            mark,
            status,
            poisoned: false,
        }
    }

    pub(crate) fn commit(
        &mut self,
        rows: &Rows,
        commit: Commit,
        durability: Durability,
    ) -> Result<(), CommitError> {
        self.check()?;
        let dataset = commit.dataset.clone();
        let mut head = self.head(rows, &dataset)?;
        let mut batch = Batch::default();
        head.commit = self.last + 1;
        fill(&mut batch, &mut head, rows, commit)?;
        self.write(rows, batch, durability)?;
        self.heads.insert(dataset, head);
        Ok(())
    }

    pub(crate) fn forget(
        &mut self,
        rows: &Rows,
        dataset: &DatasetKey,
        durability: Durability,
    ) -> Result<(), CommitError> {
        self.check()?;
        let mut batch = Batch::default();
        for kind in Kind::OF_DATASET {
            batch.remove_all(rows, dataset, kind)?;
        }
        self.heads.remove(dataset);
        self.write(rows, batch, durability)
    }

    pub(crate) fn set_aside(
        &mut self,
        rows: &Rows,
        dataset: &DatasetKey,
    ) -> Result<(), CommitError> {
        self.check()?;
        let mut batch = Batch::default();
        for kind in Kind::OF_DATASET {
            for key in recover::keys(rows, dataset, kind).map_err(CommitError::Damaged)? {
                let value = rows
                    .keyspace
                    .get(&key)
                    .map_err(|e| CommitError::from_cause(e.into()))?;
                let value = value.map(|value| value.to_vec());
                batch
                    .0
                    .insert(schema::aside_key(self.last + 1, &key), value);
                batch.0.insert(key.to_vec(), None);
            }
        }
        self.heads.remove(dataset);
        self.write(rows, batch, Durability::Disk)
    }

    pub(crate) fn set_setting(
        &mut self,
        rows: &Rows,
        name: &str,
        value: Option<&[u8]>,
        durability: Durability,
    ) -> Result<(), CommitError> {
        self.check()?;
        let mut batch = Batch::default();
        batch.set(schema::setting_key(name), value)?;
        self.write(rows, batch, durability)
    }

    /// Puts all commits on disk, and marks the store as closed once `rows` is.
    pub(crate) fn close(mut self, rows: Rows) -> Result<(), CommitError> {
        if self.poisoned {
            return Ok(());
        }
        rows.db
            .persist(PersistMode::SyncAll)
            .map_err(|e| CommitError::from_cause(e.into()))?;
        drop(rows);
        let mark = Mark {
            status: Status::Closed,
            acknowledged: self.last,
        };
        self.mark
            .write_through(mark)
            .map_err(|e| CommitError::from_cause(e.into()))
    }

    fn check(&self) -> Result<(), CommitError> {
        if self.poisoned {
            Err(CommitError::Poisoned)
        } else {
            Ok(())
        }
    }

    fn head(&self, rows: &Rows, dataset: &DatasetKey) -> Result<Head, CommitError> {
        match self.heads.get(dataset) {
            Some(head) => Ok(*head),
            None => {
                let head = recover::head(rows, dataset).map_err(CommitError::Damaged)?;
                Ok(head.unwrap_or_default())
            }
        }
    }

    fn write(
        &mut self,
        rows: &Rows,
        mut batch: Batch,
        durability: Durability,
    ) -> Result<(), CommitError> {
        let number = self.last + 1;
        batch.set(schema::commit_key(), Some(&number.to_le_bytes()))?;
        let written = batch.write(rows, durability).map_err(|error| match error {
            fjall::Error::Poisoned => CommitError::Poisoned,
            error => CommitError::from_cause(error.into()),
        });
        self.poisoned = written.is_err();
        written?;
        self.last = number;
        match durability {
            Durability::Buffered => Ok(()),
            Durability::Disk => self.acknowledge(),
        }
    }

    fn acknowledge(&mut self) -> Result<(), CommitError> {
        let mark = Mark {
            status: self.status,
            acknowledged: self.last,
        };
        let written = self.mark.write(mark);
        self.poisoned = written.is_err();
        written.map_err(|error| CommitError::from_cause(error.into()))
    }
}

/// Turns a commit into changes of rows and brings the head up to date.
fn fill(
    batch: &mut Batch,
    head: &mut Head,
    rows: &Rows,
    commit: Commit,
) -> Result<(), CommitError> {
    let dataset = &commit.dataset;
    if let Some(snapshot) = commit.snapshot {
        for number in head.first..head.next {
            batch.0.insert(schema::log_key(dataset, number), None);
        }
        head.first = head.next;
        head.has_base = true;
        head.has_document = snapshot.document.is_some();
        batch.set(Kind::Base.key(dataset), Some(&snapshot.state))?;
        batch.set(Kind::Document.key(dataset), snapshot.document.as_deref())?;
    }
    for delta in &commit.deltas {
        batch.set(schema::log_key(dataset, head.next), Some(delta))?;
        head.next += 1;
    }
    if commit.forget_records {
        batch.remove_all(rows, dataset, Kind::Record)?;
    }
    for (key, record) in &commit.records {
        let body = record.as_ref().map(schema::record_to_body);
        batch.set(schema::record_key(dataset, key), body.as_deref())?;
    }
    if let Some(sync) = &commit.sync {
        head.has_sync = true;
        batch.set(Kind::Sync.key(dataset), Some(sync))?;
    }
    batch.set(Kind::Head.key(dataset), Some(&head.to_body()))
}

/// The rows that a commit changes, `None` for one that it removes. Of two changes of one row the later counts, which
/// the database would not promise for a batch of its own.
#[derive(Default)]
struct Batch(BTreeMap<Vec<u8>, Option<Vec<u8>>>);

impl Batch {
    fn set(&mut self, key: Vec<u8>, body: Option<&[u8]>) -> Result<(), CommitError> {
        check_size(key.len(), MAX_KEY_BYTES)?;
        check_size(body.map_or(0, <[u8]>::len), MAX_ROW_BYTES)?;
        let value = body.map(|body| schema::seal(&key, body));
        self.0.insert(key, value);
        Ok(())
    }

    fn remove_all(
        &mut self,
        rows: &Rows,
        dataset: &DatasetKey,
        kind: Kind,
    ) -> Result<(), CommitError> {
        let keys = recover::keys(rows, dataset, kind).map_err(CommitError::Damaged)?;
        self.0
            .extend(keys.into_iter().map(|key| (key.to_vec(), None)));
        Ok(())
    }

    fn write(self, rows: &Rows, durability: Durability) -> fjall::Result<()> {
        let mode = match durability {
            Durability::Disk => PersistMode::SyncData,
            Durability::Buffered => PersistMode::Buffer,
        };
        let mut batch = rows.db.batch().durability(Some(mode));
        for (key, value) in self.0 {
            match value {
                Some(value) => batch.insert(&rows.keyspace, key, value),
                None => batch.remove(&rows.keyspace, key),
            }
        }
        batch.commit()
    }
}

fn check_size(bytes: usize, limit: usize) -> Result<(), CommitError> {
    if bytes > limit {
        Err(CommitError::TooLarge { bytes, limit })
    } else {
        Ok(())
    }
}
