//! A state as automerge changes: the same changes, and so the same head, on every device.
//!
//! Per author, every run of consecutive live operations is one change that depends only on the author's previous one: what
//! stood between them is gone, and what they refer to may lie in any change of the batch. So they must be applied in one
//! batch. Dead elements are inserted and deleted again. One last operation stands above every counter of the clock, so that
//! the id of a dropped operation is never given out again.
//!
//! A delete of element (c, a) has the id (c + 1, a housekeeper derived from a): above the element, or automerge panics, and not
//! above the clock, or every rebuild would raise all later counters by the number of dead elements.

use std::collections::BTreeMap;

use automerge::legacy::Op;
use automerge::{ActorId, Change, ChangeHash};

use crate::id::{Actor, ObjectId, OpId};
use crate::ops::{self, HOUSEKEEPING, Header};
use crate::run::Run;
use crate::state::{Clock, Items, Key, Place, State};
use crate::value::{Content, Scalar};

/// Operations by author and counter, each with its author's wall clock, 0 for none.
pub(crate) type Operations = BTreeMap<(Actor, u32), (Op, i64)>;

/// Returns the changes that make an empty automerge document into one with this state; linear in the state.
pub(crate) fn emit(state: &State) -> Vec<Change> {
    let mut live = Operations::new();
    let mut deletes = Operations::new();
    for (id, object) in &state.objects {
        match &object.items {
            Items::Map(..) => {}
            Items::Sequence(_, sequence) => {
                for run in sequence.runs() {
                    insert_run(&mut live, *id, run);
                    if !run.body.is_live() {
                        delete_run(&mut deletes, *id, run);
                    }
                }
            }
        }
        for (child, content, key) in object.items.put() {
            let time = state.times.get(&child).copied().unwrap_or(0);
            let operation = ops::put(&Place { object: *id, key }, content);
            live.insert((child.actor, child.counter), (operation, time));
        }
    }
    for (key, count) in &state.counts {
        let place = &state.counters[&key.counters[0]].place;
        let operation = ops::increment(place, &key.counters, ops::bounded(count.sum));
        live.insert((key.actor, count.last), (operation, 0));
    }
    let mut changes = Vec::new();
    let mut heads = changes_of(live, ops::actor_id, &[], &mut changes);
    heads.extend(changes_of(deletes, deleter, HOUSEKEEPING, &mut changes));
    changes.push(mark(&state.clock, state.max_counter(), heads));
    changes
}

/// Adds the insertion of every element of a run; dead ones hold nothing.
pub(crate) fn insert_run(operations: &mut Operations, object: ObjectId, run: &Run) {
    let nothing = Content::Scalar(Scalar::Null);
    let mut contents = run.body.contents();
    let mut reference = run.reference;
    for at in 0..run.len() {
        let id = run.start.plus(at);
        let content = contents.next();
        let operation = ops::insert(object, reference, content.as_ref().unwrap_or(&nothing));
        operations.insert((id.actor, id.counter), (operation, 0));
        reference = Some(id);
    }
}

fn delete_run(operations: &mut Operations, object: ObjectId, run: &Run) {
    for at in 0..run.len() {
        let element = run.start.plus(at);
        let place = Place {
            object,
            key: Key::Element(element),
        };
        let operation = ops::delete(&place, &[element]);
        operations.insert((element.actor, element.counter + 1), (operation, 0));
    }
}

/// Returns who deletes the dead elements of an author.
fn deleter(author: Actor) -> ActorId {
    ops::keeper(&[b"driftless delete", &author.to_bytes()])
}

/// Cuts operations into changes, and returns each author's last one; `signer` tells whose changes they become.
fn changes_of(
    operations: Operations,
    signer: impl Fn(Actor) -> ActorId,
    extra: &[u8],
    changes: &mut Vec<Change>,
) -> Vec<ChangeHash> {
    let mut last: BTreeMap<Actor, (u64, ChangeHash)> = BTreeMap::new();
    for run in runs(operations) {
        let previous = last.get(&run.actor);
        let seq = previous.map_or(1, |(seq, _)| seq + 1);
        let header = Header {
            actor: signer(run.actor),
            seq,
            start: run.start,
            time: run.time,
            deps: previous.iter().map(|(_, hash)| *hash).collect(),
            extra_bytes: extra.to_vec(),
        };
        let change = ops::change(header, run.operations);
        last.insert(run.actor, (seq, change.hash()));
        changes.push(change);
    }
    last.into_values().map(|(_, hash)| hash).collect()
}

/// Operations of one author with consecutive counters and one time: what one change can hold.
pub(crate) struct OperationRun {
    pub(crate) actor: Actor,
    pub(crate) start: u32,
    pub(crate) time: i64,
    pub(crate) operations: Vec<Op>,
}

pub(crate) fn runs(operations: Operations) -> Vec<OperationRun> {
    let mut runs: Vec<OperationRun> = Vec::new();
    for ((actor, counter), (operation, time)) in operations {
        match runs.last_mut() {
            Some(run)
                if run.actor == actor
                    && run.time == time
                    && run.start as usize + run.operations.len() == counter as usize =>
            {
                run.operations.push(operation);
            }
            _ => runs.push(OperationRun {
                actor,
                start: counter,
                time,
                operations: vec![operation],
            }),
        }
    }
    runs
}

/// Returns the change that ends a document: above every counter, and with the clock, which no operation tells any more.
fn mark(clock: &Clock, max_counter: u32, mut deps: Vec<ChangeHash>) -> Change {
    let mut extra_bytes = HOUSEKEEPING.to_vec();
    for (actor, counter) in clock {
        extra_bytes.extend(actor.to_bytes());
        extra_bytes.extend(counter.to_le_bytes());
    }
    deps.sort_unstable();
    let header = Header {
        actor: ops::keeper(&[b"driftless mark", &extra_bytes]),
        seq: 1,
        start: max_counter + 2,
        time: 0,
        deps,
        extra_bytes,
    };
    ops::change(header, vec![ops::mark()])
}

/// Returns the clock that the extra bytes of a housekeeping change carry, or `None` if the change is none.
pub(crate) fn carried_clock(extra_bytes: &[u8]) -> Option<Vec<OpId>> {
    let entries = extra_bytes.strip_prefix(HOUSEKEEPING)?.chunks_exact(12);
    let entry = |bytes: &[u8]| {
        let (actor, counter) = bytes.split_at(8);
        let actor = Actor::from_bytes(actor.try_into().expect("12 bytes were cut at 8"));
        OpId::new(
            u32::from_le_bytes(counter.try_into().expect("12 bytes were cut at 8")),
            actor,
        )
    };
    Some(entries.map(entry).collect())
}
