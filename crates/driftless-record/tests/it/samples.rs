//! Devices that edit states by hand-made deltas, and a dataset that keeps what they push.

use std::collections::{BTreeMap, BTreeSet};

use driftless_document::{
    Actor, Body, Content, Contents, Count, CountKey, Delta, ObjectDelta, ObjectId, ObjectType,
    OpId, RegisterDelta, Removed, Run, Scalar, SequenceDelta, Span, State,
};
use driftless_record::{
    Life, Limits, Lineage, PlanError, Push, ReadError, Standing, Stored, plan, read,
};
use driftless_wire::SyncCount;
use proptest::prelude::*;

/// One edit in numbers, so that histories shrink.
pub(crate) type Step = (u8, u8, u16, u16);

/// Histories of up to so many edits.
pub(crate) fn histories(steps: usize) -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(any::<Step>(), 1..steps)
}

/// Random numbers for samples that must not depend on a library's version.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }

    pub(crate) fn printable(&mut self, from: u64, to: u64) -> String {
        let len = from + self.below(to - from + 1);
        (0..len)
            .map(|_| char::from(b' ' + self.below(95) as u8))
            .collect()
    }

    pub(crate) fn bytes(&mut self) -> [u8; 8] {
        std::array::from_fn(|_| self.below(256) as u8)
    }
}

/// A writer with a state of its own.
#[derive(Clone)]
pub(crate) struct Device {
    pub(crate) actor: Actor,
    pub(crate) state: State,
    pub(crate) time: i64,
}

impl Device {
    pub(crate) fn new(number: u64) -> Self {
        let actor = Actor::random(Random::new(number + 1).bytes());
        Self {
            actor,
            state: State::new(),
            time: 1_790_000_000_000 + 1_000 * number as i64,
        }
    }

    fn next(&self) -> OpId {
        OpId::new(self.state.max_counter() + 1, self.actor)
    }

    fn apply(&mut self, last: u32, delta: Delta) {
        let delta = Delta {
            clock: [(self.actor, last)].into(),
            ..delta
        };
        let state = std::mem::take(&mut self.state);
        self.state = state.apply(&delta).expect("a sample makes valid deltas");
    }

    pub(crate) fn put(&mut self, key: &str, scalar: impl Into<Scalar>) {
        let content = Content::Scalar(scalar.into());
        let removed = if self.state.keys().any(|k| k == key) {
            Removed::All
        } else {
            Removed::Nothing
        };
        self.write(ObjectId::Root, key, removed, Some(content));
    }

    pub(crate) fn remove(&mut self, key: &str) {
        self.write(ObjectId::Root, key, Removed::All, None);
    }

    fn write(&mut self, object: ObjectId, key: &str, removed: Removed, content: Option<Content>) {
        let id = self.next();
        let mut delta = Delta::default();
        self.time += 60_000 + i64::from(id.counter % 977);
        if object == ObjectId::Root && content.is_some() {
            delta.times.insert(id, self.time);
        }
        let added: Contents = content.into_iter().map(|content| (id, content)).collect();
        if removed == Removed::Nothing && added.is_empty() {
            return;
        }
        let keys = BTreeMap::from([(key.to_owned(), RegisterDelta { removed, added })]);
        delta.objects.insert(object, ObjectDelta::Map(keys));
        self.apply(id.counter, delta);
    }

    /// Makes a text at a root key that nobody has written yet.
    pub(crate) fn make_text(&mut self, key: &str) -> ObjectId {
        let id = self.next();
        self.write(
            ObjectId::Root,
            key,
            Removed::Nothing,
            Some(Content::Object(ObjectType::Text)),
        );
        ObjectId::Made(id)
    }

    pub(crate) fn insert(&mut self, text: ObjectId, reference: Option<OpId>, body: Body) -> OpId {
        let start = self.next();
        let last = start.counter + body.len() - 1;
        let inserted = vec![Run {
            start,
            reference,
            body,
        }];
        let changed = SequenceDelta {
            inserted,
            ..SequenceDelta::default()
        };
        self.apply(
            last,
            Delta {
                objects: [(text, ObjectDelta::Sequence(changed))].into(),
                ..Delta::default()
            },
        );
        OpId::new(last, self.actor)
    }

