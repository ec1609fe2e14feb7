//! One open dataset: its replica, who listens, and whose turn it is to synchronize.
//!
//! The rule: whatever changes the replica is made durable under the same lock, so that memory and
//! disk have one order. A dataset whose memory ran ahead of the disk for good is *broken*: it takes
//! no more edits until it is opened again.
//!
//! What the replica may do is decided under that lock too: a client that closes waits for the
//! commit in the making, and none follows.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use driftless_document::{Actor, Edit, branch, mutant};
use driftless_merge::{Commit, Durability, LocalEdit, Owner, Replica};
use driftless_store::CommitError;
use driftless_wire::DatasetName;
use tokio::sync::watch;

use crate::changes::{Listeners, Origin};
use crate::error::{PutError, Refusal, UndoError};
use crate::shared::Shared;
use crate::turns::Turns;
use crate::undo::{Before, Last};

/// A dataset that a client has open.
#[derive(Debug)]
pub(crate) struct Slot {
    name: DatasetName,
    inner: Mutex<Inner>,
    pub(crate) turns: Turns,
    /// How often it was wished that news be fetched; edits and logins wake whoever watches it too.
    pub(crate) wishes: watch::Sender<u64>,
}

/// What the lock protects.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) replica: Replica,
    pub(crate) listeners: Listeners,
    /// The number of the session that began last.
    pub(crate) session: u64,
    /// What can be undone.
    last: Option<Last>,
    /// Why the dataset takes no more edits.
    refusal: Option<Refusal>,
    /// A fold is under way.
    folding: bool,
}

impl Slot {
    pub(crate) fn new(name: DatasetName, replica: Replica) -> Self {
        let inner = Inner {
            replica,
            listeners: Listeners::default(),
            session: 0,
            last: None,
            refusal: None,
            folding: false,
        };
        Self {
            name,
            inner: Mutex::new(inner),
            turns: Turns::default(),
            wishes: watch::Sender::new(0),
        }
    }

    pub(crate) const fn name(&self) -> &DatasetName {
        &self.name
    }

    /// Locks the replica for reading.
    ///
    /// A panic while it was locked breaks the dataset, since memory may have run ahead of the disk.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner
            .lock()
            .unwrap_or_else(|poisoned: PoisonError<_>| {
                self.inner.clear_poison();
                let mut inner = poisoned.into_inner();
                inner.refusal.get_or_insert(Refusal::Broken);
                inner
            })
    }

    /// Locks the replica for a change of it.
    pub(crate) fn writable(&self) -> Result<MutexGuard<'_, Inner>, Refusal> {
        let inner = self.lock();
        inner.refusal.map_or(Ok(inner), Err)
    }

    /// Returns whose the dataset is, unless it is closed or was left to the identity before.
    pub(crate) fn owner(&self) -> Result<Owner, Refusal> {
        let inner = self.lock();
        match inner.refusal {
            Some(refusal @ (Refusal::Closed | Refusal::OtherIdentity)) => Err(refusal),
            Some(Refusal::Broken) | None => Ok(inner.replica.key().owner().clone()),
        }
    }

    /// Makes an edit and makes it durable; listeners and the recorder hear of it after that.
    ///
    /// `edit` says what its keys showed before, too.
    pub(crate) fn edit<T, E: From<PutError>>(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        edit: impl FnOnce(&mut Replica) -> Result<(T, Option<LocalEdit>, Before), E>,
    ) -> Result<T, E> {
        let mut inner = self.writable().map_err(PutError::from)?;
        inner.load(shared);
        let (answer, made, before) = edit(&mut inner.replica)?;
        if let Some(made) = made {
            inner.last = Some(Last::new(before));
            self.finish(shared, inner, made, Durability::Buffered)?;
        }
        Ok(answer)
    }

    /// Takes back the last local transaction by new edits, which cannot be taken back themselves.
    pub(crate) fn undo(self: &Arc<Self>, shared: &Arc<Shared>) -> Result<(), UndoError> {
        let mut inner = self.writable().map_err(PutError::from)?;
        let Inner { last, replica, .. } = &mut *inner;
        let last = last.as_ref().ok_or(UndoError::Nothing)?;
        if let Some(key) = &last.overtaken {
            return Err(UndoError::Overtaken { key: key.clone() });
        }
        let (_, made) = replica.transaction(shared.clock.now(), |transaction| {
            let mut operations = last.before.restore().into_iter();
            operations.try_for_each(|operation| transaction.edit(operation))?;
            Ok::<_, PutError>(())
        })?;
        inner.last = None;
        if let Some(made) = made {
            self.finish(shared, inner, made, Durability::Buffered)?;
        }
        Ok(())
    }

    /// Makes an edit durable that is made in memory, at least so much, and tells of it.
    fn finish(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        mut inner: MutexGuard<'_, Inner>,
        made: LocalEdit,
        least: Durability,
    ) -> Result<(), PutError> {
        let kept = inner.keep_at_least(shared, made.commit, least);
        let kept = kept.map_err(PutError::Store);
        if !mutant!(AcknowledgedBeforeCommit) {
            kept?;
        }
        inner.record(shared, &self.name, &made.edit);
        inner.tell(shared, &made.changed, Origin::Local);
        self.wake();
        self.fold_if_long(shared, inner);
        Ok(())
    }

    /// Empties the dataset. A session that runs is abandoned; its driver begins another one.
    pub(crate) fn delete(&self, shared: &Shared, actor: Actor) -> Result<(), PutError> {
        let mut inner = self.writable()?;
        let keys = inner
            .replica
            .document()
            .state()
            .keys()
            .map(str::to_owned)
            .collect();
        let commit = inner.replica.delete(actor);
        inner.last = None;
        inner.keep(shared, commit).map_err(PutError::Store)?;
        inner.tell(shared, &keys, Origin::Local);
        self.wake();
        Ok(())
    }

    /// Makes a change of the replica that is no edit durable, whatever the app asked for edits; tells whether there was one.
    pub(crate) fn set(
        &self,
        shared: &Shared,
        change: impl FnOnce(&mut Replica) -> Option<Commit>,
    ) -> Result<bool, PutError> {
        let mut inner = self.writable()?;
        let Some(commit) = change(&mut inner.replica) else {
            return Ok(false);
        };
        let kept = inner.keep_at_least(shared, commit, Durability::Disk);
        kept.map_err(PutError::Store)?;
        self.wish();
        Ok(true)
    }

    /// Takes over what an old client had not sent, on disk before this returns; no undo reaches behind it.
    #[cfg(feature = "local-store-import")]
    pub(crate) fn take<T>(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        take: impl FnOnce(&mut Replica) -> Result<Option<(LocalEdit, T)>, PutError>,
    ) -> Result<Option<T>, PutError> {
        let mut inner = self.writable()?;
        inner.load(shared);
        let Some((made, answer)) = take(&mut inner.replica)? else {
            return Ok(None);
        };
        inner.last = None;
        self.finish(shared, inner, made, Durability::Disk)?;
        Ok(Some(answer))
    }

    /// Lets whoever synchronizes by itself look whether there is something to do.
    pub(crate) fn wake(&self) {
        self.wishes.send_modify(|_| ());
    }

    /// Asks whoever synchronizes by itself for a session.
    pub(crate) fn wish(&self) {
        self.wishes.send_modify(|wishes| *wishes += 1);
    }

    /// Replaces a log that has grown long by a snapshot, on a thread of its own.
    ///
    /// If that fails the log stays long, and the next edit or session tries again.
    pub(crate) fn fold_if_long(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        mut inner: MutexGuard<'_, Inner>,
    ) {
        if inner.folding || !inner.replica.wants_fold() {
            return;
        }
        let (slot, shared) = (Arc::clone(self), Arc::clone(shared));
        let workers = Arc::clone(&shared.workers);
        inner.folding = workers.background(Box::new(move || slot.fold(&shared)));
    }

    fn fold(&self, shared: &Shared) {
        let mut inner = self.lock();
        inner.folding = false;
        inner.fold(shared);
    }

    /// Ends the dataset for all handles: edits are refused from now on.
    pub(crate) fn end(&self) {
        self.lock().end();
    }

    /// Leaves the dataset to the identity before: it can be read and no more.
    pub(crate) fn leave(&self) {
        let mut inner = self.lock();
        inner.end();
        inner.refusal = Some(Refusal::OtherIdentity);
    }

    /// Ends the dataset and spares the next start a long log.
    pub(crate) fn close(&self, shared: &Shared) {
        let mut inner = self.lock();
        inner.fold(shared);
        inner.end();
    }
}

