//! What was listed becomes part of the document, or the document becomes what was listed.
//!
//! The lineage decides. The same one, or the first that this device meets: a join. Another one, or none where there was one:
//! the dataset was deleted, compacted or replaced; the stored state is the document now, and unsynced edits are written onto
//! it. In a plain-only dataset there is no life yet, and the records decide (`plain_only.rs`). One local commit holds the
//! document, the mirrored records and the count [COGNITO trap 7].

use driftless_document::{
    Absorbed, Actor, Carry, Clock, Delta, MAX_COUNTER, OpId, State, branch, mutant,
};
use driftless_record::{Lineage, Stored};
use driftless_wire::Timestamp;

use crate::commit::{Commit, Durability};
use crate::list::List;
use crate::replica::Replica;
use crate::row::Sent;
use crate::session::{Compaction, Output, Session, SessionError};

/// Room for edits on top of what is joined.
pub(crate) const COUNTER_LIMIT: u32 = MAX_COUNTER - (1 << 25);

impl Replica {
    pub(crate) fn absorb(&mut self, mut session: Session, now: Timestamp, list: List) {
        let List {
            records,
            is_full,
            stored,
        } = list;
        if stored
            .as_ref()
            .is_some_and(|stored| stored.state().max_counter() > COUNTER_LIMIT)
        {
            return self.fail(SessionError::Exhausted);
        }
        let stored = self.without_vain_compaction(stored);
        if self.is_to_go(stored.as_ref()) {
            return self.ask_deletion(session);
        }
        let before = self.row.clone();
        if !self.row.deleting.is_empty() {
            branch!(DeletionFoundDone);
            // It is gone already, perhaps by a request of ours whose answer was lost; what stands there is another life.
            self.deletion_is_done(&mut session);
        }
        let changes = self
            .is_plain_only()
            .then(|| self.listed_changes(&records, is_full));
        let mut commit = Commit::new(self.key.clone());
        commit.forget_records = is_full && !self.mirror.is_empty();
        if is_full {
            self.mirror.clear();
        }
        self.mirror_records(records, &mut commit);
        let clock = self.document.state().clock().clone();
        let mut told = None;
        let mut absorbed = match changes {
            Some(changes) => {
                let taken = self.take_plain_only_in(&mut session, now, changes, stored.as_ref());
                taken.map(|(absorbed, edit)| {
                    told = Some(edit);
                    absorbed
                })
            }
            None => self.take_in(&mut session, now, stored.as_ref()),
        };
        if let Some(absorbed) = &absorbed {
            self.add_to(&mut commit, clock, absorbed);
        }
        if let (Some(absorbed), Some(edit)) = (&mut absorbed, told) {
            absorbed.edit = edit;
        }
        if mutant!(JoinNotKept) {
            commit.deltas.clear();
        }
        self.row.count = session.listed;
        self.set_stored(stored, before.lineage);
        self.learn_plain(before.lineage);
        session.known = before.count;
        if let Some(Absorbed { changed, .. }) = &absorbed
            && mutant!(ToldBeforeCommit)
        {
            self.outputs.push_back(Output::Changed(changed.clone()));
        }
        if commit != Commit::new(self.key.clone()) || self.row != before {
            self.keep(commit, Durability::Buffered);
        }
        if let Some(absorbed) = absorbed {
            self.tell(&mut session, absorbed);
        }
        self.next_child(session, now);
    }

    /// Says what looks different now, after it is durable.
    pub(crate) fn tell(&mut self, session: &mut Session, absorbed: Absorbed) {
        let Absorbed { changed, edit, .. } = absorbed;
        session.summary.changed_here.extend(changed.iter().cloned());
        if !changed.is_empty() {
            self.outputs.push_back(Output::Changed(changed));
        }
        if !edit.is_empty() {
            self.outputs.push_back(Output::Rewrote(edit));
        }
    }

    /// Passes over a life that was to begin by compaction and never did. Then the one before is damaged, and whoever knows more
    /// of it brings it back.
    fn without_vain_compaction(&self, stored: Option<Stored>) -> Option<Stored> {
        let stored = stored?;
        let before = stored.before_vain_compaction();
        let known = self.row.lineage;
        let is_ours = |before: &Stored| known.is_none_or(|known| known == before.lineage());
        match before.filter(is_ours) {
            Some(before) => {
                branch!(CompactedInVain);
                Some(before)
            }
            None => Some(stored),
        }
    }

    /// Takes note of the life that stands, and of what its head says of those before it.
    pub(crate) fn enter(&mut self, stored: &Stored) {
        let lineage = stored.lineage();
        let is_ours = |sent: &Sent| sent.lineage == lineage;
        self.row.predecessor = match stored.head() {
            Some(head) => head.predecessor,
            None if self.row.lineage == Some(lineage) => self.row.predecessor,
            // A push of ours that compacted what was known, and whose head was damaged since.
            None if self.row.sent.iter().any(is_ours) => {
                self.stored.as_ref().map(Stored::as_predecessor)
            }
            None => None,
        };
        self.row.lineage = Some(lineage);
    }

