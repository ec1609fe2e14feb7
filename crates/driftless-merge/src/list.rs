//! The answer to ListRecords: pages become one whole list, and that becomes the mirror.
//!
//! Count, flags and token are those of the last page [COGNITO trap 6]; pages that disagree about the count belong to
//! different moments and are listed again. What an incremental list leaves unclear is listed again from 0 before it is
//! believed: a deletion, another lineage, damage.

use driftless_record::{Stored, is_reserved};
use driftless_wire::{ListRecordsResponse, Record, SyncCount, Timestamp};

use crate::commit::{Commit, MirroredRecord};
use crate::replica::Replica;
use crate::session::{Failure, Listing, MAX_RELISTS, Session, SessionError};

/// Pages of one list; the service's limits make two, tombstones perhaps more.
const MAX_PAGES: u32 = 64;

/// A list may be so many times as large as the dataset's limit: tombstones, and plain records beside the state.
const MAX_LIMITS: usize = 4;

impl Replica {
    /// Lists the records that changed after a count; 0 is all.
    pub(crate) fn list(&mut self, mut session: Session, since: SyncCount) {
        session.list = Listing { since, ..Listing::default() };
        session.in_flight = None;
        self.ask_list(&session, None);
        self.session = Some(session);
    }

    /// Lists everything once more, if that was not done too often already.
    pub(crate) fn relist(&mut self, mut session: Session) {
        session.relists += 1;
        if session.relists > MAX_RELISTS {
            return self.fail(SessionError::Answer("each list differs from what was written"));
        }
        self.list(session, SyncCount::ZERO);
    }

    pub(crate) fn on_listed(
        &mut self,
        mut session: Session,
        now: Timestamp,
        answer: Result<ListRecordsResponse, Failure>,
    ) {
        let page = match answer {
            Ok(page) => page,
            Err(Failure::NoSuchSyncCount) if session.list.since > SyncCount::ZERO => {
                return self.relist(session);
            }
            Err(_) => return self.fail(SessionError::Request),
        };
        let list = &mut session.list;
        if list.count.is_some_and(|count| count != page.dataset_sync_count) {
            return self.relist(session);
        }
        list.count = Some(page.dataset_sync_count);
        list.pages += 1;
        list.bytes += page.records.iter().map(size).sum::<usize>();
        if list.pages > MAX_PAGES || list.bytes > MAX_LIMITS * self.limits.dataset_bytes() {
            return self.fail(SessionError::Answer("a list exceeds every limit"));
        }
        list.records.extend(page.records);
        if page.next_token.is_some() {
            self.ask_list(&session, page.next_token);
            self.session = Some(session);
            return;
        }
        let gone = !page.dataset_exists || page.dataset_deleted_after_requested_sync_count;
        if gone && list.since > SyncCount::ZERO {
            return self.relist(session);
        }
        session.token = page.sync_session_token;
        session.listed = page.dataset_sync_count;
        self.on_whole_list(session, now);
    }

    fn on_whole_list(&mut self, mut session: Session, now: Timestamp) {
        let is_full = session.list.since == SyncCount::ZERO;
        let records = std::mem::take(&mut session.list.records);
        let before = self.mirror.clone();
        if is_full {
            self.mirror.clear();
        }
        let mut commit = self.new_commit();
        commit.forget_records = is_full;
        self.mirror_records(records, &mut commit);
        match self.read_mirror(self.stored.as_ref()) {
            Ok(Some(stored)) if is_full || self.is_regular(&stored) => {
                self.absorb(session, now, commit, Some(stored));
            }
            Ok(None) if is_full || self.row.lineage.is_none() => {
                self.absorb(session, now, commit, None);
            }
            Err(error) if is_full => {
                self.mirror = before;
                self.fail(SessionError::Stored(error));
            }
            // An increment may have been laid onto records that are not there any more.
            _ => {
                self.mirror = before;
                self.relist(session);
            }
        }
    }

    /// Tells whether an incremental list can be believed.
    fn is_regular(&self, stored: &Stored) -> bool {
        !stored.needs_repair() && self.row.lineage.is_none_or(|lineage| lineage == stored.lineage())
    }

    /// Takes records into the mirror and into a commit.
    pub(crate) fn mirror_records(&mut self, records: Vec<Record>, commit: &mut Commit) {
        for record in records {
            let mirrored = MirroredRecord { value: record.value, sync_count: record.sync_count };
            commit.records.push((record.key.clone(), Some(mirrored.clone())));
            self.mirror.insert(record.key, mirrored);
        }
    }

    /// Tells whether any reserved record was ever written: one with a value, or the tombstone of one.
    pub(crate) fn has_reserved(&self) -> bool {
        self.mirror.keys().any(|key| is_reserved(key.as_str()))
    }
}

fn size(record: &Record) -> usize {
    record.key.as_str().len() + record.value.as_ref().map_or(0, String::len) + 64
}
