//! A state without what only its past needs: dead elements, and old authors of whom nothing lives.
//!
//! It is a new beginning, not a state to join with the old one, which would bring the dead elements back. Whoever stores it
//! must give it a new lineage. What lives keeps its ids, and the clock its newer entries, so that a device that knows the old
//! state finds its place in the new one, and what of its edits is in it ([`State::as_compacted`]).
//!
//! Live elements are hung anew, without the dead ones between them. Each refers to the nearest one before it that is older;
//! read as an RGA that is the same order, for whatever stands between two elements with one reference is newer than the
//! second. Only an element whose nearest is of the same age, as two devices that typed at once leave them, needs a new id, and
//! with it the values that were put on it since, which are newer than their element; what was counted on one is added up.

use std::collections::{BTreeMap, BTreeSet};

use crate::diff::{Delta, ObjectDelta, RegisterDelta, SequenceDelta};
use crate::id::{Actor, MAX_COUNTER, ObjectId, OpId};
use crate::run::{Run, Span, push_run, push_span};
use crate::sequence::{Cuts, Sequence};
use crate::state::{Clock, Count, CountKey, Items, State};

impl State {
    /// Returns the same values, conflicts and orders without dead elements, and without old authors of whom nothing lives.
    ///
    /// Old are those of whom no operation is above `old`, the highest counter of the life before this one: nobody writes under
    /// their names any more, and who had a push in doubt has had a whole life to find out. Their totals of a counter become
    /// one. `actor` gets the few ids that are given out anew, so it must be drawn for this. Linear in the state, up to a
    /// logarithm. `None` if the counters do not suffice.
    #[must_use]
    pub fn compacted(&self, actor: Actor, old: u32) -> Option<Self> {
        let mut compacting = Compacting {
            actor,
            last: self.max_counter(),
            renamed: BTreeMap::new(),
        };
        let mut delta = self.diff(&Self::new());
        for (id, object) in &self.objects {
            if let (Items::Sequence(_, sequence), Some(ObjectDelta::Sequence(changed))) =
                (&object.items, delta.objects.get_mut(id))
            {
                changed.inserted = compacting.hung_anew(sequence);
            }
        }
        compacting.rename(&mut delta);
        compacting.add_totals_up(&mut delta, |author| self.seen_from(author) <= old);
        delta.clock = clock_of(&delta);
        let newer = self.clock.iter().filter(|(_, counter)| **counter > old);
        delta.clock.extend(newer);
        if compacting.last > MAX_COUNTER {
            return None;
        }
        let compacted = Self::new().apply(&delta);
        Some(compacted.expect("what is left of a state keeps the rules of states"))
    }
}

/// A state on its way.
struct Compacting {
    actor: Actor,
    /// The highest counter so far.
    last: u32,
    /// Elements, and what they hold, that have another id now.
    renamed: BTreeMap<OpId, OpId>,
}

impl Compacting {
    fn next(&mut self) -> OpId {
        self.last = self.last.saturating_add(1);
        OpId::new(self.last, self.actor)
    }

    /// Returns the elements that show something, each referring to another one of them.
    fn hung_anew(&mut self, sequence: &Sequence) -> Vec<Run> {
        let mut before = Before::default();
        let mut hung = BTreeMap::new();
        let mut cuts = Cuts::default();
        for (run, from, len) in sequence.ordered() {
            let piece = cuts.piece(run, from, len).to_run();
            for shown in shown(piece, sequence) {
                for run in self.hang(&mut before, shown, sequence) {
                    hung.insert((run.start.actor, run.start.counter), run);
                }
            }
        }
        let mut runs = Vec::new();
        hung.into_values().for_each(|run| push_run(&mut runs, run));
        runs
    }

    /// Hangs a run behind what stands before it; elements of it that get another id become runs of their own.
    fn hang(&mut self, before: &mut Before, mut run: Run, sequence: &Sequence) -> Vec<Run> {
        let mut hung = Vec::new();
        while before.is_tied(run.start) {
            let mut first = run.slice(0, 1);
            let id = self.next();
            self.renamed.insert(first.start, id);
            // In ascending order, so that the same one wins.
            for (value, _) in sequence.sets.get(&first.start).into_iter().flatten() {
                let id = self.next();
                self.renamed.insert(*value, id);
            }
            (first.start, first.reference) = (id, before.last);
            before.push(&first);
            hung.push(first);
            if run.len() == 1 {
                return hung;
            }
            run = run.slice(1, run.len() - 1);
        }
        run.reference = before.cut_behind(run.start);
        before.push(&run);
        hung.push(run);
        hung
    }

