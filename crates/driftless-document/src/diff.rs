//! The difference of two states, and its application.
//!
//! A [`Delta`] is plain data: what an encoder writes and a decoder reads. `new.diff(&old)` holds what makes `old` into `new`,
//! and nothing is written twice: what stood inside of a removed object goes with it, and totals follow the counters that
//! live. A whole state is its difference from the empty one.
//!
//! [`State::apply`] is the one gate for bytes of others: it checks every rule that `state.rs` names, and refuses the rest.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{Actor, MAX_COUNTER, ObjectId, OpId};
use crate::join::regroup;
use crate::sequence::{Body, Piece, Run, Sequence, Span, overlay, push_run, push_span};
use crate::state::{Clock, Count, CountKey, Items, Key, MAX_DEPTH, Place, Register, State};
use crate::value::{Content, ObjectType};

/// The difference of two states.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// The clock entries that rose, with their new values.
    pub clock: Clock,
    /// What changed, per object; objects that a value of this delta makes are among them unless they are empty.
    pub objects: BTreeMap<ObjectId, ObjectDelta>,
    /// The totals that changed, with their new values.
    pub counts: BTreeMap<CountKey, Count>,
    /// When the added values at root keys were written, in ms since 1970, where the author told.
    pub times: BTreeMap<OpId, i64>,
}

/// What changed in one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectDelta {
    /// The changed keys of a map or table.
    Map(BTreeMap<String, RegisterDelta>),
    /// The changed elements of a list or text.
    Sequence(SequenceDelta),
}

/// What changed in one place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegisterDelta {
    /// What went.
    pub removed: Removed,
    /// What came, by op id.
    pub added: BTreeMap<OpId, Content>,
}

/// Which of the values that stood in a place went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Removed {
    /// None.
    #[default]
    Nothing,
    /// All of them, at least one.
    All,
    /// These, neither none nor all.
    Some(BTreeSet<OpId>),
}

/// What changed in a list or text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SequenceDelta {
    /// New elements in ascending order of (actor, counter), maximal runs.
    pub inserted: Vec<Run>,
    /// Older elements whose inserted value went, in ascending order of (actor, counter), maximal spans.
    pub deleted: Vec<Span>,
    /// Changes of values that were put on an element after its insertion.
    pub sets: BTreeMap<OpId, RegisterDelta>,
}

/// Why a delta does not fit onto a state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// A clock entry does not rise, or rises above [`MAX_COUNTER`].
    #[error("the clock of {0} does not rise from {1} to {2}")]
    Clock(Actor, u32, u32),
    /// An operation is older than the state's clock or newer than the delta's.
    #[error("operation {0} is outside of the clock")]
    OutsideOfClock(OpId),
    /// One op id stands for two operations.
    #[error("operation {0} stands there twice")]
    Duplicate(OpId),
    /// An object is not there, or is of another kind.
    #[error("object {0:?} is not there or of another kind")]
    Object(ObjectId),
    /// What is removed is not there.
    #[error("value {0} is not there")]
    Value(OpId),
    /// An element refers to one that is not there or not older.
    #[error("element {0} refers to one that is not there or not older")]
    Reference(OpId),
    /// Objects stand too deep in each other.
    #[error("object {0} stands deeper than objects may")]
    Depth(OpId),
    /// A total belongs to no live counter, or is older than it.
    #[error("the total of {0} belongs to no live counter")]
    Count(Actor),
    /// A time belongs to no live value at a root key.
    #[error("the time of {0} belongs to no value at a root key")]
    Time(OpId),
    /// Something is empty or out of order, so that one state would have two encodings.
    #[error("a part is empty or not in its canonical form")]
    Canonical,
}

