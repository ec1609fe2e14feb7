//! Datasets in memory, for the simulator and for tests.
//!
//! One lock over all datasets and one over all notes, so that each call is one moment. "Durable" means until dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard};

use driftless_wire::{DatasetName, Record, RecordKey, SyncCount};

use super::{
    Address, Head, Live, NoteChange, Owner, Place, Push, Selection, Storage, StorageError, Swap,
    View,
};

/// A [`Storage`] that forgets everything when it is dropped.
#[derive(Debug, Default)]
pub struct MemoryStorage {
    datasets: Mutex<BTreeMap<Address, Stored>>,
    notes: Mutex<BTreeMap<String, String>>,
}

#[derive(Debug, Clone, Default)]
struct Stored {
    head: Head,
    records: BTreeMap<RecordKey, Record>,
    order: BTreeSet<(SyncCount, RecordKey)>,
}

impl MemoryStorage {
    /// Returns an empty storage.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Address, Stored>> {
        self.datasets
            .lock()
            .expect("no call panics while it holds the lock")
    }

    fn lock_notes(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.notes
            .lock()
            .expect("no call panics while it holds the lock")
    }
}

impl Storage for MemoryStorage {
    fn read(&self, address: &Address, selection: Selection<'_>) -> Result<View, StorageError> {
        Ok(self
            .lock()
            .get(address)
            .map(|stored| stored.view(selection))
            .unwrap_or_default())
    }

    fn list(
        &self,
        owner: &Owner,
        after: Option<&DatasetName>,
        limit: usize,
    ) -> Result<Vec<(DatasetName, Live)>, StorageError> {
        let datasets = self.lock();
        let of_owner = datasets
            .iter()
            .filter(|(address, _)| address.owner == *owner);
        Ok(of_owner
            .filter(|(address, _)| after.is_none_or(|after| address.dataset > *after))
            .filter_map(|(address, stored)| {
                Some((address.dataset.clone(), stored.head.live.clone()?))
            })
            .take(limit)
            .collect())
    }

    fn append(
        &self,
        address: &Address,
        expected: SyncCount,
        push: &Push,
    ) -> Result<Swap, StorageError> {
        let mut datasets = self.lock();
        if count_of(&datasets, address) != expected {
            return Ok(Swap::Moved);
        }
        datasets.entry(address.clone()).or_default().push(push);
        Ok(Swap::Done)
    }

    fn delete(&self, address: &Address, expected: SyncCount) -> Result<Swap, StorageError> {
        let mut datasets = self.lock();
        if count_of(&datasets, address) != expected {
            return Ok(Swap::Moved);
        }
        datasets.insert(address.clone(), Stored::ended_after(expected));
        Ok(Swap::Done)
    }

    fn adopt(&self, from: &Address, to: &Address) -> Result<Swap, StorageError> {
        let mut datasets = self.lock();
        let Some(mut stored) = datasets
            .get(from)
            .filter(|_| !datasets.contains_key(to))
            .cloned()
        else {
            return Ok(Swap::Moved);
        };
        if stored.head.live.is_none() {
            return Ok(Swap::Moved);
        }
        datasets.insert(from.clone(), Stored::ended_after(stored.head.count));
        stored.head.adopted_at = stored.head.count;
        stored.head.deleted_at = SyncCount::ZERO;
        datasets.insert(to.clone(), stored);
        Ok(Swap::Done)
    }

    fn scan(
        &self,
        after: Option<&Address>,
        limit: usize,
    ) -> Result<Vec<(Address, Live)>, StorageError> {
        let datasets = self.lock();
        let start = after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.clone()));
        let after = datasets.range((start, Bound::Unbounded));
        Ok(after
            .filter_map(|(address, stored)| Some((address.clone(), stored.head.live.clone()?)))
            .take(limit)
            .collect())
    }

    fn note(&self, key: &str) -> Result<Option<String>, StorageError> {
        Ok(self.lock_notes().get(key).cloned())
    }

    fn notes(&self, prefix: &str) -> Result<Vec<(String, String)>, StorageError> {
        let notes = self.lock_notes();
        let after = notes.range(prefix.to_owned()..);
        let with_prefix = after.take_while(|(key, _)| key.starts_with(prefix));
        Ok(with_prefix
            .map(|(key, text)| (key.clone(), text.clone()))
            .collect())
    }

    fn swap_notes(&self, changes: &[NoteChange]) -> Result<Swap, StorageError> {
        let mut notes = self.lock_notes();
        if changes
            .iter()
            .any(|change| notes.get(&change.key) != change.expected.as_ref())
        {
            return Ok(Swap::Moved);
        }
        for NoteChange { key, next, .. } in changes.iter().cloned() {
            match next {
                Some(text) => notes.insert(key, text),
                None => notes.remove(&key),
            };
        }
        Ok(Swap::Done)
    }
}

fn count_of(datasets: &BTreeMap<Address, Stored>, address: &Address) -> SyncCount {
    datasets
        .get(address)
        .map(|stored| stored.head.count)
        .unwrap_or_default()
}

impl Stored {
    /// A dataset that was deleted at a count.
    fn ended_after(count: SyncCount) -> Self {
        let count = count.next();
        let head = Head {
            count,
            deleted_at: count,
            ..Head::default()
        };
        Self {
            head,
            ..Self::default()
        }
    }

    fn view(&self, selection: Selection<'_>) -> View {
        let records = match selection {
            Selection::Head => Vec::new(),
            Selection::Keys(keys) => keys
                .iter()
                .filter_map(|key| self.records.get(key))
                .cloned()
                .collect(),
            Selection::After(place, limit) => self.after(place).take(limit).cloned().collect(),
        };
        View {
            head: self.head.clone(),
            records,
        }
    }

    fn after(&self, place: &Place) -> impl Iterator<Item = &Record> {
        let Place { count, key } = place.clone();
        // A place without a key is the end of its count; no count is followed by another zero.
        let at_end = key.is_none();
        let start = key.map_or(Bound::Unbounded, |key| Bound::Excluded((count, key)));
        self.order
            .range((start, Bound::Unbounded))
            .filter(move |(at, _)| !at_end || *at > count)
            .filter_map(|(_, key)| self.records.get(key))
    }

    fn push(&mut self, push: &Push) {
        self.head.count = self.head.count.next();
        self.head.live = Some(push.live.clone());
        for record in &push.records {
            let record = Record {
                sync_count: self.head.count,
                ..record.clone()
            };
            self.order.insert((record.sync_count, record.key.clone()));
            if let Some(old) = self.records.insert(record.key.clone(), record) {
                self.order.remove(&(old.sync_count, old.key));
            }
        }
    }
}