    /// Makes a random edit; often a conflict if several devices take part.
    pub(crate) fn edit(&mut self, (_, kind, a, b): Step) {
        let whole = self.state.diff(&State::new());
        let objects = objects(&whole);
        let (object, object_type) = objects[a as usize % objects.len()];
        if object_type.is_sequence() {
            let empty = ObjectDelta::Sequence(SequenceDelta::default());
            let ObjectDelta::Sequence(items) = whole.objects.get(&object).unwrap_or(&empty) else {
                unreachable!("a list or text changes as one");
            };
            return self.edit_sequence(object, items, kind, b);
        }
        let empty = ObjectDelta::Map(BTreeMap::new());
        let ObjectDelta::Map(keys) = whole.objects.get(&object).unwrap_or(&empty) else {
            unreachable!("a map changes as one");
        };
        let key = ["a", "b", "Ünï", "key.4", ""][b as usize % 5];
        let key = if key.is_empty() {
            "a rather long key of a setting"
        } else {
            key
        };
        let there = keys.get(key).map(|change| &change.added);
        let removed = match there {
            None => Removed::Nothing,
            Some(there) if there.len() > 1 && kind % 2 == 0 => {
                Removed::Some(there.keys().take(1).copied().collect())
            }
            Some(_) => Removed::All,
        };
        let counters: Vec<OpId> = there
            .into_iter()
            .flatten()
            .filter(|(_, c)| is_counter(c))
            .map(|(id, _)| *id)
            .collect();
        match kind % 12 {
            0..=4 => self.write(object, key, removed, Some(Content::Scalar(scalar(a, b)))),
            5 | 6 => self.write(object, key, removed, None),
            7 | 8 if !counters.is_empty() => {
                let id = self.next();
                let key = CountKey {
                    actor: self.actor,
                    counters,
                };
                let old = whole.counts.get(&key).map_or(0, |count| count.sum);
                let count = Count {
                    last: id.counter,
                    sum: old.wrapping_add(i64::from(b) - 30_000),
                };
                self.apply(
                    id.counter,
                    Delta {
                        counts: [(key, count)].into(),
                        ..Delta::default()
                    },
                );
            }
            7 => self.write(
                object,
                key,
                removed,
                Some(Content::Scalar(Scalar::Counter(b.into()))),
            ),
            _ => {
                let kinds = [ObjectType::Text, ObjectType::List, ObjectType::Map];
                self.write(
                    object,
                    key,
                    removed,
                    Some(Content::Object(kinds[usize::from(kind) / 12 % 3])),
                );
            }
        }
    }

    fn edit_sequence(&mut self, object: ObjectId, items: &SequenceDelta, kind: u8, b: u16) {
        let element = |run: &Run| {
            OpId::new(
                run.start.counter + u32::from(b) % run.len(),
                run.start.actor,
            )
        };
        let run = items
            .inserted
            .get(usize::from(b) % items.inserted.len().max(1));
        let alive = run.filter(|run| run.body.is_live());
        match (kind % 8, alive) {
            (0, Some(run)) => {
                let len = (run.len() - u32::from(b) % run.len()).min(1 + u32::from(kind) / 64);
                let deleted = vec![Span {
                    start: element(run),
                    len,
                }];
                let changed = SequenceDelta {
                    deleted,
                    ..SequenceDelta::default()
                };
                let last = self.next().counter;
                let objects = [(object, ObjectDelta::Sequence(changed))].into();
                self.apply(
                    last,
                    Delta {
                        objects,
                        ..Delta::default()
                    },
                );
            }
            (1, Some(run)) => {
                let id = self.next();
                let start = element(run);
                let removed = if items.sets.contains_key(&start) {
                    Removed::All
                } else {
                    Removed::Nothing
                };
                let added = [(id, Content::Scalar(scalar(b, b / 3)))].into();
                let sets = [(start, RegisterDelta { removed, added })].into();
                let changed = SequenceDelta {
                    sets,
                    ..SequenceDelta::default()
                };
                let objects = [(object, ObjectDelta::Sequence(changed))].into();
                self.apply(
                    id.counter,
                    Delta {
                        objects,
                        ..Delta::default()
                    },
                );
            }
            (2, _) => {
                let values = (0..1 + b % 3).map(|n| match n {
                    2 => Content::Object(ObjectType::Map),
                    _ => match scalar(b + n, b) {
                        Scalar::String(_) => Content::Scalar(Scalar::Bool(true)),
                        other => Content::Scalar(other),
                    },
                });
                self.insert(object, run.map(element), Body::Values(values.collect()));
            }
            _ => {
                let text = ["x", "typed", "ä€🙂", "a longer piece of text"][usize::from(b) % 4];
                self.insert(object, run.map(element), Body::characters(text.to_owned()));
            }
        }
    }
}

fn is_counter(content: &Content) -> bool {
    matches!(content, Content::Scalar(Scalar::Counter(_)))
}

