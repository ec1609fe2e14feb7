//! One open dataset: its replica, who listens, and whose turn it is to synchronize.
//!
//! The rule: whatever changes the replica is made durable under the same lock, so that memory and disk have one order. A
//! dataset whose memory ran ahead of the disk for good is *broken*: it takes no more edits until it is opened again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use driftless_merge::{Commit, LocalEdit, Replica};
use driftless_store::CommitError;
use driftless_wire::DatasetName;

use crate::changes::{Listeners, Origin};
use crate::client::Shared;
use crate::driver::Turns;
use crate::error::PutError;

#[derive(Debug)]
pub(crate) struct Slot {
    name: DatasetName,
    inner: Mutex<Inner>,
    pub(crate) turns: Turns,
}

/// What the lock protects.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) replica: Replica,
    pub(crate) listeners: Listeners,
    /// Why the dataset takes no more edits.
    pub(crate) broken: bool,
    /// Which session the replica runs.
    pub(crate) session: u64,
}

impl Slot {
    pub(crate) fn new(name: DatasetName, replica: Replica) -> Self {
        let inner = Inner {
            replica,
            listeners: Listeners::default(),
            broken: false,
            session: 0,
        };
        Self {
            name,
            inner: Mutex::new(inner),
            turns: Turns::default(),
        }
    }

    pub(crate) const fn name(&self) -> &DatasetName {
        &self.name
    }

    /// Locks the replica. A panic while it was locked breaks the dataset, since memory may have run ahead of the disk.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner
            .lock()
            .unwrap_or_else(|poisoned: PoisonError<_>| {
                let mut inner = poisoned.into_inner();
                inner.broken = true;
                inner
            })
    }

    /// Makes an edit and makes it durable; listeners and the recorder hear of it after that.
    pub(crate) fn edit<T>(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        edit: impl FnOnce(&mut Replica) -> Result<(T, Option<LocalEdit>), PutError>,
    ) -> Result<T, PutError> {
        shared.check_open().map_err(|()| PutError::Closed)?;
        let mut inner = self.lock();
        if inner.broken {
            return Err(PutError::Broken);
        }
        if inner.replica.wants_document()
            && let Some(document) = shared.document(inner.replica.key())
        {
            inner.replica.attach(&document);
        }
        let (answer, made) = edit(&mut inner.replica)?;
        let Some(made) = made else { return Ok(answer) };
        inner.keep(shared, made.commit).map_err(PutError::Store)?;
        inner.record(shared, &self.name, &made.edit);
        inner.tell(&made.changed, Origin::Local);
        let wants_fold = inner.replica.wants_fold();
        drop(inner);
        if wants_fold {
            self.fold_aside(shared);
        }
        Ok(answer)
    }

    /// Replaces a long log by a snapshot, on a thread of its own. If that fails, the log stays long.
    fn fold_aside(self: &Arc<Self>, shared: &Arc<Shared>) {
        let (slot, shared) = (Arc::clone(self), Arc::clone(shared));
        let folding = move || slot.fold(&shared);
        // Without a thread the log grows until the next edit finds one.
        drop(
            std::thread::Builder::new()
                .name("driftless-fold".to_owned())
                .spawn(folding),
        );
    }

    fn fold(&self, shared: &Shared) {
        let mut inner = self.lock();
        if !inner.broken && inner.replica.wants_fold() && shared.check_open().is_ok() {
            let commit = inner.replica.fold();
            // The failure of a commit breaks the dataset, and the next edit says so.
            drop(inner.keep(shared, commit));
        }
    }

    /// Ends the dataset on this client; edits are refused from now on.
    pub(crate) fn break_off(&self) {
        let mut inner = self.lock();
        inner.broken = true;
        inner.replica.abandon();
        inner.listeners.close();
    }

    pub(crate) fn close(&self, shared: &Shared) {
        let mut inner = self.lock();
        if !inner.broken && inner.replica.wants_fold() {
            let commit = inner.replica.fold();
            drop(inner.keep(shared, commit));
        }
        inner.replica.abandon();
        inner.listeners.close();
    }
}

impl Inner {
    /// Makes a commit durable, or breaks the dataset: memory is ahead of the disk then.
    pub(crate) fn keep(&mut self, shared: &Shared, commit: Commit) -> Result<(), Arc<CommitError>> {
        shared
            .store
            .commit(commit, shared.durability)
            .map_err(|error| {
                self.broken = true;
                Arc::new(error)
            })
    }

    pub(crate) fn record(
        &self,
        shared: &Shared,
        name: &DatasetName,
        edit: &driftless_document::Edit,
    ) {
        if let Some(recorder) = &shared.recorder {
            recorder.record(name, edit);
        }
    }

    pub(crate) fn tell(&mut self, keys: &std::collections::BTreeSet<String>, origin: Origin) {
        self.listeners.tell(keys, self.replica.document(), origin);
    }
}
