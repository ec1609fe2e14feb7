//! A dataset in the hands of an app: a dictionary that can be read and edited offline, and
//! synchronized.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use driftless_document::{Actor, Conflict, Document, Path, Scalar, State, Value};
use driftless_merge::{Operation, Replica, Size};
use driftless_record::Lineage;
use driftless_wire::DatasetName;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::changes::Changes;
use crate::error::{PutAsError, PutError, SyncError, UndoError, ValueError};
use crate::from_value::from_value;
use crate::report::Report;
use crate::shared::Shared;
use crate::slot::{Inner, Slot};
use crate::to_value::to_value;
use crate::transaction::Transaction;
use crate::undo::Before;

/// One dictionary of one person, shared by all devices of that person.
///
/// Reads and edits never wait for a network. Reads come from memory. Edits wait for the disk as the
/// client's [`Durability`](crate::Durability) says, and so do reads of the same dataset meanwhile;
/// in async code that cannot wait a moment, call edits from `spawn_blocking`. A clone is another
/// handle of the same dataset.
///
/// What is read and edited is named by a [`Path`]: a key of the dataset, or a way from there into
/// nested maps and lists, which [`path!`](crate::path) makes. What is missing on the way of an edit
/// is created: maps along the path, and the counter, text, list, map or set that is edited. Devices
/// that create the same one offline share it. A scalar in the way is removed; something else that
/// merges inside is refused with [`EditError::OtherKind`](crate::EditError::OtherKind).
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

    /// Returns the value at a path: of several that concurrent writers left, the one that the key's
    /// [`Policy`](crate::Policy) says.
    #[must_use]
    pub fn get(&self, path: impl Into<Path>) -> Option<Value> {
        let (path, policies) = (path.into(), &self.shared.policies);
        self.read(|document| policies.read_at(document, &path))
    }

    /// Returns the value at a path as a type: strings and texts as strings, numbers, counters and
    /// timestamps (in ms) as numbers, lists and sets as sequences, maps as maps and structs; `None`
    /// if nothing stands there.
    ///
    /// # Errors
    ///
    /// [`ValueError`] if what stands there is no such type.
    pub fn get_as<T: DeserializeOwned>(
        &self,
        path: impl Into<Path>,
    ) -> Result<Option<T>, ValueError> {
        self.get(path).map(from_value).transpose()
    }

    /// Returns the text at a path, also where a concurrent put of something else wins.
    #[must_use]
    pub fn text(&self, path: impl Into<Path>) -> Option<String> {
        self.read(|document| document.text(path))
    }

    /// Returns the total of the counter at a path, also where a concurrent put of something else
    /// wins.
    #[must_use]
    pub fn counter(&self, path: impl Into<Path>) -> Option<i64> {
        self.read(|document| document.counter(path))
    }

    /// Tells whether a member is in the set at a path, also where a concurrent put of something
    /// else wins.
    #[must_use]
    pub fn contains(&self, path: impl Into<Path>, member: impl Into<Scalar>) -> bool {
        let member = member.into();
        self.read(|document| document.contains(path, &member))
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

    /// Returns keys and values of one moment, as [`get`](Self::get) does, in ascending byte order.
    #[must_use]
    pub fn entries(&self) -> Vec<(String, Value)> {
        self.read(|document| self.shared.policies.entries(document))
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

    /// Returns all values that concurrent writers left at a path, the last one in the order of
    /// operations first; one if there is no conflict. Each tells its author, and at keys of the
    /// dataset when it was written, by the author's clock.
    ///
    /// They stay until someone writes there. No policy hides any.
    #[must_use]
    pub fn conflicts(&self, path: impl Into<Path>) -> Vec<Conflict> {
        let path = path.into();
        self.read(|document| document.state().conflicts_at(&path))
    }

    /// Returns who writes the edits made here, as [`Conflict::author`] tells it on every device.
    ///
    /// A dataset that begins anew, and a store that turns out to be a copy, get another author; what
    /// was written before keeps the old one.
    #[must_use]
    pub fn author(&self) -> Actor {
        self.read(Document::actor)
    }

    /// Returns which life of the dataset this device goes on with, for tools that compare it with the service: another one
    /// begins where the dataset was compacted, or deleted and written again. `None` until it was synchronized.
    #[must_use]
    pub fn lineage(&self) -> Option<Lineage> {
        self.slot.lock().replica.lineage()
    }

    /// Returns a copy of the state, for tools and tests that compare devices.
    #[must_use]
    pub fn state(&self) -> State {
        self.read(|document| document.state().clone())
    }

    /// Puts a value at a path. An equal value is left, and nothing is written.
    ///
    /// A scalar takes the place of all that stands there. A text, counter, list, map or set is made
    /// equal to the value by writing only what differs, so that what others write elsewhere in it
    /// stays; anything else that stands there goes. What is written at a key with a
    /// [`Policy`](crate::Policy) is the better of what is shown and what is new.
    ///
    /// # Errors
    ///
    /// [`PutError`]; unless it says otherwise, nothing changed.
    pub fn put(&self, path: impl Into<Path>, value: impl Into<Value>) -> Result<(), PutError> {
        let (path, value) = (path.into(), value.into());
        self.edit_with(|document| {
            let value = self.shared.policies.settle(document, &path, value);
            Ok(Operation::PutAt(path, value))
        })
        .map(drop)
    }

    /// Puts many scalars, durable together and all or none; of two with one key the later counts.
    ///
    /// # Errors
    ///
    /// [`PutError`]; unless it says otherwise, nothing changed.
    pub fn put_all(
        &self,
        values: impl IntoIterator<Item = (String, Scalar)>,
    ) -> Result<(), PutError> {
        let values: BTreeMap<String, Scalar> = values.into_iter().collect();
        self.edit_with(|document| {
            let policies = &self.shared.policies;
            Ok(Operation::Put(policies.settle_all(document, values)))
        })
        .map(drop)
    }

    /// Puts a type at a path, as [`put`](Self::put) does: a struct as a map of its fields.
    ///
    /// It takes the form of what stands there: a string changes the text, a number moves the counter
    /// or timestamp, a sequence of scalars changes the set that it is put onto. Fields that stand
    /// there and that the struct does not have stay; of a map, keys that are missing go.
    ///
    /// # Errors
    ///
    /// [`PutAsError`]; unless it says otherwise, nothing changed.
    pub fn put_as<T: Serialize + ?Sized>(
        &self,
        path: impl Into<Path>,
        value: &T,
    ) -> Result<(), PutAsError> {
        let path = path.into();
        self.edit_with(|document| {
            let shown = self.shared.policies.read_at(document, &path);
            let value = to_value(value, shown.as_ref())?;
            let value = self.shared.policies.settle(document, &path, value);
            Ok(Operation::PutAt(path, value))
        })
        .map(drop)
    }

    /// Removes what stands at a path, of a list the element, and tells whether anything did. What
    /// others write meanwhile, unseen here, stays.
    ///
    /// # Errors
    ///
    /// [`PutError`]; unless it says otherwise, nothing changed.
    pub fn remove(&self, path: impl Into<Path>) -> Result<bool, PutError> {
        self.edit(Operation::Remove(path.into()))
    }

    /// Adds to the counter at a path; concurrent increments add up.
    ///
    /// Where nothing stands or a plain number, string or other scalar, a counter takes its place that
    /// begins at 0: a number that was put is no counter. A text, list, map or set is refused.
    ///
    /// # Errors
    ///
    /// [`PutError`]; unless it says otherwise, nothing changed.
    pub fn increment(&self, path: impl Into<Path>, by: i64) -> Result<(), PutError> {
        self.edit(Operation::Increment(path.into(), by)).map(drop)
    }

    /// Removes `delete` characters of the text at a path from character `at` on, and inserts others
    /// there.
    ///
    /// Positions count Unicode code points. Where nothing stands or a plain scalar, also a string,
    /// an empty text takes its place.
    ///
    /// # Errors
    ///
    /// [`PutError`]; unless it says otherwise, nothing changed.
    pub fn splice_text(
        &self,
        path: impl Into<Path>,
        at: usize,
        delete: usize,
        insert: &str,
    ) -> Result<(), PutError> {
        let (path, insert) = (path.into(), insert.to_owned());
        self.edit(Operation::SpliceText {
            path,
            at,
            delete,
            insert,
        })
        .map(drop)
    }

    /// Inserts a value into the list at a path, in front of element `at`.
    ///
    /// # Errors
    ///
    /// [`PutError`]; unless it says otherwise, nothing changed.
    pub fn insert(
        &self,
        path: impl Into<Path>,
        at: usize,
        value: impl Into<Value>,
    ) -> Result<(), PutError> {
        self.insert_all(path, Some(at), [value.into()])
    }

    /// Appends a value to the list at a path.
    ///
    /// # Errors
    ///
    /// [`PutError`]; unless it says otherwise, nothing changed.
    pub fn push(&self, path: impl Into<Path>, value: impl Into<Value>) -> Result<(), PutError> {
        self.insert_all(path, None, [value.into()])
    }

    /// Inserts values into the list at a path, in front of element `at` or, if that is `None`, at
    /// the end. They stay together, whatever others insert at the same place.
    ///
    /// # Errors
    ///
    /// [`PutError`]; unless it says otherwise, nothing changed.
    pub fn insert_all(
        &self,
        path: impl Into<Path>,
        at: Option<usize>,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<(), PutError> {
        let (path, values) = (path.into(), values.into_iter().collect());
        self.edit(Operation::Insert { path, at, values }).map(drop)
    }

    /// Adds a member to the set at a path, and tells whether it was not in it yet.
    ///
    /// # Errors
    ///
    /// [`PutError`]; unless it says otherwise, nothing changed.
    pub fn add(&self, path: impl Into<Path>, member: impl Into<Scalar>) -> Result<bool, PutError> {
        self.edit(Operation::Add(path.into(), member.into()))
    }

    /// Removes a member of the set at a path, and tells whether it was in it. If others add it
    /// meanwhile, unseen here, it stays.
    ///
    /// # Errors
    ///
    /// [`PutError`]; unless it says otherwise, nothing changed.
    pub fn discard(
        &self,
        path: impl Into<Path>,
        member: impl Into<Scalar>,
    ) -> Result<bool, PutError> {
        self.edit(Operation::Discard(path.into(), member.into()))
    }

    /// Takes back the last local edit or transaction by new edits: its keys show again what they
    /// showed before it.
    ///
    /// What is remembered for it lives in memory, not longer than the client is open. The losing
    /// values of a conflict do not come back, and an undo cannot be undone.
    ///
    /// # Errors
    ///
    /// [`UndoError`]: once a synchronization has brought an edit of one of the keys, it is refused.
    pub fn undo(&self) -> Result<(), UndoError> {
        self.slot.undo(&self.shared)
    }

    /// Makes several edits that become durable together and are synchronized together, or none of
    /// them if `run` fails or panics.
    ///
    /// Other calls on the dataset wait meanwhile, and so does a login, a wipe or the end of the
    /// client. So `run` must call neither the dataset nor its client, nor wait for a thread that
    /// does: they would wait for each other for ever. What is needed of other datasets is read
    /// before. At the start the state is copied, so edits that need not stand together are cheaper
    /// alone.
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
            let mut before = Before::nothing();
            let (answer, made) = replica.transaction(now, |inner| {
                let (policies, seeds) = (&self.shared.policies, &self.shared.seeds);
                let mut transaction = Transaction::new(inner, policies, seeds, &mut before);
                match catch_unwind(AssertUnwindSafe(|| run(&mut transaction))) {
                    Ok(ran) => ran.map_err(Stopped::Failed),
                    Err(panic) => Err(Stopped::Panicked(panic)),
                }
            })?;
            Ok((answer, made, before))
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
        listeners.listen(|| self.shared.policies.entries(replica.document()))
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

    /// Tells whether the dataset is kept as plain records too, for old clients of Cognito Sync.
    ///
    /// It is so if it was found with such records, or if a device [asked for it](Self::keep_plain_records).
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.slot.lock().replica.is_plain()
    }

    /// Tells whether the dataset is kept as plain records *only*: it was found with so many records of old clients that the
    /// state has no room beside them (more than about half of the limit, or more than 933 keys).
    ///
    /// Everything can be read, and edits are synchronized record by record. As among old clients, the last device to
    /// synchronize wins at a key, but counters keep what each has counted and texts what each has typed. A record has no type,
    /// so another device reads a string, which `increment` and `splice_text` take for a number or text. What has no text (null,
    /// list, map, set) is [refused](crate::RefusedEdit::NoText). Where an answer was lost and others have written over all that
    /// was pushed, an edit may count twice or be lost, for nothing at the service tells. [`size`](Self::size) is that of the
    /// records. Once enough is removed, the next [`synchronize`](Self::synchronize) adopts the dataset, and it is as any other.
    #[must_use]
    pub fn is_plain_only(&self) -> bool {
        self.slot.lock().replica.is_plain_only()
    }

    /// Keeps the dataset as plain records too, from the next [`synchronize`](Self::synchronize) on and on all devices: what
    /// old clients write comes here, what is written here they see.
    ///
    /// Every scalar, counter and text at a key of the dataset gets a record with its text; lists, maps and sets have none. That
    /// takes about twice the bytes. Where there is no room for that, each session synchronizes the data without records and
    /// reports [`Outcome::Full`](crate::Outcome::Full), until there is. Tells whether it was not so before.
    ///
    /// # Errors
    ///
    /// [`PutError`] if that cannot be kept.
    pub fn keep_plain_records(&self) -> Result<bool, PutError> {
        let keep = |replica: &mut Replica| replica.keep_plain_records();
        self.slot.set(&self.shared, keep)
    }

    /// Gives the plain records up: the next [`synchronize`](Self::synchronize) tells the other devices, the one after it removes
    /// the records.
    ///
    /// Old clients see the removals, and what they write later is left alone. Tells whether there were any; those of a dataset
    /// that is kept as [plain records only](Self::is_plain_only) stay, for nothing else holds its data. Before the first
    /// `synchronize` this takes back the wish of [`keep_plain_records`](Self::keep_plain_records) and nothing else: what old
    /// clients have at the service is found and kept.
    ///
    /// # Errors
    ///
    /// [`PutError`] if that cannot be kept.
    pub fn retire_plain_records(&self) -> Result<bool, PutError> {
        let retire = |replica: &mut Replica| replica.retire_plain_records();
        self.slot.set(&self.shared, retire)
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

    fn edit(&self, operation: Operation) -> Result<bool, PutError> {
        self.edit_with(|_| Ok(operation))
    }

    /// Makes an edit that depends on what there is, and tells whether it changed anything.
    fn edit_with<E: From<PutError>>(
        &self,
        operation: impl FnOnce(&Document) -> Result<Operation, E>,
    ) -> Result<bool, E> {
        let now = self.shared.clock.now();
        self.slot.edit(&self.shared, |replica| {
            let operation = operation(replica.document())?;
            let before = Before::of(&operation, replica.document());
            let made = replica.edit(operation, now).map_err(PutError::from)?;
            Ok((made.is_some(), made, before))
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
