//! The one gate for what others wrote: a delta is checked against every rule of states while it is applied.
//!
//! A delta may come from anybody. What passes here is safe for everything behind it: [`emit`](crate::emit), automerge, a
//! join, a reader that goes down by recursion. The cost is that of the delta times the logarithm of the state, so that a
//! `put` costs the same in a large dataset as in a small one.

use std::collections::{BTreeMap, BTreeSet};

use crate::diff::{Delta, ObjectDelta, RegisterDelta, Removed, SequenceDelta, position};
use crate::id::{Actor, MAX_COUNTER, ObjectId, OpId};
use crate::join::regroup;
use crate::path::is_root_key;
use crate::run::{Body, Run, Span, push_span};
use crate::sequence::Sequence;
use crate::state::{
    Clock, Count, CountKey, Items, Key, MAX_DEPTH, MAX_TIME, Object, Place, Register, State,
};
use crate::value::{Content, ObjectType};

/// How many operations one delta may bring, far above what fits into a dataset: dead elements take next to no bytes.
pub(crate) const MAX_OPERATIONS: u32 = 1 << 24;

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
    /// The delta brings more operations than any dataset has room for.
    #[error("more than {MAX_OPERATIONS} operations come at once")]
    TooMany,
    /// An object is not there, is removed by the same delta, or is of another kind; a table can only be empty.
    #[error("object {0:?} is not there or of another kind")]
    Object(ObjectId),
    /// What is removed is not there.
    #[error("value {0} is not there")]
    Value(OpId),
    /// A key is empty, too long for a dataset, or reserved.
    #[error("a key of {0} bytes is none")]
    Key(usize),
    /// A scalar of an unknown type says that it has one of the known types.
    #[error("value {0} has no type")]
    Type(OpId),
    /// An element refers to one that is not there or not older.
    #[error("element {0} refers to one that is not there or not older")]
    Reference(OpId),
    /// Objects stand too deep in each other.
    #[error("object {0} stands deeper than objects may")]
    Depth(OpId),
    /// A total belongs to no live counter, to counters in several places, or is older than one of them.
    #[error("the total of {0} belongs to no live counter")]
    Count(Actor),
    /// A time is none, belongs to no live value at a root key, or is later than the one that is known.
    #[error("the time of {0} is none, or belongs to no value at a root key")]
    Time(OpId),
    /// Something is empty or out of order, so that one state would have two encodings.
    #[error("a part is empty or not in its canonical form")]
    Canonical,
}

impl State {
    /// Returns this state changed by a delta, which is checked in full.
    ///
    /// How much a state holds in all is not checked: whoever decodes a delta bounds that.
    ///
    /// # Errors
    ///
    /// [`ApplyError`] if the delta does not fit onto this state or breaks a rule of states. The state is gone then: keep a
    /// copy where that matters.
    pub fn apply(mut self, delta: &Delta) -> Result<Self, ApplyError> {
        let mut before = Clock::new();
        for (actor, counter) in &delta.clock {
            let old = self.clock.insert(*actor, *counter).unwrap_or(0);
            if *counter <= old || *counter > MAX_COUNTER {
                return Err(ApplyError::Clock(*actor, old, *counter));
            }
            before.insert(*actor, old);
        }
        let mut applying = Applying {
            before,
            state: self,
            claimed: BTreeMap::new(),
            room: MAX_OPERATIONS,
            lost: false,
            depths: BTreeMap::new(),
        };
        applying.objects(&delta.objects)?;
        applying.counts(&delta.counts)?;
        applying.times(delta)?;
        Ok(applying.state)
    }
}

/// The ids that a delta gives out under one name: first id -> id behind the last.
#[derive(Default)]
struct Claimed {
    /// Those that came in their order, as most do: neighbours are one.
    rising: Vec<(u32, u32)>,
    others: BTreeMap<u32, u32>,
}

