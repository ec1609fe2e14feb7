//! The automerge document behind a dataset, kept in step with the state beside it.
//!
//! Local edits are automerge transactions, read back operation by operation. What a join brings is applied as one batch of
//! changes that hold just what is new ([`Live::advance`]), or, where much is new, by building the document afresh from the
//! state; a property test holds the two equal. Nothing but changes made here ever reaches automerge.

use std::collections::HashMap;

use automerge::legacy::Op;
use automerge::transaction::{CommitOptions, Transaction};
use automerge::{
    ActorId, Automerge, AutomergeError, Change, ChangeHash, ExpandedChange, LoadOptions, ReadDoc,
    TextEncoding,
};

use crate::diff::{Delta, ObjectDelta, Removed, SequenceDelta};
use crate::draft::Written;
use crate::emit::{Operations, emit, insert_run, runs};
use crate::id::{Actor, ObjectId, OpId};
use crate::join::regroup;
use crate::ops::{self, HOUSEKEEPING, Header, actor_id, counter_of, exposed_object};
use crate::state::{Key, MAX_TIME, Place, State};

/// Fewer operations than this are always applied to the document that is there.
const FEW: usize = 1_000;

/// An automerge document and what its next change needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    automerge: Automerge,
    actor: Actor,
    /// Per author the last change.
    tips: HashMap<ActorId, (u64, ChangeHash)>,
    /// The highest counter of an operation.
    top: u32,
}

impl Live {
    /// Builds the document of a state; linear, and the slow way: some 20 µs an operation.
    pub(crate) fn rebuild(actor: Actor, state: &State) -> Self {
        let automerge = Automerge::new_with_encoding(TextEncoding::UnicodeCodePoint)
            .with_actor(actor_id(actor));
        let mut live = Self {
            automerge,
            actor,
            tips: HashMap::new(),
            top: 0,
        };
        live.apply(emit(state));
        live
    }

    /// Loads what [`save`](Self::save) gave. The bytes must be just those: automerge panics on many others.
    pub(crate) fn load(actor: Actor, bytes: &[u8]) -> Result<Self, AutomergeError> {
        let options = LoadOptions::new().text_encoding(TextEncoding::UnicodeCodePoint);
        let automerge = Automerge::load_with_options(bytes, options)?;
        let mut tips = HashMap::new();
        let mut top = 0;
        for change in automerge.get_changes_meta(&[]) {
            top = top.max(counter_of(change.max_op));
            let tip = (change.seq, change.hash);
            let last = tips.entry(change.actor.into_owned()).or_insert(tip);
            *last = (*last).max(tip);
        }
        Ok(Self {
            automerge: automerge.with_actor(actor_id(actor)),
            actor,
            tips,
            top,
        })
    }

    pub(crate) fn save(&self) -> Vec<u8> {
        self.automerge.save()
    }

    /// Returns how many operations the document holds, dead ones too.
    pub(crate) fn operations(&self) -> u64 {
        self.automerge.stats().num_ops
    }

    pub(crate) fn length(&self, object: ObjectId) -> usize {
        self.automerge.length(exposed_object(object))
    }

