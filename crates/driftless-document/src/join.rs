//! The join of two states: commutative, associative, idempotent, and equal to what automerge's merge would show.
//!
//! A value stays if both sides have it, or if one has it and the other has not seen it; skeletons are united; an author's
//! totals come from the side that has seen more of the author. Nothing is asked of anybody, and no time is looked at.

use std::collections::BTreeMap;

use crate::id::{Actor, ObjectId, OpId};
use crate::sequence::{Piece, Run, Sequence, overlay, push_run};
use crate::state::{Count, CountKey, Items, Key, Place, Register, State};
use crate::value::Content;

impl State {
    /// Returns the least state that includes both; linear in both.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        let mut joined = Self {
            clock: self.clock.clone(),
            ..Self::new()
        };
        for (actor, counter) in &other.clock {
            let entry = joined.clock.entry(*actor).or_insert(0);
            *entry = (*entry).max(*counter);
        }
        let mut ready = vec![ObjectId::Root];
        while let Some(id) = ready.pop() {
            let items = join_items(self, other, id);
            for (child, content, key) in items.placed() {
                joined.born(child, content, Place { object: id, key });
                if let Content::Object(_) = content {
                    ready.push(ObjectId::Made(child));
                }
            }
            joined
                .objects
                .get_mut(&id)
                .expect("an object is born before it is filled")
                .items = items;
        }
        joined.counts = join_counts(self, other, &joined);
        joined.times = join_times(self, other, &joined);
        joined
    }
}

/// Joins one object, which at least one side has; if they disagree about its kind, this side is believed.
fn join_items(a: &State, b: &State, id: ObjectId) -> Items {
    let items = |state: &'_ State| state.objects.get(&id).map(|object| object.items.clone());
    match (items(a), items(b)) {
        (Some(Items::Map(kind, x)), Some(Items::Map(_, y))) => {
            Items::Map(kind, join_places(a, b, x, y))
        }
        (Some(Items::Sequence(kind, x)), Some(Items::Sequence(_, y))) => {
            Items::Sequence(kind, join_sequences(a, b, &x, &y))
        }
        (Some(Items::Map(kind, x)), _) => Items::Map(kind, join_places(a, b, x, BTreeMap::new())),
        (Some(Items::Sequence(kind, x)), _) => {
            Items::Sequence(kind, join_sequences(a, b, &x, &Sequence::default()))
        }
        (None, Some(Items::Map(kind, y))) => {
            Items::Map(kind, join_places(a, b, BTreeMap::new(), y))
        }
        (None, Some(Items::Sequence(kind, y))) => {
            Items::Sequence(kind, join_sequences(a, b, &Sequence::default(), &y))
        }
        (None, None) => unreachable!("a live make operation comes from a side that has its object"),
    }
}

fn join_places<K: Ord + Clone>(
    a: &State,
    b: &State,
    x: BTreeMap<K, Register>,
    mut y: BTreeMap<K, Register>,
) -> BTreeMap<K, Register> {
    let mut joined = BTreeMap::new();
    for (key, left) in x {
        let register = match y.remove(&key) {
            Some(right) if left == right => left,
            right => join_registers(a, b, left, right.unwrap_or_default()),
        };
        if !register.is_empty() {
            joined.insert(key, register);
        }
    }
    for (key, right) in y {
        let register = join_registers(a, b, Register::new(), right);
        if !register.is_empty() {
            joined.insert(key, register);
        }
    }
    joined
}

fn join_registers(a: &State, b: &State, left: Register, mut right: Register) -> Register {
    let mut joined = Register::new();
    for (id, content) in left {
        let both = right.iter().position(|(other, _)| *other == id);
        if let Some(at) = both {
            right.remove(at);
        }
        if both.is_some() || !b.has_seen(id) {
            joined.push((id, content));
        }
    }
    joined.extend(right.into_iter().filter(|(id, _)| !a.has_seen(*id)));
    joined.sort_unstable_by_key(|(id, _)| *id);
    joined
}

