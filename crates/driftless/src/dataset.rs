//! A dataset in the hands of an app: a dictionary that can be read and edited offline, and
//! synchronized.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use driftless_document::{Conflict, Document, Scalar, State, Value};
use driftless_merge::{Operation, RefusedEdit, Size};
use driftless_wire::{DatasetName, Timestamp};

use crate::changes::Changes;

use crate::error::{PutError, SyncError};
use crate::report::Report;
use crate::shared::Shared;
use crate::slot::{Inner, Slot};

/// One dictionary of one person, shared by all devices of that person.
///
/// Reads and edits never wait for a network. Reads come from memory. Edits wait for the disk as the
/// client's [`Durability`](crate::Durability) says, and so do reads of the same dataset meanwhile;
/// in async code that cannot wait a moment, call edits from `spawn_blocking`. A clone is another
/// handle of the same dataset.
#[derive(Clone, Debug)]
pub struct Dataset {
    pub(crate) shared: Arc<Shared>,
    pub(crate) slot: Arc<Slot>,
}

impl Dataset {
    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &DatasetName {
        self.slot.name()
    }

    /// Returns the winning value at a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Value> {
        self.read(|document| document.get(key))
    }

    /// Returns the text at a key, also where a concurrent put of something else wins.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<String> {
        self.read(|document| document.text(key))
    }

    /// Returns the total of the counter at a key, also where a concurrent put of something else
    /// wins.
    #[must_use]
    pub fn counter(&self, key: &str) -> Option<i64> {
        self.read(|document| document.counter(key))
    }

    /// Tells whether anything stands at a key.
    #[must_use]
    pub fn contains_key(&self, key: &str) -> bool {
        self.read(|document| document.get(key).is_some())
    }

    /// Returns the keys in ascending byte order.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.read(|document| document.state().keys().map(str::to_owned).collect())
    }

    /// Returns keys and winning values of one moment, in ascending byte order.
    #[must_use]
    pub fn entries(&self) -> Vec<(String, Value)> {
        self.read(|document| {
            let keys = document.state().keys();
            keys.filter_map(|key| Some((key.to_owned(), document.get(key)?)))
                .collect()
        })
    }

    /// Returns how many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.read(|document| document.state().keys().count())
    }

    /// Tells whether there are no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.read(|document| document.state().is_blank())
    }

    /// Returns all values that concurrent writers left at a key, the winner first; one if there is
    /// no conflict.
    ///
    /// They stay until someone writes the key.
    #[must_use]
    pub fn conflicts(&self, key: &str) -> Vec<Conflict> {
        self.read(|document| document.state().conflicts(key))
    }

    /// Returns a copy of the state, for tools and tests that compare devices.
    #[must_use]
    pub fn state(&self) -> State {
        self.read(|document| document.state().clone())
    }

    /// Puts a value at a key, in place of all that stands there. An equal value is left, and
    /// nothing is written.
    ///
    /// # Errors
    ///
    /// [`PutError`]; unless it says otherwise, nothing changed.
    pub fn put(&self, key: &str, value: impl Into<Scalar>) -> Result<(), PutError> {
        self.edit(Operation::Put(BTreeMap::from([(
            key.to_owned(),
            value.into(),
        )])))
        .map(drop)
    }

    /// Puts many values, durable together and all or none; of two with one key the later counts.
    ///
    /// # Errors
    ///
    /// [`PutError`]; unless it says otherwise, nothing changed.
    pub fn put_all(
        &self,
        values: impl IntoIterator<Item = (String, Scalar)>,
    ) -> Result<(), PutError> {
        self.edit(Operation::Put(values.into_iter().collect()))
            .map(drop)
    }

    /// Removes what stands at a key, and tells whether anything did. What others write meanwhile,
    /// unseen here, stays.
    ///
    /// # Errors
    ///
    /// [`PutError`]; unless it says otherwise, nothing changed.
    pub fn remove(&self, key: &str) -> Result<bool, PutError> {
        self.edit(Operation::Remove(key.to_owned()))
    }

    /// Adds to the counter at a key; concurrent increments add up. It is created where there is
    /// none.
    ///
    /// # Errors
    ///
    /// [`PutError`]; unless it says otherwise, nothing changed.
    pub fn increment(&self, key: &str, by: i64) -> Result<(), PutError> {
        self.edit(Operation::Increment(key.to_owned(), by))
            .map(drop)
    }

    /// Removes `delete` characters of the text at a key from character `at` on, and inserts others
    /// there.
    ///
    /// Positions count Unicode code points. The text is created where there is none.
    ///
    /// # Errors
    ///
    /// [`PutError`]; unless it says otherwise, nothing changed.
    pub fn splice_text(
        &self,
        key: &str,
        at: usize,
        delete: usize,
        insert: &str,
    ) -> Result<(), PutError> {
        let insert = insert.to_owned();
        self.edit(Operation::SpliceText {
            key: key.to_owned(),
            at,
            delete,
            insert,
        })
        .map(drop)
    }

    /// Makes several edits that become durable together and are synchronized together, or none of
    /// them if `run` fails or panics.
    ///
    /// Other calls on the dataset wait meanwhile, so `run` must make none. At the start the state
    /// is copied, so edits that need not stand together are cheaper alone.
    ///
    /// # Errors
    ///
    /// What `run` returns, or [`PutError`] if the edits cannot be kept.
    pub fn transaction<T, E: From<PutError>>(
        &self,
        run: impl FnOnce(&mut Transaction<'_, '_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let now = self.shared.clock.now();
        let made = self.slot.edit(&self.shared, |replica| {
            replica.transaction(now, |inner| {
                let run = AssertUnwindSafe(|| run(&mut Transaction { inner }));
                match catch_unwind(run) {
                    Ok(ran) => ran.map_err(Stopped::Failed),
                    Err(panic) => Err(Stopped::Panicked(panic)),
                }
            })
        });
        made.map_err(|stopped| match stopped {
            Stopped::Failed(error) => error,
            // Everything was taken back, and the lock given free.
            Stopped::Panicked(panic) => resume_unwind(panic),
        })
    }

    /// Returns the changes from now on, local and remote.
    #[must_use]
    pub fn changes(&self) -> Changes {
        let mut inner = self.slot.lock();
        let Inner {
            replica, listeners, ..
        } = &mut *inner;
        listeners.listen(replica.document())
    }

    /// Tells whether there are edits that the service is not known to have; it survives restarts.
    #[must_use]
    pub fn has_unsynced(&self) -> bool {
        self.slot.lock().replica.has_unsynced()
    }

    /// Returns what the dataset takes of its limit; some milliseconds for 1,000 keys.
    #[must_use]
    pub fn size(&self) -> Size {
        self.slot.lock().replica.size()
    }

    /// Deletes the dataset: here at once, at the service by the next
    /// [`synchronize`](Self::synchronize).
    ///
    /// Later edits begin a new life of it. What other devices have not synchronized stays with
    /// them, and comes into that.
    ///
    /// # Errors
    ///
    /// [`PutError`] if that cannot be kept.
    pub fn delete(&self) -> Result<(), PutError> {
        self.slot.delete(&self.shared, self.shared.seeds.actor())
    }

    /// Exchanges edits with the service: what others wrote comes here, what was written here goes
    /// there.
    ///
    /// It takes one request if there is nothing to push and two if there is. One session runs at a
    /// time; calls made meanwhile share the one that follows. Edits made meanwhile are kept and
    /// wait for the next. Dropping the future is safe at any time. Disk work is done on tokio's
    /// blocking threads.
    ///
    /// # Errors
    ///
    /// [`SyncError`]; nothing is lost, whatever it says.
    pub async fn synchronize(&self) -> Result<Report, SyncError> {
        crate::driver::synchronize(&self.shared, &self.slot).await
    }

    /// Synchronizes, and writes what is stored anew without what only its past needs: deleted elements
    /// of texts and lists, and authors of whom nothing lives. [`Size`] tells what that takes.
    ///
    /// It costs a whole upload here and a whole download on every other device, so it is for a dataset
    /// that is [full](crate::Outcome::Full) or nearly so, not for every day. If nothing would go it is
    /// a mere synchronization; [`Report::compacted`] tells. A device that was away keeps its unsynced
    /// edits: they are written again onto the new beginning. One that was away during two compactions
    /// keeps what it added, but not what it removed. Dropping the future is safe at any time.
    ///
    /// # Errors
    ///
    /// [`SyncError`]; nothing is lost, whatever it says.
    pub async fn compact(&self) -> Result<Report, SyncError> {
        crate::driver::compact(&self.shared, &self.slot).await
    }

    fn read<T>(&self, read: impl FnOnce(&Document) -> T) -> T {
        read(self.slot.lock().replica.document())
    }

    /// Makes one edit and tells whether it changed anything.
    fn edit(&self, operation: Operation) -> Result<bool, PutError> {
        let now: Timestamp = self.shared.clock.now();
        self.slot.edit(&self.shared, |replica| {
            let made = replica.edit(operation, now)?;
            Ok((made.is_some(), made))
        })
    }
}

