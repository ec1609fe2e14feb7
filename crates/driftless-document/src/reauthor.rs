//! Writing edits again, where a join alone would lose them.
//!
//! Three cases, all rare. An object that was created offline may meet a namesake that lived and died elsewhere, so that one
//! clock entry stands for two lives ([`Document::absorb`]). A dataset that was deleted and made again starts a new lineage, of
//! whose operations the old clock knows nothing; and a copy of a store must not give out its original's ids again
//! ([`Document::adopt`]). Each time what nobody else has seen is written once more as new edits: values are put, increments
//! added, typed runs inserted. Lists and nested maps have no local edits yet, so there is nothing of theirs to write again.

use std::collections::{BTreeMap, BTreeSet};

use crate::branch;
use crate::diff::{Delta, RegisterDelta, Removed};
use crate::document::{Document, Edit};
use crate::id::{Actor, ObjectId, OpId};
use crate::mutant;
use crate::ops;
use crate::sequence::Sequence;
use crate::state::{Clock, Count, Counter, Items, Key, Place, State};
use crate::value::{Content, Contents, ObjectType};

/// What a document did to take in another state.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "what was taken in is lost at a restart unless it is made durable"]
pub struct Absorbed {
    /// The difference that the join made, or `None` if the clock went back, which no delta can say: keep the whole state.
    pub delta: Option<Delta>,
    /// What was written again on top of it.
    pub edit: Edit,
    /// The root keys that look different now.
    pub changed: BTreeSet<String>,
}

/// Which unsynced edits are written again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carry {
    /// What was added; what was removed is gone with the old life of the dataset.
    Additions,
    /// What was added, and what was removed.
    Everything,
    /// That, and all keys that are not there: they may have been lost and not removed.
    EverythingMissing,
}

impl Document {
    /// Joins the stored state into the document.
    ///
    /// `listed` is the clock of the stored state as this device knew it before: what is newer than that here, nobody else
    /// has seen. `None` if a creation must be set back and the two states contradict each other then: nothing was done, and
    /// the document should [adopt](Self::adopt) what is stored.
    pub fn absorb(&mut self, stored: &State, listed: &Clock, time: i64) -> Option<Absorbed> {
        let Setbacks { clock, lost } = setbacks(self.state(), listed, stored);
        if clock.is_empty() || mutant!(CollisionJoined) {
            let delta = self.join(stored);
            let changed = self.state().changed_keys(&delta);
            return Some(Absorbed {
                delta: Some(delta),
                edit: Edit::default(),
                changed,
            });
        }
        if lost.is_empty() {
            branch!(LeftNoTrace);
        } else {
            branch!(CollisionWrittenAgain);
        }
        let local = self.state().clone();
        let mut dropped = Delta::default();
        for key in lost.keys() {
            dropped
                .map(ObjectId::Root)
                .insert(key.clone(), lost[key].drop_from(&local, key));
        }
        let mut state = local
            .clone()
            .apply(&dropped)
            .expect("what stands there can be removed");
        state.set_back(&clock);
        if state.contradicts(stored).is_some() {
            return None;
        }
        self.replace(state.join(stored));
        let mut edit = Edit::default();
        for (key, life) in lost {
            edit.append(self.write_again(
                &key,
                life.id,
                &life.content,
                &State::new(),
                &local,
                Carry::Additions,
                time,
            ));
        }
        let changed = self.state().differing_keys(&local);
        Some(Absorbed {
            delta: None,
            edit,
            changed,
        })
    }

    /// Tells whether [`absorb`](Self::absorb) would set back the clock: what is pushed must not speak of objects that were made
    /// and removed here before anybody saw them.
    #[must_use]
    pub fn must_set_back(&self, stored: &State, listed: &Clock) -> bool {
        !setbacks(self.state(), listed, stored).clock.is_empty()
    }