fn join_sequences(a: &State, b: &State, x: &Sequence, y: &Sequence) -> Sequence {
    let mut runs = Vec::new();
    overlay(x, y, |piece| match piece {
        Piece {
            left: Some(left),
            right: Some(right),
        } => {
            push_run(&mut runs, if right.body.is_live() { left } else { right });
        }
        Piece {
            left: Some(run),
            right: None,
        } => push_unseen(&mut runs, run, b),
        Piece {
            left: None,
            right: Some(run),
        } => push_unseen(&mut runs, run, a),
        Piece {
            left: None,
            right: None,
        } => unreachable!("a piece has a side"),
    });
    let mut joined = Sequence::from_runs(runs);
    joined.sets = join_places(a, b, x.sets.clone(), y.sets.clone());
    joined
}

/// Appends elements that only one side has: alive as far as the other side has not seen them.
fn push_unseen(runs: &mut Vec<Run>, run: Run, other: &State) {
    let seen = other.seen_from(run.start.actor);
    let dead = (seen + 1).saturating_sub(run.start.counter).min(run.len());
    if dead > 0 {
        push_run(runs, run.slice(0, dead).dead());
    }
    if dead < run.len() {
        push_run(runs, run.slice(dead, run.len() - dead));
    }
}

/// Returns the totals with only the counters that live; totals of one author that then name the same are added up.
pub(crate) fn regroup<'a>(
    counts: impl IntoIterator<Item = (&'a CountKey, &'a Count)>,
    lives: impl Fn(&OpId) -> bool,
) -> BTreeMap<CountKey, Count> {
    let mut grouped: BTreeMap<CountKey, Count> = BTreeMap::new();
    for (key, count) in counts {
        let counters: Vec<OpId> = key.counters.iter().copied().filter(&lives).collect();
        if counters.is_empty() {
            continue;
        }
        let key = CountKey {
            actor: key.actor,
            counters,
        };
        let entry = grouped.entry(key).or_insert(Count { last: 0, sum: 0 });
        entry.last = entry.last.max(count.last);
        entry.sum = entry.sum.wrapping_add(count.sum);
    }
    grouped
}

fn join_counts(a: &State, b: &State, joined: &State) -> BTreeMap<CountKey, Count> {
    let ahead = |actor: Actor| a.seen_from(actor) >= b.seen_from(actor);
    let left = a.counts.iter().filter(|(key, _)| ahead(key.actor));
    let right = b.counts.iter().filter(|(key, _)| !ahead(key.actor));
    regroup(left.chain(right), |id| joined.counters.contains_key(id))
}

/// Unites the times of the live values at root keys; where two sides differ, the smaller stands.
fn join_times(a: &State, b: &State, joined: &State) -> BTreeMap<OpId, i64> {
    let time = |id: &OpId| match (a.times.get(id), b.times.get(id)) {
        (Some(x), Some(y)) => Some((*id, *x.min(y))),
        (x, y) => x.or(y).map(|time| (*id, *time)),
    };
    joined
        .root()
        .values()
        .flatten()
        .filter_map(|(id, _)| time(id))
        .collect()
}

impl Items {
    /// Returns every content that was put in a place of this object; what was inserted as an element is not among them.
    pub(crate) fn put(&self) -> Box<dyn Iterator<Item = (OpId, &Content, Key)> + '_> {
        match self {
            Self::Map(_, keys) => Box::new(keys.iter().flat_map(|(key, register)| {
                register
                    .iter()
                    .map(|(id, content)| (*id, content, Key::Map(key.clone())))
            })),
            Self::Sequence(_, sequence) => {
                Box::new(sequence.sets.iter().flat_map(|(element, register)| {
                    register
                        .iter()
                        .map(|(id, content)| (*id, content, Key::Element(*element)))
                }))
            }
        }
    }

    /// Returns every live content of this object that is no plain character.
    pub(crate) fn placed(&self) -> Box<dyn Iterator<Item = (OpId, &Content, Key)> + '_> {
        match self {
            Self::Map(..) => self.put(),
            Self::Sequence(_, sequence) => {
                let inserted = sequence.runs().flat_map(Run::uncommon);
                Box::new(
                    inserted
                        .map(|(id, content)| (id, content, Key::Element(id)))
                        .chain(self.put()),
                )
            }
        }
    }
}
