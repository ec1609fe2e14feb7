//! Random damage to valid deltas: nothing panics, and what is let through keeps every rule of states.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use crate::diff::{Delta, ObjectDelta, RegisterDelta, Removed, SequenceDelta};
use crate::document::Document;
use crate::id::{Actor, MAX_COUNTER, ObjectId, OpId};
use crate::laws::{Step, actor, build, changes, dump, histories, play};
use crate::live::Live;
use crate::run::{Body, Run, Span};
use crate::samples::{check_invariants, rich, second};
use crate::state::{Count, CountKey, State};
use crate::value::{Content, ObjectType, Scalar};

/// Choices, taken from random numbers one by one; all zeros when they are used up.
struct Dice<'a> {
    throws: std::slice::Iter<'a, u16>,
    ids: Vec<OpId>,
    objects: Vec<ObjectId>,
}

impl<'a> Dice<'a> {
    fn new(throws: &'a [u16], state: &State, delta: &Delta) -> Self {
        let mut ids: Vec<OpId> = Vec::new();
        let mut objects = vec![ObjectId::Root];
        for delta in [&state.diff(&State::new()), delta] {
            objects.extend(delta.objects.keys());
            ids.extend(
                delta
                    .clock
                    .iter()
                    .map(|(actor, counter)| OpId::new(*counter, *actor)),
            );
            for changed in delta.objects.values() {
                match changed {
                    ObjectDelta::Map(keys) => {
                        ids.extend(keys.values().flat_map(|change| change.added.keys()));
                    }
                    ObjectDelta::Sequence(sequence) => {
                        ids.extend(sequence.inserted.iter().map(|run| run.start));
                        ids.extend(
                            sequence
                                .sets
                                .values()
                                .flat_map(|change| change.added.keys()),
                        );
                    }
                }
            }
        }
        ids.push(OpId::new(1, Actor::from_bytes(*b"stranger")));
        Self {
            throws: throws.iter(),
            ids,
            objects,
        }
    }

    fn throw(&mut self) -> usize {
        self.throws.next().copied().unwrap_or(0).into()
    }

    fn below(&mut self, end: usize) -> usize {
        self.throw() % end.max(1)
    }

    fn number(&mut self) -> u32 {
        match self.below(12) {
            0 => 0,
            1 => u32::MAX,
            2 => MAX_COUNTER,
            3 => MAX_COUNTER - 1,
            _ => self.below(60) as u32,
        }
    }

    fn wide(&mut self) -> i64 {
        match self.below(6) {
            0 => i64::MAX,
            1 => i64::MIN,
            2 => 0,
            _ => self.throw() as i64,
        }
    }

    fn id(&mut self) -> OpId {
        let at = self.below(self.ids.len());
        let known = self.ids[at];
        match self.below(4) {
            0 => known,
            1 => OpId::new(
                known.counter.saturating_add(self.below(4) as u32),
                known.actor,
            ),
            2 => OpId::new(
                known.counter.saturating_sub(self.below(4) as u32),
                known.actor,
            ),
            _ => OpId::new(self.number(), known.actor),
        }
    }

    fn object(&mut self) -> ObjectId {
        match self.below(3) {
            0 => ObjectId::Made(self.id()),
            _ => {
                let at = self.below(self.objects.len());
                self.objects[at]
            }
        }
    }

    fn content(&mut self) -> Content {
        let kinds = [
            ObjectType::Map,
            ObjectType::Table,
            ObjectType::List,
            ObjectType::Text,
        ];
        match self.below(8) {
            0 | 1 => Content::Object(kinds[self.below(4)]),
            2 => Content::Scalar(Scalar::Counter(self.wide())),
            3 => {
                let type_code = self.below(20) as u8;
                Content::Scalar(Scalar::Unknown {
                    type_code,
                    bytes: vec![0xff; self.below(3)],
                })
            }
            4 => Content::Scalar(Scalar::String("longer\0".into())),
            5 => Content::Scalar(Scalar::String(String::new())),
            6 => Content::Scalar(Scalar::String("x".into())),
            _ => Content::Scalar(Scalar::Timestamp(self.wide())),
        }
    }

