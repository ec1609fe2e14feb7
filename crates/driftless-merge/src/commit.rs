//! What must become durable together, and what a start finds again.
//!
//! Plain data between the engine, which decides, and a store, which keeps. The bytes are opaque to the store: it never
//! looks into a delta, a state or a sync row, so their formats can change without it.
//!
//! The rule: a [`Commit`] is kept whole or not at all, and commits are kept in the order in which they were made.

use std::collections::BTreeMap;
use std::fmt;

use driftless_wire::{DatasetName, IdentityId, RecordKey, SyncCount};

/// Whose data they are. Data are kept per owner and never change hands.
///
/// Closed: an identity or none is all there is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// Whoever uses the device before any identity is known; adopted by the first identity.
    Local,
    /// An identity of the pool.
    Identity(IdentityId),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::Identity(id) => id.fmt(f),
        }
    }
}

/// Names one dataset in a store: whose it is and what it is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatasetKey {
    owner: Owner,
    name: DatasetName,
}

impl DatasetKey {
    /// Names the dataset `name` of `owner`.
    #[must_use]
    pub fn new(owner: Owner, name: DatasetName) -> Self {
        Self { owner, name }
    }

    /// Returns whose dataset it is.
    #[must_use]
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Returns what the dataset is called.
    #[must_use]
    pub fn name(&self) -> &DatasetName {
        &self.name
    }
}

/// Shown in logs and errors as `owner/name`.
impl fmt::Display for DatasetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

/// What must become durable together.
///
/// The parts take effect in the order of the fields below the dataset's name: a snapshot first replaces what was
/// logged before, then the deltas are appended; records are first forgotten, then written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The dataset that the commit is about. One that is not in the store yet comes into being by its first commit.
    pub dataset: DatasetKey,
    /// Replaces the snapshot and, with it, all deltas that earlier commits logged.
    pub snapshot: Option<Snapshot>,
    /// Encoded deltas, appended to the dataset's log in this order.
    pub deltas: Vec<Vec<u8>>,
    /// Forgets all mirrored records before `records` are written.
    pub forget_records: bool,
    /// Mirrored records that changed; `None` forgets one. Of two entries with one key the later counts.
    pub records: Vec<(RecordKey, Option<MirroredRecord>)>,
    /// Replaces the sync row.
    pub sync: Option<Vec<u8>>,
}

impl Commit {
    /// A commit that changes nothing yet.
    #[must_use]
    pub fn new(dataset: DatasetKey) -> Self {
        Self {
            dataset,
            snapshot: None,
            deltas: Vec::new(),
            forget_records: false,
            records: Vec::new(),
            sync: None,
        }
    }
}

/// A dataset's whole state, to be read instead of a long log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The encoded state.
    pub state: Vec<u8>,
    /// The saved document of that state: a cache, for it can be rebuilt from the state.
    pub document: Option<Vec<u8>>,
}

/// A service record as the device last saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirroredRecord {
    /// The record's value; `None` is a tombstone.
    pub value: Option<String>,
    /// The record's sync count.
    pub sync_count: SyncCount,
}

/// What a start finds of a dataset: the sum of its commits.
///
/// The saved document is not among it, because it is large and only loaded when first needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The encoded state of the newest snapshot.
    pub state: Option<Vec<u8>>,
    /// The deltas logged since, oldest first.
    pub deltas: Vec<Vec<u8>>,
    /// The mirrored records.
    pub records: BTreeMap<RecordKey, MirroredRecord>,
    /// The sync row.
    pub sync: Option<Vec<u8>>,
}

/// What an acknowledged commit survives.
///
/// Closed: these are the two promises a disk lets us make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Durability {
    /// Loss of power: the bytes were synced to the disk before the commit was acknowledged.
    Disk,
    /// Death of the process, but not loss of power: the bytes were handed to the operating system. A later commit
    /// with [`Durability::Disk`] takes all earlier ones with it.
    Buffered,
}
