//! How a command ends: the one table of exit codes, and what puts each error where.

use std::error::Error;
use std::fmt::Write;
use std::io;

use driftless::store::{CommitError, OpenError as StoreError, RecoverError};
use driftless::transport::{CredentialsError, EndpointError, ExchangeError};
use driftless::{
    CatalogError, CloseError, DatasetError, DeviceError, LocalStoreError, OpenError, PushError,
    PutError, RefusedEdit, SessionError, SyncError, WipeError,
};
use driftless_cli::graph::GraphError;
use driftless_cli::migration::{JournalError, MigrateError, ServiceError};
use driftless_cli::trace::TraceError;
use driftless_server::{OpenError as DataError, ServeError, StorageError};
use driftless_wire::ErrorCode;

use crate::portable::PortableError;

macro_rules! exits {
    ($($variant:ident = $code:literal, $name:literal, $meaning:literal;)*) => {
        /// How a command ended, if not well; `docs/cli.md` has the same table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Exit {
            $($variant = $code,)*
        }

        /// Code, name and meaning of every end.
        const EXITS: &[(u8, &str, &str)] =
            &[(0, "ok", "done"), $(($code, $name, $meaning),)*];

        impl Exit {
            /// Returns the name that `--json` shows.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

exits! {
    Internal = 1, "internal", "something unforeseen; please report it";
    Usage = 2, "usage", "a flag, setting or argument is missing or wrong";
    NotFound = 3, "not-found", "nothing stands at the key, the dataset is not in the store, or a push tells of one that is not here";
    Refused = 4, "refused", "the edit was refused and changed nothing: key, kind or place";
    InUse = 5, "in-use", "another process has the store open";
    Damaged = 6, "damaged", "the store or a dataset is damaged, or of a later version";
    Io = 7, "io", "a disk, file or address cannot be used";
    Network = 8, "network", "the service cannot be reached or gave no answer; nothing is lost";
    Credentials = 9, "credentials", "credentials are missing, wrong or without the right";
    Service = 10, "service", "the service refused or failed, or holds what cannot be read";
    Full = 11, "full", "the dataset has no room; what is here stays here";
    Contended = 12, "contended", "other devices kept pushing first; try again";
    Input = 13, "input", "an input file has not the expected form";
    Disagree = 14, "disagree", "the demonstration failed: devices show different data";
    Incomplete = 15, "incomplete", "some of it was not copied or taken; the report tells what and why";
    NoPush = 16, "no-push", "the device is not registered for pushes, or the pool is not set up for them";
    Unsynced = 17, "unsynced", "edits would be lost that the service does not have; nothing was removed";
}

/// Returns the table as it stands in the help.
pub(crate) fn help() -> String {
    let mut help = String::from("Exit codes:\n");
    for (code, _, meaning) in EXITS {
        writeln!(help, "  {code:>2}  {meaning}").expect("a string takes all text");
    }
    help
}

/// Why a command failed, and how it ends.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) error: Box<dyn Error + Send + Sync>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            exit,
            error: error.into(),
        }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message.into())
    }

    /// Returns the message and those of its causes, each once.
    pub(crate) fn messages(&self) -> Vec<String> {
        let mut messages = Vec::new();
        let mut next: Option<&(dyn Error + 'static)> = Some(&*self.error);
        while let Some(error) = next {
            messages.push(error.to_string());
            next = error.source();
        }
        messages.dedup();
        messages
    }
}

/// Puts errors where the function beside them says.
macro_rules! failures {
    ($($error:ty => $exit:expr;)*) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                let exit: fn(&$error) -> Exit = $exit;
                Self::new(exit(&error), error)
            }
        })*
    };
}

failures! {
    CatalogError => of_catalog;
    CloseError => |_| Exit::Io;
    CommitError => of_commit;
    DataError => of_data;
    DatasetError => of_dataset;
    DeviceError => of_device;
    EndpointError => |_| Exit::Usage;
    GraphError => |_| Exit::Input;
    JournalError => of_journal;
    LocalStoreError => of_local_store;
    MigrateError => of_migrate;
    OpenError => of_open;
    PortableError => |_| Exit::Input;
    PushError => of_push;
    PutError => of_put;
    ServeError => |_| Exit::Io;
    ServiceError => of_service;
    SyncError => of_sync;
    TraceError => of_trace;
    WipeError => of_wipe;
    io::Error => |_| Exit::Io;
    serde_json::Error => |_| Exit::Internal;
}

