//! One dataset of one owner on this device: its document, the service records as last seen, and what is remembered of both.
//!
//! The rule: memory runs ahead of the disk only until the commit that an edit or an input gave is kept; whoever cannot keep
//! one must drop the replica and recover it.

use std::collections::{BTreeMap, VecDeque};

use driftless_document::{Actor, Clock, Document, State};
use driftless_record::{DecodeError, Limits, Lineage, ReadError, Stored, is_reserved};
use driftless_wire::{IdentityId, IdentityPoolId, RecordKey};

use crate::commit::{Commit, DatasetKey, MirroredRecord, Recovered, Snapshot};
use crate::room::Room;
use crate::row::{RowError, SyncRow};
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
    /// What the mirrored records hold, decoded: the *listed* state.
    pub(crate) stored: Option<Stored>,
    pub(crate) row: SyncRow,
    pub(crate) room: Room,
    pub(crate) session: Option<Session>,
    pub(crate) outputs: VecDeque<Output>,
    pub(crate) log_bytes: usize,
    snapshot_bytes: usize,
    /// The state of the last snapshot, while its saved document waits to be loaded.
    saved_at: Option<State>,
    /// Nothing was committed yet.
    pub(crate) is_new: bool,
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
            row: SyncRow::new(actor),
            room: Room::default(),
            session: None,
            outputs: VecDeque::new(),
            log_bytes: 0,
            snapshot_bytes: 0,
            saved_at: None,
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
            state = state.apply(&delta).map_err(|source| ReplicaError::Apply { number, source })?;
            if is_snapshot && !recovered.deltas.is_empty() {
                replica.saved_at = Some(state.clone());
            } else if !is_snapshot {
                replica.log_bytes += bytes.len();
            }
        }
        replica.room.grow(replica.snapshot_bytes + replica.log_bytes);
        replica.document =
            Document::from_state(base_name(replica.key.name().as_str()), replica.row.actor, state);
        replica.mirror = recovered.records;
        // Damaged records are listed again: what cannot be read here only costs the listed state.
        replica.stored = replica.read_mirror(None).ok().flatten();
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

    /// Tells whether there are edits that the service is not known to have.
    ///
    /// It follows from what is durable, so it survives restarts.
    #[must_use]
    pub fn has_unsynced(&self) -> bool {
        let listed = self.listed_clock();
        let unlisted = |(actor, counter): (&Actor, &u32)| {
            listed.get(actor).is_none_or(|listed| listed < counter)
        };
        self.row.deleting.is_some() || self.document.state().clock().iter().any(unlisted)
    }

    /// Returns the clock of the listed state.
    pub(crate) fn listed_clock(&self) -> &Clock {
        static NOTHING: Clock = Clock::new();
        self.stored.as_ref().map_or(&NOTHING, |stored| stored.state().clock())
    }

    /// Tells whether the saved document should be given to [`attach`](Self::attach) before the next edit.
    #[must_use]
    pub fn wants_document(&self) -> bool {
        !self.document.is_loaded() && self.snapshot_bytes > 0
    }

    /// Takes the saved document of the last snapshot, as the store kept it; it only saves the time to build it anew.
    pub fn attach(&mut self, bytes: &[u8]) {
        let saved_at = self.saved_at.take();
        let state = saved_at.unwrap_or_else(|| self.document.state().clone());
        self.document.attach(bytes, &state);
    }

    /// Tells whether the log has grown so long that a snapshot should take its place.
    #[must_use]
    pub fn wants_fold(&self) -> bool {
        self.log_bytes > SHORT_LOG.max(2 * self.snapshot_bytes)
    }

    /// Returns the commit that replaces the log by a snapshot; it saves the automerge document too, which takes its time.
    #[must_use]
    pub fn fold(&mut self) -> Commit {
        let mut commit = Commit::new(self.key.clone());
        commit.snapshot = Some(self.snapshot());
        commit
    }

    pub(crate) fn snapshot(&mut self) -> Snapshot {
        let state = self.document.state().diff(&State::new());
        let state = driftless_record::encode(&state, &Clock::new());
        self.snapshot_bytes = state.len();
        self.log_bytes = 0;
        self.saved_at = None;
        Snapshot { state, document: Some(self.document.save()) }
    }

    /// Reads the mirrored records; `known` spares decoding what was decoded before.
    pub(crate) fn read_mirror(&self, known: Option<&Stored>) -> Result<Option<Stored>, ReadError> {
        let values = self.mirror.iter().filter(|(key, _)| is_reserved(key.as_str()));
        let values = values.filter_map(|(key, record)| Some((key.as_str(), record.value.as_deref()?)));
        driftless_record::read(values, &self.limits, known)
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
        let deleting = self.row.deleting;
        self.row = SyncRow { deleting, ..SyncRow::new(actor) };
        self.mirror.clear();
        self.stored = None;
        self.room = Room::default();
    }

    /// Takes a new author for all later edits, as after a store lost the end of its journal: ids given out and lost would be
    /// given out again.
    #[must_use]
    pub fn reincarnate(&mut self, actor: Actor) -> Commit {
        self.document.set_actor(actor);
        self.row.actor = actor;
        self.row.sent.clear();
        let mut commit = Commit::new(self.key.clone());
        commit.sync = Some(self.row.encode());
        commit
    }

    /// Returns the life of the stored dataset that this device last saw.
    #[must_use]
    pub const fn lineage(&self) -> Option<Lineage> {
        self.row.lineage
    }
}

/// Returns the name that objects are created under: without the suffix that a merge of identities appends [COGNITO 2.6].
fn base_name(name: &str) -> &str {
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
