//! automerge changes as states and deltas.
//!
//! [`State::of`] reads a whole history afresh: it is the reference that the kept state is compared with, and the one place
//! that knows which operations automerge would show. [`local_delta`] reads one new change of this device.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use automerge::legacy::{ElementId, Key as LegacyKey, Op, OpType};
use automerge::{Change, ExpandedChange};

use crate::diff::{Delta, Removed};
use crate::emit::carried_clock;
use crate::id::{Actor, ObjectId, OpId};
use crate::join::regroup;
use crate::ops::{actor_of, content_of, counter_of, id_of, object_of};
use crate::run::{Body, Run, Span, push_run, push_span};
use crate::state::{Count, CountKey, Key, State};
use crate::value::{Content, ObjectType};

struct Recorded {
    object: ObjectId,
    key: LegacyKey,
    insert: bool,
    content: Content,
    time: i64,
    alive: bool,
}

impl State {
    /// Returns the state of a history; linear in its operations.
    ///
    /// # Panics
    ///
    /// On marks, which no document of ours holds, and on actors that have not 8 bytes.
    pub(crate) fn of(changes: &[Change]) -> Self {
        let mut delta = Delta::default();
        let mut recorded: BTreeMap<OpId, Recorded> = BTreeMap::new();
        let mut killed: Vec<OpId> = Vec::new();
        let mut increments: Vec<(OpId, Vec<OpId>, i64)> = Vec::new();
        let mut see = |id: OpId| {
            let entry = delta.clock.entry(id.actor).or_insert(0);
            *entry = (*entry).max(id.counter);
        };
        for change in changes {
            let expanded = change.decode();
            let named = |operation: &Op| operation.pred.iter().map(id_of).collect::<Vec<_>>();
            if let Some(clock) = carried_clock(change.extra_bytes()) {
                killed.extend(expanded.operations.iter().flat_map(named));
                clock.into_iter().for_each(&mut see);
                continue;
            }
            for (id, operation) in operations(&expanded) {
                see(id);
                match &operation.action {
                    OpType::Increment(by) => increments.push((id, named(operation), *by)),
                    OpType::Delete => killed.extend(named(operation)),
                    action => {
                        killed.extend(named(operation));
                        let content = content_of(action).expect("documents of ours hold no marks");
                        let found = Recorded {
                            object: object_of(&operation.obj),
                            key: operation.key.clone(),
                            insert: operation.insert,
                            content,
                            time: expanded.time,
                            alive: true,
                        };
                        recorded.insert(id, found);
                    }
                }
            }
        }
        for id in killed {
            if let Some(operation) = recorded.get_mut(&id) {
                operation.alive = false;
            }
        }
        // An increment kills what it names unless that is a counter, as automerge has it.
        for (_, named, _) in &increments {
            for id in named {
                if let Some(operation) = recorded.get_mut(id) {
                    operation.alive &= operation.content.is_counter();
                }
            }
        }
        collect(&mut delta, &recorded);
        let live = |id: &OpId| {
            recorded
                .get(id)
                .is_some_and(|r| r.alive && r.content.is_counter())
        };
        let totals = increments.into_iter().map(|(id, counters, sum)| {
            let mut counters: Vec<OpId> = counters.into_iter().filter(live).collect();
            counters.sort_unstable();
            (
                CountKey {
                    actor: id.actor,
                    counters,
                },
                Count {
                    last: id.counter,
                    sum,
                },
            )
        });
        let totals: Vec<_> = totals
            .filter(|(key, _)| reaches(&delta, &recorded, key))
            .collect();
        delta.counts = regroup(totals.iter().map(|(key, count)| (key, count)), |_| true);
        Self::new()
            .apply(&delta)
            .expect("what automerge shows keeps the rules of states")
    }
}

/// Tells whether counters stand in an object that was reached from the root.
fn reaches(delta: &Delta, recorded: &BTreeMap<OpId, Recorded>, key: &CountKey) -> bool {
    key.counters
        .first()
        .is_some_and(|id| delta.objects.contains_key(&recorded[id].object))
}

