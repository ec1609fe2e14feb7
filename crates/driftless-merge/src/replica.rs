//! One dataset of one owner on this device: its document, the service records as last seen, and what is remembered of both.
//!
//! The rule: memory runs ahead of the disk only until the commit that an edit or an input gave is kept; whoever cannot keep
//! one must drop the replica and recover it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::LazyLock;

use driftless_document::{Actor, Clock, Document, State, branch};
use driftless_record::{DecodeError, HEAD_KEY, Limits, Lineage, Stored};
use driftless_wire::{IdentityId, IdentityPoolId, RecordKey, SyncCount};

use crate::commit::{Commit, DatasetKey, MirroredRecord, Recovered, Snapshot};
use crate::room::Room;
use crate::row::{RowError, SyncRow, Synced};
use crate::session::{Output, Session};

/// A log of deltas shorter than this is never folded into a snapshot.
const SHORT_LOG: usize = 64 * 1024;

/// One dataset on this device.
#[derive(Debug)]
pub struct Replica {
    pub(crate) key: DatasetKey,
    pub(crate) pool: IdentityPoolId,
    pub(crate) limits: Limits,
    pub(crate) document: Document,
    /// The service's records as this device last saw them, tombstones too.
    pub(crate) mirror: BTreeMap<RecordKey, MirroredRecord>,
    /// What the mirrored records hold, decoded.
    pub(crate) stored: Option<Stored>,
    /// The listed state, where that is more than what is stored: see [`listed`](Self::listed).
    pub(crate) listed_beyond: Option<State>,
    pub(crate) row: SyncRow,
    pub(crate) room: Room,
    pub(crate) session: Option<Session>,
    pub(crate) outputs: VecDeque<Output>,
    pub(crate) log_bytes: usize,
    snapshot_bytes: usize,
    pub(crate) saved: Saved,
    /// Nothing was committed yet.
    pub(crate) is_new: bool,
}

/// What the saved document that the store keeps stands for, while it waits to be loaded.
#[derive(Debug)]
pub(crate) enum Saved {
    /// Nothing any more: it was loaded, or is not worth it.
    Nothing,
    /// The state as it is.
    Now,
    /// An earlier state.
    At(State),
}

