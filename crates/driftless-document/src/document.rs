//! One dataset on the device: reads, edits, and the join with what other devices wrote.
//!
//! Reads come from the state. The automerge document is only loaded when the first edit needs it, and kept in step from then
//! on. An edit returns what it did as deltas, for whoever makes it durable; the document itself touches no disk.

use std::collections::{BTreeMap, BTreeSet};

use automerge::transaction::{Transactable, Transaction};
use automerge::{AutomergeError, ExpandedChange, ROOT};

use crate::apply::MAX_OPERATIONS;
use crate::diff::{Delta, ObjectDelta};
use crate::draft::Draft;
use crate::edit::{Edit, EditError};
use crate::history::local_delta;
use crate::id::{Actor, MAX_COUNTER, ObjectId, OpId};
use crate::kind::Kind;
use crate::live::Live;
use crate::ops::legacy_scalar;
use crate::path::{Path, check_root_key};
use crate::state::{CountKey, Key, State};
use crate::value::{Content, Scalar, Value};

/// The highest counter that an edit may use; what is above is left for writing edits again after a join.
const LAST_COUNTER: u32 = MAX_COUNTER - MAX_OPERATIONS;

/// A dataset on the device.
#[derive(Clone, Debug)]
pub struct Document {
    name: String,
    actor: Actor,
    state: State,
    live: Option<Live>,
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

    /// Returns the name that objects are created under.
    pub(crate) fn name(&self) -> &str {
        &self.name
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

    /// Returns the winning value at the end of a path.
    #[must_use]
    pub fn get_at(&self, path: &Path) -> Option<Value> {
        self.state.get_at(path)
    }

    /// Returns the text at a path: the live text object, also where a concurrent put of something else wins.
    #[must_use]
    pub fn text(&self, path: impl Into<Path>) -> Option<String> {
        let place = self.state.find(&path.into())?;
        let id = self.state.find_in(&place, Kind::Text)?;
        Some(self.state.sequence(ObjectId::Made(id))?.text())
    }

    /// Tells whether a text stands at a path and nothing beside it, without reading it.
    #[must_use]
    pub fn is_text(&self, path: &Path) -> bool {
        let place = self.state.find(path);
        let contents = place.map(|place| self.state.contents_at(&place));
        let kinds = contents.iter().flatten();
        let mut kinds = kinds.map(|(id, content)| Kind::of(*id, content));
        kinds.next() == Some(Some(Kind::Text)) && kinds.next().is_none()
    }

    /// Returns the total of the counter at a path, also where a concurrent put of something else wins.
    #[must_use]
    pub fn counter(&self, path: impl Into<Path>) -> Option<i64> {
        let place = self.state.find(&path.into())?;
        let contents = self.state.contents_at(&place).into_iter().rev();
        let mut counters = contents.filter(|(_, content)| content.is_counter());
        let (id, content) = counters.next()?;
        self.state.value(id, &content).as_i64()
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

    pub(crate) fn live(&mut self) -> &mut Live {
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
            check_root_key(key)?;
            if !value.is_plain() {
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

    pub(crate) fn change(
        &mut self,
        time: i64,
        edit: impl FnOnce(&mut Transaction<'_>) -> Result<(), AutomergeError>,
    ) -> Result<Edit, EditError> {
        self.check_room(1)?;
        let change = self.run(time, edit);
        Ok(change
            .map(|change| self.take_in(vec![change]))
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
        if operations <= self.room() {
            Ok(())
        } else {
            Err(EditError::Exhausted)
        }
    }

    /// Returns how many operations one edit can have.
    pub(crate) fn room(&mut self) -> usize {
        let left = (LAST_COUNTER + 1).saturating_sub(self.live().next_counter());
        left.min(MAX_OPERATIONS) as usize
    }

    /// Advances the state by a change that automerge just made.
    fn take_in(&mut self, changes: Vec<ExpandedChange>) -> Edit {
        let delta = local_delta(&self.state, &changes);
        self.advance_state(&delta);
        Edit::new(delta, changes)
    }

    /// Makes an edit of operations that automerge's own edits cannot express.
    pub(crate) fn compose(
        &mut self,
        time: i64,
        write: impl FnOnce(&mut Draft<'_>) -> Result<(), EditError>,
    ) -> Result<Edit, EditError> {
        self.check_room(1)?;
        let start = OpId::new(self.live().next_counter(), self.actor);
        let mut draft = Draft::new(&self.name, &self.state, start);
        write(&mut draft)?;
        let written = draft.written;
        if written.len() == 0 {
            return Ok(Edit::default());
        }
        self.check_room(written.len())?;
        let changes = self.live().write(written, time);
        Ok(self.take_in(changes))
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
        let counters = delta
            .counts
            .keys()
            .filter_map(|count| self.root_key_of(count));
        keys.extend(counters.map(str::to_owned));
        keys
    }

    /// Returns the root key under which the counters of a total stand.
    pub(crate) fn root_key_of(&self, count: &CountKey) -> Option<&str> {
        let place = &self.counters.get(&count.counters[0])?.place;
        match (&place.object, &place.key) {
            (ObjectId::Root, Key::Map(key)) => Some(key),
            (object, _) => self.root_key(*object),
        }
    }
}