    fn body(&mut self) -> Body {
        match self.below(4) {
            0 => Body::Dead(self.number()),
            1 => Body::Characters {
                text: "ä".repeat(self.below(4)),
                count: self.below(4) as u32,
            },
            2 => Body::characters("xyz"[..self.below(4)].to_owned()),
            _ => Body::Values((0..self.below(4)).map(|_| self.content()).collect()),
        }
    }

    fn register(&mut self, change: &mut RegisterDelta) {
        match self.below(5) {
            0 => change.removed = Removed::All,
            1 => change.removed = Removed::Nothing,
            2 => change.removed = Removed::Some((0..self.below(3)).map(|_| self.id()).collect()),
            3 => change.added.extend([(self.id(), self.content())]),
            _ => {
                let mut all: Vec<_> = change.added.iter().cloned().collect();
                if let Some((id, _)) = all.last_mut() {
                    *id = self.id();
                }
                change.added = all.into_iter().collect();
            }
        }
    }

    fn run(&mut self, run: &mut Run) {
        match self.below(3) {
            0 => run.start = self.id(),
            1 => run.reference = (self.below(4) > 0).then(|| self.id()),
            _ => run.body = self.body(),
        }
    }

    fn sequence(&mut self, sequence: &mut SequenceDelta) {
        let (runs, spans) = (sequence.inserted.len(), sequence.deleted.len());
        match self.below(6) {
            0 => {
                let reference = (self.below(3) > 0).then(|| self.id());
                sequence.inserted.push(Run {
                    start: self.id(),
                    reference,
                    body: self.body(),
                });
            }
            1 => sequence.deleted.push(Span {
                start: self.id(),
                len: self.number(),
            }),
            2 => {
                let element = self.id();
                let mut change = sequence.sets.remove(&element).unwrap_or_default();
                self.register(&mut change);
                sequence.sets.insert(element, change);
            }
            3 if spans > 0 => {
                let at = self.below(spans);
                sequence.deleted[at] = Span {
                    start: self.id(),
                    len: self.number(),
                };
            }
            _ if runs > 0 => {
                let at = self.below(runs);
                self.run(&mut sequence.inserted[at]);
            }
            _ => {}
        }
    }

    fn object_change(&mut self, delta: &mut Delta) {
        let id = self.object();
        let made_anew = if self.below(2) == 0 {
            ObjectDelta::Map(BTreeMap::new())
        } else {
            ObjectDelta::Sequence(SequenceDelta::default())
        };
        match delta.objects.entry(id).or_insert(made_anew) {
            ObjectDelta::Map(keys) => {
                let names: Vec<String> = keys.keys().cloned().collect();
                let key = match self.below(names.len() + 1) {
                    at if at < names.len() => names[at].clone(),
                    _ => ["", "k1", "\0driftless", "text"][self.below(4)].to_owned(),
                };
                self.register(keys.entry(key).or_default());
            }
            ObjectDelta::Sequence(sequence) => self.sequence(sequence),
        }
    }

    fn count(&mut self, delta: &mut Delta) {
        let known: Vec<CountKey> = delta.counts.keys().cloned().collect();
        let mut key = match known.get(self.below(known.len() + 1)) {
            Some(key) => key.clone(),
            None => CountKey {
                actor: self.id().actor,
                counters: vec![self.id()],
            },
        };
        if self.below(3) == 0 {
            key.counters.push(self.id());
        }
        let last = self.id().counter;
        delta.counts.insert(
            key,
            Count {
                last,
                sum: self.wide(),
            },
        );
    }