impl Delta {
    /// Tells whether the two states are equal.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn map(&mut self, object: ObjectId) -> &mut BTreeMap<String, RegisterDelta> {
        let entry = self
            .objects
            .entry(object)
            .or_insert_with(|| ObjectDelta::Map(BTreeMap::new()));
        match entry {
            ObjectDelta::Map(keys) => keys,
            ObjectDelta::Sequence(_) => unreachable!("automerge never mixes keys and elements"),
        }
    }

    /// Returns the change of one place, to be filled.
    pub(crate) fn change(&mut self, object: ObjectId, key: &Key) -> &mut RegisterDelta {
        match key {
            Key::Map(key) => self.map(object).entry(key.clone()).or_default(),
            Key::Element(element) => self.sequence(object).sets.entry(*element).or_default(),
        }
    }

    pub(crate) fn sequence(&mut self, object: ObjectId) -> &mut SequenceDelta {
        let entry = self
            .objects
            .entry(object)
            .or_insert_with(|| ObjectDelta::Sequence(SequenceDelta::default()));
        match entry {
            ObjectDelta::Sequence(sequence) => sequence,
            ObjectDelta::Map(_) => unreachable!("automerge never mixes keys and elements"),
        }
    }
}

impl State {
    /// Returns what makes `old` into this state; linear in both.
    ///
    /// This state must include the other, as a join or a later state of the same document does: what `old` has seen and
    /// this one has not is not expressed.
    #[must_use]
    pub fn diff(&self, old: &Self) -> Delta {
        let mut delta = Delta {
            clock: risen(&old.clock, &self.clock),
            times: self
                .times
                .iter()
                .filter(|(id, time)| old.times.get(id) != Some(time))
                .map(|(id, time)| (*id, *time))
                .collect(),
            ..Delta::default()
        };
        for (id, object) in &self.objects {
            let before = old.objects.get(id).map(|object| &object.items);
            let changed = match (&object.items, before) {
                (Items::Map(_, new), Some(Items::Map(_, old))) => diff_maps(old, new),
                (Items::Map(_, new), _) => diff_maps(&BTreeMap::new(), new),
                (Items::Sequence(_, new), Some(Items::Sequence(_, old))) => {
                    diff_sequences(old, new)
                }
                (Items::Sequence(_, new), _) => diff_sequences(&Sequence::default(), new),
            };
            delta.objects.extend(changed.map(|changed| (*id, changed)));
        }
        let kept = regroup(&old.counts, |id| self.counters.contains_key(id));
        delta.counts = self
            .counts
            .iter()
            .filter(|(key, count)| kept.get(key) != Some(count))
            .map(|(key, count)| (key.clone(), *count))
            .collect();
        delta
    }

    /// Returns this state changed by a delta, which is checked in full.
    ///
    /// # Errors
    ///
    /// [`ApplyError`] if the delta does not fit onto this state or breaks a rule of states. The state is gone then: keep a
    /// copy where that matters.
    pub fn apply(mut self, delta: &Delta) -> Result<Self, ApplyError> {
        let before = self.clock.clone();
        for (actor, counter) in &delta.clock {
            let old = self.clock.insert(*actor, *counter).unwrap_or(0);
            if *counter <= old || *counter > MAX_COUNTER {
                return Err(ApplyError::Clock(*actor, old, *counter));
            }
        }
        let mut applying = Applying {
            before,
            state: self,
            claimed: BTreeMap::new(),
            lost_counter: false,
        };
        let mut rest: BTreeMap<_, _> = delta.objects.iter().collect();
        let mut ready: Vec<ObjectId> = rest
            .keys()
            .map(|id| **id)
            .filter(|id| applying.state.objects.contains_key(id))
            .collect();
        while let Some(id) = ready.pop() {
            let Some(changed) = rest.remove(&id) else {
                continue;
            };
            let made = applying.object(id, changed)?;
            ready.extend(made.into_iter().map(ObjectId::Made));
        }
        if let Some((id, _)) = rest.first_key_value() {
            return Err(ApplyError::Object(**id));
        }
        applying.counts(&delta.counts)?;
        applying.times(delta)?;
        Ok(applying.state)
    }
}

/// A delta on its way into a state.
struct Applying {
    /// The clock before the delta: what is added must be newer.
    before: Clock,
    state: State,
    /// The ids that the delta gives out, per actor: first id -> id behind the last.
    claimed: BTreeMap<Actor, BTreeMap<u32, u32>>,
    lost_counter: bool,
}