impl Claimed {
    /// Takes ids, unless one is taken already.
    fn take(&mut self, start: u32, end: u32) -> bool {
        let is_behind = |(_, behind): (&u32, &u32)| *behind > start;
        if self.others.range(..end).next_back().is_some_and(is_behind) {
            return false;
        }
        match self.rising.last_mut() {
            Some((_, last)) if *last == start => *last = end,
            Some((_, last)) if *last > start => {
                let at = self.rising.partition_point(|(first, _)| *first < end);
                let before = at.checked_sub(1).map(|before| self.rising[before]);
                if before.is_some_and(|(_, behind)| behind > start) {
                    return false;
                }
                self.others.insert(start, end);
            }
            _ => self.rising.push((start, end)),
        }
        true
    }
}

/// A delta on its way into a state.
struct Applying {
    /// The clock entries that rise as they were: what is added must be newer.
    before: Clock,
    state: State,
    /// The ids that the delta gives out, per actor.
    claimed: BTreeMap<Actor, Claimed>,
    /// How many more ids it may give out.
    room: u32,
    /// A counter went, so that totals may name one that is no more.
    lost: bool,
    /// How deep objects stand, as far as somebody asked.
    depths: BTreeMap<ObjectId, usize>,
}

impl Applying {
    fn objects(&mut self, changed: &BTreeMap<ObjectId, ObjectDelta>) -> Result<(), ApplyError> {
        let mut rest: BTreeMap<_, _> = changed.iter().collect();
        let there = |id: &ObjectId| self.state.objects.contains_key(id);
        let mut ready: Vec<ObjectId> = changed.keys().copied().filter(there).collect();
        while let Some(id) = ready.pop() {
            let Some(changed) = rest.remove(&id) else {
                continue;
            };
            let made = self.object(id, changed)?;
            ready.extend(made.into_iter().map(ObjectId::Made));
        }
        if let Some((id, _)) = rest.first_key_value() {
            return Err(ApplyError::Object(**id));
        }
        let gone = changed
            .keys()
            .find(|id| !self.state.objects.contains_key(id));
        gone.map_or(Ok(()), |id| Err(ApplyError::Object(*id)))
    }