    /// Takes another state as the document, and writes what `listed` lacks of the old one again, by a new author.
    pub fn adopt(
        &mut self,
        stored: State,
        listed: &State,
        actor: Actor,
        carry: Carry,
        time: i64,
    ) -> Absorbed {
        let local = self.state().clone();
        self.set_actor(actor);
        self.replace(stored);
        let mut edit = Edit::default();
        let keys: BTreeSet<&String> = local.root().keys().chain(listed.root().keys()).collect();
        let nothing = State::new();
        for key in keys {
            let register = local.register(key);
            if register.is_empty() && carry != Carry::Additions {
                edit.append(self.remove_again(key, listed, time));
            }
            let is_missing = self.state().register(key).is_empty();
            let listed = match carry {
                Carry::EverythingMissing if is_missing => &nothing,
                _ => listed,
            };
            edit.append(self.put_again(key, register, listed, time));
            for (id, content) in register {
                edit.append(self.write_again(key, *id, content, listed, &local, carry, time));
            }
        }
        let changed = self.state().differing_keys(&local);
        Absorbed {
            delta: None,
            edit,
            changed,
        }
    }

    /// Removes what stands at a key, unless something else came there since it was removed.
    fn remove_again(&mut self, key: &str, listed: &State, time: i64) -> Edit {
        let was = listed.register(key);
        let is_known = |(id, content): &(OpId, Content)| {
            listed.has_seen(*id) || was.iter().any(|(_, old)| old == content)
        };
        if was.is_empty() || !self.state().register(key).iter().all(is_known) {
            return Edit::default();
        }
        branch!(RemovedAgain);
        // It fails under a key that no device of ours could have written.
        self.remove(key, time).unwrap_or_default()
    }

    /// Puts the highest scalar of a register that `listed` lacks, unless what wins over it still stands.
    fn put_again(
        &mut self,
        key: &str,
        register: &[(OpId, Content)],
        listed: &State,
        time: i64,
    ) -> Edit {
        let stands = |id: OpId| {
            self.state()
                .register(key)
                .iter()
                .any(|(other, _)| *other == id)
        };
        let is_gone = |(id, _): &&(OpId, Content)| listed.has_seen(*id) && !stands(*id);
        match register.iter().rev().find(|entry| !is_gone(entry)) {
            Some((id, Content::Scalar(scalar))) if !listed.has_seen(*id) => {
                branch!(PutAgain);
                // A counter is no plain scalar, and what no device of ours could have put is not written again either.
                self.put(key, scalar.clone(), time).unwrap_or_default()
            }
            _ => Edit::default(),
        }
    }

    /// Writes what one counter or text at a root key gained since `listed`.
    #[expect(
        clippy::too_many_arguments,
        reason = "one decision over two states, used twice"
    )]
    fn write_again(
        &mut self,
        key: &str,
        id: OpId,
        content: &Content,
        listed: &State,
        local: &State,
        carry: Carry,
        time: i64,
    ) -> Edit {
        match content {
            Content::Scalar(crate::value::Scalar::Counter(start)) => {
                let before = if listed.counters.contains_key(&id) && listed.has_seen(id) {
                    listed.total(id, *start)
                } else {
                    0
                };
                let by = local.total(id, *start).wrapping_sub(before);
                if by == 0 && listed.has_seen(id) {
                    Edit::default()
                } else {
                    self.add(key, by)
                }
            }
            Content::Object(ObjectType::Text) => self.retype(key, id, listed, local, carry, time),
            Content::Scalar(_) | Content::Object(_) => Edit::default(),
        }
    }

    /// Adds to the counter at a root key, whatever else stands there.
    fn add(&mut self, key: &str, by: i64) -> Edit {
        branch!(AddedAgain);
        let mut edit = self.create(key, None).expect(ROOM);
        if by == 0 {
            return edit;
        }
        let counters: Vec<OpId> = self.counters_at(key);
        let place = Place {
            object: ObjectId::Root,
            key: Key::Map(key.to_owned()),
        };
        edit.append(
            self.write_own(ops::increment(&place, &counters, by))
                .expect(ROOM),
        );
        edit
    }

    /// Inserts what was typed into a text since `listed`, and deletes what was deleted if removals are carried.
    fn retype(
        &mut self,
        key: &str,
        id: OpId,
        listed: &State,
        local: &State,
        carry: Carry,
        time: i64,
    ) -> Edit {
        let empty = Sequence::default();
        let (old, before) = (
            local.sequence(id).unwrap_or(&empty),
            listed.sequence(id).unwrap_or(&empty),
        );
        let target = self.object_at(key, ObjectType::Text);
        let there = target
            .and_then(|id| self.state().sequence(id))
            .unwrap_or(&empty);
        let splices = splices(old, before, listed, there, carry);
        if splices.is_empty() && listed.has_seen(id) {
            return Edit::default();
        }
        branch!(RetypedAgain);
        let mut edit = self.create(key, Some(ObjectType::Text)).expect(ROOM);
        for (at, splice) in splices.into_iter().rev() {
            edit.append(
                self.splice_object(key, at, usize::from(splice.delete), &splice.insert, time)
                    .expect(ROOM),
            );
        }
        edit
    }
}

