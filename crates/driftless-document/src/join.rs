//! The join of two states: commutative, associative, idempotent, and equal to what automerge's merge would show.
//!
//! A value stays if both sides have it, or if one has it and the other has not seen it; skeletons are united; an author's
//! totals come from the side that has seen more of the author. Nothing is asked of anybody, and no time is looked at.

use std::collections::BTreeMap;

use crate::diff::position;
use crate::id::{Actor, ObjectId, OpId};
use crate::mutant;
use crate::overlay::{Piece, overlay};
use crate::run::{Run, push_run};
use crate::sequence::Sequence;
use crate::state::{Count, CountKey, Items, Key, Place, Register, State};
use crate::value::{Content, ObjectType};

impl State {
    /// Returns the least state that includes both; linear in both.
    ///
    /// States whose authors are honest agree about what an operation is. Check a state of unknown origin with
    /// [`contradicts`](Self::contradicts) first: what two that disagree give is not promised.
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
                joined.born(child, content, &Place { object: id, key });
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
        for (key, count) in join_counts(self, other, &joined) {
            joined.set_count(key, count);
        }
        joined.times = join_times(self, other, &joined);
        joined
    }
}

/// Joins one object, which at least one side has; if they disagree about its kind, this side is believed.
fn join_items(a: &State, b: &State, id: ObjectId) -> Items {
    let object = a.objects.get(&id).or_else(|| b.objects.get(&id));
    match &object
        .expect("a live make operation comes from a side that has its object")
        .items
    {
        Items::Map(kind, _) => {
            let nothing = BTreeMap::new();
            let keys = |state| keys_of(state, id, *kind).unwrap_or(&nothing);
            Items::Map(*kind, join_places(a, b, keys(a), keys(b)))
        }
        Items::Sequence(kind, _) => {
            let nothing = Sequence::default();
            let sequence = |state| sequence_of(state, id, *kind).unwrap_or(&nothing);
            Items::Sequence(*kind, join_sequences(a, b, sequence(a), sequence(b)))
        }
    }
}

fn keys_of(state: &State, id: ObjectId, kind: ObjectType) -> Option<&BTreeMap<String, Register>> {
    match &state.objects.get(&id)?.items {
        Items::Map(its_kind, keys) if *its_kind == kind => Some(keys),
        _ => None,
    }
}

fn sequence_of(state: &State, id: ObjectId, kind: ObjectType) -> Option<&Sequence> {
    match &state.objects.get(&id)?.items {
        Items::Sequence(its_kind, sequence) if *its_kind == kind => Some(sequence),
        _ => None,
    }
}

fn join_places<K: Ord + Clone>(
    a: &State,
    b: &State,
    x: &BTreeMap<K, Register>,
    y: &BTreeMap<K, Register>,
) -> BTreeMap<K, Register> {
    let left = x.iter().map(|(key, left)| {
        let register = match y.get(key).map_or([].as_slice(), Vec::as_slice) {
            right if left == right => left.clone(),
            right => join_registers(a, b, left, right),
        };
        (key.clone(), register)
    });
    let right = y.iter().filter(|(key, _)| !x.contains_key(key));
    let right = right.map(|(key, right)| (key.clone(), join_registers(a, b, &[], right)));
    left.chain(right)
        .filter(|(_, register)| !register.is_empty())
        .collect()
}

fn join_registers(
    a: &State,
    b: &State,
    left: &[(OpId, Content)],
    right: &[(OpId, Content)],
) -> Register {
    let both = |id| position(right, id).is_ok();
    let left_only = |id| position(left, id).is_err();
    let kept = left.iter().filter(|(id, _)| both(*id) || !b.has_seen(*id));
    let come = right
        .iter()
        .filter(|(id, _)| left_only(*id) && !a.has_seen(*id));
    let mut joined: Register = kept.chain(come).cloned().collect();
    joined.sort_unstable_by_key(|(id, _)| *id);
    if mutant!(JoinDropsConflictLoser) {
        joined.drain(..joined.len().saturating_sub(1));
    }
    joined
}

fn join_sequences(a: &State, b: &State, x: &Sequence, y: &Sequence) -> Sequence {
    let mut runs = Vec::new();
    overlay(x, y, |piece| match piece {
        Piece {
            left: Some(left),
            right: Some(right),
        } => {
            if mutant!(JoinForgetsSkeleton) && !right.is_live() {
                return;
            }
            push_run(
                &mut runs,
                if right.is_live() {
                    left.to_run()
                } else {
                    right.to_run()
                },
            );
        }
        Piece {
            left: Some(run),
            right: None,
        } => push_unseen(&mut runs, run.to_run(), b),
        Piece {
            left: None,
            right: Some(run),
        } => push_unseen(&mut runs, run.to_run(), a),
        Piece {
            left: None,
            right: None,
        } => unreachable!("a piece has a side"),
    });
    let mut joined = Sequence::from_runs(runs);
    joined.sets = join_places(a, b, &x.sets, &y.sets);
    joined
}

/// Appends elements that only one side has: alive as far as the other side has not seen them.
fn push_unseen(runs: &mut Vec<Run>, run: Run, other: &State) {
    let seen = other.seen_from(run.start.actor);
    let dead = (seen + 1).saturating_sub(run.start.counter).min(run.len());
    if dead == 0 {
        return push_run(runs, run);
    }
    push_run(runs, run.slice(0, dead).dead());
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
        entry.add(*count);
    }
    grouped
}

fn join_counts(a: &State, b: &State, joined: &State) -> BTreeMap<CountKey, Count> {
    let ahead = |actor: Actor| a.seen_from(actor) >= b.seen_from(actor);
    let left = a.counts.iter().filter(|(key, _)| ahead(key.actor));
    let right = b
        .counts
        .iter()
        .filter(|(key, _)| !ahead(key.actor) || mutant!(JoinAddsTotalsUp));
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