/// Why a transaction makes nothing.
enum Stopped<E> {
    Failed(E),
    Panicked(Box<dyn Any + Send>),
}

impl<E: From<PutError>> From<PutError> for Stopped<E> {
    fn from(error: PutError) -> Self {
        Self::Failed(error.into())
    }
}

/// Several edits in the making; reads see those made before.
#[derive(Debug)]
pub struct Transaction<'a, 'b> {
    inner: &'a mut driftless_merge::Transaction<'b>,
}

impl Transaction<'_, '_> {
    /// Returns the winning value at a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Value> {
        self.inner.document().get(key)
    }

    /// Puts a value, as [`Dataset::put`] does.
    ///
    /// # Errors
    ///
    /// [`PutError::Refused`]; the edits before it stand unless the transaction fails.
    pub fn put(&mut self, key: &str, value: impl Into<Scalar>) -> Result<(), PutError> {
        self.edit(Operation::Put(BTreeMap::from([(
            key.to_owned(),
            value.into(),
        )])))
    }

    /// Removes what stands at a key, as [`Dataset::remove`] does.
    ///
    /// # Errors
    ///
    /// [`PutError::Refused`]; the edits before it stand unless the transaction fails.
    pub fn remove(&mut self, key: &str) -> Result<(), PutError> {
        self.edit(Operation::Remove(key.to_owned()))
    }

    /// Adds to a counter, as [`Dataset::increment`] does.
    ///
    /// # Errors
    ///
    /// [`PutError::Refused`]; the edits before it stand unless the transaction fails.
    pub fn increment(&mut self, key: &str, by: i64) -> Result<(), PutError> {
        self.edit(Operation::Increment(key.to_owned(), by))
    }

    /// Changes a text, as [`Dataset::splice_text`] does.
    ///
    /// # Errors
    ///
    /// [`PutError::Refused`]; the edits before it stand unless the transaction fails.
    pub fn splice_text(
        &mut self,
        key: &str,
        at: usize,
        delete: usize,
        insert: &str,
    ) -> Result<(), PutError> {
        let insert = insert.to_owned();
        self.edit(Operation::SpliceText {
            key: key.to_owned(),
            at,
            delete,
            insert,
        })
    }

    fn edit(&mut self, operation: Operation) -> Result<(), PutError> {
        let refused: Result<(), RefusedEdit> = self.inner.edit(operation);
        Ok(refused?)
    }
}
