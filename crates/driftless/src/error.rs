//! What can go wrong, per operation, with what to do about it.
//!
//! A text has up to three parts: what happened, what is still safe, what to do now. The cause is in `source`.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use driftless_merge::{RefusedEdit, ReplicaError, SessionError};
use driftless_store::{CommitError, RecoverError};
use driftless_transport::{BoxError, CredentialsError, ExchangeError, Retry};
use driftless_wire::{IdError, IdentityId};

use crate::remedy;

/// Why a client could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The builder was given no identity pool; every store belongs to one.
    #[error("no identity pool was given")]
    NoPool,
    /// The store cannot be opened: in use by another process, of a later version, no store, or the
    /// disk failed.
    #[error(transparent)]
    Store(#[from] driftless_store::OpenError),
    /// The store belongs to another identity pool, and nothing in it was touched: give each pool a
    /// store of its own.
    #[error(
        "the store belongs to the identity pool {found}; nothing in it was touched; give each pool a store of its own"
    )]
    OtherPool {
        /// The pool that the store belongs to.
        found: String,
    },
    /// The disk lost edits that were acknowledged: its files were damaged or changed. What is left
    /// is whole; [`accept_loss`](crate::ClientBuilder::accept_loss) goes on with it, and a
    /// synchronization brings back what the service knows.
    #[error(
        "the store lost acknowledged edits: {what}; what is left is whole; accept the loss to go on with it, and synchronize"
    )]
    Lost {
        /// Which, and where the damaged journal is kept.
        what: String,
    },
    /// The store is open and cannot be read. Trying again may help, unless it is damaged.
    #[error("the store cannot be read; nothing was changed; try again, or have it checked")]
    Read(#[from] RecoverError),
    /// The store is open and takes no writes.
    #[error("the store cannot be written")]
    Write(#[from] CommitError),
    /// Who the device is was written by a later version, or is damaged.
    #[error("the identity of the device cannot be read")]
    Identity(#[source] BoxError),
    /// The system gives no random bytes, and without them op ids would not be unique.
    #[error("the system gives no random bytes")]
    NoRandomness,
}

/// Why a dataset could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// It is no name of a dataset.
    #[error(transparent)]
    Name(#[from] IdError),
    /// The store cannot read it. Other datasets stay usable; if it is damaged, see
    /// [`Client::set_aside`](crate::Client::set_aside).
    #[error("the store cannot read the dataset")]
    Store(#[source] RecoverError),
    /// Its rows are whole but not understood: damaged before they were written, or of a later
    /// version.
    #[error("the rows of the dataset make no sense")]
    Rows(#[from] ReplicaError),
    /// The store cannot set the dataset aside.
    #[error("the store cannot set the dataset aside")]
    SetAside(#[source] CommitError),
    /// A merge of identities would need a longer name than there are: choose a shorter one, or see
    /// [`accept_long_names`](crate::ClientBuilder::accept_long_names).
    #[error(
        "the name has {chars} characters and merges of identities have room for {longest}; no dataset was made; choose a \
         shorter name, or accept long ones"
    )]
    LongName {
        /// How many characters the name has.
        chars: usize,
        /// How many it may have.
        longest: usize,
    },
    /// Nobody is known, and what stands under this name is an identity's: it was made before that one was known and [could not
    /// be moved](crate::IdentityChange::left) to it.
    #[error(
        "the dataset belongs to {identity}, to whom it could not be moved; nothing was changed; it is moved when that \
         identity is known again"
    )]
    OtherIdentity {
        /// Whose it is.
        identity: IdentityId,
    },
    /// The store cannot be written.
    #[error("the store cannot be written")]
    Write(#[source] CommitError),
    /// Who the device is was written by a later version, or is damaged: nothing was changed.
    #[error("the identity of the device cannot be read")]
    Identity(#[source] BoxError),
    /// The client was closed.
    #[error("the client is closed")]
    Closed,
}

/// Why a dataset was not moved to another identity.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MoveError {
    #[error("it cannot be read")]
    Read(#[from] DatasetError),
    #[error("it cannot be kept")]
    Write(#[from] CommitError),
    #[error("it contradicts what is there")]
    Contradicts,
}

impl From<RecoverError> for DatasetError {
    fn from(error: RecoverError) -> Self {
        match error {
            RecoverError::Closed => Self::Closed,
            error => Self::Store(error),
        }
    }
}

/// Why a dataset takes no edits, whatever they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Memory ran ahead of the disk.
    Broken,
    /// The client was closed, or the dataset set aside.
    Closed,
    /// The client shows the data of another identity.
    OtherIdentity,
}

/// Why an edit was not made.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PutError {
    /// The edit was refused and changed nothing: the key, the value or the room.
    #[error(transparent)]
    Refused(#[from] RefusedEdit),
    /// The store could not keep the edit. Whether it is there is unknown, and the dataset takes no
    /// more edits: close the client and open it again.
    #[error("the store could not keep the edit; those before it are kept; {}", remedy::of_commit(.0))]
    Store(#[source] Arc<CommitError>),
    /// An earlier edit could not be kept: close the client and open it again.
    #[error(
        "the dataset takes no more edits since one could not be kept; those before it are kept; close the client and open it \
         again"
    )]
    Broken,
    /// The client was closed, or the dataset was set aside and this is a handle from before.
    #[error("the dataset is closed")]
    Closed,
    /// The client shows the data of another identity by now, and this is a handle from before:
    /// [`Client::dataset`](crate::Client::dataset) gives the dataset of the one that it is now.
    #[error(
        "the dataset belongs to another identity; its edits are kept; open the dataset of who it is now"
    )]
    OtherIdentity,
}