/// Why a dataset cannot be recovered from what the store kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplicaError {
    /// The sync row is damaged or of a later version.
    #[error("the sync row cannot be used")]
    Row(#[from] RowError),
    /// The sync row is missing although there are other rows.
    #[error("the sync row is missing")]
    NoRow,
    /// The snapshot or a delta is damaged or of a later version.
    #[error("delta {number} of the log, counted from the snapshot at 0, does not decode")]
    Decode {
        /// Which one.
        number: usize,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// A delta does not fit onto the ones before it.
    #[error("delta {number} of the log, counted from the snapshot at 0, does not apply")]
    Apply {
        /// Which one.
        number: usize,
        /// What is wrong with it.
        source: driftless_document::ApplyError,
    },
}

impl Replica {
    /// Returns a dataset in which nothing was written yet. `actor` must be drawn for it alone.
    #[must_use]
    pub fn new(key: DatasetKey, pool: IdentityPoolId, limits: Limits, actor: Actor) -> Self {
        let document = Document::new(base_name(key.name().as_str()), actor);
        Self {
            key,
            pool,
            limits,
            document,
            mirror: BTreeMap::new(),
            stored: None,
            listed_beyond: None,
            row: SyncRow::new(actor),
            room: Room::default(),
            session: None,
            outputs: VecDeque::new(),
            log_bytes: 0,
            snapshot_bytes: 0,
            saved: Saved::Nothing,
            is_new: true,
        }
    }

    /// Returns the dataset that the store kept.
    ///
    /// The automerge document is not loaded: see [`wants_document`](Self::wants_document).
    ///
    /// # Errors
    ///
    /// [`ReplicaError`] if a row is damaged, which a store with checksums notices first.
    pub fn recover(
        key: DatasetKey,
        pool: IdentityPoolId,
        limits: Limits,
        recovered: Recovered,
    ) -> Result<Self, ReplicaError> {
        let row = SyncRow::decode(&recovered.sync.ok_or(ReplicaError::NoRow)?)?;
        let mut replica = Self::new(key, pool, limits, row.actor);
        replica.is_new = false;
        replica.row = row;
        replica.snapshot_bytes = recovered.state.as_ref().map_or(0, Vec::len);
        let mut state = State::new();
        let rows = recovered.state.iter().map(|bytes| (true, bytes));
        let rows = rows.chain(recovered.deltas.iter().map(|bytes| (false, bytes)));
        for (number, (is_snapshot, bytes)) in rows.enumerate() {
            let delta = driftless_record::decode(bytes, state.clock())
                .map_err(|source| ReplicaError::Decode { number, source })?;
            state = state
                .apply(&delta)
                .map_err(|source| ReplicaError::Apply { number, source })?;
            if !is_snapshot {
                replica.log_bytes += bytes.len();
            } else if recovered.deltas.is_empty() {
                replica.saved = Saved::Now;
            } else {
                replica.saved = Saved::At(state.clone());
            }
        }
        replica
            .room
            .grow(replica.snapshot_bytes + replica.log_bytes);
        replica.document = Document::from_state(
            base_name(replica.key.name().as_str()),
            replica.row.actor,
            state,
        );
        replica.mirror = recovered.records;
        // Damaged records are listed again: what cannot be read here only costs the listed state.
        replica.stored = replica.read_with(&[], false).ok().flatten();
        Ok(replica)
    }

    /// Returns which dataset this is.
    #[must_use]
    pub const fn key(&self) -> &DatasetKey {
        &self.key
    }

    /// Returns the document.
    #[must_use]
    pub const fn document(&self) -> &Document {
        &self.document
    }

    /// Returns the count of the service up to which everything was listed.
    #[must_use]
    pub const fn count(&self) -> SyncCount {
        self.row.count
    }

    /// Returns when the dataset was last synchronized, if it ever was in its present life on this device.
    #[must_use]
    pub const fn last_sync(&self) -> Option<Synced> {
        self.row.synced
    }

    /// Tells whether the service had the dataset when it was last listed or pushed to: it has records then, removed ones at
    /// least.
    #[must_use]
    pub fn is_known_to_exist(&self) -> bool {
        !self.mirror.is_empty()
    }

    /// Returns the count of the record that holds head, also of its tombstone.
    pub(crate) fn head_count(&self) -> Option<SyncCount> {
        let head: RecordKey = HEAD_KEY.parse().expect("it is a key");
        Some(self.mirror.get(&head)?.sync_count)
    }

    /// Tells whether there are edits that the service is not known to have.
    ///
    /// It follows from what is durable, so it survives restarts.
    #[must_use]
    pub fn has_unsynced(&self) -> bool {
        let state = self.document.state();
        let has_more = match &self.stored {
            Some(stored) => {
                let is_new =
                    |(actor, counter): (&Actor, &u32)| stored.state().seen_from(*actor) < *counter;
                state.clock().iter().any(is_new)
            }
            None if self.is_plain_only() => {
                !self.plain_patches(state).is_empty() || self.holds_textless()
            }
            None => self.row.lineage.is_some() || !state.is_blank(),
        };
        has_more || !self.row.deleting.is_empty() || !self.row.over.is_empty()
    }

    /// Returns the *listed* state: all that the service was seen to hold in this life, so that others may have seen it.
    ///
    /// After a restart it is what the mirrored records hold.
    pub(crate) fn listed(&self) -> &State {
        static NOTHING: LazyLock<State> = LazyLock::new(State::new);
        let stored = self.stored.as_ref().map(Stored::state);
        self.listed_beyond.as_ref().or(stored).unwrap_or(&NOTHING)
    }

    /// Tells whether the saved document should be given to [`attach`](Self::attach) before the next edit.
    #[must_use]
    pub fn wants_document(&self) -> bool {
        !self.document.is_loaded() && !matches!(self.saved, Saved::Nothing)
    }

    /// Takes the saved document of the last snapshot, as the store kept it; it only saves the time to build it anew.
    pub fn attach(&mut self, bytes: &[u8]) {
        let state = match std::mem::replace(&mut self.saved, Saved::Nothing) {
            Saved::Nothing => return,
            Saved::Now => self.document.state().clone(),
            Saved::At(state) => state,
        };
        branch!(DocumentAttached);
        self.document.attach(bytes, &state);
    }

    /// Remembers the state that the saved document stands for, before the document goes on without it.
    pub(crate) fn pin_saved(&mut self) {
        if matches!(self.saved, Saved::Now) {
            self.saved = Saved::At(self.document.state().clone());
        }
    }

    /// Tells whether the log has grown so long that a snapshot should take its place.
    #[must_use]
    pub fn wants_fold(&self) -> bool {
        self.log_bytes > SHORT_LOG.max(2 * self.snapshot_bytes)
    }

    /// Returns the commit that replaces the log by a snapshot; it saves the automerge document too, which takes its time.
    ///
    /// The snapshot is read back first. `None` if it would not be the same state: then the log must stay.
    #[must_use]
    pub fn fold(&mut self) -> Option<Commit> {
        let bytes = self.encoded_state();
        let read = driftless_record::decode(&bytes, &Clock::new()).ok()?;
        if State::new().apply(&read).ok()? != *self.document.state() {
            return None;
        }
        branch!(LogFolded);
        let mut commit = Commit::new(self.key.clone());
        commit.snapshot = Some(self.snapshot_of(bytes));
        commit.sync = Some(self.row.encode());
        self.is_new = false;
        Some(commit)
    }

    pub(crate) fn snapshot(&mut self) -> Snapshot {
        let state = self.encoded_state();
        self.snapshot_of(state)
    }

    fn encoded_state(&self) -> Vec<u8> {
        let delta = self.document.state().diff(&State::new());
        driftless_record::encode(&delta, &Clock::new())
    }

    fn snapshot_of(&mut self, state: Vec<u8>) -> Snapshot {
        self.snapshot_bytes = state.len();
        self.log_bytes = 0;
        self.saved = Saved::Nothing;
        Snapshot {
            state,
            document: Some(self.document.save()),
        }
    }

    pub(crate) fn identity(&self) -> Option<&IdentityId> {
        match self.key.owner() {
            crate::commit::Owner::Identity(identity) => Some(identity),
            crate::commit::Owner::Local => None,
        }
    }

    /// Gives the dataset a new life on this device: a fresh author, no memory of the service.
    pub(crate) fn start_anew(&mut self, actor: Actor) {
        self.document = Document::new(base_name(self.key.name().as_str()), actor);
        let taken = std::mem::take(&mut self.row.taken);
        self.row = SyncRow::new(actor);
        self.row.taken = taken;
        self.mirror.clear();
        self.stored = None;
        self.listed_beyond = None;
        self.room = Room::default();
    }

    /// Takes a new author for all later edits, as after a store lost the end of its journal: ids given out and lost would be
    /// given out again.
    #[must_use]
    pub fn reincarnate(&mut self, actor: Actor) -> Commit {
        self.document.set_actor(actor);
        self.row.rename(actor);
        let mut commit = Commit::new(self.key.clone());
        commit.sync = Some(self.row.encode());
        self.is_new = false;
        commit
    }

    /// Returns the life of the stored dataset that this device last saw.
    #[must_use]
    pub const fn lineage(&self) -> Option<Lineage> {
        self.row.lineage
    }
}

/// Returns the name that objects are created under: without the suffix that a merge of identities appends [COGNITO 2.6].
pub(crate) fn base_name(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((base, suffix)) if !base.is_empty() && suffix.parse::<IdentityId>().is_ok() => base,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_dataset_creates_objects_under_its_old_name() {
        assert_eq!(base_name("notes.us-east-1:0a-f"), "notes");
        assert_eq!(base_name("notes.2026"), "notes.2026");
        assert_eq!(base_name("notes"), "notes");
    }
}