impl Inner {
    /// Makes a commit as durable as the app asked for, or breaks the dataset: memory is ahead of the disk then.
    pub(crate) fn keep(&mut self, shared: &Shared, commit: Commit) -> Result<(), Arc<CommitError>> {
        self.keep_at_least(shared, commit, Durability::Buffered)
    }

    /// Makes a commit durable, at least so much, or breaks the dataset.
    pub(crate) fn keep_at_least(
        &mut self,
        shared: &Shared,
        commit: Commit,
        least: Durability,
    ) -> Result<(), Arc<CommitError>> {
        let durability = match least {
            Durability::Disk => Durability::Disk,
            Durability::Buffered => shared.durability,
        };
        shared.store.commit(commit, durability).map_err(|error| {
            branch!(CommitLost);
            self.refusal = Some(Refusal::Broken);
            Arc::new(error)
        })
    }

    pub(crate) fn record(&self, shared: &Shared, name: &DatasetName, edit: &Edit) {
        if let Some(recorder) = &shared.recorder {
            recorder.record(name, edit);
        }
    }

    pub(crate) fn record_again(&self, shared: &Shared, name: &DatasetName, edit: &Edit) {
        if let Some(recorder) = &shared.recorder {
            recorder.record_again(name, edit);
        }
    }

    /// Tells listeners of keys that changed.
    pub(crate) fn tell(&mut self, shared: &Shared, keys: &BTreeSet<String>, origin: Origin) {
        if let (Origin::Remote, Some(last)) = (origin, &mut self.last) {
            last.overtake(keys);
        }
        let document = self.replica.document();
        self.listeners
            .tell(keys, |key| shared.policies.read(document, key), origin);
    }

    /// Goes on with another replica, into which what was here has moved.
    pub(crate) fn go_on_with(&mut self, shared: &Shared, replica: Replica) {
        let before = std::mem::replace(&mut self.replica, replica);
        self.last = None;
        let state = self.replica.document().state();
        let changed = state.differing_keys(before.document().state());
        self.tell(shared, &changed, Origin::Local);
    }

    /// Loads the saved document before the first edit.
    fn load(&mut self, shared: &Shared) {
        if self.replica.wants_document()
            && let Some(document) = shared.document(self.replica.key())
        {
            self.replica.attach(&document);
        }
    }

    fn fold(&mut self, shared: &Shared) {
        if self.refusal.is_none()
            && self.replica.wants_fold()
            && let Some(commit) = self.replica.fold()
        {
            // The failure of a commit breaks the dataset, and the next edit says so.
            drop(self.keep(shared, commit));
        }
    }

    /// Ends the dataset: edits are refused from now on.
    pub(crate) fn end(&mut self) {
        self.refusal = Some(Refusal::Closed);
        self.replica.abandon();
        self.listeners.close();
    }
}
