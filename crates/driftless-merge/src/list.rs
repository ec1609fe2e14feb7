//! The answer to ListRecords: pages become one whole list, and that becomes the mirror.
//!
//! Count, flags and token are those of the last page [COGNITO trap 6]; pages that disagree about the count belong to
//! different moments and are listed again. What an incremental list leaves unclear is listed again from 0 before it is
//! believed: a deletion, another lineage, damage.

use std::collections::BTreeMap;

use driftless_document::{branch, mutant};
use driftless_record::{Lineage, ReadError, Stored, is_reserved};
use driftless_wire::{ListRecordsResponse, Record, SyncCount, Timestamp};

use crate::commit::{Commit, MirroredRecord};
use crate::replica::Replica;
use crate::session::{Failure, Listing, MAX_RELISTS, Session, SessionError};

/// Pages of one list; the service's limits make two, one that gives smaller pages than it is asked for more.
pub(crate) const MAX_PAGES: u32 = 1_024;

/// A list may be so many times as large as the dataset's limit: tombstones, and plain records beside the state.
pub(crate) const MAX_LIMITS: usize = 4;

/// A list that is believed.
pub(crate) struct List {
    pub(crate) records: Vec<Record>,
    /// Whether these are all records that there are.
    pub(crate) is_full: bool,
    /// What the records hold.
    pub(crate) stored: Option<Stored>,
}

impl Replica {
    /// Lists the records that changed after a count; 0 is all.
    pub(crate) fn list(&mut self, mut session: Session, since: SyncCount) {
        session.list = Listing {
            since,
            ..Listing::default()
        };
        self.ask_list(session, None);
    }

    /// Lists everything once more, if that was not done too often already.
    pub(crate) fn relist(&mut self, mut session: Session) {
        session.relists += 1;
        if session.relists > MAX_RELISTS {
            branch!(RelistedTooOften);
            return self.fail(SessionError::Answer(
                "each list differs from what was written",
            ));
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
                branch!(RelistNoSuchCount);
                return self.relist(session);
            }
            // The token of a page ends with the life of the dataset.
            Err(Failure::Refused) if session.list.pages > 0 => {
                branch!(RelistTokenEnded);
                return self.relist(session);
            }
            Err(_) => return self.fail(SessionError::Request),
        };
        let list = &mut session.list;
        if list
            .count
            .is_some_and(|count| count != page.dataset_sync_count && !mutant!(PagesNotCompared))
        {
            branch!(RelistPagesDisagree);
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
            return self.ask_list(session, page.next_token);
        }
        let gone = !page.dataset_exists || page.dataset_deleted_after_requested_sync_count;
        if gone && list.since > SyncCount::ZERO {
            branch!(RelistGone);
            return self.relist(session);
        }
        session
            .children
            .found(self.key.name(), &page.merged_dataset_names);
        session.token = page.sync_session_token;
        session.listed = page.dataset_sync_count;
        self.on_whole_list(session, now);
    }

    fn on_whole_list(&mut self, mut session: Session, now: Timestamp) {
        let is_full = session.list.since == SyncCount::ZERO;
        let records = std::mem::take(&mut session.list.records);
        let stored = match &self.stored {
            Some(stored) if records.is_empty() && !is_full => Ok(Some(stored.clone())),
            _ => self.read_with(&records, is_full),
        };
        match stored {
            Ok(stored) if is_full || self.is_regular(stored.as_ref()) => {
                self.absorb(
                    session,
                    now,
                    List {
                        records,
                        is_full,
                        stored,
                    },
                );
            }
            // What was written over every slot is damage, for a device that knows whose they are.
            Err(ReadError::Unreadable { .. }) if is_full && self.knows_a_life() => {
                branch!(ListUnreadable);
                self.absorb(
                    session,
                    now,
                    List {
                        records,
                        is_full,
                        stored: None,
                    },
                );
            }
            Err(error) if is_full => {
                branch!(ListRefused);
                self.fail(SessionError::Stored(error));
            }
            // An increment may have been laid onto records that are not there any more.
            _ => {
                branch!(RelistIrregular);
                self.relist(session);
            }
        }
    }

    /// Tells whether this device has seen a life of the dataset, or has sent the push that begins one.
    fn knows_a_life(&self) -> bool {
        self.row.lineage.is_some() || !self.row.sent.is_empty()
    }

    /// Reads the mirrored records as they are with those listed, or only these if they are all there is.
    pub(crate) fn read_with(
        &self,
        listed: &[Record],
        is_full: bool,
    ) -> Result<Option<Stored>, ReadError> {
        let mirrored = self.mirror.iter().filter(|_| !is_full);
        let mut values: BTreeMap<&str, Option<&str>> = mirrored
            .map(|(key, record)| (key.as_str(), record.value.as_deref()))
            .collect();
        values.extend(
            listed
                .iter()
                .map(|record| (record.key.as_str(), record.value.as_deref())),
        );
        let reserved = values.into_iter().filter(|(key, _)| is_reserved(key));
        let values = reserved.filter_map(|(key, value)| Some((key, value?)));
        driftless_record::read(values, &self.limits, self.stored.as_ref())
    }

    /// Tells whether an incremental list can be believed.
    fn is_regular(&self, stored: Option<&Stored>) -> bool {
        let is_of = |lineage: Lineage| self.row.lineage.is_none_or(|known| known == lineage);
        match stored {
            Some(stored) => !stored.needs_repair() && is_of(stored.lineage()),
            None => self.row.lineage.is_none(),
        }
    }

    /// Takes records into the mirror and into a commit.
    pub(crate) fn mirror_records(&mut self, records: Vec<Record>, commit: &mut Commit) {
        for record in records {
            let mirrored = MirroredRecord {
                value: record.value,
                sync_count: record.sync_count,
            };
            commit
                .records
                .push((record.key.clone(), Some(mirrored.clone())));
            if mirrored.value.is_some() || !mutant!(TombstoneForgotten) {
                self.mirror.insert(record.key, mirrored);
            } else {
                self.mirror.remove(&record.key);
            }
        }
        self.room.forget_beside();
    }

    /// Tells whether any reserved record was ever written: one with a value, or the tombstone of one.
    pub(crate) fn has_reserved(&self) -> bool {
        self.mirror.keys().any(|key| is_reserved(key.as_str()))
    }
}

pub(crate) fn size(record: &Record) -> usize {
    record.key.as_str().len() + record.value.as_ref().map_or(0, String::len) + 64
}