/// What holds for the few operations that are written again: the record decoder refuses states whose counters are nearly
/// used up, so that a document that joined one can still write.
const ROOM: &str = "counters of joined states leave room for edits";

/// A life of an object that its own device must give up, for its clock entry stands for another one too.
struct Life {
    id: OpId,
    content: Content,
}

impl Life {
    fn drop_from(&self, state: &State, key: &str) -> RegisterDelta {
        let removed = Removed::of(BTreeSet::from([self.id]), state.register(key).len());
        RegisterDelta {
            removed,
            added: Contents::default(),
        }
    }
}

struct Setbacks {
    /// The clock entries to set back, with the listed values.
    clock: Clock,
    /// Per root key the unsynced object whose content must be written again.
    lost: BTreeMap<String, Life>,
}

/// Finds the creators that this device's clock knows more of than anybody saw, where that would cost somebody an object.
fn setbacks(local: &State, listed: &Clock, stored: &State) -> Setbacks {
    let mut found = Setbacks {
        clock: Clock::new(),
        lost: BTreeMap::new(),
    };
    let unlisted = |(actor, counter): &(&Actor, &u32)| {
        actor.is_derived() && **counter > listed.get(actor).copied().unwrap_or(0)
    };
    let mut unseen: BTreeMap<Actor, u32> = local
        .clock()
        .iter()
        .filter(unlisted)
        .map(|(actor, _)| (*actor, listed.get(actor).copied().unwrap_or(0)))
        .collect();
    if unseen.is_empty() {
        return found;
    }
    for (key, register) in local.root() {
        for (id, content) in register {
            let Some(known) = unseen.get(&id.actor).copied() else {
                continue;
            };
            if id.counter <= known {
                continue;
            }
            // The object lives here, unseen by others: it can stay unless the stored clock speaks of another life.
            let theirs = stored.seen_from(id.actor);
            let living = stored
                .register(key)
                .iter()
                .find(|(other, _)| other.actor == id.actor);
            let collides = match living {
                Some((other, _)) => other != id,
                None => theirs >= id.counter,
            };
            unseen.remove(&id.actor);
            if theirs > known && collides {
                found.clock.insert(id.actor, known);
                found.lost.insert(
                    key.clone(),
                    Life {
                        id: *id,
                        content: content.clone(),
                    },
                );
            }
        }
    }
    // What is left was created and removed again, and nobody saw it: it leaves no trace.
    found.clock.extend(unseen);
    found
}

/// One change of a text at a place: delete the character there, then insert before it.
#[derive(Default)]
struct Splice {
    delete: bool,
    insert: String,
}

