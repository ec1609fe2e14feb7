//! What every store promises.

use std::fmt;
use std::sync::Arc;

use driftless_merge::{Commit, DatasetKey, Durability, Owner, Recovered};
use driftless_wire::DatasetName;

use crate::{CommitError, RecoverError};

/// Keeps datasets across crashes.
///
/// All stores keep the same promises, and one suite of tests holds them to it:
///
/// - A commit is kept whole or not at all. What is kept is always a prefix of the commits in their order.
/// - What was acknowledged survives what its [`Durability`] says.
/// - Damage is an error that names the dataset and the row, never other data. The other datasets stay usable.
///
/// Calls may come from several threads. Every call blocks, a commit for as long as the disk takes.
pub trait Store: fmt::Debug + Send + Sync {
    /// Makes a commit durable. It is visible to [`Store::recover`] when this returns.
    ///
    /// # Errors
    ///
    /// After [`CommitError::TooLarge`] and [`CommitError::Damaged`] nothing was written. After [`CommitError::Full`] and
    /// [`CommitError::Failed`] it is unknown whether the commit is there, and the store takes no more writes: close it
    /// and open it again.
    fn commit(&self, commit: Commit, durability: Durability) -> Result<(), CommitError>;

    /// Returns the sum of a dataset's commits, or `None` if it has none.
    ///
    /// # Errors
    ///
    /// [`RecoverError::Damaged`] if anything but the saved document is not as it was written.
    fn recover(&self, dataset: &DatasetKey) -> Result<Option<Recovered>, RecoverError>;

    /// Returns the saved document of a dataset's newest snapshot, if it came with one.
    ///
    /// # Errors
    ///
    /// As for [`Store::recover`]; a damaged document can be rebuilt from the state.
    fn document(&self, dataset: &DatasetKey) -> Result<Option<Vec<u8>>, RecoverError>;

    /// Returns the owners that have datasets, in order.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    fn owners(&self) -> Result<Vec<Owner>, RecoverError>;

    /// Returns the names of an owner's datasets, in order; damaged ones are among them.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    fn datasets(&self, owner: &Owner) -> Result<Vec<DatasetName>, RecoverError>;

    /// Removes all rows of a dataset in one commit. A dataset that is not there is no error.
    ///
    /// # Errors
    ///
    /// As for [`Store::commit`].
    fn forget(&self, dataset: &DatasetKey, durability: Durability) -> Result<(), CommitError>;

    /// Takes a damaged dataset out of the way, on disk before this returns, so that it can be built anew from the server.
    ///
    /// Its rows are kept as they are, for whoever wants to look, but no call of this trait returns them.
    ///
    /// # Errors
    ///
    /// As for [`Store::commit`]; [`CommitError::Damaged`] if the rows cannot even be read.
    fn set_aside(&self, dataset: &DatasetKey) -> Result<(), CommitError>;

    /// Returns a small value that belongs to no dataset.
    ///
    /// # Errors
    ///
    /// [`RecoverError::Setting`] if it is not as it was written.
    fn setting(&self, name: &str) -> Result<Option<Vec<u8>>, RecoverError>;

    /// Returns the names of the settings that begin with a prefix, in order; damaged ones are among them.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    fn settings(&self, prefix: &str) -> Result<Vec<String>, RecoverError>;

    /// Writes, or with `None` removes, a small value that belongs to no dataset.
    ///
    /// # Errors
    ///
    /// As for [`Store::commit`].
    fn set_setting(
        &self,
        name: &str,
        value: Option<&[u8]>,
        durability: Durability,
    ) -> Result<(), CommitError>;

    /// Puts everything on disk and closes the store; every later call says that it is closed, and closing again is no
    /// error. Dropping a store closes it too, but cannot tell whether that worked.
    ///
    /// # Errors
    ///
    /// [`CommitError::Failed`] if commits with [`Durability::Buffered`] may not have reached the disk. The store is
    /// closed all the same.
    fn close(&self) -> Result<(), CommitError>;
}

impl<S: Store + ?Sized> Store for Arc<S> {
    fn commit(&self, commit: Commit, durability: Durability) -> Result<(), CommitError> {
        (**self).commit(commit, durability)
    }

    fn recover(&self, dataset: &DatasetKey) -> Result<Option<Recovered>, RecoverError> {
        (**self).recover(dataset)
    }

    fn document(&self, dataset: &DatasetKey) -> Result<Option<Vec<u8>>, RecoverError> {
        (**self).document(dataset)
    }

    fn owners(&self) -> Result<Vec<Owner>, RecoverError> {
        (**self).owners()
    }

    fn datasets(&self, owner: &Owner) -> Result<Vec<DatasetName>, RecoverError> {
        (**self).datasets(owner)
    }

    fn forget(&self, dataset: &DatasetKey, durability: Durability) -> Result<(), CommitError> {
        (**self).forget(dataset, durability)
    }

    fn set_aside(&self, dataset: &DatasetKey) -> Result<(), CommitError> {
        (**self).set_aside(dataset)
    }

    fn setting(&self, name: &str) -> Result<Option<Vec<u8>>, RecoverError> {
        (**self).setting(name)
    }

    fn settings(&self, prefix: &str) -> Result<Vec<String>, RecoverError> {
        (**self).settings(prefix)
    }

    fn set_setting(
        &self,
        name: &str,
        value: Option<&[u8]>,
        durability: Durability,
    ) -> Result<(), CommitError> {
        (**self).set_setting(name, value, durability)
    }

    fn close(&self) -> Result<(), CommitError> {
        (**self).close()
    }
}
