//! Two clocks meet: the data of one identity are joined into those of another.
//!
//! Random authors are disjoint, because no two documents share one, so of what they wrote the clocks tell the truth. A
//! creator that every device derives alike stands for a life of its own on each side: one side's clock must not tell that the
//! other side's object is dead. So the arriving side is set back to what lives in it, and an object whose namesake lives or
//! died here under another generation is written again.

use std::collections::BTreeSet;

use crate::document::Document;
use crate::edit::Edit;
use crate::id::{Actor, ObjectId, OpId};
use crate::reauthor::Absorbed;
use crate::run::Run;
use crate::state::{Clock, Items, State};

impl Document {
    /// Joins in the state of a dataset that belonged to another identity.
    ///
    /// What was [met](State::has_met) before changes nothing. `None` if the two contradict each other, which those of honest
    /// devices never do; nothing was done then.
    pub fn meet(&mut self, arriving: &State, time: i64) -> Option<Absorbed> {
        let local = self.state().clone();
        if local.has_met(arriving) {
            return Some(Absorbed::nothing());
        }
        let unlisted = Clock::new();
        let mut guest = Self::from_state(self.name(), self.actor(), arriving.clone());
        if !guest.must_set_back(&local, &unlisted) && arriving.contradicts(&local).is_some() {
            return None;
        }
        let rewritten = guest.absorb(&local, &unlisted, time)?.edit;
        let delta = if rewritten.is_empty() {
            self.join(guest.state())
        } else {
            // It has edits by this document's author that its automerge document did not make.
            self.replace(guest.state().clone());
            self.state().diff(&local)
        };
        let changed = self.state().changed_keys(&delta);
        Some(Absorbed {
            delta: Some(delta),
            edit: Edit::default(),
            changed,
        })
    }
}

impl State {
    /// Tells whether everything was taken in that the devices of another identity wrote.
    #[must_use]
    pub fn has_met(&self, arriving: &Self) -> bool {
        let is_seen = |(actor, counter): (&Actor, &u32)| self.seen_from(*actor) >= *counter;
        let is_device = |(actor, _): &(&Actor, &u32)| !actor.is_derived();
        let mut devices = arriving.clock.iter().filter(is_device).peekable();
        match devices.peek() {
            Some(_) => devices.all(is_seen),
            // Nothing but empty objects.
            None => arriving.clock.iter().all(is_seen),
        }
    }

    /// Tells whether another state has seen all that devices wrote in an object of this one, at least one operation.
    pub(crate) fn is_taken_in(&self, id: OpId, other: &Self) -> bool {
        let inside = self.authors_in(id);
        let is_seen = |(actor, counter): (&Actor, &u32)| other.seen_from(*actor) >= *counter;
        !inside.is_empty() && inside.iter().all(is_seen)
    }

    /// Returns which devices wrote in an object or counter, and how far; linear in it and in all totals.
    fn authors_in(&self, id: OpId) -> Clock {
        let mut authors = Clock::new();
        let mut note = |id: OpId| {
            if !id.actor.is_derived() {
                let entry = authors.entry(id.actor).or_insert(0);
                *entry = (*entry).max(id.counter);
            }
        };
        let mut inside = BTreeSet::from([id]);
        let mut objects = vec![id];
        while let Some(id) = objects.pop() {
            let Some(object) = self.objects.get(&ObjectId::Made(id)) else {
                continue;
            };
            if let Items::Sequence(_, sequence) = &object.items {
                let last = |run: &Run| OpId::new(run.end() - 1, run.start.actor);
                sequence.runs().for_each(|run| note(last(run)));
            }
            for (id, ..) in object.items.placed() {
                note(id);
                inside.insert(id);
                objects.push(id);
            }
        }
        for (key, count) in &self.counts {
            if key.counters.iter().any(|id| inside.contains(id)) {
                note(OpId::new(count.last, key.actor));
            }
        }
        authors
    }
}
