//! A store in memory, for tests and for the simulator: it keeps or loses whole commits.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use driftless_merge::{Commit, DatasetKey, Durability, Owner, Recovered};
use driftless_wire::DatasetName;

use crate::{CommitError, RecoverError, Store};

/// A [`Store`] whose disk is memory.
///
/// [`MemoryStore::crash`] is a loss of power, dropping it the death of a process, and [`MemoryStore::reopen`] the next
/// start on the same disk.
#[derive(Default)]
pub struct MemoryStore {
    disk: Arc<Mutex<Disk>>,
    closed: AtomicBool,
}

/// What was written, and how much of it a loss of power leaves.
#[derive(Default)]
struct Disk {
    now: Rows,
    durable: Rows,
    /// What stands between `durable` and `now`.
    buffered: Vec<Change>,
}

#[derive(Clone, Default)]
struct Rows {
    datasets: BTreeMap<DatasetKey, Data>,
    aside: Vec<(DatasetKey, Data)>,
    settings: BTreeMap<String, Vec<u8>>,
}

#[derive(Clone, Default)]
struct Data {
    recovered: Recovered,
    document: Option<Vec<u8>>,
}

#[derive(Clone)]
enum Change {
    Commit(Commit),
    Forget(DatasetKey),
    SetAside(DatasetKey),
    Setting(String, Option<Vec<u8>>),
}

impl MemoryStore {
    /// A store on an empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Loses power: whatever was written with [`Durability::Buffered`] since the last write with [`Durability::Disk`] is
    /// gone. The store stays usable.
    pub fn crash(&self) {
        let mut disk = self.disk();
        disk.buffered.clear();
        disk.now = disk.durable.clone();
    }

    /// Opens another store on the same disk, as a new process does.
    #[must_use]
    pub fn reopen(&self) -> Self {
        Self {
            disk: Arc::clone(&self.disk),
            closed: AtomicBool::new(false),
        }
    }

    /// Returns a store on a copy of the disk as a loss of power would leave it: a backup, or a clone.
    #[must_use]
    pub fn copy(&self) -> Self {
        let durable = self.disk().durable.clone();
        let disk = Disk {
            now: durable.clone(),
            durable,
            buffered: Vec::new(),
        };
        Self {
            disk: Arc::new(Mutex::new(disk)),
            closed: AtomicBool::new(false),
        }
    }

    /// Returns how many datasets were set aside.
    #[must_use]
    pub fn set_aside_count(&self) -> usize {
        self.disk().now.aside.len()
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, change: Change, durability: Durability) -> Result<(), CommitError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(CommitError::Closed);
        }
        self.disk().write(change, durability);
        Ok(())
    }

    fn read<T>(&self, read: impl FnOnce(&Rows) -> T) -> Result<T, RecoverError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(RecoverError::Closed);
        }
        Ok(read(&self.disk().now))
    }
}

impl Disk {
    fn write(&mut self, change: Change, durability: Durability) {
        self.now.apply(change.clone());
        self.buffered.push(change);
        if durability == Durability::Disk {
            self.sync();
        }
    }

    fn sync(&mut self) {
        for change in self.buffered.drain(..) {
            self.durable.apply(change);
        }
    }
}

impl Rows {
    fn apply(&mut self, change: Change) {
        match change {
            Change::Commit(commit) => {
                self.datasets
                    .entry(commit.dataset.clone())
                    .or_default()
                    .apply(commit);
            }
            Change::Forget(dataset) => {
                self.datasets.remove(&dataset);
            }
            Change::SetAside(dataset) => {
                if let Some(data) = self.datasets.remove(&dataset) {
                    self.aside.push((dataset, data));
                }
            }
            Change::Setting(name, Some(value)) => {
                self.settings.insert(name, value);
            }
            Change::Setting(name, None) => {
                self.settings.remove(&name);
            }
        }
    }
}

impl Data {
    fn apply(&mut self, commit: Commit) {
        let found = &mut self.recovered;
        if let Some(snapshot) = commit.snapshot {
            found.deltas.clear();
            found.state = Some(snapshot.state);
            self.document = snapshot.document;
        }
        found.deltas.extend(commit.deltas);
        if commit.forget_records {
            found.records.clear();
        }
        for (key, record) in commit.records {
            match record {
                Some(record) => found.records.insert(key, record),
                None => found.records.remove(&key),
            };
        }
        if commit.sync.is_some() {
            found.sync = commit.sync;
        }
    }
}

impl Store for MemoryStore {
    fn commit(&self, commit: Commit, durability: Durability) -> Result<(), CommitError> {
        self.write(Change::Commit(commit), durability)
    }

    fn recover(&self, dataset: &DatasetKey) -> Result<Option<Recovered>, RecoverError> {
        self.read(|rows| {
            rows.datasets
                .get(dataset)
                .map(|data| data.recovered.clone())
        })
    }

    fn document(&self, dataset: &DatasetKey) -> Result<Option<Vec<u8>>, RecoverError> {
        self.read(|rows| {
            rows.datasets
                .get(dataset)
                .and_then(|data| data.document.clone())
        })
    }

    fn owners(&self) -> Result<Vec<Owner>, RecoverError> {
        self.read(|rows| {
            let mut owners: Vec<_> = rows
                .datasets
                .keys()
                .map(|key| key.owner().clone())
                .collect();
            owners.dedup();
            owners
        })
    }

    fn datasets(&self, owner: &Owner) -> Result<Vec<DatasetName>, RecoverError> {
        self.read(|rows| {
            let keys = rows.datasets.keys().filter(|key| key.owner() == owner);
            keys.map(|key| key.name().clone()).collect()
        })
    }

    fn forget(&self, dataset: &DatasetKey, durability: Durability) -> Result<(), CommitError> {
        self.write(Change::Forget(dataset.clone()), durability)
    }

    fn set_aside(&self, dataset: &DatasetKey) -> Result<(), CommitError> {
        self.write(Change::SetAside(dataset.clone()), Durability::Disk)
    }

    fn setting(&self, name: &str) -> Result<Option<Vec<u8>>, RecoverError> {
        self.read(|rows| rows.settings.get(name).cloned())
    }

    fn settings(&self, prefix: &str) -> Result<Vec<String>, RecoverError> {
        self.read(|rows| {
            let names = rows.settings.keys().filter(|name| name.starts_with(prefix));
            names.cloned().collect()
        })
    }

    fn set_setting(
        &self,
        name: &str,
        value: Option<&[u8]>,
        durability: Durability,
    ) -> Result<(), CommitError> {
        self.write(
            Change::Setting(name.to_owned(), value.map(<[u8]>::to_vec)),
            durability,
        )
    }

    fn close(&self) -> Result<(), CommitError> {
        if !self.closed.swap(true, Ordering::AcqRel) {
            self.disk().sync();
        }
        Ok(())
    }
}

/// Shows counts; values stay out of logs.
impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let disk = self.disk();
        f.debug_struct("MemoryStore")
            .field("datasets", &disk.now.datasets.len())
            .field("buffered", &disk.buffered.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_takes_what_was_buffered_since_the_last_write_on_disk() {
        let store = MemoryStore::new();
        for (name, durability) in [
            ("a", Durability::Buffered),
            ("b", Durability::Disk),
            ("c", Durability::Buffered),
        ] {
            store.set_setting(name, Some(b"x"), durability).unwrap();
        }
        store.crash();
        let found = ["a", "b", "c"].map(|name| store.setting(name).unwrap().is_some());
        assert_eq!(found, [true, true, false]);
    }
}