    /// Names what was renamed by its new id wherever it is named.
    fn rename(&self, delta: &mut Delta) {
        let new = |id: OpId| self.renamed.get(&id).copied().unwrap_or(id);
        let objects = std::mem::take(&mut delta.objects).into_iter();
        let objects = objects.map(|(id, mut changed)| {
            if let ObjectDelta::Sequence(changed) = &mut changed {
                let sets = std::mem::take(&mut changed.sets).into_iter();
                changed.sets = sets
                    .map(|(id, set)| (new(id), self.renamed_set(set)))
                    .collect();
            }
            match id {
                ObjectId::Root => (id, changed),
                ObjectId::Made(id) => (ObjectId::Made(new(id)), changed),
            }
        });
        let nothing = ObjectDelta::Sequence(SequenceDelta::default());
        delta.objects = objects.filter(|(_, changed)| *changed != nothing).collect();
        let counts = std::mem::take(&mut delta.counts).into_iter();
        delta.counts = counts
            .map(|(mut key, count)| {
                key.counters.iter_mut().for_each(|id| *id = new(*id));
                key.counters.sort_unstable();
                (key, count)
            })
            .collect();
    }

    fn renamed_set(&self, mut set: RegisterDelta) -> RegisterDelta {
        let new = |id| self.renamed.get(id).unwrap_or(id);
        let added = set.added.iter();
        set.added = added
            .map(|(id, content)| (*new(id), content.clone()))
            .collect();
        set
    }

    /// Makes one total of all old authors' totals of the same counters, and of all totals of a counter that has a new id, than
    /// which they would be older.
    fn add_totals_up(&mut self, delta: &mut Delta, is_old: impl Fn(Actor) -> bool) {
        let new: BTreeSet<OpId> = self.renamed.values().copied().collect();
        let mut sums: BTreeMap<Vec<OpId>, i64> = BTreeMap::new();
        delta.counts.retain(|key, count| {
            let is_old = is_old(key.actor) || key.counters.iter().any(|id| new.contains(id));
            if is_old {
                let sum = sums.entry(key.counters.clone()).or_insert(0);
                *sum = sum.wrapping_add(count.sum);
            }
            !is_old
        });
        for (counters, sum) in sums.into_iter().filter(|(_, sum)| *sum != 0) {
            let id = self.next();
            let key = CountKey {
                actor: id.actor,
                counters,
            };
            let last = id.counter;
            delta.counts.insert(key, Count { last, sum });
        }
    }
}

/// Returns the parts of a piece that show something: all of a live one, of a dead one what was put on its elements since.
fn shown(piece: Run, sequence: &Sequence) -> Vec<Run> {
    if piece.body.is_live() {
        return vec![piece];
    }
    let at = |element: &OpId| {
        let is_in = element.actor == piece.start.actor && element.counter < piece.end();
        let at = element.counter.checked_sub(piece.start.counter);
        at.filter(|_| is_in)
    };
    let sets = sequence.sets.keys().filter_map(at);
    let sets: BTreeSet<u32> = sets.collect();
    sets.into_iter().map(|at| piece.slice(at, 1)).collect()
}

/// The elements before the one that is hung next, as far as they are older than all behind them: spans of ids, ascending.
#[derive(Default)]
struct Before {
    older: Vec<Span>,
    last: Option<OpId>,
}

impl Before {
    /// Finds the nearest element before that has a lower id: the span it is in, and its place there.
    fn nearest(&self, element: OpId) -> Option<(usize, u32)> {
        let behind = self.older.partition_point(|span| span.start < element);
        let at = behind.checked_sub(1)?;
        let Span { start, len } = self.older[at];
        let lower = element.counter - start.counter + u32::from(start.actor < element.actor);
        Some((at, lower.min(len) - 1))
    }

    /// Tells whether that element is of the same age, so that it cannot be referred to.
    fn is_tied(&self, element: OpId) -> bool {
        self.nearest(element)
            .is_some_and(|(at, place)| self.older[at].start.counter + place == element.counter)
    }

    /// Returns that element, and forgets those behind it.
    fn cut_behind(&mut self, element: OpId) -> Option<OpId> {
        let Some((at, place)) = self.nearest(element) else {
            self.older.clear();
            return None;
        };
        self.older.truncate(at + 1);
        self.older[at].len = place + 1;
        Some(self.older[at].start.plus(place))
    }

