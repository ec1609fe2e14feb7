//! The difference of two states.
//!
//! A [`Delta`] is plain data: what an encoder writes and a decoder reads. `new.diff(&old)` holds what makes `old` into `new`,
//! and nothing is written twice: what stood inside of a removed object goes with it, and totals follow the counters that
//! live. A whole state is its difference from the empty one. [`State::apply`] takes a delta back in.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{ObjectId, OpId};
use crate::join::regroup;
use crate::overlay::{Piece, overlay};
use crate::run::{Run, Span, push_run, push_span};
use crate::sequence::Sequence;
use crate::state::{Clock, Count, CountKey, Items, Key, Register, State};
use crate::value::{Content, Contents};

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
    pub added: Contents,
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
}

impl State {
    /// Returns what makes nothing into this state without what stands at a key of the dataset; the clock is as it was.
    ///
    /// It is linear in the state.
    #[must_use]
    pub fn without(&self, key: &str) -> Delta {
        let mut delta = self.diff(&Self::new());
        let is_other = |object: &ObjectId| self.root_key(*object) != Some(key);
        delta.objects.retain(|object, _| is_other(object));
        if let Some(ObjectDelta::Map(keys)) = delta.objects.get_mut(&ObjectId::Root)
            && let Some(gone) = keys.remove(key)
        {
            gone.added.keys().for_each(|id| _ = delta.times.remove(id));
        }
        delta
            .counts
            .retain(|count, _| self.root_key_of(count) != Some(key));
        delta
    }
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
    let added: Contents = new
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
            right: Some(new),
        } => push_run(&mut delta.inserted, new.to_run()),
        Piece {
            left: Some(old),
            right: Some(new),
        } if old.is_live() && !new.is_live() => {
            push_span(&mut delta.deleted, old.span());
        }
        _ => {}
    });
    (delta != SequenceDelta::default()).then_some(ObjectDelta::Sequence(delta))
}
