//! One dataset on the device: reads, edits, and the join with what other devices wrote.
//!
//! Reads come from the state. The automerge document is only loaded when the first edit needs it, and kept in step from then
//! on. An edit returns what it did as deltas, for whoever makes it durable; the document itself touches no disk.

use std::collections::{BTreeMap, BTreeSet};

use automerge::legacy::{Op, OpType};
use automerge::transaction::{Transactable, Transaction};
use automerge::{AutomergeError, ExpandedChange, ROOT};

use crate::apply::MAX_OPERATIONS;
use crate::diff::{Delta, ObjectDelta};
use crate::history::local_delta;
use crate::id::{Actor, MAX_COUNTER, ObjectId, OpId};
use crate::live::Live;
use crate::mutant;
use crate::ops::{self, exposed_object, legacy_scalar};
use crate::state::{Key, Place, State};
use crate::value::{Content, ObjectType, Scalar, Value};

/// The longest key in bytes, which is what every Cognito Sync client enforces.
pub const MAX_KEY_BYTES: usize = 128;

/// The highest counter that an edit may use; what is above is left for writing edits again after a join.
const LAST_COUNTER: u32 = MAX_COUNTER - MAX_OPERATIONS;

/// How many operations make an object: its creation, and the removal of what is in its way.
const ENSURE: usize = 2;

/// A dataset on the device.
#[derive(Clone, Debug)]
pub struct Document {
    name: String,
    actor: Actor,
    state: State,
    live: Option<Live>,
}

/// What one edit did.
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "an edit is lost at a restart unless its deltas are made durable"]
pub struct Edit {
    /// The deltas to apply, in order, to the state before the edit; none if the edit changed nothing.
    pub deltas: Vec<Delta>,
    changes: Vec<ExpandedChange>,
}

impl Edit {
    /// Tells whether the edit changed nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.deltas.is_empty()
    }

    pub(crate) fn changes(&self) -> &[ExpandedChange] {
        &self.changes
    }

    /// Appends a later edit.
    pub fn append(&mut self, mut later: Self) {
        self.deltas.append(&mut later.deltas);
        self.changes.append(&mut later.changes);
    }
}

/// Why an edit was refused; the document is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// A key is empty, longer than [`MAX_KEY_BYTES`], or the one that the library keeps for itself.
    #[error("a key of {0} bytes is none: it has 1 to {MAX_KEY_BYTES} and is not reserved")]
    Key(usize),
    /// The value is no plain scalar: counters begin at 0 and grow by increments.
    #[error("a counter or unknown scalar cannot be put as a value")]
    NotPlain,
    /// An object of another kind stands at the key; remove it first.
    #[error("a {found} stands at the key, not a {wanted}")]
    OtherKind {
        /// What was asked for.
        wanted: &'static str,
        /// What stands there.
        found: &'static str,
    },
    /// The total of the counter would leave the range of 64 bits.
    #[error("the counter stands at {total} and cannot grow by {by}")]
    Overflow {
        /// The total now.
        total: i64,
        /// The refused increment.
        by: i64,
    },
    /// A place in a text lies behind its end.
    #[error("characters {at} to {end} lie behind the end of the text at {len}")]
    OutOfRange {
        /// The first character.
        at: usize,
        /// Behind the last character.
        end: usize,
        /// How many characters the text has.
        len: usize,
    },
    /// The op counters of this document do not suffice: one edit has too many operations, or the counters are used up, which
    /// takes 2^31 edits or a hostile author.
    #[error("the operation counters of the document do not suffice")]
    Exhausted,
}

impl Document {
    /// Returns an empty document for a dataset of this name.
    ///
    /// The name decides the ids of objects that every device creates alike, so it must be the same everywhere. No other
    /// document may ever have the same actor.
    #[must_use]
    pub fn new(name: impl Into<String>, actor: Actor) -> Self {
        Self::from_state(name, actor, State::new())
    }

