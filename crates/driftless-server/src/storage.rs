//! What the service asks of the place where datasets are kept.
//!
//! The unit is the *push*: records that become visible together, under one new count, if the
//! dataset still stands at the count the push was planned on. That compare-and-swap is all the
//! coordination there is; nothing here knows a request, a token or a limit. Beside the datasets
//! stand *notes*, small texts by key, which change under compare-and-swap too. The shape fits a log
//! of pushes per dataset with a head that is swapped by one conditional write, so an engine with
//! no transactions over many rows can carry it too.
//!
//! Rules that every implementation keeps, and `tests/it/storage.rs` asks of each:
//!
//! - A push or a deletion happens whole or not at all, and is durable before the call returns.
//! - Each raises the count by exactly one; the count never goes back, so a count names one state.
//! - [`Storage::read`] shows head and records of one moment.
//! - A removed record stays as a record without a value until its dataset is deleted.

mod fjall;
mod memory;

use std::error::Error;
use std::fmt;

use driftless_wire::{
    DatasetName, IdentityId, IdentityPoolId, Record, RecordKey, SyncCount, Timestamp,
};

pub use self::fjall::FjallStorage;
pub use self::memory::MemoryStorage;

/// Keeps datasets.
///
/// Calls may block on a disk or a network; the HTTP shell makes them off its own threads.
pub trait Storage: fmt::Debug + Send + Sync {
    /// Returns where the dataset stands and the records selected, both of one moment.
    ///
    /// A dataset that never was has [`Head::default`].
    ///
    /// # Errors
    ///
    /// When the place cannot be read, or what it holds cannot be understood.
    fn read(&self, address: &Address, selection: Selection<'_>) -> Result<View, StorageError>;

    /// Returns up to `limit` datasets of an identity that exist, by name, those after `after`.
    ///
    /// # Errors
    ///
    /// As [`Storage::read`].
    fn list(
        &self,
        owner: &Owner,
        after: Option<&DatasetName>,
        limit: usize,
    ) -> Result<Vec<(DatasetName, Live)>, StorageError>;

    /// Writes `push` at count `expected.next()` if the dataset stands at `expected`.
    ///
    /// Each record takes the place of the one with its key, and the new count whatever it says.
    /// The dataset exists afterwards.
    ///
    /// # Errors
    ///
    /// When it is not known to be durable; it may be there or not, whole.
    fn append(
        &self,
        address: &Address,
        expected: SyncCount,
        push: &Push,
    ) -> Result<Swap, StorageError>;

    /// Drops all records and ends the dataset's life, if it stands at `expected`.
    ///
    /// The head stays: its count rises by one and is noted in [`Head::deleted_at`].
    ///
    /// # Errors
    ///
    /// As [`Storage::append`].
    fn delete(&self, address: &Address, expected: SyncCount) -> Result<Swap, StorageError>;

    /// Moves a dataset to an address where none ever was.
    ///
    /// There it stands at the same count, noted in [`Head::adopted_at`], with the same records, and
    /// no deletion. Here it ends as by [`Storage::delete`]. If there is none here or ever was one
    /// there, nothing happens.
    ///
    /// # Errors
    ///
    /// As [`Storage::append`].
    fn adopt(&self, from: &Address, to: &Address) -> Result<Swap, StorageError>;

    /// Returns up to `limit` datasets that exist, those after `after`, by pool, identity and name.
    ///
    /// # Errors
    ///
    /// As [`Storage::read`].
    fn scan(
        &self,
        after: Option<&Address>,
        limit: usize,
    ) -> Result<Vec<(Address, Live)>, StorageError>;

    /// Returns the note at a key.
    ///
    /// # Errors
    ///
    /// As [`Storage::read`].
    fn note(&self, key: &str) -> Result<Option<String>, StorageError>;

    /// Returns the notes whose keys begin with `prefix`, by key.
    ///
    /// # Errors
    ///
    /// As [`Storage::read`].
    fn notes(&self, prefix: &str) -> Result<Vec<(String, String)>, StorageError>;

    /// Makes all changes if each note is as its change expects, else none. Each key stands in one
    /// change.
    ///
    /// # Errors
    ///
    /// As [`Storage::append`].
    fn swap_notes(&self, changes: &[NoteChange]) -> Result<Swap, StorageError>;
}

/// How a note changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteChange {
    /// Where it is.
    pub key: String,
    /// What must stand there; `None` for nothing.
    pub expected: Option<String>,
    /// What stands there afterwards; `None` for nothing.
    pub next: Option<String>,
}

/// Whose datasets: an identity of a pool.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// The identity pool.
    pub pool: IdentityPoolId,
    /// The identity.
    pub identity: IdentityId,
}

/// Which dataset: its owner and its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// Whose it is.
    pub owner: Owner,
    /// Its name.
    pub dataset: DatasetName,
}

/// Where a dataset stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// How many pushes and deletions there were, ever; of a dataset that was moved here, also where
    /// it came from. Zero if the dataset never was.
    pub count: SyncCount,
    /// The count that the last deletion took, zero if there was none.
    pub deleted_at: SyncCount,
    /// The count at which the dataset was moved here, zero if it was not or was deleted since.
    pub adopted_at: SyncCount,
    /// What is told about the dataset while it exists.
    pub live: Option<Live>,
}

/// A dataset that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// When its present life began.
    pub created: Timestamp,
    /// When the last push was made.
    pub modified: Timestamp,
    /// Who made it.
    pub modified_by: String,
    /// How many records it has, removed ones counted.
    pub records: u64,
    /// How many bytes of UTF-8 their keys and values are.
    pub bytes: u64,
}

/// Records that become visible together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// What is told about the dataset from then on.
    pub live: Live,
    /// The records that change, each key once.
    pub records: Vec<Record>,
}

/// Whether a conditional write was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Swap {
    /// It is there, durably.
    Done,
    /// What stood there was not what was expected; nothing was written.
    Moved,
}

/// Which records to read beside the head.
#[derive(Debug, Clone, Copy)]
pub enum Selection<'a> {
    /// None.
    Head,
    /// Those of these keys that exist, in the order of the keys given.
    Keys(&'a [RecordKey]),
    /// Those after a place, by count and then by key, up to a number.
    After(&'a Place, usize),
}

/// A place in the order of a dataset's records: by count, then by key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The count.
    pub count: SyncCount,
    /// The key within that count, or none for the end of the count.
    pub key: Option<RecordKey>,
}

/// A head and the records asked for, of one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// Where the dataset stands.
    pub head: Head,
    /// The records selected.
    pub records: Vec<Record>,
}

/// Why the storage could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The engine failed: a full or broken disk. After a failed write fjall takes no more until
    /// the store is opened again.
    #[error("storage engine failed")]
    Engine(#[source] Box<dyn Error + Send + Sync>),
    /// A stored row is not one that this version writes. What it is about cannot be served; the
    /// rest can.
    #[error("stored {row} row cannot be read: {why}")]
    Damaged {
        /// The keyspace of the row.
        row: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Another process has the store open.
    #[error("store is in use by another process")]
    InUse,
}