impl From<Refusal> for PutError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Broken => Self::Broken,
            Refusal::Closed => Self::Closed,
            Refusal::OtherIdentity => Self::OtherIdentity,
        }
    }
}

/// Why a transaction was not taken back; nothing changed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UndoError {
    /// There is no local transaction to take back: none was made since the dataset was opened or deleted, or the last one
    /// was taken back already.
    #[error("there is nothing to undo")]
    Nothing,
    /// Another device has changed a key of the transaction since, and would lose that. Edit the key instead.
    #[error("the key {key} has been changed by others since")]
    Overtaken {
        /// The first such key.
        key: String,
    },
    /// The edits that would take it back are refused or cannot be kept, as any edit.
    #[error(transparent)]
    Put(#[from] PutError),
}

/// Why a value is not read as a type, or a type is no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct ValueError {
    what: String,
}

impl serde::ser::Error for ValueError {
    fn custom<T: fmt::Display>(what: T) -> Self {
        let what = what.to_string();
        Self { what }
    }
}

impl serde::de::Error for ValueError {
    fn custom<T: fmt::Display>(what: T) -> Self {
        let what = what.to_string();
        Self { what }
    }
}

/// Why a typed value was not put.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PutAsError {
    /// The type cannot be written as a value; nothing changed.
    #[error("the type is no value")]
    Value(#[from] ValueError),
    /// The edit was not made.
    #[error(transparent)]
    Put(#[from] PutError),
}

/// Why a synchronization failed.
///
/// Whatever happened, edits made here are kept and stay unsynced, and what was joined before the
/// failure stays too.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// It was called outside of a tokio runtime, or in one that is shutting down. The runtime needs
    /// what the transport needs; tokio's own is built with `enable_all`.
    #[error("there is no tokio runtime")]
    NoRuntime,
    /// The client was built without a transport.
    #[error(
        "the client has no transport; edits are kept and wait; give it the address of the service"
    )]
    NoTransport,
    /// The client was built without an identity: data can be edited, but belong to nobody at the
    /// service yet.
    #[error(
        "the client has no identity; edits are kept and wait; give it one, or an identity pool"
    )]
    NoIdentity,
    /// Who this device is cannot be asked now, or the login is refused.
    #[error("the identity is not known; edits are kept and wait; {}", remedy::of_credentials(.0))]
    Identity(#[source] Arc<CredentialsError>),
    /// Who the device is was written by a later version, or is damaged, as at [`OpenError::Identity`]. Nothing was changed; the
    /// client goes on showing the data that it shows. Only [`Client::wipe`](crate::Client::wipe) of the whole device replaces a
    /// damaged one.
    #[error(
        "the identity of the device cannot be read; edits are kept and wait; update the app if a later version wrote it"
    )]
    IdentityRow(#[source] Arc<dyn Error + Send + Sync>),
    /// The client shows the data of another identity by now, perhaps since this session began, and this is a handle from
    /// before. Its edits stay unsynced until that identity is back.
    #[error(
        "the dataset belongs to another identity; its edits are kept; open the dataset of who it is now"
    )]
    OtherIdentity,
    /// A request failed for good; [`ExchangeError::retry`] tells whether to try later.
    #[error("a request to the service failed; edits are kept and wait; {}", remedy::of_request(.0))]
    Request(#[source] Arc<ExchangeError>),
    /// The session failed for what the service holds or answered.
    #[error(transparent)]
    Session(Arc<SessionError>),
    /// The store could not keep what was joined: close the client and open it again.
    #[error("the store could not keep what was joined; edits before are kept; {}", remedy::of_commit(.0))]
    Store(#[source] Arc<CommitError>),
    /// An earlier edit could not be kept: close the client and open it again.
    #[error(
        "the dataset takes no more edits since one could not be kept; those before it are kept; close the client and open it \
         again"
    )]
    Broken,
    /// The client was closed, perhaps while the session ran, or the dataset was set aside.
    #[error("the dataset is closed")]
    Closed,
    /// A panic ended the session; the dataset takes no more edits until the client is opened again.
    #[error("the session panicked; edits before are kept; close the client and open it again")]
    Panicked,
    /// The service answered another question than was asked.
    #[error("the answer belongs to another operation")]
    WrongAnswer,
}