    /// Takes ids for new operations: unseen before, within the clock now, and each once.
    fn claim(&mut self, start: OpId, len: u32) -> Result<(), ApplyError> {
        let end = start
            .counter
            .checked_add(len)
            .ok_or(ApplyError::OutsideOfClock(start))?;
        // What does not rise leaves nothing between its old and its new entry.
        let now = self.state.seen_from(start.actor);
        let old = self.before.get(&start.actor).copied().unwrap_or(now);
        if start.counter <= old || end - 1 > now {
            return Err(ApplyError::OutsideOfClock(start));
        }
        self.room = self.room.checked_sub(len).ok_or(ApplyError::TooMany)?;
        let claimed = self.claimed.entry(start.actor).or_default();
        match claimed.take(start.counter, end) {
            true => Ok(()),
            false => Err(ApplyError::Duplicate(start)),
        }
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
            // automerge 0.12 makes tables and panics at whatever is put into one.
            (Items::Map(ObjectType::Map, keys), ObjectDelta::Map(changed)) => {
                self.map(id, keys, changed, &mut made)?;
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

    fn map(
        &mut self,
        id: ObjectId,
        keys: &mut BTreeMap<String, Register>,
        changed: &BTreeMap<String, RegisterDelta>,
        made: &mut Vec<OpId>,
    ) -> Result<(), ApplyError> {
        if changed.is_empty() {
            return Err(ApplyError::Canonical);
        }
        for (key, change) in changed {
            if key.is_empty() || (id == ObjectId::Root && !is_root_key(key)) {
                return Err(ApplyError::Key(key.len()));
            }
            let place = Place {
                object: id,
                key: Key::Map(key.clone()),
            };
            let register = keys.entry(key.clone()).or_default();
            self.register(place, register, change, made)?;
            if register.is_empty() {
                keys.remove(key);
            }
        }
        Ok(())
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
                let is_missing = |id: &&OpId| position(register, **id).is_err();
                if let Some(id) = ids.iter().find(is_missing) {
                    return Err(ApplyError::Value(*id));
                }
                if register.len() == ids.len() || ids.is_empty() {
                    return Err(ApplyError::Canonical);
                }
                // In one pass: a hostile register holds as many values as a delta has room for.
                for (id, content) in register.extract_if(.., |(id, _)| ids.contains(id)) {
                    self.gone(id, &content);
                }
            }
        }
        let there = register.len();
        register.reserve_exact(change.added.len());
        for (id, content) in &change.added {
            self.claim(*id, 1)?;
            if let Key::Element(element) = place.key
                && element.counter >= id.counter
            {
                return Err(ApplyError::Reference(*id));
            }
            if position(&register[..there], *id).is_ok() {
                return Err(ApplyError::Duplicate(*id));
            }
            register.push((*id, content.clone()));
            self.born(*id, content, &place, made)?;
        }
        // Two ascending parts, which this merges.
        register.sort_by_key(|(id, _)| *id);
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
        self.deleted(sequence, &changed.deleted)?;
        sequence.kill(&changed.deleted);
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
                self.born(element, content, &place, made)?;
            }
        }
        let is_misplaced = |run: &&Run| {
            run.reference.is_some_and(|reference| {
                reference.counter >= run.start.counter || sequence.find(reference).is_none()
            })
        };
        if let Some(run) = changed.inserted.iter().find(is_misplaced) {
            return Err(ApplyError::Reference(run.start));
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

    /// Checks that spans name live elements, each once, and lets their contents go.
    fn deleted(&mut self, sequence: &Sequence, spans: &[Span]) -> Result<(), ApplyError> {
        let mut last: Option<Span> = None;
        for span in spans {
            let start = span.start;
            let is_again = |last: Span| {
                last.start
                    .checked_plus(last.len)
                    .is_none_or(|end| start < end)
            };
            if last.is_some_and(|last| last.start.actor == start.actor && is_again(last)) {
                return Err(ApplyError::Value(start));
            }
            last = Some(*span);
            let mut at = 0;
            while at < span.len {
                let element = start.checked_plus(at).ok_or(ApplyError::Value(start))?;
                let found = sequence.find(element).filter(|(run, _)| run.body.is_live());
                let (run, offset) = found.ok_or(ApplyError::Value(element))?;
                let len = (run.len() - offset).min(span.len - at);
                if let Body::Values(values) = &run.body {
                    let values = &values[offset as usize..][..len as usize];
                    for (place, content) in (0..).zip(values) {
                        self.gone(element.plus(place), content);
                    }
                }
                at += len;
            }
        }
        Ok(())
    }

    fn born(
        &mut self,
        id: OpId,
        content: &Content,
        place: &Place,
        made: &mut Vec<OpId>,
    ) -> Result<(), ApplyError> {
        match content {
            Content::Object(_) if self.depth(place.object) >= MAX_DEPTH => {
                return Err(ApplyError::Depth(id));
            }
            Content::Object(_) => made.push(id),
            Content::Scalar(scalar) if !scalar.has_type() => return Err(ApplyError::Type(id)),
            Content::Scalar(_) => {}
        }
        self.state.born(id, content, place);
        Ok(())
    }

    /// Returns how deep an object stands; the root stands at 0.
    fn depth(&mut self, object: ObjectId) -> usize {
        let mut path = Vec::new();
        let mut at = object;
        let mut depth = loop {
            if let Some(depth) = self.depths.get(&at) {
                break *depth;
            }
            let place = self
                .state
                .objects
                .get(&at)
                .and_then(|object| object.place.as_ref());
            let Some(place) = place else { break 0 };
            path.push(at);
            at = place.object;
        };
        for object in path.into_iter().rev() {
            depth += 1;
            self.depths.insert(object, depth);
        }
        depth
    }

    /// Lets go what belongs to a content that was removed: its time, its place as a counter, all that stands in it.
    fn gone(&mut self, id: OpId, content: &Content) {
        let mut objects = Vec::from_iter(self.let_go(id, content));
        while let Some(object) = objects.pop() {
            for (id, content, _) in object.items.placed() {
                objects.extend(self.let_go(id, content));
            }
        }
    }

    /// Lets go what belongs to one content, and returns the object that it was.
    fn let_go(&mut self, id: OpId, content: &Content) -> Option<Object> {
        self.state.times.remove(&id);
        if let Content::Object(_) = content {
            return self.state.objects.remove(&ObjectId::Made(id));
        }
        self.lost |= content.is_counter() && self.state.counters.remove(&id).is_some();
        None
    }

    fn counts(&mut self, changed: &BTreeMap<CountKey, Count>) -> Result<(), ApplyError> {
        let Self { state, lost, .. } = self;
        if *lost {
            // Regrouping moves no total of a counter that lives.
            let counters = &state.counters;
            let names_a_lost_one = |key: &CountKey, _: &mut Count| {
                !key.counters.iter().all(|id| counters.contains_key(id))
            };
            let old: Vec<_> = state.counts.extract_if(.., names_a_lost_one).collect();
            let kept = old.iter().map(|(key, count)| (key, count));
            for (key, count) in regroup(kept, |id| counters.contains_key(id)) {
                state
                    .counts
                    .entry(key)
                    .and_modify(|other| other.add(count))
                    .or_insert(count);
            }
        }
        for (key, count) in changed {
            let newest = key.counters.last().ok_or(ApplyError::Canonical)?;
            if !key.counters.is_sorted_by(|a, b| a < b) {
                return Err(ApplyError::Canonical);
            }
            let mut counters = key.counters.iter().map(|id| self.state.counters.get(id));
            let place = counters.next().flatten().map(|counter| &counter.place);
            let in_one_place = place.is_some()
                && counters.all(|counter| counter.map(|counter| &counter.place) == place);
            if !in_one_place || newest.counter >= count.last {
                return Err(ApplyError::Count(key.actor));
            }
            self.claim(OpId::new(count.last, key.actor), 1)?;
            self.state.set_count(key.clone(), *count);
        }
        Ok(())
    }

    fn times(&mut self, delta: &Delta) -> Result<(), ApplyError> {
        let added: BTreeSet<OpId> = match delta.objects.get(&ObjectId::Root) {
            Some(ObjectDelta::Map(keys)) if !delta.times.is_empty() => keys
                .values()
                .flat_map(|change| change.added.keys().copied())
                .collect(),
            _ => BTreeSet::new(),
        };
        let at_root = self.told_at_root(delta, &added);
        for (id, time) in &delta.times {
            let earlier = self.state.times.get(id).is_none_or(|old| time < old);
            let is_time = *time != 0 && (-MAX_TIME..=MAX_TIME).contains(time);
            if !is_time || !earlier || !(added.contains(id) || at_root.contains(id)) {
                return Err(ApplyError::Time(*id));
            }
            self.state.times.insert(*id, *time);
        }
        Ok(())
    }

    /// Returns the values at root keys whose times are told although they were there before.
    ///
    /// Linear in the keys, and only where there is such a time.
    fn told_at_root(&self, delta: &Delta, added: &BTreeSet<OpId>) -> BTreeSet<OpId> {
        if delta.times.keys().all(|id| added.contains(id)) {
            return BTreeSet::new();
        }
        let values = self.state.root().values().flatten().map(|(id, _)| *id);
        values.filter(|id| delta.times.contains_key(id)).collect()
    }
}

/// Tells whether runs and spans are in order, not empty, and as long as they can be.
fn are_maximal(changed: &SequenceDelta) -> bool {
    let SequenceDelta {
        inserted, deleted, ..
    } = changed;
    let are_filled =
        inserted.iter().all(|run| !run.is_empty()) && deleted.iter().all(|span| span.len > 0);
    let are_in_order = inserted.is_sorted_by_key(|run| (run.start.actor, run.start.counter))
        && deleted.is_sorted_by_key(|span| (span.start.actor, span.start.counter));
    let mut spans = Vec::new();
    deleted.iter().for_each(|span| push_span(&mut spans, *span));
    are_filled
        && are_in_order
        && spans.len() == deleted.len()
        && inserted.windows(2).all(|pair| !pair[0].takes(&pair[1]))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ids_are_taken_once_in_whatever_order(claims in vec((1_u32..40, 1_u32..4), 0..30)) {
            let (mut claimed, mut taken) = (Claimed::default(), BTreeSet::new());
            for (start, len) in claims {
                let is_free = (start..start + len).all(|id| !taken.contains(&id));
                prop_assert_eq!(claimed.take(start, start + len), is_free);
                if is_free {
                    taken.extend(start..start + len);
                }
            }
        }
    }
}