impl Applying {
    /// Takes ids for new operations: unseen before, within the clock now, and each once.
    fn claim(&mut self, start: OpId, len: u32) -> Result<(), ApplyError> {
        let end = start
            .counter
            .checked_add(len)
            .ok_or(ApplyError::OutsideOfClock(start))?;
        let old = self.before.get(&start.actor).copied().unwrap_or(0);
        if start.counter <= old || end - 1 > self.state.seen_from(start.actor) {
            return Err(ApplyError::OutsideOfClock(start));
        }
        let claimed = self.claimed.entry(start.actor).or_default();
        if claimed
            .range(..end)
            .next_back()
            .is_some_and(|(_, behind)| *behind > start.counter)
        {
            return Err(ApplyError::Duplicate(start));
        }
        claimed.insert(start.counter, end);
        Ok(())
    }

    /// Changes one object, and returns the objects that were made in it.
    fn object(&mut self, id: ObjectId, changed: &ObjectDelta) -> Result<Vec<OpId>, ApplyError> {
        // The items are out of the state while they change, since removals and creations change the state around them.
        let object = self
            .state
            .objects
            .get_mut(&id)
            .ok_or(ApplyError::Object(id))?;
        let mut items = std::mem::replace(&mut object.items, Items::new(ObjectType::Map));
        let mut made = Vec::new();
        match (&mut items, changed) {
            (Items::Map(_, keys), ObjectDelta::Map(changed)) if !changed.is_empty() => {
                for (key, change) in changed {
                    let place = Place {
                        object: id,
                        key: Key::Map(key.clone()),
                    };
                    let register = keys.entry(key.clone()).or_default();
                    self.register(place, register, change, &mut made)?;
                    if register.is_empty() {
                        keys.remove(key);
                    }
                }
            }
            (Items::Sequence(_, sequence), ObjectDelta::Sequence(changed)) => {
                self.sequence(id, sequence, changed, &mut made)?;
            }
            _ => return Err(ApplyError::Object(id)),
        }
        self.state
            .objects
            .get_mut(&id)
            .expect("an object does not remove itself")
            .items = items;
        Ok(made)
    }

    fn register(
        &mut self,
        place: Place,
        register: &mut Register,
        change: &RegisterDelta,
        made: &mut Vec<OpId>,
    ) -> Result<(), ApplyError> {
        match &change.removed {
            Removed::Nothing if change.added.is_empty() => return Err(ApplyError::Canonical),
            Removed::Nothing => {}
            Removed::All if register.is_empty() => return Err(ApplyError::Canonical),
            Removed::All => {
                for (id, content) in register.drain(..) {
                    self.gone(id, &content);
                }
            }
            Removed::Some(ids) => {
                for id in ids {
                    let at = position(register, *id).map_err(|_| ApplyError::Value(*id))?;
                    let (id, content) = register.remove(at);
                    self.gone(id, &content);
                }
                if register.is_empty() || ids.is_empty() {
                    return Err(ApplyError::Canonical);
                }
            }
        }
        for (id, content) in &change.added {
            self.claim(*id, 1)?;
            if let Key::Element(element) = place.key
                && element.counter >= id.counter
            {
                return Err(ApplyError::Reference(*id));
            }
            let at = position(register, *id)
                .err()
                .ok_or(ApplyError::Duplicate(*id))?;
            register.insert(at, (*id, content.clone()));
            self.born(*id, content, place.clone(), made)?;
        }
        Ok(())
    }

