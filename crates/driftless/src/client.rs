//! The client: one store of one identity pool, one identity, and the datasets in it.

use std::path::PathBuf;
use std::sync::Arc;

use driftless_document::branch;
use driftless_merge::{Owner, SessionError};
use driftless_store::{CommitError, Store};
use driftless_wire::{
    Dataset as RemoteDataset, DatasetName, IdentityId, ListDatasetsRequest, Request, Response,
    limits,
};

use crate::builder::{ClientBuilder, Place};
use crate::dataset::Dataset;
use crate::error::{CloseError, DatasetError, SyncError};
use crate::identity::{IdentityChanges, identity_of};
use crate::shared::{Open, Shared};
use crate::slot::Slot;
use crate::wipe::{Scope, Unsynced, WipeError, Wiped};

/// Pages of datasets that are asked for: far more than any identity has.
const MAX_PAGES: usize = 1_000;

/// The longest name to which a merge of identities can add `.` and the id of the other identity.
const LONGEST_MERGED: usize = 72;

/// The data of one person on this device.
///
/// A clone is another handle of the same client. Datasets keep it open; [`close`](Self::close)
/// closes it for all.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) shared: Arc<Shared>,
}

impl Client {
    /// Returns a builder for a client whose store is a directory, made where it is missing.
    pub fn builder(path: impl Into<PathBuf>) -> ClientBuilder {
        ClientBuilder::new(Place::Directory(path.into()))
    }

    /// Returns a builder for a client with a store of its own kind; the simulator brings one.
    pub fn with_store(store: Arc<dyn Store>) -> ClientBuilder {
        ClientBuilder::new(Place::Store(store))
    }

    /// Opens a dataset, which comes into being with its first edit.
    ///
    /// The first call for a name waits for the disk, later ones give another handle of the same
    /// dataset.
    ///
    /// # Errors
    ///
    /// [`DatasetError`]; other datasets stay usable.
    pub fn dataset(&self, name: &str) -> Result<Dataset, DatasetError> {
        let name: DatasetName = name.parse()?;
        self.check_length(&name)?;
        self.dataset_in(&mut self.shared.open(), name)
    }

    /// Opens a dataset of the owner whose data are shown.
    pub(crate) fn dataset_in(
        &self,
        open: &mut Open,
        name: DatasetName,
    ) -> Result<Dataset, DatasetError> {
        if self.shared.is_closed() {
            return Err(DatasetError::Closed);
        }
        let slot = match open.datasets.get(&name) {
            Some(slot) => Arc::clone(slot),
            None => {
                if open.owner == Owner::Local {
                    self.shared.check_whose(&name)?;
                }
                let replica = self.shared.replica(open.key(&name))?;
                let slot = Arc::new(Slot::new(name.clone(), replica));
                open.datasets.insert(name, Arc::clone(&slot));
                self.shared.opened.send_replace(());
                slot
            }
        };
        Ok(Dataset {
            shared: Arc::clone(&self.shared),
            slot,
        })
    }

    /// Refuses a name that a merge of identities has no room for [COGNITO trap 29].
    pub(crate) fn check_length(&self, name: &DatasetName) -> Result<(), DatasetError> {
        let chars = name.as_str().len();
        let can_merge = self.shared.identities.is_some() && !self.shared.accepts_long_names;
        if can_merge && chars > LONGEST_MERGED {
            return Err(DatasetError::LongName {
                chars,
                longest: LONGEST_MERGED,
            });
        }
        Ok(())
    }

    /// Returns whose data the client shows; `None` before any identity is known.
    #[must_use]
    pub fn identity(&self) -> Option<IdentityId> {
        identity_of(self.shared.open().owner.clone())
    }

    /// Asks who this device is and lets the client show that one's data, as each synchronization does before it begins.
    ///
    /// It costs nothing while credentials last; without an identity pool it does nothing. To be called after a login, before
    /// data are shown. What an [`IdentityChange`](crate::IdentityChange) means for open datasets is told there.
    ///
    /// # Errors
    ///
    /// [`SyncError::Identity`] if it cannot be asked now, [`SyncError::IdentityRow`] if the store's own row cannot be read: the
    /// client goes on showing the data that it shows.
    pub async fn identify(&self) -> Result<Option<IdentityId>, SyncError> {
        self.shared.until_closed(self.shared.identify()).await?;
        Ok(self.identity())
    }

    /// Makes the next request ask for credentials with the logins as they are then: to be called when a guest has logged in,
    /// or the same person anew.
    ///
    /// Whatever [synchronizes by itself](Self::auto_sync) asks at once who it is, if a network may be used, and tries again what
    /// failed for the login before.
    ///
    /// If somebody logs out, or somebody else may be next, [`sign_out`](Self::sign_out) is the right call.
    pub fn logins_changed(&self) {
        let Some(identities) = &self.shared.identities else {
            return;
        };
        identities.logins_changed();
        self.shared.logins.send_replace(());
        let slots = self.shared.open().datasets.clone();
        slots.values().for_each(|slot| slot.wake());
    }

    /// Forgets who this device is, at once and offline, so that the next person sees nothing of this one.
    ///
    /// The data stay in the store, unsynced edits too, for when the same person logs in again. Datasets that are open can
    /// still be read by whoever holds them, but not edited. What is made from now on belongs to the identity that comes
    /// next. Nothing leads back to the data of a *guest*. It waits for the disk.
    ///
    /// Of data that were made before anybody was known, those that were adopted stay with who adopted them, even where they
    /// [could not be moved](crate::IdentityChange::left). While nobody is known yet, there is nobody to sign out: what is there stays
    /// open, and goes to the identity that comes next. To keep it from that one, [`wipe`](Self::wipe) it.
    ///
    /// # Errors
    ///
    /// [`DatasetError`] if that cannot be kept, or what the store keeps of identities cannot be read; then nothing changed.
    pub fn sign_out(&self) -> Result<(), DatasetError> {
        self.shared.sign_out()
    }

