//! Removing data from a device: what exactly goes, and what must be said before it does.

use driftless_merge::{DatasetKey, Durability, Owner};
use driftless_store::{CommitError, RecoverError};

use crate::identity::forget_identity;
use crate::shared::{Open, Shared};

/// Which data of a device are removed.
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

/// Why data were not removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WipeError {
    /// Edits would be lost, and nothing was removed: synchronize first, or wipe with [`Unsynced::Lose`].
    #[error("{} datasets have edits that were not synchronized", datasets.len())]
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
        // Held to the end, so that nobody opens a dataset meanwhile.
        let mut open = self.open();
        if self.is_closed() {
            return Err(WipeError::Closed);
        }
        let datasets = self.datasets_in(scope, &open)?;
        if unsynced == Unsynced::Keep {
            let is_unsynced = |key: &&DatasetKey| self.has_unsynced(key, &open);
            let datasets: Vec<_> = datasets.iter().filter(is_unsynced).cloned().collect();
            if !datasets.is_empty() {
                return Err(WipeError::Unsynced { datasets });
            }
        }
        for (_, slot) in std::mem::take(&mut open.datasets) {
            slot.end();
        }
        for key in &datasets {
            self.store.forget(key, Durability::Disk)?;
        }
        if scope == Scope::Device {
            forget_identity(&*self.store)?;
        }
        drop(open);
        match scope {
            Scope::Identity => Ok(()),
            Scope::Device => self.forget_who_it_is(),
        }
    }

    fn forget_who_it_is(&self) -> Result<(), WipeError> {
        if self.identities.is_none() {
            return Ok(());
        }
        self.sign_out().map_err(|error| match error {
            crate::DatasetError::Write(error) => WipeError::Write(error),
            _ => WipeError::Closed,
        })
    }

    fn datasets_in(&self, scope: Scope, open: &Open) -> Result<Vec<DatasetKey>, RecoverError> {
        let owners: Vec<Owner> = match scope {
            Scope::Identity => vec![open.owner.clone()],
            Scope::Device => self.store.owners()?,
        };
        let mut datasets = Vec::new();
        for owner in owners {
            let names = self.store.datasets(&owner)?.into_iter();
            datasets.extend(names.map(|name| DatasetKey::new(owner.clone(), name)));
        }
        Ok(datasets)
    }

    fn has_unsynced(&self, key: &DatasetKey, open: &Open) -> bool {
        let slot = open.datasets.get(key.name());
        match slot.filter(|_| open.owner == *key.owner()) {
            Some(slot) => slot.lock().replica.has_unsynced(),
            None => self
                .replica(key.clone())
                .map_or(true, |replica| replica.has_unsynced()),
        }
    }
}
