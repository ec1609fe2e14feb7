//! The answer to a push: what it shows is believed, and nothing else.
//!
//! A Lambda may have changed what was sent, or other records [COGNITO trap 17]. The count only advances if it rose by one: a
//! higher one means that another device's push lies between, which must still be listed [trap 2].

use driftless_document::{Absorbed, Carry, Clock, Edit, State, branch, mutant};
use driftless_record::is_reserved;
use driftless_wire::{RecordKey, RecordPatch, Timestamp, UpdateRecordsResponse};

use crate::commit::{Commit, Durability};
use crate::replica::Replica;
use crate::session::{Compaction, InFlight, Session};

impl Replica {
    pub(crate) fn settle(
        &mut self,
        mut session: Session,
        now: Timestamp,
        in_flight: InFlight,
        answer: UpdateRecordsResponse,
    ) {
        let patched = |key: &RecordKey| in_flight.patches.iter().find(|patch| patch.key == *key);
        let is_as_sent = |patch: &RecordPatch| {
            let shown = answer.records.iter().find(|record| record.key == patch.key);
            shown.is_some_and(|record| record.value == patch.value)
        };
        let is_slot = |patch: &&RecordPatch| is_reserved(patch.key.as_str());
        let (slots, plain): (Vec<_>, Vec<_>) = in_flight.patches.iter().partition(is_slot);
        let as_sent = slots.into_iter().all(is_as_sent);
        let is_plain_changed = !plain.into_iter().all(is_as_sent);
        let only_sent = answer
            .records
            .iter()
            .all(|record| match patched(&record.key) {
                Some(patch) => patch.value == record.value || !is_reserved(patch.key.as_str()),
                None => !is_reserved(record.key.as_str()),
            });
        if (!as_sent || !only_sent) && !mutant!(AnswerNotCompared) {
            branch!(RelistAnswerDiffers);
            // What came is listed again with the rest, so that mirror and count stay of one moment.
            return self.relist(session);
        }
        let newest = answer.records.iter().map(|record| record.sync_count).max();
        let mut commit = Commit::new(self.key.clone());
        self.mirror_records(answer.records, &mut commit);
        if newest == Some(session.listed.next()) {
            branch!(SettledAndCounted);
            self.row.count = session.listed.next();
        } else {
            branch!(SettledBehindOthers);
        }
        if mutant!(CountAlwaysAdvanced) {
            self.row.count = newest.unwrap_or(self.row.count);
        }
        // Where nothing stands in a life that is known, all slots were removed.
        session.summary.repaired |= match &self.stored {
            Some(stored) => stored.needs_repair(),
            None => self.row.lineage.is_some(),
        };
        if session.summary.repaired {
            branch!(Repaired);
        }
        // Before what was sent is forgotten: it tells which objects of ours others may have seen.
        let brought = in_flight.brought;
        let stands = in_flight.stored.state();
        let has_imported = brought.imported.is_some();
        let taken_in = match brought.children {
            true => Some(self.take_children_in(&mut session, now, stands, brought, &mut commit)),
            false => brought
                .imported
                .map(|edit| self.take_imported(stands, edit, &mut commit)),
        };
        session.summary.wrote = Some(in_flight.wrote);
        session.summary.changed_there.extend(in_flight.keys);
        let was_plain_only = self.is_plain_only();
        self.enter(&in_flight.stored);
        self.row.own = self
            .row
            .own
            .max(in_flight.stored.state().seen_from(self.row.actor));
        self.row.sent.clear();
        self.row.listed.clear();
        self.row.over.strike_out(&in_flight.over);
        let begun = in_flight.compacts.then(|| {
            let compacted = in_flight.stored.state().clone();
            self.begin_compacted(&mut session, now, compacted, &mut commit)
        });
        self.stored = Some(in_flight.stored);
        self.listed_beyond = None;
        self.learn_plain(self.row.lineage);
        self.keep(commit, Durability::Buffered);
        for absorbed in begun.into_iter().chain(taken_in) {
            self.tell(&mut session, absorbed);
        }
        if is_plain_changed && !std::mem::replace(&mut session.followed_up, true) {
            branch!(PlainChanged);
            let since = self.row.count;
            return self.list(session, since);
        }
        if has_imported && session.compaction == Compaction::Wanted {
            // Who writes at every push would keep it from ever ending.
            let is_again = std::mem::replace(&mut session.followed_up, true);
            session.compaction = if is_again {
                Compaction::No
            } else {
                Compaction::Wanted
            };
        }
        // What was not synchronized, or not folded in, is pushed onto the compacted or adopted life; one that was repaired, or
        // into which was imported, is compacted then.
        let brought_no_more = in_flight.compacts || was_plain_only;
        if session.compaction == Compaction::Wanted || (brought_no_more && self.has_more(&session))
        {
            let since = self.row.count;
            return self.list(session, since);
        }
        self.conclude(session);
    }

    fn has_more(&self, session: &Session) -> bool {
        self.has_unsynced() || session.children.has_unmet(self.document.state())
    }

    /// Takes what was imported into the document, now that it stands.
    fn take_imported(&mut self, stored: &State, edit: Edit, commit: &mut Commit) -> Absorbed {
        branch!(PlainImportStands);
        let clock = self.document.state().clock().clone();
        self.pin_saved();
        let delta = self.document.join(stored);
        let changed = self.document.state().changed_keys(&delta);
        let mut absorbed = Absorbed {
            delta: Some(delta),
            edit: Edit::default(),
            changed,
        };
        self.add_to(commit, clock, &absorbed);
        // It is no edit of this document, so it is told only to whoever keeps every edit.
        absorbed.edit = edit;
        absorbed
    }

    /// Goes on with what was compacted out of the listed state, and writes what that lacked again.
    fn begin_compacted(
        &mut self,
        session: &mut Session,
        now: Timestamp,
        compacted: State,
        commit: &mut Commit,
    ) -> Absorbed {
        branch!(Compacted);
        session.compaction = Compaction::No;
        session.summary.compacted = true;
        let begun = self.adopt_compacted(session, compacted, Carry::Everything, now.as_millis());
        self.add_to(commit, Clock::new(), &begun);
        begun
    }
}