    fn sequence(
        &mut self,
        id: ObjectId,
        sequence: &mut Sequence,
        changed: &SequenceDelta,
        made: &mut Vec<OpId>,
    ) -> Result<(), ApplyError> {
        if *changed == SequenceDelta::default() || !are_maximal(changed) {
            return Err(ApplyError::Canonical);
        }
        for span in &changed.deleted {
            for at in 0..span.len {
                let element = span
                    .start
                    .checked_plus(at)
                    .ok_or(ApplyError::Value(span.start))?;
                let Some((run, offset)) = sequence.find(element) else {
                    return Err(ApplyError::Value(element));
                };
                if let Body::Values(values) = &run.body {
                    let content = values[offset as usize].clone();
                    self.gone(element, &content);
                }
            }
            if !sequence.kill(*span) {
                return Err(ApplyError::Value(span.start));
            }
        }
        for run in &changed.inserted {
            self.claim(run.start, run.len())?;
            if !run.body.is_canonical() {
                return Err(ApplyError::Canonical);
            }
            sequence.insert(run.clone());
            for (element, content) in run.uncommon() {
                let place = Place {
                    object: id,
                    key: Key::Element(element),
                };
                self.born(element, content, place, made)?;
            }
        }
        for run in &changed.inserted {
            let fits = run.reference.is_none_or(|reference| {
                reference.counter < run.start.counter && sequence.find(reference).is_some()
            });
            if !fits {
                return Err(ApplyError::Reference(run.start));
            }
        }
        for (element, change) in &changed.sets {
            if sequence.find(*element).is_none() {
                return Err(ApplyError::Reference(*element));
            }
            let place = Place {
                object: id,
                key: Key::Element(*element),
            };
            let register = sequence.sets.entry(*element).or_default();
            self.register(place, register, change, made)?;
            if register.is_empty() {
                sequence.sets.remove(element);
            }
        }
        Ok(())
    }

    fn born(
        &mut self,
        id: OpId,
        content: &Content,
        place: Place,
        made: &mut Vec<OpId>,
    ) -> Result<(), ApplyError> {
        if let Content::Object(_) = content {
            if self.state.depth(place.object) >= MAX_DEPTH {
                return Err(ApplyError::Depth(id));
            }
            made.push(id);
        }
        self.state.born(id, content, place);
        Ok(())
    }

    /// Lets go what belongs to a content that was removed: its time, its place as a counter, all that stands in it.
    fn gone(&mut self, id: OpId, content: &Content) {
        let mut stack = vec![(id, content.clone())];
        while let Some((id, content)) = stack.pop() {
            self.state.times.remove(&id);
            self.lost_counter |= self.state.counters.remove(&id).is_some();
            if let Content::Object(_) = content
                && let Some(object) = self.state.objects.remove(&ObjectId::Made(id))
            {
                stack.extend(
                    object
                        .items
                        .placed()
                        .map(|(id, content, _)| (id, content.clone())),
                );
            }
        }
    }

    fn counts(&mut self, changed: &BTreeMap<CountKey, Count>) -> Result<(), ApplyError> {
        if self.lost_counter {
            self.state.counts = regroup(&self.state.counts, |id| {
                self.state.counters.contains_key(id)
            });
        }
        for (key, count) in changed {
            let newest = key.counters.last().ok_or(ApplyError::Canonical)?;
            let live = key
                .counters
                .iter()
                .all(|id| self.state.counters.contains_key(id));
            if !live || newest.counter >= count.last {
                return Err(ApplyError::Count(key.actor));
            }
            if !key.counters.is_sorted_by(|a, b| a < b) {
                return Err(ApplyError::Canonical);
            }
            self.claim(OpId::new(count.last, key.actor), 1)?;
            self.state.counts.insert(key.clone(), *count);
        }
        Ok(())
    }

    fn times(&mut self, delta: &Delta) -> Result<(), ApplyError> {
        let added: BTreeSet<OpId> = match delta.objects.get(&ObjectId::Root) {
            Some(ObjectDelta::Map(keys)) => keys
                .values()
                .flat_map(|change| change.added.keys().copied())
                .collect(),
            _ => BTreeSet::new(),
        };
        for (id, time) in &delta.times {
            let earlier = self.state.times.get(id).is_none_or(|old| time < old);
            if !earlier || !(added.contains(id) || self.is_at_root(*id)) {
                return Err(ApplyError::Time(*id));
            }
            self.state.times.insert(*id, *time);
        }
        Ok(())
    }