fn scalar(a: u16, b: u16) -> Scalar {
    let number = (i64::from(a) << 47) ^ (i64::from(b) * 0x1_0001);
    match b % 11 {
        0 => Scalar::Null,
        1 => Scalar::Bool(a.is_multiple_of(2)),
        2 => Scalar::Int(number),
        3 => Scalar::Uint(number as u64),
        4 => Scalar::Float(f64::from_bits(number as u64)),
        5 => Scalar::Bytes(vec![a as u8; usize::from(b % 40)]),
        6 => Scalar::Timestamp(1_790_000_000_000 + i64::from(b) * 1_000),
        7 => Scalar::Timestamp(if a.is_multiple_of(2) {
            i64::MAX
        } else {
            i64::MIN
        }),
        8 => Scalar::Unknown {
            type_code: 10 + (a % 5) as u8,
            bytes: vec![1, 2, 3],
        },
        9 => Scalar::String(String::new()),
        _ => Scalar::String("a value ".repeat(usize::from(a % 9))),
    }
}

/// Returns every object of a whole state.
fn objects(whole: &Delta) -> Vec<(ObjectId, ObjectType)> {
    let mut objects = vec![(ObjectId::Root, ObjectType::Map)];
    let mut note = |id: OpId, content: &Content| {
        if let Content::Object(object_type) = content {
            objects.push((ObjectId::Made(id), *object_type));
        }
    };
    for changed in whole.objects.values() {
        let registers: Vec<&RegisterDelta> = match changed {
            ObjectDelta::Map(keys) => keys.values().collect(),
            ObjectDelta::Sequence(changed) => {
                for run in &changed.inserted {
                    if let Body::Values(values) = &run.body {
                        let ids = (run.start.counter..)
                            .map(|counter| OpId::new(counter, run.start.actor));
                        ids.zip(values).for_each(|(id, content)| note(id, content));
                    }
                }
                changed.sets.values().collect()
            }
        };
        registers
            .iter()
            .flat_map(|change| &change.added)
            .for_each(|(id, content)| note(*id, content));
    }
    objects
}

/// Plays a history on three devices and shows the first one's state after each step, which includes the one before.
pub(crate) fn play(history: &[Step], mut show: impl FnMut(&State, &State)) {
    let mut devices = [Device::new(0), Device::new(1), Device::new(2)];
    for step in history {
        let who = usize::from(step.0) % 3;
        let before = devices[0].state.clone();
        devices[who].edit(*step);
        if step.0 % 5 == 0 {
            let other = devices[1 + usize::from(step.0) / 5 % 2].state.clone();
            devices[0].state = devices[0].state.join(&other);
        }
        if step.0 % 7 == 0 {
            let own = devices[0].state.clone();
            let other = &mut devices[1 + usize::from(step.0) / 7 % 2];
            other.state = other.state.join(&own);
        }
        show(&before, &devices[0].state);
    }
}

/// The records of one dataset; `None` is a tombstone.
#[derive(Clone, Default)]
pub(crate) struct Dataset {
    pub(crate) records: BTreeMap<String, Option<String>>,
}

impl Dataset {
    pub(crate) fn apply(&mut self, patches: &[(String, Option<String>)]) {
        self.records.extend(patches.iter().cloned());
    }

    pub(crate) fn read(
        &self,
        limits: &Limits,
        known: Option<&Stored>,
    ) -> Result<Option<Stored>, ReadError> {
        let texts = self
            .records
            .iter()
            .filter_map(|(key, text)| Some((key.as_str(), text.as_deref()?)));
        read(texts, limits, known)
    }

    pub(crate) fn plan(
        &self,
        life: Life<'_>,
        state: &State,
        limits: &Limits,
    ) -> Result<Push, PlanError> {
        let records = self
            .records
            .iter()
            .map(|(key, text)| (key.clone(), text.as_ref().map_or(0, String::len)))
            .collect();
        let standing = Standing {
            records: &records,
            seen: SyncCount::from(7_000),
            ..Standing::NOTHING
        };
        plan(life, state, &standing, limits)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.records
            .iter()
            .map(|(key, text)| key.len() + text.as_ref().map_or(0, String::len))
            .sum()
    }

    pub(crate) fn keys(&self) -> BTreeSet<&str> {
        self.records
            .iter()
            .filter(|(_, text)| text.is_some())
            .map(|(key, _)| key.as_str())
            .collect()
    }
}

/// Returns the life of what stands, or of a new lineage.
pub(crate) fn life(stored: Option<&Stored>, lineage: u8) -> Life<'_> {
    match stored {
        Some(stored) => Life::Continued(stored),
        None => begun(lineage, None),
    }
}

pub(crate) fn begun(lineage: u8, over: Option<&Stored>) -> Life<'_> {
    let predecessor = over.map(Stored::as_predecessor);
    Life::Begun {
        lineage: Lineage::from_bytes([lineage; 8]),
        predecessor,
        over,
    }
}