    /// Joins or adopts what is stored; `None` if there is nothing to take in.
    fn take_in(
        &mut self,
        session: &mut Session,
        now: Timestamp,
        stored: Option<&Stored>,
    ) -> Option<Absorbed> {
        let time = now.as_millis();
        let known = self.row.lineage;
        let Some(stored) = stored else {
            // Removed slots are damage, which the next push repairs; no trace of any is a deletion.
            if known.is_none() {
                branch!(NothingStored);
                return None;
            }
            if self.has_reserved() {
                branch!(SlotsRemoved);
                return self.absorb_nothing(time);
            }
            branch!(LifeEnded);
            session.summary.began_anew = true;
            self.row.lineage = None;
            self.row.predecessor = None;
            return Some(self.adopt(session, State::new(), Carry::Additions, time));
        };
        self.enter(stored);
        if known.is_some_and(|known| known != stored.lineage()) {
            session.summary.began_anew = true;
            let is_mended = stored.head().is_none_or(|head| head.mended);
            let before = self.row.predecessor;
            let before = before.filter(|before| before.lives().any(|life| Some(life) == known));
            if session.compaction == Compaction::Sent(stored.lineage()) {
                session.compaction = Compaction::No;
                session.summary.compacted = true;
            }
            let state = stored.state().clone();
            let Some(before) = before else {
                branch!(OtherLife);
                return Some(self.adopt(session, state, Carry::Additions, time));
            };
            let carry = match is_mended {
                true => Carry::EverythingMissing,
                false => Carry::Everything,
            };
            if Some(before.lineage) != known {
                branch!(CompactedTwice);
                // The clock no longer tells which of our pushes in doubt were in the life that was compacted.
                return Some(self.adopt(session, state, carry, time));
            }
            if is_mended {
                branch!(CompactedLifeMended);
            } else {
                branch!(CompactedLife);
            }
            return Some(self.adopt_compacted(session, state, carry, time));
        }
        if self.is_copy(stored.state()) {
            branch!(AdoptedAsCopy);
            return Some(self.adopt(session, stored.state().clone(), Carry::Everything, time));
        }
        let known_tip = self.stored.as_ref().and_then(Stored::tip);
        let is_known = known_tip == stored.tip() && !stored.needs_repair();
        if !is_known && self.document.state().contradicts(stored.state()).is_some() {
            return Some(self.give_way(session, stored.state(), time));
        }
        let listed = self.listed_with_sent(stored.state());
        let seen = stored.state().seen_from(self.row.actor);
        self.row.own = self.row.own.max(seen);
        if self.row.sent.iter().any(|sent| sent.counter == seen) {
            branch!(FoundSent);
        }
        self.row.sent.retain(|sent| sent.counter > seen);
        let is_known = is_known && !self.document.must_set_back(stored.state(), &listed);
        if known_tip.is_some() && is_known {
            branch!(KnownAlready);
            return None;
        }
        self.pin_saved();
        let absorbed = match stored.needs_repair() {
            true => self.document.absorb_damaged(stored.state(), &listed, time),
            false => self.document.absorb(stored.state(), &listed, time),
        };
        let Some(absorbed) = absorbed else {
            return Some(self.give_way(session, stored.state(), time));
        };
        let is_nothing = absorbed.delta.as_ref().is_some_and(Delta::is_empty);
        if is_nothing {
            branch!(JoinedNothing);
        } else {
            branch!(Joined);
        }
        (!is_nothing).then_some(absorbed)
    }

    /// Sets back what was made and removed here before anybody saw it, where all slots were removed: the repair would claim that
    /// namesakes were removed of which the slots told.
    fn absorb_nothing(&mut self, time: i64) -> Option<Absorbed> {
        let (nothing, listed) = (State::new(), self.listed_with_sent(&State::new()));
        self.pin_saved();
        let absorbed = self.document.absorb_damaged(&nothing, &listed, time)?;
        let is_nothing = absorbed.delta.as_ref().is_some_and(Delta::is_empty);
        (!is_nothing).then_some(absorbed)
    }

    fn adopt(&mut self, session: &mut Session, state: State, carry: Carry, time: i64) -> Absorbed {
        let listed = self.listed().clone();
        self.adopt_over(session, state, &listed, carry, time)
    }

    /// Goes on with a life that was compacted out of the known one.
    pub(crate) fn adopt_compacted(
        &mut self,
        session: &mut Session,
        state: State,
        carry: Carry,
        time: i64,
    ) -> Absorbed {
        let mut listed = self.listed().clone();
        // What a copy of this store wrote under our name says nothing about our edits.
        if !self.is_copy(&state) {
            let local = self.document.state();
            listed = listed.as_compacted(&state, local, self.row.actor);
        }
        self.adopt_over(session, state, &listed, carry, time)
    }

