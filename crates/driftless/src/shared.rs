//! What all datasets of a client use, and whether the client is open.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use driftless_merge::{DatasetKey, Durability, Owner, Replica};
use driftless_record::Limits;
use driftless_store::Store;
use driftless_transport::{Clock, Timer, Transport};
use driftless_wire::{DatasetName, IdentityId, IdentityPoolId};
use tokio::sync::watch;

use crate::connectivity::Connectivity;
use crate::devices::Devices;
use crate::error::{DatasetError, OpenError, SyncError};
use crate::identity::{DeviceRow, Identities, IdentityChange, identity_of};
use crate::policy::Policies;
use crate::recorder::Recorder;
use crate::seeds::Seeds;
use crate::slot::Slot;
use crate::workers::Workers;

/// Whatever a dataset needs beside itself.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) transport: Option<Arc<dyn Transport>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) timer: Arc<dyn Timer>,
    pub(crate) workers: Arc<dyn Workers>,
    pub(crate) connectivity: Arc<dyn Connectivity>,
    pub(crate) seeds: Seeds,
    pub(crate) durability: Durability,
    pub(crate) recorder: Option<Arc<dyn Recorder>>,
    pub(crate) pool: IdentityPoolId,
    /// Who the device is, as the store has it.
    pub(crate) device: Arc<DeviceRow>,
    pub(crate) identities: Option<Identities>,
    pub(crate) changed_identity: watch::Sender<Option<IdentityChange>>,
    pub(crate) accepts_long_names: bool,
    pub(crate) limits: Limits,
    pub(crate) policies: Policies,
    pub(crate) open: Mutex<Open>,
    pub(crate) devices: Devices,
    /// Says that a slot was put in.
    pub(crate) opened: watch::Sender<()>,
    /// Says that somebody may have logged in.
    pub(crate) logins: watch::Sender<()>,
    /// Whether the client was closed; it changes under the lock of `open`.
    pub(crate) closed: watch::Sender<bool>,
}

/// Open datasets, each once.
pub(crate) type Slots = BTreeMap<DatasetName, Arc<Slot>>;

/// Whose data are shown, and the datasets of that owner that are open, each once.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) owner: Owner,
    pub(crate) datasets: Slots,
}

impl Open {
    pub(crate) const fn new(owner: Owner) -> Self {
        Self {
            owner,
            datasets: Slots::new(),
        }
    }

    /// Tells whether it is an identity's data that are shown.
    pub(crate) fn is_of(&self, id: &IdentityId) -> bool {
        matches!(&self.owner, Owner::Identity(owner) if owner == id)
    }

    pub(crate) fn key(&self, name: &DatasetName) -> DatasetKey {
        DatasetKey::new(self.owner.clone(), name.clone())
    }

    /// Leaves all open datasets to the owner before: they can be read and no more.
    pub(crate) fn end_all(&mut self) {
        std::mem::take(&mut self.datasets)
            .into_values()
            .for_each(|slot| slot.leave());
    }
}

impl Shared {
    pub(crate) fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    /// Waits for the call, but not longer than the client is open.
    pub(crate) async fn until_closed<T, E: From<SyncError>>(
        &self,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let mut closed = self.closed.subscribe();
        tokio::select! {
            biased;
            result = call => result,
            _ = closed.wait_for(|closed| *closed) => Err(SyncError::Closed.into()),
        }
    }

    pub(crate) fn transport(&self) -> Result<&Arc<dyn Transport>, SyncError> {
        if self.is_closed() {
            return Err(SyncError::Closed);
        }
        self.transport.as_ref().ok_or(SyncError::NoTransport)
    }

    pub(crate) fn open(&self) -> MutexGuard<'_, Open> {
        // A slot is put in or taken out whole, so a panic leaves nothing half done.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whose data are shown and which datasets of that owner are open, both of one moment.
    pub(crate) fn shown(&self) -> (Owner, Slots) {
        let open = self.open();
        (open.owner.clone(), open.datasets.clone())
    }

    /// Returns whose data are shown, if that is somebody.
    pub(crate) fn identity(&self) -> Option<IdentityId> {
        identity_of(self.open().owner.clone())
    }

    /// Returns whose an open dataset is, or without one whose data are shown, and asks if nobody is known yet.
    ///
    /// A dataset that was left to the identity before is refused, and nobody is asked for it. Whoever makes a request of a
    /// dataset calls this once and keeps to the answer.
    pub(crate) async fn whose(
        self: &Arc<Self>,
        slot: Option<&Slot>,
    ) -> Result<IdentityId, SyncError> {
        let known = || match slot {
            Some(slot) => Ok::<_, SyncError>(identity_of(slot.owner()?)),
            None => Ok(self.identity()),
        };
        if let Some(identity) = known()? {
            return Ok(identity);
        }
        self.identify().await?;
        known()?.ok_or(SyncError::NoIdentity)
    }

    /// Returns a dataset as the store has it, or a new one.
    pub(crate) fn replica(&self, key: DatasetKey) -> Result<Replica, DatasetError> {
        let new = |key| Replica::new(key, self.pool.clone(), self.limits, self.seeds.actor());
        let kept = self.kept(key.clone())?;
        Ok(kept.unwrap_or_else(|| new(key)))
    }

    /// Returns a dataset if the store has it.
    pub(crate) fn kept(&self, key: DatasetKey) -> Result<Option<Replica>, DatasetError> {
        let Some(recovered) = self.store.recover(&key)? else {
            return Ok(None);
        };
        let replica = Replica::recover(key, self.pool.clone(), self.limits, recovered)?;
        Ok(Some(replica))
    }

    /// Gives all datasets in the store, whosever they are, new authors.
    ///
    /// A store that lost its tail does not know which op ids it gave out and sent. One that cannot
    /// be read is passed over: it cannot be edited either.
    pub(crate) fn reincarnate(&self) -> Result<(), OpenError> {
        for owner in self.store.owners()? {
            for name in self.store.datasets(&owner)? {
                let key = DatasetKey::new(owner.clone(), name);
                let Ok(Some(mut replica)) = self.kept(key) else {
                    continue;
                };
                let commit = replica.reincarnate(self.seeds.actor());
                self.store.commit(commit, Durability::Disk)?;
            }
        }
        Ok(())
    }

    /// Returns the saved document of a dataset; one that cannot be read is built anew from the
    /// state.
    pub(crate) fn document(&self, key: &DatasetKey) -> Option<Vec<u8>> {
        self.store.document(key).ok().flatten()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("pool", &self.pool)
            .finish_non_exhaustive()
    }
}