fn of_open(error: &OpenError) -> Exit {
    match error {
        OpenError::NoPool | OpenError::OtherPool { .. } => Exit::Usage,
        OpenError::Read(error) => of_recover(error),
        OpenError::Write(error) => of_commit(error),
        OpenError::Store(StoreError::InUse) => Exit::InUse,
        OpenError::Store(StoreError::NotAStore) => Exit::Usage,
        OpenError::Store(StoreError::Version { .. } | StoreError::Damaged(_))
        | OpenError::Lost { .. }
        | OpenError::Identity(_) => Exit::Damaged,
        OpenError::Store(_) => Exit::Io,
        _ => Exit::Internal,
    }
}

fn of_dataset(error: &DatasetError) -> Exit {
    match error {
        DatasetError::Name(_)
        | DatasetError::LongName { .. }
        | DatasetError::OtherIdentity { .. } => Exit::Usage,
        DatasetError::Store(error) => of_recover(error),
        DatasetError::Rows(_) | DatasetError::Identity(_) => Exit::Damaged,
        DatasetError::SetAside(error) | DatasetError::Write(error) => of_commit(error),
        _ => Exit::Internal,
    }
}

fn of_catalog(error: &CatalogError) -> Exit {
    match error {
        CatalogError::Sync(error) => of_sync(error),
        CatalogError::Read(error) => of_dataset(error),
        CatalogError::Write(error) => of_commit(error),
        _ => Exit::Internal,
    }
}

fn of_device(error: &DeviceError) -> Exit {
    match error {
        DeviceError::NotRegistered | DeviceError::Unknown | DeviceError::NotConfigured(_) => {
            Exit::NoPush
        }
        DeviceError::Version(_) => Exit::Damaged,
        DeviceError::Read(error) => of_recover(error),
        DeviceError::Write(error) => of_commit(error),
        DeviceError::Sync(error) => of_sync(error),
        _ => Exit::Internal,
    }
}

fn of_wipe(error: &WipeError) -> Exit {
    match error {
        WipeError::Unsynced { .. } => Exit::Unsynced,
        WipeError::Read(error) => of_recover(error),
        WipeError::Write(error) => of_commit(error),
        _ => Exit::Internal,
    }
}

fn of_push(error: &PushError) -> Exit {
    match error {
        PushError::Foreign => Exit::Input,
        PushError::OtherIdentity => Exit::Usage,
        PushError::UnknownDataset(_) => Exit::NotFound,
        PushError::Dataset(error) => of_dataset(error),
        PushError::Sync(error) => of_sync(error),
        _ => Exit::Internal,
    }
}

fn of_recover(error: &RecoverError) -> Exit {
    match error {
        RecoverError::Failed(_) => Exit::Io,
        RecoverError::Closed => Exit::Internal,
        _ => Exit::Damaged,
    }
}

fn of_put(error: &PutError) -> Exit {
    match error {
        PutError::Refused(RefusedEdit::Full { .. }) => Exit::Full,
        PutError::Refused(_) => Exit::Refused,
        PutError::Store(error) => of_commit(error),
        _ => Exit::Internal,
    }
}

fn of_commit(error: &CommitError) -> Exit {
    match error {
        CommitError::TooLarge { .. } => Exit::Refused,
        CommitError::Damaged(_) => Exit::Damaged,
        CommitError::Full(_) | CommitError::Failed(_) | CommitError::Poisoned => Exit::Io,
        _ => Exit::Internal,
    }
}

fn of_sync(error: &SyncError) -> Exit {
    match error {
        SyncError::NoIdentity | SyncError::NoTransport => Exit::Usage,
        SyncError::OtherIdentity => Exit::Usage,
        SyncError::Identity(error) => of_credentials(error),
        SyncError::IdentityRow(_) => Exit::Damaged,
        SyncError::Request(error) => of_exchange(error),
        SyncError::Session(error) => of_session(error),
        SyncError::Store(error) => of_commit(error),
        SyncError::WrongAnswer => Exit::Service,
        _ => Exit::Internal,
    }
}

