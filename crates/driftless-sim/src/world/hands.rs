//! What a test does with a world by hand: calls of an app, stores, and what other hands see and write
//! at the service.

use driftless::{IdentityId, Report, SyncError};
use driftless_record::is_reserved;
use driftless_store::MemoryStore;
use driftless_wire::{DatasetName, Record};
use tokio::sync::oneshot::{self, error::TryRecvError};

use super::{Checked, World};
use crate::check::Check;
use crate::cloud;

impl World {
    /// Calls `synchronize` on a device and makes things happen until it ends;
    /// [`SyncError::Closed`] if its process ended first.
    ///
    /// # Errors
    ///
    /// A [`Violation`](crate::Violation) if something is not as it must be, or if the call never
    /// ends.
    pub fn synchronize(&mut self, device: usize) -> Checked<Result<Report, SyncError>> {
        let (life, dataset) = (self.devices[device].life, self.dataset(device).clone());
        let (told, mut ended) = oneshot::channel();
        let call = async move {
            let outcome = dataset.synchronize().await;
            drop(told.send(outcome.clone()));
            outcome
        };
        self.tasks.begin(life, self.ledger.marks(), Box::pin(call));
        self.poll()?;
        loop {
            match ended.try_recv() {
                Ok(outcome) => return Ok(outcome),
                Err(TryRecvError::Closed) => return Ok(Err(SyncError::Closed)),
                Err(TryRecvError::Empty) => {}
            }
            let Some(event) = self.agenda.next(i64::MAX) else {
                return Err(self.violation(Check::CallsEndOnce, "a call waits for nothing"));
            };
            self.happen(event)?;
        }
    }

    /// Returns a copy of a device's disk as a loss of power would leave it: a backup, or a clone.
    #[must_use]
    pub fn store(&self, device: usize) -> MemoryStore {
        self.devices[device].disk.store().copy()
    }

    /// Adds a device that begins with a store, and returns its number.
    ///
    /// A store with what another one has given out, as a copy has, belongs into a world of the
    /// story [`Copies`](crate::Story::Copies).
    ///
    /// # Errors
    ///
    /// A [`Violation`](crate::Violation) if it does not start.
    pub fn join(&mut self, store: MemoryStore) -> Checked<usize> {
        self.add_device(store)?;
        Ok(self.devices.len() - 1)
    }

    /// Closes the client of a device and opens one on the same store for another identity, or for
    /// whoever uses the device; [`identity`](Self::identity) is the one that the world is about.
    ///
    /// Only its devices can be [settled](Self::settle).
    ///
    /// # Errors
    ///
    /// A [`Violation`](crate::Violation) if it does not start.
    pub fn log_in(&mut self, device: usize, identity: Option<IdentityId>) -> Checked {
        self.close(device)?;
        self.devices[device].make.identity = identity;
        let disk = &self.devices[device].disk;
        let (store, commits) = (disk.store().reopen(), disk.commits());
        self.replace(device, store, commits, false)
    }

    /// Returns the identity whose dataset the devices share.
    #[must_use]
    pub fn identity() -> IdentityId {
        cloud::identity()
    }

    /// Merges a guest into the world's identity at the service, which leaves the guest's dataset beside ours.
    ///
    /// What the guest's devices edited, all of which must be synchronized, counts as edits of ours from then on. The guest's
    /// devices must have [logged in](Self::log_in) as somebody else.
    pub fn merge_guest(&mut self, guest: &IdentityId) {
        self.tally.count("guests merged at the service");
        self.cloud.merge_guest(guest);
        if let Some(edits) = self.guests.remove(guest) {
            self.ledger.record(edits);
        }
    }

    /// Returns all records of the dataset at the service, tombstones too.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        self.cloud.list(self.agenda.time()).records
    }

    /// Writes records at the service under the counts that they have there, as an old client or a
    /// console does; `None` removes one.
    pub fn write(&mut self, values: impl IntoIterator<Item = (String, Option<String>)>) {
        let values: Vec<_> = values.into_iter().collect();
        if values.iter().any(|(key, _)| is_reserved(key)) {
            self.is_whole = false;
            self.spoilt_by = None;
            self.may_be_unknown();
        }
        self.cloud.write(values, self.agenda.time());
    }

    /// Returns the names of the identity's datasets at the service.
    #[must_use]
    pub fn remote_datasets(&self) -> Vec<DatasetName> {
        self.cloud.datasets(self.agenda.time())
    }
}
