//! Notes with a type: what the service keeps of identities, devices and pools.
//!
//! A note is a version digit and JSON. Its keys:
//!
//! ```text
//! identity/ID                                 its pool, its logins, what became of it
//! login/POOL/LENGTH:PROVIDER/SUBJECT          whose login that is
//! device/POOL/ID/DEVICE                       platform and token
//! subscription/POOL/ID/DATASET/DEVICE         nothing: that it stands there says all
//! configuration/POOL                          push
//! ```

use driftless_wire::ApiError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Service, storage_failed};
use crate::storage::{NoteChange, StorageError, Swap};

const VERSION: &str = "1";

/// A note as it was read: what it says, and what must still stand there when it changes.
#[derive(Debug, Clone)]
pub(super) struct Note<T> {
    key: String,
    text: Option<String>,
    pub(super) value: Option<T>,
}

impl<T: Serialize + DeserializeOwned> Note<T> {
    /// A note that is expected to be absent.
    pub(super) fn absent(key: String) -> Self {
        Self {
            key,
            text: None,
            value: None,
        }
    }

    fn read(key: String, text: Option<String>) -> Result<Self, StorageError> {
        let value = text.as_deref().map(decode).transpose()?;
        Ok(Self { key, text, value })
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    pub(super) fn set(&self, value: &T) -> NoteChange {
        let json = serde_json::to_string(value).expect("notes have string keys");
        self.change(Some(format!("{VERSION}{json}")))
    }

    pub(super) fn remove(&self) -> NoteChange {
        self.change(None)
    }

    /// A change that changes nothing, and fails if another did.
    pub(super) fn keep(&self) -> NoteChange {
        self.change(self.text.clone())
    }

    fn change(&self, next: Option<String>) -> NoteChange {
        NoteChange {
            key: self.key.clone(),
            expected: self.text.clone(),
            next,
        }
    }
}

fn decode<T: DeserializeOwned>(text: &str) -> Result<T, StorageError> {
    let damaged = |why| StorageError::Damaged { row: "note", why };
    let json = text
        .strip_prefix(VERSION)
        .ok_or_else(|| damaged("its version is unknown"))?;
    serde_json::from_str(json).map_err(|_| damaged("it is not of the form it claims"))
}

impl Service {
    pub(super) fn note<T: Serialize + DeserializeOwned>(
        &self,
        key: String,
    ) -> Result<Note<T>, ApiError> {
        let text = self.storage.note(&key).map_err(storage_failed)?;
        Note::read(key, text).map_err(storage_failed)
    }

    pub(super) fn notes<T: Serialize + DeserializeOwned>(
        &self,
        prefix: &str,
    ) -> Result<Vec<Note<T>>, ApiError> {
        let notes = self.storage.notes(prefix).map_err(storage_failed)?;
        let notes = notes
            .into_iter()
            .map(|(key, text)| Note::read(key, Some(text)));
        notes.collect::<Result<_, _>>().map_err(storage_failed)
    }

    pub(super) fn swap_notes(&self, changes: &[NoteChange]) -> Result<Swap, ApiError> {
        self.storage.swap_notes(changes).map_err(storage_failed)
    }
}
