//! The store on disk: one directory, one process, any number of threads.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock};

use driftless_merge::{Commit, DatasetKey, Durability, Owner, Recovered};
use driftless_wire::DatasetName;

use crate::commit::Writer;
use crate::lock::Lock;
use crate::{CommitError, OpenError, Opened, RecoverError, Store, open, recover};

/// A [`Store`] in a directory of its own.
///
/// A commit with [`Durability::Disk`] costs one write and one fdatasync of the bytes of its rows, whatever else is in
/// the store. Opening reads the journal twice, and the datasets not at all.
pub struct DiskStore {
    dir: PathBuf,
    /// `None` once the store was closed.
    live: RwLock<Option<Live>>,
}

/// What an open store holds. The lock goes last.
pub(crate) struct Live {
    pub(crate) rows: Rows,
    pub(crate) writer: Mutex<Writer>,
    pub(crate) lock: Lock,
}

/// The database and its one keyspace.
pub(crate) struct Rows {
    pub(crate) keyspace: fjall::Keyspace,
    pub(crate) db: fjall::Database,
}

impl DiskStore {
    /// Opens the store in a directory, or makes one there if the directory is empty or missing.
    ///
    /// The report says how the store was left and whether anything is gone. A store that lost its tail must not give out
    /// the op ids in it again: the caller takes a new incarnation.
    ///
    /// # Errors
    ///
    /// Each kind of [`OpenError`] says what to do. None of them changes anything in a directory that holds no store, or
    /// one of a newer version.
    pub fn open(dir: impl AsRef<Path>) -> Result<Opened, OpenError> {
        let dir = dir.as_ref();
        let (live, report) = open::open(dir)?;
        let store = Self {
            dir: dir.to_owned(),
            live: RwLock::new(Some(live)),
        };
        Ok(Opened { store, report })
    }

    fn read<T>(
        &self,
        read: impl FnOnce(&Rows) -> Result<T, RecoverError>,
    ) -> Result<T, RecoverError> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        read(&live.as_ref().ok_or(RecoverError::Closed)?.rows)
    }

    fn write<T>(
        &self,
        write: impl FnOnce(&mut Writer, &Rows) -> Result<T, CommitError>,
    ) -> Result<T, CommitError> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        let live = live.as_ref().ok_or(CommitError::Closed)?;
        let mut writer = live.writer.lock().map_err(|_| CommitError::Poisoned)?;
        write(&mut writer, &live.rows)
    }
}

impl Live {
    fn close(self) -> Result<(), CommitError> {
        let Self { rows, writer, lock } = self;
        // A writer whose holder panicked is not closed, which the next start takes for a crash.
        let closed = writer
            .into_inner()
            .map_or(Ok(()), |writer| writer.close(rows));
        drop(lock);
        closed
    }
}

impl Store for DiskStore {
    fn commit(&self, commit: Commit, durability: Durability) -> Result<(), CommitError> {
        self.write(|writer, rows| writer.commit(rows, commit, durability))
    }

    fn recover(&self, dataset: &DatasetKey) -> Result<Option<Recovered>, RecoverError> {
        self.read(|rows| recover::recover(rows, dataset))
    }

    fn document(&self, dataset: &DatasetKey) -> Result<Option<Vec<u8>>, RecoverError> {
        self.read(|rows| recover::document(rows, dataset))
    }

    fn owners(&self) -> Result<Vec<Owner>, RecoverError> {
        self.read(recover::owners)
    }

    fn datasets(&self, owner: &Owner) -> Result<Vec<DatasetName>, RecoverError> {
        self.read(|rows| recover::names(rows, owner))
    }

    fn forget(&self, dataset: &DatasetKey, durability: Durability) -> Result<(), CommitError> {
        self.write(|writer, rows| writer.forget(rows, dataset, durability))
    }

    fn set_aside(&self, dataset: &DatasetKey) -> Result<(), CommitError> {
        self.write(|writer, rows| writer.set_aside(rows, dataset))
    }

    fn setting(&self, name: &str) -> Result<Option<Vec<u8>>, RecoverError> {
        self.read(|rows| recover::setting(rows, name))
    }

    fn settings(&self, prefix: &str) -> Result<Vec<String>, RecoverError> {
        self.read(|rows| recover::settings(rows, prefix))
    }

    fn set_setting(
        &self,
        name: &str,
        value: Option<&[u8]>,
        durability: Durability,
    ) -> Result<(), CommitError> {
        self.write(|writer, rows| writer.set_setting(rows, name, value, durability))
    }

    fn close(&self) -> Result<(), CommitError> {
        let live = self
            .live
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        live.map_or(Ok(()), Live::close)
    }
}

impl Drop for DiskStore {
    fn drop(&mut self) {
        // Whoever wants to know calls `close`.
        self.close().ok();
    }
}

impl fmt::Debug for DiskStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskStore")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}