    fn adopt_over(
        &mut self,
        session: &mut Session,
        state: State,
        listed: &State,
        carry: Carry,
        time: i64,
    ) -> Absorbed {
        let actor = session.actor();
        self.row.rename(actor);
        if mutant!(DeletionTakesUnsynced) {
            let local = self.document.state().clone();
            return self.document.adopt(state, &local, actor, carry, time);
        }
        self.document.adopt(state, listed, actor, carry, time)
    }

    /// Goes on with what is stored, which tells an operation differently than this device does, and writes all that it lacks
    /// again under another name.
    ///
    /// Pushes that were destroyed at the service, after others had seen them, leave two lives of one object; so do two stores
    /// with one seed, and whoever means harm.
    pub(crate) fn give_way(
        &mut self,
        session: &mut Session,
        stored: &State,
        time: i64,
    ) -> Absorbed {
        branch!(Contradicted);
        let actor = session.actor();
        let listed = self.listed().clone().as_seen_by(stored);
        self.row.rename(actor);
        let carry = Carry::Everything;
        self.document
            .adopt(stored.clone(), &listed, actor, carry, time)
    }

    /// Tells whether what is stored holds edits under our author that this store never made: then it is a copy of another
    /// one, or an old backup, and must not go on under that name.
    fn is_copy(&self, stored: &State) -> bool {
        let theirs = stored.seen_from(self.row.actor);
        theirs > self.row.own
            && !mutant!(ActorReused)
            && !self.row.sent.iter().any(|sent| sent.counter == theirs)
    }

    /// Returns the listed clock, with what a push brought of which only now is known that it stands, or that may still arrive.
    pub(crate) fn listed_with_sent(&self, stored: &State) -> Clock {
        let mut listed = self.listed().clock().clone();
        let (seen, head) = (stored.seen_from(self.row.actor), self.head_count());
        let made = self.row.sent.iter().flat_map(|sent| {
            let stands = sent.counter <= seen;
            // What is there without the push is a namesake of somebody else.
            let may_come =
                move |made: &OpId| sent.upon == head && stored.seen_from(made.actor) < made.counter;
            sent.made
                .iter()
                .filter(move |made| stands || may_come(made))
        });
        for made in made.chain(&self.row.listed) {
            let entry = listed.entry(made.actor).or_insert(0);
            *entry = (*entry).max(made.counter);
        }
        listed
    }

    /// Takes note of what is stored now; `known` is the life that was listed before.
    fn set_stored(&mut self, stored: Option<Stored>, known: Option<Lineage>) {
        let listed = self.listed();
        let is_in = |state: &State| {
            let has_seen = |(actor, counter): (&Actor, &u32)| state.seen_from(*actor) >= *counter;
            listed.clock().iter().all(has_seen)
        };
        // Damage, or a server that was taken back, does not undo that others have seen what was listed before.
        let beyond = match &stored {
            _ if known != self.row.lineage => None,
            Some(stored) if is_in(stored.state()) => None,
            Some(stored) => Some(listed.join(stored.state())),
            None => Some(listed.clone()),
        };
        if beyond.is_some() {
            branch!(ListedBeyond);
        }
        self.listed_beyond = beyond;
        self.stored = stored;
        self.remember_listed(known);
    }

    /// Takes note, for after a restart, of the objects that others may have seen and the mirrored records do not show.
    fn remember_listed(&mut self, known: Option<Lineage>) {
        if known != self.row.lineage {
            self.row.listed.clear();
        }
        let mut clock = self.listed().clock().clone();
        for made in &self.row.listed {
            let entry = clock.entry(made.actor).or_insert(0);
            *entry = (*entry).max(made.counter);
        }
        let shown = |actor| {
            let stored = self.stored.as_ref();
            stored.map_or(0, |stored| stored.state().seen_from(actor))
        };
        let beyond =
            |(actor, counter): &(&Actor, &u32)| actor.is_derived() && shown(**actor) < **counter;
        let hidden = clock.iter().filter(beyond);
        self.row.listed = hidden
            .map(|(actor, counter)| OpId::new(*counter, *actor))
            .collect();
    }

    /// Adds what was taken in to a commit.
    pub(crate) fn add_to(&mut self, commit: &mut Commit, mut clock: Clock, absorbed: &Absorbed) {
        let Some(delta) = &absorbed.delta else {
            let snapshot = self.snapshot();
            self.room.restart(snapshot.state.len());
            commit.snapshot = Some(snapshot);
            return;
        };
        if delta.is_empty() && absorbed.edit.is_empty() {
            return;
        }
        let row = driftless_record::encode(delta, &clock);
        clock.extend(&delta.clock);
        self.log_bytes += row.len();
        commit.deltas.push(row);
        commit
            .deltas
            .extend(self.encode_deltas(clock, &absorbed.edit));
        self.room.grow(commit.deltas.iter().map(Vec::len).sum());
    }
}
