//! The client: one store of one identity pool, one identity, and the datasets in it.

use std::path::PathBuf;
use std::sync::Arc;

use driftless_document::branch;
use driftless_merge::{Owner, SessionError};
use driftless_store::{CommitError, Store};
use driftless_wire::{
    Dataset as RemoteDataset, DatasetName, ListDatasetsRequest, Request, Response, limits,
};

use crate::builder::{ClientBuilder, Place};
use crate::dataset::Dataset;
use crate::error::{CloseError, DatasetError, SyncError};
use crate::shared::Shared;
use crate::slot::Slot;

/// Pages of datasets that are asked for: far more than any identity has.
const MAX_PAGES: usize = 1_000;

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
        let mut slots = self.shared.slots();
        if self.shared.is_closed() {
            return Err(DatasetError::Closed);
        }
        let slot = match slots.get(&name) {
            Some(slot) => Arc::clone(slot),
            None => {
                let slot = Arc::new(Slot::new(name.clone(), self.shared.replica(&name)?));
                slots.insert(name, Arc::clone(&slot));
                self.shared.opened.send_replace(());
                slot
            }
        };
        drop(slots);
        Ok(Dataset {
            shared: Arc::clone(&self.shared),
            slot,
        })
    }

    /// Returns the names of the datasets in the store, damaged ones too, in order. It waits for the
    /// disk.
    ///
    /// # Errors
    ///
    /// [`DatasetError`] if the store cannot be read.
    pub fn datasets(&self) -> Result<Vec<DatasetName>, DatasetError> {
        Ok(self.shared.store.datasets(&self.shared.owner)?)
    }

    /// Returns the datasets of the identity at the service, all pages.
    ///
    /// Dropping the future is safe at any time.
    ///
    /// # Errors
    ///
    /// [`SyncError`] if the service cannot be asked.
    pub async fn remote_datasets(&self) -> Result<Vec<RemoteDataset>, SyncError> {
        self.shared.until_closed(self.list_datasets()).await
    }

    async fn list_datasets(&self) -> Result<Vec<RemoteDataset>, SyncError> {
        let Owner::Identity(identity) = &self.shared.owner else {
            return Err(SyncError::NoIdentity);
        };
        let transport = self.shared.transport()?;
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
                None => return Ok(found),
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
        let mut slots = self.shared.slots();
        if let Some(slot) = slots.remove(&name) {
            slot.end();
        }
        branch!(SetAside);
        let moved = self.shared.store.set_aside(&self.shared.key(&name));
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
        let mut slots = self.shared.slots();
        self.shared.closed.send_replace(true);
        std::mem::take(&mut *slots)
            .into_values()
            .for_each(|slot| slot.close(&self.shared));
        Ok(self.shared.store.close()?)
    }
}
