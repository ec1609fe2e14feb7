//! What a client keeps in settings of its store: JSON that names its version.
//!
//! The rule: the version is read before the rest, so that what a later version of this library wrote is told from what is
//! damaged. What cannot be asked for again is not written over then.

use driftless_merge::Durability;
use driftless_store::{CommitError, RecoverError, Store};
use driftless_transport::BoxError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Why a setting was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    /// A later version wrote it.
    #[error("it has version {0}, which is not known")]
    Later(u32),
    /// It is damaged.
    #[error("it is damaged")]
    Damaged(#[source] BoxError),
    /// The store cannot be read.
    #[error(transparent)]
    Store(RecoverError),
}

#[derive(Deserialize)]
struct VersionForm {
    version: u32,
}

/// Reads a setting of at most a version; `None` if there is none.
pub(crate) fn read<T: DeserializeOwned>(
    store: &dyn Store,
    name: &str,
    version: u32,
) -> Result<Option<T>, Unreadable> {
    match store.setting(name) {
        Ok(bytes) => bytes.map(|bytes| parse(&bytes, version)).transpose(),
        Err(error @ RecoverError::Setting { .. }) => Err(Unreadable::Damaged(error.into())),
        Err(error) => Err(Unreadable::Store(error)),
    }
}

/// Reads the bytes of a setting.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8], version: u32) -> Result<T, Unreadable> {
    let damaged = |error: serde_json::Error| Unreadable::Damaged(error.into());
    let found: VersionForm = serde_json::from_slice(bytes).map_err(damaged)?;
    if found.version > version {
        return Err(Unreadable::Later(found.version));
    }
    serde_json::from_slice(bytes).map_err(damaged)
}

/// Makes a setting durable, or its removal; the value names its version.
pub(crate) fn write(
    store: &dyn Store,
    name: &str,
    value: Option<&impl Serialize>,
) -> Result<(), CommitError> {
    let bytes =
        value.map(|value| serde_json::to_vec(value).expect("names, numbers and texts are JSON"));
    store.set_setting(name, bytes.as_deref(), Durability::Disk)
}