    /// Returns the last change of the identity, also one that was made at the start, and those from now on.
    #[must_use]
    pub fn identity_changes(&self) -> IdentityChanges {
        IdentityChanges::of(&self.shared)
    }

    /// Returns the datasets that a [`wipe`](Self::wipe) of this scope would remove now. It waits for the disk, and reads each
    /// dataset that is not open.
    ///
    /// # Errors
    ///
    /// [`WipeError`] if the store cannot be read, or the client is closed.
    pub fn would_wipe(&self, scope: Scope) -> Result<Vec<Wiped>, WipeError> {
        self.shared.would_wipe(scope)
    }

    /// Removes data from this device, not from the service. It waits for the disk.
    ///
    /// Of the registration for pushes the device keeps nothing either, so nothing could take back what the service knows: call
    /// [`unregister_device`](Self::unregister_device) before, or pushes for the one whose data are gone go on to come.
    ///
    /// Handles of open datasets are closed; opening a dataset anew gets it from the service with the next synchronization.
    /// Datasets that were [set aside](Self::set_aside) are not touched, nor are the bytes of the store's files before it
    /// rewrites them: to leave no trace, close the client and delete the directory.
    ///
    /// # Errors
    ///
    /// [`WipeError::Unsynced`] names the datasets whose edits would be lost; nothing was removed then. No edit comes in between
    /// the question and the removal.
    pub fn wipe(&self, scope: Scope, unsynced: Unsynced) -> Result<(), WipeError> {
        self.shared.wipe(scope, unsynced)
    }

    /// Returns the names of the datasets in the store, damaged ones too, in order. It waits for the
    /// disk.
    ///
    /// # Errors
    ///
    /// [`DatasetError`] if the store cannot be read.
    pub fn datasets(&self) -> Result<Vec<DatasetName>, DatasetError> {
        let owner = self.shared.open().owner.clone();
        Ok(self.shared.names(&owner)?)
    }

    /// Returns the datasets of the identity at the service, all pages.
    ///
    /// Dropping the future is safe at any time.
    ///
    /// # Errors
    ///
    /// [`SyncError`] if the service cannot be asked.
    pub async fn remote_datasets(&self) -> Result<Vec<RemoteDataset>, SyncError> {
        let (_, datasets) = self.shared.until_closed(self.list_datasets()).await?;
        Ok(datasets)
    }

    /// Returns the datasets at the service, and whose they are.
    pub(crate) async fn list_datasets(
        &self,
    ) -> Result<(IdentityId, Vec<RemoteDataset>), SyncError> {
        let transport = self.shared.transport()?;
        self.shared.identify().await?;
        let Owner::Identity(identity) = self.shared.open().owner.clone() else {
            return Err(SyncError::NoIdentity);
        };
        let mut found = Vec::new();
        let mut next_token = None;
        for _ in 0..MAX_PAGES {
            let request = Request::ListDatasets(ListDatasetsRequest {
                identity_pool_id: self.shared.pool.clone(),
                identity_id: identity.clone(),
                next_token: next_token.take(),
                max_results: Some(limits::DATASETS_PER_PAGE),
            });
            let answer = transport.exchange(request).await;
            let answer = answer.map_err(|error| SyncError::Request(Arc::new(error)))?;
            let Response::ListDatasets(page) = answer.response else {
                return Err(SyncError::WrongAnswer);
            };
            found.extend(page.datasets);
            match page.next_token {
                Some(token) => next_token = Some(token),
                None => return Ok((identity, found)),
            }
        }
        Err(SessionError::Answer("a list of datasets has no end").into())
    }

    /// Takes a damaged dataset out of the way, so that opening it anew gets it from the service.
    /// It waits for the disk.
    ///
    /// Its rows are kept in the store. Edits in it that were not synchronized do not come back by
    /// themselves. Handles from before are closed.
    ///
    /// # Errors
    ///
    /// [`DatasetError`] if the store cannot move it, or the name is none.
    pub fn set_aside(&self, name: &str) -> Result<(), DatasetError> {
        let name: DatasetName = name.parse()?;
        // Held until the store has moved the rows, so that nobody opens the dataset meanwhile.
        let mut open = self.shared.open();
        if let Some(slot) = open.datasets.remove(&name) {
            slot.end();
        }
        branch!(SetAside);
        let moved = self.shared.store.set_aside(&open.key(&name));
        moved.map_err(|error| match error {
            CommitError::Closed => DatasetError::Closed,
            error => DatasetError::SetAside(error),
        })
    }

    /// Closes the client: sessions end, consumers of changes are told, the store is put on disk and
    /// given free. It waits for the disk.
    ///
    /// Every later edit and synchronization of any handle says that it is closed; reads go on
    /// showing what they showed. Closing again is no error. A client whose handles are all dropped
    /// closes too, but perhaps a moment later, on a thread that still works for it, and nobody
    /// learns whether that went well.
    ///
    /// # Errors
    ///
    /// [`CloseError`] if buffered edits may not have reached the disk.
    pub fn close(&self) -> Result<(), CloseError> {
        let mut open = self.shared.open();
        self.shared.closed.send_replace(true);
        std::mem::take(&mut open.datasets)
            .into_values()
            .for_each(|slot| slot.close(&self.shared));
        Ok(self.shared.store.close()?)
    }
}