/// Returns, by position in `there`, what makes it follow the steps from `before` to `old`.
///
/// What was typed goes behind the nearest element before it that is visible there too, else to the end. Only elements that
/// were listed are known to be the same there: a copy of a store gave the ids of the others to something else.
fn splices(
    old: &Sequence,
    before: &Sequence,
    listed: &State,
    there: &Sequence,
    carry: Carry,
) -> BTreeMap<usize, Splice> {
    let visible = there.visible();
    let index: BTreeMap<OpId, usize> = visible
        .iter()
        .enumerate()
        .filter(|(_, (id, _))| listed.has_seen(*id))
        .map(|(at, (id, _))| (*id, at))
        .collect();
    let related = old.runs().any(|run| index.contains_key(&run.start));
    let mut at = if related { 0 } else { visible.len() };
    let mut splices: BTreeMap<usize, Splice> = BTreeMap::new();
    for (run, from, len) in old.ordered() {
        let mut contents = run.body.contents().skip(from as usize);
        for offset in from..from + len {
            let element = run.start.plus(offset);
            let content = contents.next();
            if let Some(place) = index.get(&element) {
                let was = before
                    .find(element)
                    .is_some_and(|(run, _)| run.body.is_live());
                if carry != Carry::Additions && was && !run.body.is_live() {
                    splices.entry(*place).or_default().delete = true;
                }
                at = place + 1;
            } else if let Some(Content::Scalar(crate::value::Scalar::String(text))) = content
                && !listed.has_seen(element)
            {
                splices.entry(at).or_default().insert.push_str(&text);
            }
        }
    }
    splices
}

impl State {
    /// Returns this state as far as another one has seen it too: the same values under the lower clock of the two.
    ///
    /// It is no state to join, only a `listed` one for [`Document::adopt`], where the other has lost what was listed.
    #[must_use]
    pub fn as_seen_by(mut self, other: &Self) -> Self {
        for (actor, counter) in &mut self.clock {
            *counter = (*counter).min(other.seen_from(*actor));
        }
        self.clock.retain(|_, counter| *counter > 0);
        self
    }

    /// Returns this listed state as it is for a device that meets `compacted`, which comes from the same life: of what the
    /// device, `local`, wrote itself under its name `own`, that counts as listed which the compacted state has seen.
    ///
    /// A push in doubt may be in it or not, and only that state tells. It is no state to join.
    #[must_use]
    pub fn as_compacted(mut self, compacted: &Self, local: &Self, own: Actor) -> Self {
        let listed = self.seen_from(own);
        for (actor, counter) in &compacted.clock {
            if actor.is_derived() {
                let known = local.seen_from(*actor).min(*counter);
                let entry = self.clock.entry(*actor).or_insert(0);
                *entry = (*entry).max(known);
            }
        }
        let seen = compacted.seen_from(own);
        self.clock.insert(own, seen);
        let totals = local.counts.iter().filter(|(key, _)| key.actor == own);
        for (key, count) in totals {
            let theirs = compacted.counts.get(key);
            let before = self.counts.get(key).filter(|_| seen >= listed);
            let known = match theirs.or(before) {
                _ if seen >= count.last => *count,
                Some(known) => *known,
                None => Count { last: 0, sum: 0 },
            };
            for id in &key.counters {
                if !self.counters.contains_key(id) {
                    self.counters.insert(*id, local.counters[id].clone());
                    self.counters.entry(*id).and_modify(Counter::forget);
                }
            }
            self.set_count(key.clone(), known);
        }
        self
    }

    fn set_back(&mut self, clock: &Clock) {
        for (actor, counter) in clock {
            if *counter == 0 {
                self.clock.remove(actor);
            } else {
                self.clock.insert(*actor, *counter);
            }
        }
    }

    fn sequence(&self, id: OpId) -> Option<&Sequence> {
        match &self.objects.get(&ObjectId::Made(id))?.items {
            Items::Sequence(_, sequence) => Some(sequence),
            Items::Map(..) => None,
        }
    }

    /// Returns the root keys at which the two states show different values.
    #[must_use]
    pub fn differing_keys(&self, other: &Self) -> BTreeSet<String> {
        let keys: BTreeSet<&String> = self.root().keys().chain(other.root().keys()).collect();
        keys.into_iter()
            .filter(|key| self.get(key) != other.get(key))
            .cloned()
            .collect()
    }
}
