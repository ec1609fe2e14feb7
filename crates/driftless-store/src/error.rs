//! What can go wrong once a store is open, and how causes from below are sorted.

use std::error::Error;
use std::fmt;
use std::io::ErrorKind;

use driftless_merge::DatasetKey;
use thiserror::Error;

/// The cause of a failure, from the operating system or the database below.
pub type Cause = Box<dyn Error + Send + Sync>;

/// Why a commit was not acknowledged.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CommitError {
    /// One row would be larger than a store takes. Nothing was written; make it smaller.
    #[error("a row of {bytes} bytes is over the limit of {limit}")]
    TooLarge {
        /// The size of the row.
        bytes: usize,
        /// The largest size of a row.
        limit: usize,
    },
    /// What the commit builds on is damaged. Nothing was written; set the dataset aside or forget it.
    #[error("the commit builds on damaged rows")]
    Damaged(#[source] RecoverError),
    /// The disk is full. Whether the commit is there is unknown: make room, close the store and open it again.
    #[error("the disk is full")]
    Full(#[source] Cause),
    /// The disk failed. Whether the commit is there is unknown: close the store and open it again.
    #[error("the commit failed")]
    Failed(#[source] Cause),
    /// An earlier commit failed, so the store can't trust itself and takes no more writes: close it and open it again.
    #[error("the store takes no more writes since a commit failed")]
    Poisoned,
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl CommitError {
    pub(crate) fn from_cause(cause: Cause) -> Self {
        if is_full(kind_of(&*cause)) {
            Self::Full(cause)
        } else {
            Self::Failed(cause)
        }
    }
}

/// Why nothing could be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecoverError {
    /// The dataset is not as it was written. Set it aside and build it anew from the server; other datasets are usable.
    #[error("dataset {dataset} is damaged")]
    Damaged {
        /// The dataset.
        dataset: DatasetKey,
        /// What is wrong.
        #[source]
        damage: Damage,
    },
    /// The dataset was written by a newer version. Update the app, and write nothing with this one.
    #[error("the {row} of dataset {dataset} has version {found}")]
    Version {
        /// The dataset.
        dataset: DatasetKey,
        /// The row that has the version.
        row: Row,
        /// The version.
        found: u8,
    },
    /// A setting is not as it was written. Write it again or remove it.
    #[error("setting {name} is damaged")]
    Setting {
        /// The name of the setting.
        name: String,
    },
    /// The list of datasets, or that of settings, is not as it was written. Only a look at the files can tell more.
    #[error("the list of datasets or settings is damaged")]
    List(#[source] Option<Cause>),
    /// The disk failed. Trying again may help.
    #[error("the store cannot be read")]
    Failed(#[source] Cause),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

/// What is wrong with a dataset.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Damage {
    /// The bytes of a row are not those that were written.
    #[error("the checksum of the {row} does not match")]
    Checksum {
        /// The row.
        row: Row,
    },
    /// The checksum of a row matches, but it does not make sense.
    #[error("the {row} makes no sense")]
    Content {
        /// The row.
        row: Row,
    },
    /// A row is not there.
    #[error("the {row} is missing")]
    Missing {
        /// The row.
        row: Row,
    },
    /// A row is there that should not be.
    #[error("the {row} should not be there")]
    Surplus {
        /// The row.
        row: Row,
    },
    /// The file in which the dataset's rows stand is damaged.
    #[error("the rows cannot be read")]
    Unreadable(#[source] Cause),
}

/// A row of a dataset, as errors name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Row {
    /// The row that tells what the dataset has.
    Head,
    /// The state of the snapshot.
    State,
    /// The saved document of the snapshot.
    Document,
    /// The delta of this number.
    Delta(u64),
    /// A mirrored record; which one is not told, since its key is the user's.
    Record,
    /// The sync row.
    Sync,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head => f.write_str("head row"),
            Self::State => f.write_str("state row"),
            Self::Document => f.write_str("document row"),
            Self::Delta(number) => write!(f, "delta row {number}"),
            Self::Record => f.write_str("record row"),
            Self::Sync => f.write_str("sync row"),
        }
    }
}

/// Returns the kind of the first input or output error in a chain of causes.
pub(crate) fn kind_of(error: &(dyn Error + 'static)) -> Option<ErrorKind> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return Some(io.kind());
        }
        next = error.source();
    }
    None
}

pub(crate) fn is_full(kind: Option<ErrorKind>) -> bool {
    matches!(
        kind,
        Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
    )
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_full_disk_is_told_from_a_failing_one() {
        let full = fjall::Error::Io(io::Error::from(ErrorKind::StorageFull));
        let broken = fjall::Error::Io(io::Error::from(ErrorKind::Other));
        assert!(matches!(
            CommitError::from_cause(full.into()),
            CommitError::Full(_)
        ));
        assert!(matches!(
            CommitError::from_cause(broken.into()),
            CommitError::Failed(_)
        ));
        assert!(matches!(
            CommitError::from_cause(fjall::Error::Poisoned.into()),
            CommitError::Failed(_)
        ));
    }
}