    /// Tells whether a value at a root key has this id; linear in the keys, and only asked for values that were there.
    fn is_at_root(&self, id: OpId) -> bool {
        self.state
            .root()
            .values()
            .any(|register| position(register, id).is_ok())
    }
}

/// Tells whether runs and spans are in order, not empty, and as long as they can be.
fn are_maximal(changed: &SequenceDelta) -> bool {
    let mut spans = Vec::new();
    let in_order = changed.deleted.iter().all(|span| span.len > 0)
        && changed
            .deleted
            .is_sorted_by_key(|span| (span.start.actor, span.start.counter))
        && changed.inserted.iter().all(|run| !run.is_empty())
        && changed
            .inserted
            .is_sorted_by_key(|run| (run.start.actor, run.start.counter));
    changed
        .deleted
        .iter()
        .for_each(|span| push_span(&mut spans, *span));
    in_order
        && spans.len() == changed.deleted.len()
        && changed
            .inserted
            .windows(2)
            .all(|pair| !pair[0].takes(&pair[1]))
}

fn risen(old: &Clock, new: &Clock) -> Clock {
    new.iter()
        .filter(|(actor, counter)| old.get(actor).is_none_or(|old| old < counter))
        .map(|(actor, counter)| (*actor, *counter))
        .collect()
}

pub(crate) fn position(register: &[(OpId, Content)], id: OpId) -> Result<usize, usize> {
    register.binary_search_by_key(&id, |(id, _)| *id)
}

fn diff_registers(old: &[(OpId, Content)], new: &[(OpId, Content)]) -> Option<RegisterDelta> {
    let gone: BTreeSet<OpId> = old
        .iter()
        .map(|(id, _)| *id)
        .filter(|id| position(new, *id).is_err())
        .collect();
    let added: BTreeMap<OpId, Content> = new
        .iter()
        .filter(|(id, _)| position(old, *id).is_err())
        .cloned()
        .collect();
    let removed = Removed::of(gone, old.len());
    (removed != Removed::Nothing || !added.is_empty()).then_some(RegisterDelta { removed, added })
}

impl Removed {
    /// Returns the canonical form of "these went, of so many".
    pub(crate) fn of(gone: BTreeSet<OpId>, there: usize) -> Self {
        match gone.len() {
            0 => Self::Nothing,
            all if all == there => Self::All,
            _ => Self::Some(gone),
        }
    }
}

fn diff_places<K: Ord + Clone>(
    old: &BTreeMap<K, Register>,
    new: &BTreeMap<K, Register>,
) -> BTreeMap<K, RegisterDelta> {
    let gone = old.iter().filter(|(key, _)| !new.contains_key(key));
    let gone = gone.map(|(key, register)| (key, register.as_slice(), [].as_slice()));
    let kept = new.iter().map(|(key, register)| {
        (
            key,
            old.get(key).map_or([].as_slice(), Vec::as_slice),
            register.as_slice(),
        )
    });
    gone.chain(kept)
        .filter(|(_, old, new)| old != new)
        .filter_map(|(key, old, new)| Some((key.clone(), diff_registers(old, new)?)))
        .collect()
}

fn diff_maps(
    old: &BTreeMap<String, Register>,
    new: &BTreeMap<String, Register>,
) -> Option<ObjectDelta> {
    let changed = diff_places(old, new);
    (!changed.is_empty()).then_some(ObjectDelta::Map(changed))
}

fn diff_sequences(old: &Sequence, new: &Sequence) -> Option<ObjectDelta> {
    let mut delta = SequenceDelta {
        sets: diff_places(&old.sets, &new.sets),
        ..SequenceDelta::default()
    };
    overlay(old, new, |piece| match piece {
        Piece {
            left: None,
            right: Some(right),
        } => push_run(&mut delta.inserted, right),
        Piece {
            left: Some(left),
            right: Some(right),
        } if left.body.is_live() && !right.body.is_live() => {
            push_span(
                &mut delta.deleted,
                Span {
                    start: left.start,
                    len: left.len(),
                },
            );
        }
        _ => {}
    });
    (delta != SequenceDelta::default()).then_some(ObjectDelta::Sequence(delta))
}
