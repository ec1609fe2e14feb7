//! Writing edits again, where a join alone would lose them.
//!
//! Three cases, all rare. An object that was created offline may meet a namesake that lived and died elsewhere, so that one
//! clock entry stands for two lives ([`Document::absorb`]). A dataset that was deleted and made again starts a new lineage, of
//! whose operations the old clock knows nothing; and a copy of a store must not give out its original's ids again
//! ([`Document::adopt`]). `rewrite.rs` tells what of a document is written then.

use std::collections::{BTreeMap, BTreeSet};

use crate::branch;
use crate::diff::{Delta, RegisterDelta, Removed, position};
use crate::document::Document;
use crate::edit::Edit;
use crate::id::{Actor, ObjectId, OpId};
use crate::mutant;
use crate::rewrite::Again;
use crate::state::{Clock, Count, Counter, Place, State};
use crate::value::{Content, Contents};

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

impl Absorbed {
    /// Returns that nothing was taken in.
    pub fn nothing() -> Self {
        Self {
            delta: Some(Delta::default()),
            edit: Edit::default(),
            changed: BTreeSet::new(),
        }
    }
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
        let setbacks = setbacks(self.state(), listed, stored, false);
        self.absorb_with(setbacks, stored, time)
    }

    /// As [`absorb`](Self::absorb), where damage may hide what others have created: what was made and removed here before
    /// anybody saw it must not claim that theirs was removed.
    pub fn absorb_damaged(
        &mut self,
        stored: &State,
        listed: &Clock,
        time: i64,
    ) -> Option<Absorbed> {
        let setbacks = setbacks(self.state(), listed, stored, true);
        self.absorb_with(setbacks, stored, time)
    }

    fn absorb_with(&mut self, setbacks: Setbacks, stored: &State, time: i64) -> Option<Absorbed> {
        let Setbacks { clock, mut lost } = setbacks;
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
        for life in &lost {
            *dropped.change(life.place.object, &life.place.key) = life.drop_from(&local);
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
        // What came to an identity by two ways was written again by whoever brought it first.
        lost.retain(|life| !local.is_taken_in(life.id, stored));
        let nothing = State::new();
        let again = Again {
            local: &local,
            listed: &nothing,
            carry: Carry::Additions,
            time,
        };
        let mut edit = Edit::default();
        for Life { place, id, content } in lost {
            // What stood in an object that others removed goes with it.
            if self.state().objects.contains_key(&place.object) {
                edit.append(self.rewrite(&again, id, &content, &place));
            }
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
        !setbacks(self.state(), listed, stored, false)
            .clock
            .is_empty()
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
        let again = Again {
            local: &local,
            listed,
            carry,
            time,
        };
        let edit = self.rewrite_keys(&again, ObjectId::Root, ObjectId::Root);
        let changed = self.state().differing_keys(&local);
        Absorbed {
            delta: None,
            edit,
            changed,
        }
    }
}

/// A life of an object that its own device must give up, for its clock entry stands for another one too.
struct Life {
    place: Place,
    id: OpId,
    content: Content,
}

impl Life {
    fn drop_from(&self, state: &State) -> RegisterDelta {
        let there = state.register_at(self.place.object, &self.place.key).len();
        RegisterDelta {
            removed: Removed::of(BTreeSet::from([self.id]), there),
            added: Contents::default(),
        }
    }
}

struct Setbacks {
    /// The clock entries to set back, with the listed values.
    clock: Clock,
    /// The unsynced objects whose content must be written again, none inside of another one.
    lost: Vec<Life>,
}

/// Finds the creators that this device's clock knows more of than anybody saw, where that would cost somebody an object.
fn setbacks(local: &State, listed: &Clock, stored: &State, is_damaged: bool) -> Setbacks {
    let known = |actor: &Actor| listed.get(actor).copied().unwrap_or(0);
    let unlisted =
        |(actor, counter): &(&Actor, &u32)| actor.is_derived() && **counter > known(actor);
    let mut unseen: BTreeMap<Actor, u32> = local
        .clock()
        .iter()
        .filter(unlisted)
        .map(|(actor, _)| (*actor, known(actor)))
        .collect();
    let mut found = Setbacks {
        clock: Clock::new(),
        lost: Vec::new(),
    };
    if unseen.is_empty() {
        return found;
    }
    let mut lives = local.lives();
    lives.retain(|life| {
        unseen
            .get(&life.id.actor)
            .is_some_and(|known| life.id.counter > *known)
    });
    // An earlier life here that ended unseen may have the id of one that damage hides.
    let may_collide = |life: &Life| is_damaged && life.id.counter > known(&life.id.actor) + 1;
    let given_up = lives
        .iter()
        .filter(|life| may_collide(life) || collides(life, known(&life.id.actor), stored));
    let given_up: BTreeSet<OpId> = given_up.map(|life| life.id).collect();
    for life in lives {
        // It lives here, unseen by others, and stays unless it collides or stands in something that does.
        unseen.remove(&life.id.actor);
        let is_inside = local.is_inside(life.place.object, &given_up);
        let goes = given_up.contains(&life.id);
        if goes || is_inside {
            found.clock.insert(life.id.actor, known(&life.id.actor));
        }
        if goes && !is_inside {
            found.lost.push(life);
        }
    }
    // What is left was created and removed again, and nobody saw it: it leaves no trace.
    found.clock.extend(unseen);
    found
}

/// Tells whether the stored clock speaks of another life than this one, which nobody else has seen.
fn collides(life: &Life, known: u32, stored: &State) -> bool {
    let theirs = stored.seen_from(life.id.actor);
    let register = stored.register_at(life.place.object, &life.place.key);
    let mut ids = register.iter().map(|(id, _)| *id);
    theirs > known
        && match ids.find(|id| id.actor == life.id.actor) {
            Some(living) => living != life.id,
            None => theirs >= life.id.counter,
        }
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

    /// Returns this state with an entry in its clock, so that ids up to there are not given out again.
    #[must_use]
    pub fn having_seen(mut self, id: OpId) -> Self {
        if id.counter > self.seen_from(id.actor) {
            self.clock.insert(id.actor, id.counter);
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

    /// Returns all that lives under a creator's name.
    fn lives(&self) -> Vec<Life> {
        let objects = self.objects.iter().filter_map(|(id, object)| match id {
            ObjectId::Root => None,
            ObjectId::Made(id) => Some((*id, object.place.clone()?)),
        });
        let counters = self.counters.iter();
        let counters = counters.map(|(id, counter)| (*id, counter.place.clone()));
        let life = |(id, place): (OpId, Place)| {
            let register = self.register_at(place.object, &place.key);
            let at = position(register, id).ok()?;
            let content = register[at].1.clone();
            Some(Life { place, id, content })
        };
        let created = objects
            .chain(counters)
            .filter(|(id, _)| id.actor.is_derived());
        created.filter_map(life).collect()
    }

    /// Tells whether an object is one of these, or stands in one of them.
    fn is_inside(&self, object: ObjectId, these: &BTreeSet<OpId>) -> bool {
        let mut at = object;
        while let ObjectId::Made(id) = at {
            if these.contains(&id) {
                return true;
            }
            let place = self
                .objects
                .get(&at)
                .and_then(|object| object.place.as_ref());
            at = place.map_or(ObjectId::Root, |place| place.object);
        }
        false
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
