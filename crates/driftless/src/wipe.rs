//! Removing data from a device: what exactly goes, and what must be said before it does.

use std::collections::BTreeMap;

use driftless_merge::{DatasetKey, Durability, Owner, Replica};
use driftless_store::{CommitError, RecoverError};

use crate::identity::identity_of;
use crate::shared::{Open, Shared};
use crate::{catalog, devices};

/// Which data of a device are removed: datasets, the list of those at the service, and the registration for pushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scope {
    /// Those of the identity whose data the client shows. It stays known, so that they come back with the next
    /// synchronization.
    Identity,
    /// Those of all identities that ever used the store, and who the device is. A guest is another one after that, and
    /// nothing leads back to the guest's data at the service.
    Device,
}

/// What becomes of edits that the service is not known to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsynced {
    /// While there are any, nothing is removed.
    Keep,
    /// They go too.
    Lose,
}

/// A dataset that a wipe removes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Wiped {
    /// Which one, and whose.
    pub key: DatasetKey,
    /// Whether it has edits that the service is not known to have. So it is of a damaged one, for nobody can tell.
    pub has_unsynced: bool,
}

/// Why data were not removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WipeError {
    /// Edits would be lost, and nothing was removed: synchronize first, or wipe with [`Unsynced::Lose`].
    #[error(
        "{} datasets have edits that were not synchronized, and nothing was removed; synchronize them first, or say that the edits may go",
        datasets.len()
    )]
    Unsynced {
        /// The datasets. A damaged one is among them, for nobody can tell.
        datasets: Vec<DatasetKey>,
    },
    /// The store cannot be read; nothing was removed.
    #[error("the store cannot be read")]
    Read(#[from] RecoverError),
    /// The store cannot be written. Some datasets may be gone and others not; wipe again.
    #[error("the store cannot be written")]
    Write(#[from] CommitError),
    /// The client was closed.
    #[error("the client is closed")]
    Closed,
}

impl Shared {
    pub(crate) fn wipe(&self, scope: Scope, unsynced: Unsynced) -> Result<(), WipeError> {
        // Held to the end, so that nobody opens a dataset or becomes somebody else meanwhile.
        let mut open = self.open();
        if self.is_closed() {
            return Err(WipeError::Closed);
        }
        let datasets = self.datasets_in(scope, &open)?;
        let catalogs = self.settings_in(scope, &open, catalog::SETTINGS)?;
        let registrations = self.settings_in(scope, &open, devices::SETTINGS)?;
        self.end_open(&mut open, &datasets, unsynced)?;
        for key in &datasets {
            self.store.forget(key, Durability::Disk)?;
        }
        for name in &catalogs {
            self.store.set_setting(name, None, Durability::Disk)?;
        }
        self.devices.wipe(&*self.store, &registrations)?;
        if scope == Scope::Device {
            self.device.wipe()?;
            self.become_nobody(&mut open);
        }
        Ok(())
    }

    pub(crate) fn would_wipe(&self, scope: Scope) -> Result<Vec<Wiped>, WipeError> {
        let open = self.open();
        if self.is_closed() {
            return Err(WipeError::Closed);
        }
        let datasets = self.datasets_in(scope, &open)?.into_iter();
        let wiped = datasets.map(|key| {
            let slot = open.datasets.get(key.name());
            let slot = slot.filter(|_| open.owner == *key.owner());
            let inner = slot.map(|slot| slot.lock());
            let has_unsynced = self.has_unsynced(&key, inner.as_ref().map(|inner| &inner.replica));
            Wiped { key, has_unsynced }
        });
        Ok(wiped.collect())
    }

    /// Tells whether a dataset, open or not, has edits that the service is not known to have.
    fn has_unsynced(&self, key: &DatasetKey, open: Option<&Replica>) -> bool {
        match open {
            Some(replica) => replica.has_unsynced(),
            None => self
                .replica(key.clone())
                .map_or(true, |replica| replica.has_unsynced()),
        }
    }

    /// Ends all open datasets, unless edits would be lost that must not be.
    fn end_open(
        &self,
        open: &mut Open,
        datasets: &[DatasetKey],
        unsynced: Unsynced,
    ) -> Result<(), WipeError> {
        let slots = std::mem::take(&mut open.datasets);
        // All at once, so that no edit is acknowledged between the question and the end.
        let mut locked: BTreeMap<_, _> = slots.iter().map(|(name, it)| (name, it.lock())).collect();
        let is_unsynced = |key: &&DatasetKey| {
            let inner = locked
                .get(key.name())
                .filter(|_| open.owner == *key.owner());
            self.has_unsynced(key, inner.map(|inner| &inner.replica))
        };
        let lost: Vec<_> = match unsynced {
            Unsynced::Keep => datasets.iter().filter(is_unsynced).cloned().collect(),
            Unsynced::Lose => Vec::new(),
        };
        if lost.is_empty() {
            locked.values_mut().for_each(|inner| inner.end());
            return Ok(());
        }
        drop(locked);
        open.datasets = slots;
        Err(WipeError::Unsynced { datasets: lost })
    }

    /// Returns the settings of one kind that belong to identities in scope, also to those that have no dataset any more.
    fn settings_in(
        &self,
        scope: Scope,
        open: &Open,
        prefix: &str,
    ) -> Result<Vec<String>, RecoverError> {
        let mut settings = self.store.settings(prefix)?;
        if scope == Scope::Identity {
            let own = identity_of(open.owner.clone()).map(|id| format!("{prefix}{id}"));
            settings.retain(|name| Some(name) == own.as_ref());
        }
        Ok(settings)
    }

    fn datasets_in(&self, scope: Scope, open: &Open) -> Result<Vec<DatasetKey>, RecoverError> {
        let owners: Vec<Owner> = match scope {
            Scope::Identity => vec![open.owner.clone()],
            Scope::Device => self.store.owners()?,
        };
        let mut datasets = Vec::new();
        for owner in owners {
            let names = match scope {
                Scope::Identity => self.names(&owner)?,
                Scope::Device => self.store.datasets(&owner)?,
            };
            let names = names.into_iter();
            datasets.extend(names.map(|name| DatasetKey::new(owner.clone(), name)));
        }
        Ok(datasets)
    }
}