    fn damage(&mut self, delta: &mut Delta) {
        match self.below(10) {
            0 => {
                let id = self.id();
                delta.clock.insert(id.actor, self.number());
            }
            1 => delta
                .clock
                .values_mut()
                .for_each(|counter| *counter = counter.saturating_add(7)),
            2 => {
                let id = self.object();
                let moved = delta.objects.pop_last();
                delta
                    .objects
                    .extend(moved.map(|(_, changed)| (id, changed)));
            }
            3 => self.count(delta),
            4 => {
                let id = self.id();
                delta.times.insert(id, self.wide());
            }
            _ => self.object_change(delta),
        }
    }
}

/// Returns a delta that was damaged in some places, applied, if that was let through.
fn damaged(state: &State, delta: &Delta, throws: &[u16]) -> Option<State> {
    let mut delta = delta.clone();
    let mut dice = Dice::new(throws, state, &delta);
    for _ in 0..=dice.below(4) {
        dice.damage(&mut delta);
    }
    state.clone().apply(&delta).ok()
}

/// A joined state keeps the rules, a document that follows the join shows what a rebuilt one shows, and can be edited.
fn check_joined(left: &State, right: &State) -> TestCaseResult {
    if left.contradicts(right).is_some() {
        return Ok(());
    }
    let joined = left.join(right);
    check_invariants(&joined)?;
    let delta = joined.diff(left);
    prop_assert_eq!(&left.clone().apply(&delta).unwrap(), &joined);
    prop_assert_eq!(&right.clone().apply(&joined.diff(right)).unwrap(), &joined);
    prop_assert_eq!(&right.join(left), &joined);
    let mut live = Live::rebuild(actor(99), left);
    live.advance(left, &delta, &joined);
    let rebuilt = Live::rebuild(actor(99), &joined);
    prop_assert_eq!(dump(live.automerge()), dump(rebuilt.automerge()));
    check_edits(Document::from_state("d", actor(99), left.clone()), right)
}

fn check_edits(mut document: Document, other: &State) -> TestCaseResult {
    let mut keys: Vec<String> = document.state().keys().map(str::to_owned).collect();
    keys.push("fresh".to_owned());
    for key in &keys {
        let _refused = document.increment(key, 1, 0);
        let end = document.text(key).map_or(0, |text| text.chars().count());
        let _refused = document.splice_text(key, end / 2, end - end / 2, "ö", 1);
    }
    let _delta = document.join(other);
    for key in &keys {
        let _refused = document.increment(key, -1, 0);
        let _refused = document.put(key, Scalar::Int(1), 2);
        let _refused = document.remove(key, 3);
    }
    check_invariants(document.state())
}

fn damage() -> impl Strategy<Value = Vec<u16>> {
    prop::collection::vec(any::<u16>(), 1..60)
}

proptest! {
    /// A damaged delta is refused, or gives a state that emits, saves, loads, reads back, and joins.
    #[test]
    fn damaged_delta_is_refused_or_harmless(first in damage(), other in damage()) {
        let (empty, (state, delta)) = (State::new(), rich());
        let started = damaged(&empty, &delta, &first);
        let left = damaged(&state, &second(), &first);
        let right = damaged(&state, &second(), &other);
        for state in started.iter().chain(&left) {
            check_invariants(state)?;
        }
        for (left, right) in left.iter().zip(&right).chain(started.iter().zip(&right)) {
            check_joined(left, right)?;
        }
    }

    /// The same for what devices write in random histories.
    #[test]
    fn damaged_history_is_refused_or_harmless(
        (steps, count) in histories(40),
        throws in damage(),
    ) {
        check_history(&steps, count, &throws)?;
    }
}

fn check_history(steps: &[Step], count: u8, throws: &[u16]) -> TestCaseResult {
    let mut documents = play(steps, count);
    let states: Vec<State> = documents
        .iter_mut()
        .map(|document| State::of(&changes(document)))
        .collect();
    let delta = states[0].join(&states[1]).diff(&states[0]);
    let Some(state) = damaged(&states[0], &delta, throws) else {
        return Ok(());
    };
    check_invariants(&state)?;
    let _document = build(crate::emit::emit(&state));
    check_joined(&state, &states[2])?;
    check_joined(&states[2], &state)
}