    /// Returns the document that has this state.
    #[must_use]
    pub fn from_state(name: impl Into<String>, actor: Actor, state: State) -> Self {
        Self {
            name: name.into(),
            actor,
            state,
            live: None,
        }
    }

    /// Returns the author of the edits made here.
    #[must_use]
    pub const fn actor(&self) -> Actor {
        self.actor
    }

    /// Gives later edits another author, as a copy of a store must: its op ids would be given out twice.
    pub fn set_actor(&mut self, actor: Actor) {
        self.actor = actor;
        self.live = None;
    }

    /// Returns the state.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// Returns the winning value at a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Value> {
        self.state.get(key)
    }

    /// Returns the text at a key: the live text object, also where a concurrent put of something else wins.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<String> {
        let id = self.object_at(key, ObjectType::Text)?;
        self.state
            .value(id, &Content::Object(ObjectType::Text))
            .as_str()
            .map(str::to_owned)
    }

    /// Returns the total of the counter at a key, also where a concurrent put of something else wins.
    #[must_use]
    pub fn counter(&self, key: &str) -> Option<i64> {
        let (id, content) = self
            .state
            .register(key)
            .iter()
            .rev()
            .find(|(_, c)| c.is_counter())?;
        self.state.value(*id, content).as_i64()
    }

    /// Tells whether the automerge document is in memory, so that the next edit need not load it.
    #[must_use]
    pub const fn is_loaded(&self) -> bool {
        self.live.is_some()
    }

    /// Loads the automerge document from what [`save`](Self::save) gave when the state was `saved_at`, and brings it forward.
    ///
    /// It only saves time: without it, or when the bytes do not load, the first edit builds the document from the state. The
    /// bytes must be those that `save` gave, checked by whoever kept them.
    pub fn attach(&mut self, bytes: &[u8], saved_at: &State) {
        if self.live.is_some() {
            return;
        }
        self.live = Live::load(self.actor, bytes).ok().map(|mut live| {
            live.advance(saved_at, &self.state.diff(saved_at), &self.state);
            live
        });
    }

    /// Returns the automerge document in automerge's own format; dead history is dropped first where it prevails.
    pub fn save(&mut self) -> Vec<u8> {
        let population = self.state.population();
        let wanted = population.total() as u64;
        if self.live().operations() > 2 * wanted + 1_000 {
            self.live = None;
        }
        self.live().save()
    }

    fn live(&mut self) -> &mut Live {
        let (actor, state) = (self.actor, &self.state);
        self.live.get_or_insert_with(|| Live::rebuild(actor, state))
    }

    /// Puts a scalar at a key in place of all that stands there; `time` is the wall clock in ms, for people.
    ///
    /// An equal value that stands there alone is left, and nothing is written.
    ///
    /// # Errors
    ///
    /// [`EditError`] if the key or the value cannot be put.
    pub fn put(&mut self, key: &str, value: Scalar, time: i64) -> Result<Edit, EditError> {
        self.put_all([(key.to_owned(), value)].into(), time)
    }

    /// Puts many scalars, as [`put`](Self::put) does, in one change.
    ///
    /// # Errors
    ///
    /// [`EditError`] if one key or value cannot be put; none is put then.
    pub fn put_all(
        &mut self,
        values: BTreeMap<String, Scalar>,
        time: i64,
    ) -> Result<Edit, EditError> {
        for (key, value) in &values {
            check_key(key)?;
            if matches!(value, Scalar::Counter(_) | Scalar::Unknown { .. }) {
                return Err(EditError::NotPlain);
            }
        }
        let stands = |key: &str, value: &Scalar| {
            let register = self.state.register(key);
            matches!(register, [(_, Content::Scalar(old))] if old == value)
        };
        let changed: Vec<_> = values
            .iter()
            .filter(|(key, value)| !stands(key, value))
            .collect();
        if changed.is_empty() {
            return Ok(Edit::default());
        }
        // automerge takes 0.0 and -0.0 for equal, and would leave the one that stands there.
        let is_other_zero = |key: &str, value: &Scalar| {
            let register = self.state.register(key);
            matches!(
                (register, value),
                ([(_, Content::Scalar(Scalar::Float(old)))], Scalar::Float(new)) if old == new
            )
        };
        let in_the_way: Vec<_> = changed
            .iter()
            .filter(|(key, value)| is_other_zero(key, value))
            .map(|(key, _)| key.as_str())
            .collect();
        self.check_room(in_the_way.len() + changed.len())?;
        self.change(time, |transaction| {
            in_the_way
                .iter()
                .try_for_each(|key| transaction.delete(ROOT, *key))?;
            changed.iter().try_for_each(|(key, value)| {
                transaction.put(ROOT, key.as_str(), legacy_scalar(value))
            })
        })
    }

    /// Removes what stands at a key; nothing is written where nothing stands.
    ///
    /// # Errors
    ///
    /// [`EditError::Key`] if it is no key, [`EditError::Exhausted`].
    pub fn remove(&mut self, key: &str, time: i64) -> Result<Edit, EditError> {
        check_key(key)?;
        if self.state.register(key).is_empty() {
            return Ok(Edit::default());
        }
        self.change(time, |transaction| transaction.delete(ROOT, key))
    }

    /// Adds to the counter at a key, which is created where there is none; a scalar in its way is removed.
    ///
    /// # Errors
    ///
    /// [`EditError`] if the key is none, something that is no scalar stands there, or the total overflows.
    pub fn increment(&mut self, key: &str, by: i64, time: i64) -> Result<Edit, EditError> {
        check_key(key)?;
        self.check_kind(key, None)?;
        for counter in self
            .state
            .register(key)
            .iter()
            .filter(|(_, content)| content.is_counter())
        {
            let total = self
                .state
                .value(counter.0, &counter.1)
                .as_i64()
                .unwrap_or(0);
            total
                .checked_add(by)
                .ok_or(EditError::Overflow { total, by })?;
        }
        self.check_room(ENSURE + 1)?;
        let mut edit = self.ensure(key, None)?;
        let told = ops::bounded(by);
        let change = self.run(time, |transaction| transaction.increment(ROOT, key, told));
        if let Some(mut change) = change {
            change.operations[0].action = OpType::Increment(by);
            edit.append(self.take_in(change));
        }
        Ok(edit)
    }

    /// Removes `delete` characters of the text at a key from character `at` on, and inserts others there.
    ///
    /// Positions count Unicode code points. The text is created where there is none; a scalar in its way is removed.
    ///
    /// # Errors
    ///
    /// [`EditError`] if the key is none, something that is no scalar stands there, or the place lies behind the end.
    pub fn splice_text(
        &mut self,
        key: &str,
        at: usize,
        delete: usize,
        insert: &str,
        time: i64,
    ) -> Result<Edit, EditError> {
        check_key(key)?;
        self.check_kind(key, Some(ObjectType::Text))?;
        let len = match self.object_at(key, ObjectType::Text) {
            Some(id) => self.live().length(ObjectId::Made(id)),
            None => 0,
        };
        let end = at.saturating_add(delete);
        if end > len {
            return Err(EditError::OutOfRange { at, end, len });
        }
        self.check_room(
            delete
                .saturating_add(insert.chars().count())
                .saturating_add(ENSURE),
        )?;
        let mut edit = self.ensure(key, Some(ObjectType::Text))?;
        edit.append(self.splice_object(key, at, delete, insert, time)?);
        Ok(edit)
    }

    /// Splices the text that stands at a key, at a place that lies in it.
    pub(crate) fn splice_object(
        &mut self,
        key: &str,
        at: usize,
        delete: usize,
        insert: &str,
        time: i64,
    ) -> Result<Edit, EditError> {
        let id = self
            .object_at(key, ObjectType::Text)
            .expect("the text was just ensured");
        // A text of others may show fewer characters than it has elements.
        let len = self.live().length(ObjectId::Made(id));
        let at = at.min(len);
        let delete = isize::try_from(delete.min(len - at)).expect("a text fits into memory");
        let object = exposed_object(ObjectId::Made(id));
        self.change(time, |transaction| {
            transaction.splice_text(object, at, delete, insert)
        })
    }

    /// Returns the id of the live object of a kind at a key.
    pub(crate) fn object_at(&self, key: &str, kind: ObjectType) -> Option<OpId> {
        let mut register = self.state.register(key).iter().rev();
        register
            .find(|(_, content)| *content == Content::Object(kind))
            .map(|(id, _)| *id)
    }

    /// Refuses a key at which an object of another kind stands; `None` is a counter.
    fn check_kind(&self, key: &str, wanted: Option<ObjectType>) -> Result<(), EditError> {
        let name = |kind: Option<ObjectType>| kind.map_or("counter", ObjectType::name);
        for (_, content) in self.state.register(key) {
            let found = match content {
                Content::Object(found) => Some(*found),
                Content::Scalar(Scalar::Counter(_)) => None,
                Content::Scalar(_) => continue,
            };
            if found != wanted {
                return Err(EditError::OtherKind {
                    wanted: name(wanted),
                    found: name(found),
                });
            }
        }
        Ok(())
    }

    /// Creates the object of a kind at a root key where it is missing, and removes the scalars in its way.
    ///
    /// Creation is an operation without an author: every device that creates it gives it the same id, so that two that do
    /// so offline share one object. The id's counter is the generation: one more than the highest that the clock knows.
    fn ensure(&mut self, key: &str, kind: Option<ObjectType>) -> Result<Edit, EditError> {
        let is_scalar =
            |content: &Content| matches!(content, Content::Scalar(_)) && !content.is_counter();
        let register = self.state.register(key);
        let in_the_way: Vec<OpId> = register
            .iter()
            .filter(|(_, content)| is_scalar(content))
            .map(|(id, _)| *id)
            .collect();
        let mut edit = self.create(key, kind)?;
        if !in_the_way.is_empty() {
            edit.append(self.write_own(ops::delete(&root_place(key), &in_the_way))?);
        }
        Ok(edit)
    }

    /// Creates the object of a kind at a root key where it is missing, beside whatever stands there.
    pub(crate) fn create(
        &mut self,
        key: &str,
        kind: Option<ObjectType>,
    ) -> Result<Edit, EditError> {
        let there = match kind {
            Some(kind) => self.object_at(key, kind).is_some(),
            None => !self.counters_at(key).is_empty(),
        };
        if there {
            return Ok(Edit::default());
        }
        let content = kind.map_or(Content::Scalar(Scalar::Counter(0)), Content::Object);
        let creator = match mutant!(CreationByDevice) {
            true => self.actor,
            false => creator(&self.name, key, kind),
        };
        let id = OpId::new(self.state.seen_from(creator) + 1, creator);
        self.write(id, ops::put(&root_place(key), &content))
    }

    /// Returns the live counters at a key, ascending.
    pub(crate) fn counters_at(&self, key: &str) -> Vec<OpId> {
        let register = self.state.register(key).iter();
        register
            .filter(|(_, content)| content.is_counter())
            .map(|(id, _)| *id)
            .collect()
    }

    /// Applies one operation that automerge's own edits cannot express, under the next id of this device.
    pub(crate) fn write_own(
        &mut self,
        operation: automerge::legacy::Op,
    ) -> Result<Edit, EditError> {
        let id = OpId::new(self.live().next_counter(), self.actor);
        self.write(id, operation)
    }

    fn write(&mut self, id: OpId, operation: Op) -> Result<Edit, EditError> {
        self.check_room(1)?;
        let change = self.live().write(id, operation);
        Ok(self.take_in(change))
    }

    fn change(
        &mut self,
        time: i64,
        edit: impl FnOnce(&mut Transaction<'_>) -> Result<(), AutomergeError>,
    ) -> Result<Edit, EditError> {
        self.check_room(1)?;
        let change = self.run(time, edit);
        Ok(change
            .map(|change| self.take_in(change))
            .unwrap_or_default())
    }

    fn run(
        &mut self,
        time: i64,
        edit: impl FnOnce(&mut Transaction<'_>) -> Result<(), AutomergeError>,
    ) -> Option<ExpandedChange> {
        self.live()
            .edit(time, edit)
            .expect("an edit was checked before automerge saw it")
    }

    /// Refuses an edit for which the counters that are left are too few.
    fn check_room(&mut self, operations: usize) -> Result<(), EditError> {
        let last = (self.live().next_counter() as usize).saturating_add(operations);
        let fits = operations <= MAX_OPERATIONS as usize && last <= LAST_COUNTER as usize;
        if fits {
            Ok(())
        } else {
            Err(EditError::Exhausted)
        }
    }

    /// Advances the state by a change that automerge just made.
    fn take_in(&mut self, change: ExpandedChange) -> Edit {
        let delta = local_delta(&self.state, &change);
        self.advance_state(&delta);
        Edit {
            deltas: vec![delta],
            changes: vec![change],
        }
    }

    fn advance_state(&mut self, delta: &Delta) {
        let state = std::mem::take(&mut self.state);
        self.state = state
            .apply(delta)
            .expect("what this document did keeps the rules of states");
    }

    /// Replaces the state by its join with another one, and returns the difference.
    ///
    /// The automerge document follows at once if it is loaded.
    pub fn join(&mut self, other: &State) -> Delta {
        let joined = self.state.join(other);
        let delta = joined.diff(&self.state);
        if !delta.is_empty() {
            if let Some(live) = &mut self.live {
                live.advance(&self.state, &delta, &joined);
            }
            self.state = joined;
        }
        delta
    }

    /// Takes back to an earlier state what was not made durable; ids given out since are given out again.
    pub fn restore(&mut self, earlier: State) {
        self.replace(earlier);
    }

    /// Replaces the state by another one that need not include it.
    pub(crate) fn replace(&mut self, state: State) {
        self.state = state;
        self.live = None;
    }
}

/// Returns the author under whose name every device creates the object of a kind at a root key; `None` is a counter.
pub(crate) fn creator(dataset: &str, key: &str, kind: Option<ObjectType>) -> Actor {
    let kind = kind.map_or("counter", ObjectType::name);
    Actor::derived(&[dataset.as_bytes(), b"root", key.as_bytes(), kind.as_bytes()])
}

fn root_place(key: &str) -> Place {
    Place {
        object: ObjectId::Root,
        key: Key::Map(key.to_owned()),
    }
}

/// Tells whether a dataset can have this key.
pub(crate) fn is_key(key: &str) -> bool {
    (1..=MAX_KEY_BYTES).contains(&key.len()) && key != ops::MARK_KEY
}

fn check_key(key: &str) -> Result<(), EditError> {
    if is_key(key) {
        Ok(())
    } else {
        Err(EditError::Key(key.len()))
    }
}

impl State {
    /// Returns the root keys that a delta changed, in ascending order; this is the state after it.
    #[must_use]
    pub fn changed_keys(&self, delta: &Delta) -> BTreeSet<String> {
        let mut keys = BTreeSet::new();
        for (object, changed) in &delta.objects {
            if let (ObjectId::Root, ObjectDelta::Map(changed)) = (object, changed) {
                keys.extend(changed.keys().cloned());
            }
            keys.extend(self.root_key(*object).map(str::to_owned));
        }
        for key in delta.counts.keys() {
            let place = self
                .counters
                .get(&key.counters[0])
                .map(|counter| &counter.place);
            keys.extend(place.and_then(|place| match (&place.object, &place.key) {
                (ObjectId::Root, Key::Map(key)) => Some(key.clone()),
                (object, _) => self.root_key(*object).map(str::to_owned),
            }));
        }
        keys
    }
}