    fn push(&mut self, run: &Run) {
        let (start, len) = (run.start, run.len());
        push_span(&mut self.older, Span { start, len });
        self.last = Some(start.plus(len - 1));
    }
}

/// Returns the clock that covers what a state holds, and no more.
fn clock_of(delta: &Delta) -> Clock {
    let mut clock = Clock::new();
    let mut see = |id: OpId| {
        let entry = clock.entry(id.actor).or_insert(0);
        *entry = (*entry).max(id.counter);
    };
    for changed in delta.objects.values() {
        match changed {
            ObjectDelta::Map(keys) => keys
                .values()
                .flat_map(|change| change.added.keys())
                .for_each(|id| see(*id)),
            ObjectDelta::Sequence(changed) => {
                let ends = changed
                    .inserted
                    .iter()
                    .map(|run| run.start.plus(run.len() - 1));
                ends.for_each(&mut see);
                let sets = changed.sets.values();
                sets.flat_map(|change| change.added.keys())
                    .for_each(|id| see(*id));
            }
        }
    }
    for (key, count) in &delta.counts {
        see(OpId::new(count.last, key.actor));
    }
    clock
}

#[cfg(test)]
mod tests {
    use automerge::transaction::Transactable;
    use automerge::{AutoCommit, ObjType, ROOT, ReadDoc, ScalarValue};

    use crate::emit::emit;
    use crate::laws::{actor, build, changes, fresh, shown};
    use crate::state::State;

    /// Two elements of one age behind each other, of which the second is edited.
    fn tied(
        insert: impl Fn(&mut AutoCommit, &automerge::ObjId, usize),
        edit: impl Fn(&mut AutoCommit, &automerge::ObjId, usize),
    ) -> State {
        let mut one = fresh(1);
        let list = one.put_object(ROOT, "l", ObjType::List).unwrap();
        one.insert(&list, 0, "between").unwrap();
        let mut two = one.fork().with_actor(fresh(2).get_actor().clone());
        one.insert(&list, 0, "first").unwrap();
        insert(&mut two, &list, 1);
        one.merge(&mut two).unwrap();
        one.delete(&list, 1).unwrap();
        edit(&mut one, &list, 1);
        edit(&mut two, &list, 1);
        one.merge(&mut two).unwrap();
        assert_eq!(one.length(&list), 2);
        State::of(&changes(&mut one))
    }

    fn check(state: &State) {
        for old in [0, state.max_counter()] {
            let compacted = state.compacted(actor(99), old).unwrap();
            assert_eq!(shown(&compacted), shown(state));
            assert!(compacted.clock().contains_key(&actor(99)), "renamed");
            assert_eq!(State::of(&emit(&compacted)), compacted);
            build(emit(&compacted));
        }
    }

    #[test]
    fn value_put_on_an_element_that_gets_a_new_id_stays() {
        check(&tied(
            |list, id, at| list.insert(id, at, "second").unwrap(),
            |list, id, at| list.put(id, at, "changed").unwrap(),
        ));
    }

    #[test]
    fn counter_that_gets_a_new_id_keeps_what_was_counted() {
        check(&tied(
            |list, id, at| list.insert(id, at, ScalarValue::counter(5)).unwrap(),
            |list, id, at| list.increment(id, at, 2).unwrap(),
        ));
        check(&tied(
            |list, id, at| list.insert(id, at, "second").unwrap(),
            |list, id, at| {
                list.put(id, at, ScalarValue::counter(5)).unwrap();
                list.increment(id, at, 2).unwrap();
            },
        ));
    }

    #[test]
    fn object_that_gets_a_new_id_keeps_what_is_in_it() {
        let fill = |list: &mut AutoCommit, id: &automerge::ObjId, at| {
            let (_, map) = list.get(id, at).unwrap().unwrap();
            list.put(&map, "key", 1).unwrap();
            let text = list.put_object(&map, "text", ObjType::Text).unwrap();
            list.splice_text(&text, 0, 0, "abc").unwrap();
        };
        check(&tied(
            |list, id, at| drop(list.insert_object(id, at, ObjType::Map).unwrap()),
            fill,
        ));
        check(&tied(
            |list, id, at| list.insert(id, at, "second").unwrap(),
            |list, id, at| {
                list.put_object(id, at, ObjType::Map).unwrap();
                fill(list, id, at);
            },
        ));
    }
}