fn of_credentials(error: &CredentialsError) -> Exit {
    match error {
        CredentialsError::Unavailable(_) => Exit::Network,
        _ => Exit::Credentials,
    }
}

fn of_session(error: &SessionError) -> Exit {
    match error {
        SessionError::Contended => Exit::Contended,
        SessionError::Request => Exit::Network,
        SessionError::NoIdentity => Exit::Usage,
        _ => Exit::Service,
    }
}

fn of_exchange(error: &ExchangeError) -> Exit {
    match error {
        ExchangeError::Connect(_)
        | ExchangeError::TimedOut { .. }
        | ExchangeError::Interrupted(_) => Exit::Network,
        ExchangeError::Credentials(error) => of_credentials(error),
        ExchangeError::Endpoint(_) => Exit::Usage,
        ExchangeError::Api(error) => match &error.code {
            ErrorCode::NotAuthorized
            | ErrorCode::AccessDenied
            | ErrorCode::InvalidSignature
            | ErrorCode::IncompleteSignature
            | ErrorCode::MissingAuthenticationToken
            | ErrorCode::UnrecognizedClient
            | ErrorCode::ExpiredToken => Exit::Credentials,
            ErrorCode::LimitExceeded => Exit::Full,
            _ => Exit::Service,
        },
        ExchangeError::AnswerTooLarge { .. } | ExchangeError::BadAnswer(_) => Exit::Service,
        _ => Exit::Internal,
    }
}

fn of_migrate(error: &MigrateError) -> Exit {
    match error {
        MigrateError::Journal(error) => of_journal(error),
        MigrateError::Service { source, .. } => of_service(source),
        _ => Exit::Internal,
    }
}

fn of_service(error: &ServiceError) -> Exit {
    match error {
        ServiceError::Request(error) => of_exchange(error),
        ServiceError::Changed(_) => Exit::Contended,
        _ => Exit::Service,
    }
}

fn of_local_store(error: &LocalStoreError) -> Exit {
    match error {
        LocalStoreError::Io { .. } => Exit::Io,
        LocalStoreError::Taken(_) => Exit::Damaged,
        LocalStoreError::Write(error) => of_commit(error),
        LocalStoreError::Closed => Exit::Internal,
        _ => Exit::Input,
    }
}

fn of_journal(error: &JournalError) -> Exit {
    match error {
        JournalError::Io(_) => Exit::Io,
        JournalError::InUse => Exit::InUse,
        JournalError::OtherRoute(_) | JournalError::Line { .. } => Exit::Input,
        _ => Exit::Internal,
    }
}

fn of_data(error: &DataError) -> Exit {
    match error {
        DataError::Store {
            source: StorageError::InUse,
            ..
        } => Exit::InUse,
        DataError::Store {
            source: StorageError::Damaged { .. },
            ..
        } => Exit::Damaged,
        _ => Exit::Io,
    }
}

fn of_trace(error: &TraceError) -> Exit {
    match error {
        TraceError::Read { .. } => Exit::Io,
        _ => Exit::Input,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn codes_are_unique_and_in_order() {
        assert!(EXITS.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn documentation_has_the_same_table() {
        let documented = include_str!("../../../docs/cli.md");
        for (code, name, meaning) in EXITS {
            let row = format!("| {code} | {name} | {meaning} |");
            assert!(documented.contains(&row), "{row}");
        }
    }

    #[test]
    fn cause_is_told_once() {
        let refused = ExchangeError::Connect("connection refused".into());
        let failure = Failure::from(SyncError::Request(Arc::new(refused)));
        assert_eq!(failure.exit, Exit::Network);
        assert_eq!(
            failure.messages(),
            [
                "a request to the service failed; edits are kept and wait; synchronize again once the service can be \
                 reached at its address",
                "cannot connect to the service",
                "connection refused"
            ]
        );
    }
}
