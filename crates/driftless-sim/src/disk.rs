//! The disk of a device: a store in memory whose process can die at a commit, and whose bytes can rot.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use driftless_merge::{Commit, DatasetKey, Durability, MirroredRecord, Owner, Recovered};
use driftless_store::{CommitError, Damage, MemoryStore, RecoverError, Row, Store};
use driftless_wire::{DatasetName, RecordKey, SyncCount};

use crate::cloud;

/// Where the process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Death {
    /// How many commits it lives to see.
    pub(crate) commits: u32,
    /// Whether the next one is kept too, before the process dies.
    pub(crate) keeps_next: bool,
}

/// A store as one run of a process sees it.
#[derive(Debug)]
pub(crate) struct Disk {
    store: MemoryStore,
    fate: Mutex<Fate>,
}

#[derive(Debug, Default)]
struct Fate {
    death: Option<Death>,
    is_dead: bool,
    /// The next read finds damage.
    is_rotten: bool,
    /// How many commits there were.
    commits: u64,
    /// How many of them are on disk.
    durable: u64,
}

impl Disk {
    /// Opens a store after so many commits, of which so many are on disk; `is_rotten` makes the first
    /// dataset that is read a damaged one.
    pub(crate) fn open(
        store: MemoryStore,
        (commits, durable): (u64, u64),
        is_rotten: bool,
    ) -> Arc<Self> {
        let fate = Fate {
            is_rotten,
            commits,
            durable,
            ..Fate::default()
        };
        Arc::new(Self {
            store,
            fate: Mutex::new(fate),
        })
    }

    fn fate(&self) -> MutexGuard<'_, Fate> {
        self.fate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) const fn store(&self) -> &MemoryStore {
        &self.store
    }

    pub(crate) fn doom(&self, death: Death) {
        self.fate().death = Some(death);
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.fate().is_dead
    }

    /// Loses power, and returns how many commits are left.
    pub(crate) fn lose_power(&self) -> u64 {
        self.store.crash();
        let mut fate = self.fate();
        fate.commits = fate.durable;
        fate.durable
    }

    /// Tells whether the process died of a commit that was kept.
    pub(crate) fn kept_last(&self) -> bool {
        self.fate().death.is_some_and(|death| death.keeps_next)
    }

    /// Returns the service's records as they are remembered, of the one dataset there is.
    pub(crate) fn mirror(&self) -> BTreeMap<RecordKey, MirroredRecord> {
        self.recovered().records
    }

    /// Returns the name of the life that is remembered, as the sync row tells it.
    pub(crate) fn life(&self) -> Option<String> {
        let row: serde_json::Value = serde_json::from_slice(&self.recovered().sync?).ok()?;
        Some(row.get("lineage")?.as_str()?.to_owned())
    }

    /// Returns the count from which the next session lists, as the sync row tells it.
    pub(crate) fn count(&self) -> SyncCount {
        let row = self.recovered().sync.unwrap_or_default();
        let row: Option<serde_json::Value> = serde_json::from_slice(&row).ok();
        let count = row.and_then(|row| row.get("count")?.as_i64());
        SyncCount::try_from(count.unwrap_or(0)).unwrap_or(SyncCount::ZERO)
    }

    fn recovered(&self) -> Recovered {
        let owner = Owner::Identity(cloud::identity());
        let key = DatasetKey::new(owner, cloud::dataset());
        self.store.recover(&key).ok().flatten().unwrap_or_default()
    }

    /// Returns the number of the last commit, and of the last one on disk.
    pub(crate) fn commits(&self) -> (u64, u64) {
        let fate = self.fate();
        (fate.commits, fate.durable)
    }

    fn write(
        &self,
        durability: Durability,
        write: impl FnOnce() -> Result<(), CommitError>,
    ) -> Result<(), CommitError> {
        let mut fate = self.fate();
        if fate.is_dead {
            return Err(died());
        }
        if let Some(death) = &mut fate.death {
            match death.commits.checked_sub(1) {
                Some(left) => death.commits = left,
                None => {
                    fate.is_dead = true;
                    if !fate.death.is_some_and(|death| death.keeps_next) {
                        return Err(died());
                    }
                }
            }
        }
        fate.commits += 1;
        if durability == Durability::Disk {
            fate.durable = fate.commits;
        }
        write()
    }

    fn read<T>(&self, read: impl FnOnce() -> Result<T, RecoverError>) -> Result<T, RecoverError> {
        if self.fate().is_dead {
            return Err(RecoverError::Failed("the process died".into()));
        }
        read()
    }
}

fn died() -> CommitError {
    CommitError::Failed("the process died".into())
}

impl Store for Disk {
    fn commit(&self, commit: Commit, durability: Durability) -> Result<(), CommitError> {
        self.write(durability, || self.store.commit(commit, durability))
    }

    fn recover(&self, dataset: &DatasetKey) -> Result<Option<Recovered>, RecoverError> {
        let is_rotten = self.fate().is_rotten;
        self.read(|| match self.store.recover(dataset)? {
            Some(_) if is_rotten => Err(RecoverError::Damaged {
                dataset: dataset.clone(),
                damage: Damage::Checksum { row: Row::State },
            }),
            found => Ok(found),
        })
    }

    fn document(&self, dataset: &DatasetKey) -> Result<Option<Vec<u8>>, RecoverError> {
        self.read(|| self.store.document(dataset))
    }

    fn owners(&self) -> Result<Vec<Owner>, RecoverError> {
        self.read(|| self.store.owners())
    }

    fn datasets(&self, owner: &Owner) -> Result<Vec<DatasetName>, RecoverError> {
        self.read(|| self.store.datasets(owner))
    }

    fn forget(&self, dataset: &DatasetKey, durability: Durability) -> Result<(), CommitError> {
        self.write(durability, || self.store.forget(dataset, durability))
    }

    fn set_aside(&self, dataset: &DatasetKey) -> Result<(), CommitError> {
        self.fate().is_rotten = false;
        self.write(Durability::Disk, || self.store.set_aside(dataset))
    }

    fn setting(&self, name: &str) -> Result<Option<Vec<u8>>, RecoverError> {
        self.read(|| self.store.setting(name))
    }

    fn settings(&self, prefix: &str) -> Result<Vec<String>, RecoverError> {
        self.read(|| self.store.settings(prefix))
    }

    fn set_setting(
        &self,
        name: &str,
        value: Option<&[u8]>,
        durability: Durability,
    ) -> Result<(), CommitError> {
        self.write(durability, || {
            self.store.set_setting(name, value, durability)
        })
    }

    fn close(&self) -> Result<(), CommitError> {
        let mut fate = self.fate();
        if fate.is_dead {
            return Err(died());
        }
        fate.durable = fate.commits;
        self.store.close()
    }
}