/// Adds to the delta what can be reached from the root through live objects.
fn collect(delta: &mut Delta, recorded: &BTreeMap<OpId, Recorded>) {
    let mut inside: HashMap<ObjectId, Vec<OpId>> = HashMap::new();
    for (id, operation) in recorded {
        inside.entry(operation.object).or_default().push(*id);
    }
    let mut ready = vec![(ObjectId::Root, ObjectType::Map)];
    while let Some((object, object_type)) = ready.pop() {
        let mut ids = inside.remove(&object).unwrap_or_default();
        ids.sort_unstable_by_key(|id| (id.actor, id.counter));
        for id in ids {
            let operation = &recorded[&id];
            if let (true, Content::Object(child)) = (operation.alive, &operation.content) {
                ready.push((ObjectId::Made(id), *child));
            }
            let added = || (id, operation.content.clone());
            match &operation.key {
                LegacyKey::Map(key) if operation.alive => {
                    delta
                        .map(object)
                        .entry(key.to_string())
                        .or_default()
                        .added
                        .extend([added()]);
                    if object == ObjectId::Root && operation.time != 0 {
                        delta.times.insert(id, operation.time);
                    }
                }
                LegacyKey::Seq(element) if object_type.is_sequence() => {
                    let element = element.as_opid().map(id_of);
                    let sequence = delta.sequence(object);
                    if operation.insert {
                        let body = if operation.alive {
                            Body::one(operation.content.clone())
                        } else {
                            Body::Dead(1)
                        };
                        push_run(
                            &mut sequence.inserted,
                            Run {
                                start: id,
                                reference: element,
                                body,
                            },
                        );
                    } else if operation.alive {
                        let element = element.expect("a put names an element");
                        sequence
                            .sets
                            .entry(element)
                            .or_default()
                            .added
                            .extend([added()]);
                    }
                }
                _ => {}
            }
        }
    }
}

/// Returns the operations of a change with their ids.
pub(crate) fn operations(change: &ExpandedChange) -> impl Iterator<Item = (OpId, &Op)> {
    let actor = actor_of(&change.actor_id);
    let start = counter_of(change.start_op.get());
    (start..)
        .zip(&change.operations)
        .map(move |(counter, operation)| (OpId::new(counter, actor), operation))
}

/// Returns what new changes of this device do to the state that they were made on.
///
/// They must not overwrite what they wrote themselves, as no edit of [`Document`](crate::Document) does.
pub(crate) fn local_delta(state: &State, changes: &[ExpandedChange]) -> Delta {
    let mut delta = Delta::default();
    let mut deleted: BTreeMap<ObjectId, BTreeSet<(Actor, u32)>> = BTreeMap::new();
    let mut removed: BTreeMap<(ObjectId, Key), BTreeSet<OpId>> = BTreeMap::new();
    let timed = |change| operations(change).map(|(id, operation)| (id, operation, change.time));
    for (id, operation, time) in changes.iter().flat_map(timed) {
        delta.clock.insert(id.actor, id.counter);
        let object = object_of(&operation.obj);
        let key = match &operation.key {
            LegacyKey::Map(key) => Key::Map(key.to_string()),
            LegacyKey::Seq(ElementId::Id(element)) if !operation.insert => {
                Key::Element(id_of(element))
            }
            LegacyKey::Seq(reference) => {
                let content = content_of(&operation.action).expect("inserts hold something");
                let reference = reference.as_opid().map(id_of);
                let run = Run {
                    start: id,
                    reference,
                    body: Body::one(content),
                };
                push_run(&mut delta.sequence(object).inserted, run);
                continue;
            }
        };
        if let OpType::Increment(by) = operation.action {
            let counters: BTreeSet<OpId> = operation.pred.iter().map(id_of).collect();
            let key = CountKey {
                actor: id.actor,
                counters: counters.into_iter().collect(),
            };
            let before = delta.counts.get(&key).or_else(|| state.counts.get(&key));
            let sum = before.map_or(by, |count| count.sum.wrapping_add(by));
            delta.counts.insert(
                key,
                Count {
                    last: id.counter,
                    sum,
                },
            );
            continue;
        }
        for old in operation.pred.iter().map(id_of) {
            if key == Key::Element(old) {
                deleted
                    .entry(object)
                    .or_default()
                    .insert((old.actor, old.counter));
            } else {
                removed
                    .entry((object, key.clone()))
                    .or_default()
                    .insert(old);
            }
        }
        if let Some(content) = content_of(&operation.action) {
            delta.change(object, &key).added.extend([(id, content)]);
            if object == ObjectId::Root && time != 0 {
                delta.times.insert(id, time);
            }
        }
    }
    for ((object, key), ids) in removed {
        delta.change(object, &key).removed =
            Removed::of(ids, state.register_at(object, &key).len());
    }
    for (object, ids) in deleted {
        let spans = &mut delta.sequence(object).deleted;
        for (actor, counter) in ids {
            push_span(
                spans,
                Span {
                    start: OpId::new(counter, actor),
                    len: 1,
                },
            );
        }
    }
    delta
}