    /// Runs one local edit and returns the change it made, or `None` if it changed nothing.
    ///
    /// `time` is the author's wall clock in ms, 0 for none.
    pub(crate) fn edit(
        &mut self,
        time: i64,
        edit: impl FnOnce(&mut Transaction<'_>) -> Result<(), AutomergeError>,
    ) -> Result<Option<ExpandedChange>, AutomergeError> {
        let mut transaction = self.automerge.transaction();
        if let Err(error) = edit(&mut transaction) {
            transaction.rollback();
            return Err(error);
        }
        let options = CommitOptions::default().with_time(time.clamp(-MAX_TIME, MAX_TIME));
        if transaction.commit_with(options).0.is_none() {
            return Ok(None);
        }
        let change = self
            .automerge
            .get_last_local_change()
            .expect("a change was just committed");
        self.note(&change);
        Ok(Some(change.decode()))
    }

    /// Applies what a draft holds as one batch, and returns its changes: the creations, then those of this device.
    pub(crate) fn write(&mut self, written: Written, time: i64) -> Vec<ExpandedChange> {
        let Written {
            start,
            own,
            creations,
        } = written;
        let mut batch = Vec::new();
        let mut told = Vec::new();
        for (id, creation) in creations {
            let deps = self.tip_of(&actor_id(id.actor));
            self.add_to(&mut batch, &mut told, id, 0, deps, vec![creation]);
        }
        if !own.is_empty() {
            let mut deps = self.automerge.get_heads();
            deps.extend(batch.iter().map(Change::hash));
            deps.sort_unstable();
            let time = time.clamp(-MAX_TIME, MAX_TIME);
            self.add_to(&mut batch, &mut told, start, time, deps, own);
        }
        self.apply(batch);
        told
    }

    /// Adds a change to a batch, and what it is to those who are told of it.
    fn add_to(
        &self,
        batch: &mut Vec<Change>,
        told: &mut Vec<ExpandedChange>,
        id: OpId,
        time: i64,
        deps: Vec<ChangeHash>,
        operations: Vec<Op>,
    ) {
        let actor = actor_id(id.actor);
        let header = Header {
            seq: self.next_seq(&actor),
            start: id.counter,
            time,
            deps,
            extra_bytes: Vec::new(),
            actor,
        };
        let change = ops::change(header, operations.iter().map(ops::told).collect());
        told.push(ExpandedChange {
            operations,
            ..change.decode()
        });
        batch.push(change);
    }

    /// Returns the counter that the next operation of this device gets.
    pub(crate) const fn next_counter(&self) -> u32 {
        self.top + 1
    }

    /// Brings the document from one state to a later one.
    pub(crate) fn advance(&mut self, before: &State, delta: &Delta, after: &State) {
        let (added, removed) = changed_operations(before, delta, after);
        let changed = added.len() + removed.len();
        if changed > FEW && changed > after.population().total() / 2 {
            *self = Self::rebuild(self.actor, after);
            return;
        }
        let mut batch = Vec::new();
        for run in runs(added) {
            let actor = actor_id(run.actor);
            let header = Header {
                seq: self.next_seq(&actor),
                start: run.start,
                time: run.time,
                deps: self.tip_of(&actor),
                extra_bytes: Vec::new(),
                actor,
            };
            let change = ops::change(header, run.operations);
            self.note(&change);
            batch.push(change);
        }
        let mut chores: Vec<Op> = removed
            .iter()
            .map(|(place, ids)| ops::delete(place, ids))
            .collect();
        if chores.is_empty() && self.top < after.max_counter() {
            chores.push(ops::mark());
        }
        if !chores.is_empty() {
            batch.push(self.housekeep(&batch, after.max_counter(), chores));
        }
        self.apply(batch);
    }

    /// Returns a change by an author who only keeps house in this document: it removes what others removed, or only stands
    /// above the counters of operations that came and went unseen, whose ids must not be given out again.
    ///
    /// The operations that removed something are not known any more, so that these get ids above all others. That raises the
    /// counter of the next local edit by one for every removal; a rebuild sets it back.
    fn housekeep(&self, batch: &[Change], max_counter: u32, chores: Vec<Op>) -> Change {
        let keeper = ops::keeper(&[b"driftless sweep", &self.actor.to_bytes()]);
        let mut deps = self.automerge.get_heads();
        deps.extend(self.tip_of(&keeper));
        deps.extend(batch.iter().map(Change::hash));
        deps.sort_unstable();
        deps.dedup();
        let header = Header {
            seq: self.next_seq(&keeper),
            start: self.top.max(max_counter) + 1,
            time: 0,
            deps,
            extra_bytes: HOUSEKEEPING.to_vec(),
            actor: keeper,
        };
        ops::change(header, chores)
    }

    fn apply(&mut self, batch: Vec<Change>) {
        batch.iter().for_each(|change| self.note(change));
        self.automerge
            .apply_changes(batch)
            .expect("changes built from a valid state apply");
    }

    fn note(&mut self, change: &Change) {
        self.tips
            .insert(change.actor_id().clone(), (change.seq(), change.hash()));
        self.top = self.top.max(counter_of(change.max_op()));
    }

    fn next_seq(&self, actor: &ActorId) -> u64 {
        self.tips.get(actor).map_or(1, |(seq, _)| seq + 1)
    }

    fn tip_of(&self, actor: &ActorId) -> Vec<ChangeHash> {
        self.tips
            .get(actor)
            .map(|(_, hash)| *hash)
            .into_iter()
            .collect()
    }

    #[cfg(test)]
    pub(crate) fn automerge(&self) -> &Automerge {
        &self.automerge
    }
}

/// Returns the operations that a delta adds, and per place the values that it removes.
fn changed_operations(
    before: &State,
    delta: &Delta,
    after: &State,
) -> (Operations, Vec<(Place, Vec<OpId>)>) {
    let mut added = Operations::new();
    let mut removed = Vec::new();
    for (object, changed) in &delta.objects {
        let object = *object;
        let places: Box<dyn Iterator<Item = _>> = match changed {
            ObjectDelta::Map(keys) => Box::new(
                keys.iter()
                    .map(|(key, change)| (Key::Map(key.clone()), change)),
            ),
            ObjectDelta::Sequence(sequence) => {
                change_elements(object, sequence, &mut added, &mut removed);
                Box::new(
                    sequence
                        .sets
                        .iter()
                        .map(|(id, change)| (Key::Element(*id), change)),
                )
            }
        };
        for (key, change) in places {
            let gone: Vec<OpId> = match &change.removed {
                Removed::Nothing => Vec::new(),
                Removed::All => before
                    .register_at(object, &key)
                    .iter()
                    .map(|(id, _)| *id)
                    .collect(),
                Removed::Some(ids) => ids.iter().copied().collect(),
            };
            let place = Place { object, key };
            for (id, content) in &change.added {
                let time = after.times.get(id).copied().unwrap_or(0);
                added.insert((id.actor, id.counter), (ops::put(&place, content), time));
            }
            if !gone.is_empty() {
                removed.push((place, gone));
            }
        }
    }
    let known = regroup(&before.counts, |id| after.counters.contains_key(id));
    for (key, count) in &delta.counts {
        let by = count
            .sum
            .wrapping_sub(known.get(key).map_or(0, |known| known.sum));
        let place = &after.counters[&key.counters[0]].place;
        let operation = ops::increment(place, &key.counters, ops::bounded(by));
        added.insert((key.actor, count.last), (operation, 0));
    }
    (added, removed)
}

fn change_elements(
    object: ObjectId,
    sequence: &SequenceDelta,
    added: &mut Operations,
    removed: &mut Vec<(Place, Vec<OpId>)>,
) {
    let mut remove = |start: OpId, len: u32| {
        removed.extend((0..len).map(|at| {
            let element = start.plus(at);
            (
                Place {
                    object,
                    key: Key::Element(element),
                },
                vec![element],
            )
        }));
    };
    for span in &sequence.deleted {
        remove(span.start, span.len);
    }
    for run in &sequence.inserted {
        insert_run(added, object, run);
        if !run.body.is_live() {
            remove(run.start, run.len());
        }
    }
}
