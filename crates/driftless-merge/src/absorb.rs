//! What was listed becomes part of the document, or the document becomes what was listed.
//!
//! The lineage decides. The same one, or the first that this device meets: a join. Another one, or none where there was one:
//! the dataset was deleted, compacted or replaced; the stored state is the document now, and unsynced edits are written onto
//! it. One local commit holds the document, the mirrored records and the count [COGNITO trap 7].

use driftless_document::{Absorbed, Carry, Clock, MAX_COUNTER, State};
use driftless_record::Stored;
use driftless_wire::{SyncCount, Timestamp};

use crate::commit::Commit;
use crate::replica::Replica;
use crate::session::{Output, Session, SessionError};

/// Room for edits on top of what is joined.
const COUNTER_LIMIT: u32 = MAX_COUNTER - (1 << 25);

impl Replica {
    pub(crate) fn absorb(
        &mut self,
        mut session: Session,
        now: Timestamp,
        mut commit: Commit,
        stored: Option<Stored>,
    ) {
        if stored.as_ref().is_some_and(|stored| stored.state().max_counter() > COUNTER_LIMIT) {
            return self.fail(SessionError::Exhausted);
        }
        if self.row.deleting.is_some() {
            return self.continue_deletion(session, now, commit, stored);
        }
        let before = self.document.state().clock().clone();
        if let Some(absorbed) = self.take_in(&mut session, now, stored.as_ref()) {
            let growth = self.add_to(&mut commit, before, &absorbed);
            self.room.grow(growth);
            session.summary.changed_here.extend(absorbed.changed.iter().cloned());
            self.row.count = session.listed;
            commit.sync = Some(self.row.encode());
            self.outputs.push_back(Output::Commit(commit));
            if !absorbed.changed.is_empty() {
                self.outputs.push_back(Output::Changed(absorbed.changed));
            }
            if !absorbed.edit.is_empty() {
                self.outputs.push_back(Output::Rewrote(absorbed.edit));
            }
        } else if self.row.count != session.listed || !commit.records.is_empty() {
            self.row.count = session.listed;
            commit.sync = Some(self.row.encode());
            self.outputs.push_back(Output::Commit(commit));
        }
        self.stored = stored;
        self.offer(session, now);
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
            if known.is_none() || self.has_reserved() {
                return None;
            }
            session.summary.began_anew = true;
            self.row.lineage = None;
            return Some(self.adopt(session, State::new(), Carry::Additions, time));
        };
        self.row.lineage = Some(stored.lineage());
        if known.is_some_and(|known| known != stored.lineage()) {
            session.summary.began_anew = true;
            let follows = stored.head().is_some_and(|head| head.predecessor == known);
            let carry = if follows { Carry::Everything } else { Carry::Additions };
            return Some(self.adopt(session, stored.state().clone(), carry, time));
        }
        if self.is_copy(stored.state()) {
            return Some(self.adopt(session, stored.state().clone(), Carry::Everything, time));
        }
        let listed = self.listed_with_sent(stored.state());
        let seen = stored.state().seen_from(self.row.actor);
        self.row.sent.retain(|sent| sent.counter > seen);
        let known_tip = self.stored.as_ref().and_then(Stored::tip);
        let nothing_new = known_tip.is_some() && known_tip == stored.tip() && !stored.needs_repair();
        if nothing_new && known.is_some() {
            return None;
        }
        let absorbed = self.document.absorb(stored.state(), &listed, time);
        let is_nothing = absorbed.edit.is_empty()
            && absorbed.delta.as_ref().is_some_and(driftless_document::Delta::is_empty);
        (!is_nothing || known.is_none()).then_some(absorbed)
    }

    fn adopt(&mut self, session: &mut Session, state: State, carry: Carry, time: i64) -> Absorbed {
        let actor = session.actor();
        let listed = self.stored.as_ref().map_or_else(State::new, |stored| stored.state().clone());
        self.row.actor = actor;
        self.row.sent.clear();
        self.document.adopt(state, &listed, actor, carry, time)
    }

    /// Tells whether what is stored holds edits under our author that this store never made: then it is a copy of another
    /// one, or an old backup, and must not go on under that name.
    fn is_copy(&self, stored: &State) -> bool {
        let theirs = stored.seen_from(self.row.actor);
        let ours = self.listed_clock().get(&self.row.actor).copied().unwrap_or(0);
        theirs > ours && !self.row.sent.iter().any(|sent| sent.counter == theirs)
    }

    /// Returns the listed clock, with what a push brought of which only now is known that it stands.
    fn listed_with_sent(&self, stored: &State) -> Clock {
        let mut listed = self.listed_clock().clone();
        let seen = stored.seen_from(self.row.actor);
        for made in self.row.sent.iter().filter(|sent| sent.counter <= seen).flat_map(|sent| &sent.made) {
            let entry = listed.entry(made.actor).or_insert(0);
            *entry = (*entry).max(made.counter);
        }
        listed
    }

    /// Adds what was taken in to a commit, and returns by how many bytes the state grew at most.
    fn add_to(&mut self, commit: &mut Commit, mut before: Clock, absorbed: &Absorbed) -> usize {
        let Some(delta) = &absorbed.delta else {
            let snapshot = self.snapshot();
            let bytes = snapshot.state.len();
            commit.snapshot = Some(snapshot);
            return bytes;
        };
        let delta_row = driftless_record::encode(delta, &before);
        before.extend(&delta.clock);
        self.log_bytes += delta_row.len();
        commit.deltas.push(delta_row);
        commit.deltas.extend(self.encode_deltas(before, &absorbed.edit));
        commit.deltas.iter().map(Vec::len).sum()
    }

    /// Goes on with a deletion that was asked for here: only the life that was meant is deleted.
    fn continue_deletion(
        &mut self,
        session: Session,
        now: Timestamp,
        commit: Commit,
        stored: Option<Stored>,
    ) {
        let stands = stored.as_ref().map(Stored::lineage);
        if stands.is_some() && stands == self.row.deleting {
            self.ask_delete(&session);
            self.session = Some(session);
            return;
        }
        // It is gone already, perhaps by a request of ours whose answer was lost, and what stands there now is another life.
        self.row.deleting = None;
        self.absorb(session, now, commit, stored);
    }

    pub(crate) fn on_deleted(&mut self, mut session: Session, answer: Result<(), crate::session::Failure>) {
        if answer.is_err() {
            return self.fail(SessionError::Request);
        }
        session.summary.deleted = true;
        self.row.deleting = None;
        self.row.count = SyncCount::ZERO;
        self.mirror.clear();
        let mut commit = self.new_commit();
        commit.forget_records = true;
        commit.sync = Some(self.row.encode());
        self.outputs.push_back(Output::Commit(commit));
        if self.document.state().is_blank() {
            return self.finish(session);
        }
        // Edits made since the deletion go into a new life.
        self.list(session, SyncCount::ZERO);
    }
}
