//! Whose those of nobody's data are that could not be moved to who adopted them.
//!
//! What was made before any identity was known belongs to the first one that is. A dataset that cannot be moved there, a
//! damaged one for example, stays among nobody's, and must not go to the next identity instead, nor be shown to whoever uses
//! the device in between.
//!
//! The rule: it is noted on disk before anything is moved, and struck out after; both under the lock of `open`. A note about a
//! dataset that is not there, for it was wiped or set aside, says nothing.

use std::collections::{BTreeMap, BTreeSet};

use driftless_merge::Owner;
use driftless_store::{CommitError, RecoverError, Store};
use driftless_wire::{DatasetName, IdentityId};
use serde::{Deserialize, Serialize};

use crate::error::DatasetError;
use crate::setting::{self, Unreadable};
use crate::shared::Shared;

/// The setting of the store in which it is kept.
const SETTING: &str = "local-of";

/// The version of the setting; a later one is refused.
const VERSION: u32 = 1;

/// Whose nobody's datasets are; of those that are not named, nobody's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LocalOf {
    version: u32,
    datasets: BTreeMap<DatasetName, IdentityId>,
}

impl LocalOf {
    pub(crate) fn read(store: &dyn Store) -> Result<Self, RecoverError> {
        let kept = setting::read(store, SETTING, VERSION).map_err(|error| match error {
            Unreadable::Store(error) => error,
            _ => RecoverError::Setting {
                name: SETTING.to_owned(),
            },
        });
        Ok(kept?.unwrap_or_default())
    }

    fn write(mut self, store: &dyn Store) -> Result<(), CommitError> {
        self.version = VERSION;
        let kept = (!self.datasets.is_empty()).then_some(&self);
        setting::write(store, SETTING, kept)
    }

    pub(crate) fn whose(&self, name: &DatasetName) -> Option<&IdentityId> {
        self.datasets.get(name)
    }

    /// Notes that these are an identity's, before they are moved to it.
    pub(crate) fn give(
        mut self,
        store: &dyn Store,
        names: &BTreeSet<DatasetName>,
        to: &IdentityId,
    ) -> Result<(), CommitError> {
        if names.is_empty() {
            return Ok(());
        }
        let to = |name: &DatasetName| (name.clone(), to.clone());
        self.datasets.extend(names.iter().map(to));
        self.write(store)
    }

    /// Strikes out what was moved to an identity.
    pub(crate) fn strike_out(
        store: &dyn Store,
        to: &IdentityId,
        left: &BTreeSet<DatasetName>,
    ) -> Result<(), DatasetError> {
        let mut kept = Self::read(store)?;
        let all = kept.datasets.len();
        kept.datasets
            .retain(|name, whose| whose != to || left.contains(name));
        match kept.datasets.len() == all {
            true => Ok(()),
            false => kept.write(store).map_err(DatasetError::Write),
        }
    }
}

impl Shared {
    /// Returns the names of an owner's datasets in the store, but of nobody's not those that are somebody's.
    pub(crate) fn names(&self, owner: &Owner) -> Result<Vec<DatasetName>, RecoverError> {
        let mut names = self.store.datasets(owner)?;
        if *owner == Owner::Local {
            let local_of = LocalOf::read(&*self.store)?;
            names.retain(|name| local_of.whose(name).is_none());
        }
        Ok(names)
    }

    /// Refuses one of nobody's datasets that is somebody's.
    pub(crate) fn check_whose(&self, name: &DatasetName) -> Result<(), DatasetError> {
        let mut local_of = LocalOf::read(&*self.store)?;
        let Some(identity) = local_of.datasets.remove(name) else {
            return Ok(());
        };
        if self.store.datasets(&Owner::Local)?.contains(name) {
            return Err(DatasetError::OtherIdentity { identity });
        }
        // What comes into being under this name is nobody's.
        local_of.write(&*self.store).map_err(DatasetError::Write)
    }
}