impl SyncError {
    /// Tells whether the service has not what was asked for.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Request(error) if error.is_not_found())
    }

    /// Tells whether the same may go well later, without anything that is done here.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Request(error) => error.retry() == Retry::Later,
            Self::Identity(error) => matches!(**error, CredentialsError::Unavailable(_)),
            Self::Session(error) => matches!(**error, SessionError::Contended),
            _ => false,
        }
    }
}

impl From<Refusal> for SyncError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Broken => Self::Broken,
            Refusal::Closed => Self::Closed,
            Refusal::OtherIdentity => Self::OtherIdentity,
        }
    }
}

impl From<SessionError> for SyncError {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::NoIdentity => Self::NoIdentity,
            error => Self::Session(Arc::new(error)),
        }
    }
}

/// Why a device was not registered for pushes, or not subscribed to a dataset.
///
/// No token is in any of its texts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The device has no registration: call [`Client::register_device`](crate::Client::register_device) first. Nothing was
    /// kept.
    #[error("the device is not registered for pushes; nothing was kept; register it first")]
    NotRegistered,
    /// The service has forgotten the device, as it may once the device's token is stale. The device has forgotten its id
    /// too; what it wants to be told of is kept. Call [`Client::register_device`](crate::Client::register_device) again.
    #[error(
        "the service does not know the device any more; its wishes are kept; register it again"
    )]
    Unknown,
    /// The identity pool is not set up for pushes, or not for this platform, which is the operator's to change
    /// (SetIdentityPoolConfiguration). What was wished for is kept.
    #[error(
        "the identity pool is not set up for pushes to the device; its wishes are kept; have the operator set it up"
    )]
    NotConfigured(#[source] Arc<ExchangeError>),
    /// A later version of this library wrote the registration; it was not touched. Use that version.
    #[error("the registration of the device has version {0}, which is not known")]
    Version(u32),
    /// The store cannot be read. Trying again may help, unless it is damaged.
    #[error("the store cannot be read")]
    Read(#[source] RecoverError),
    /// The store could not keep what was wished for or answered: close the client and open it again.
    #[error("the store could not keep the registration of the device")]
    Write(#[source] Arc<CommitError>),
    /// The service could not be asked. What was wished for is kept; a registration is not a wish, and must be tried again.
    #[error(transparent)]
    Sync(SyncError),
}

impl From<SyncError> for DeviceError {
    fn from(error: SyncError) -> Self {
        match error {
            SyncError::Request(error) if error.is_unconfigured() => Self::NotConfigured(error),
            error => Self::Sync(error),
        }
    }
}

/// Why a client did not close cleanly. It is closed all the same.
#[derive(Debug, thiserror::Error)]
#[error("the store did not close cleanly")]
pub struct CloseError(#[from] CommitError);
