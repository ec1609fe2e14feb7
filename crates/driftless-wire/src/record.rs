//! A record as the service shows it, and the patch that changes one.

use serde::{Deserialize, Serialize};

use crate::id::{IdError, RecordKey};
use crate::json::null_as_default;
use crate::limits::{ValueTooLong, check_value};
use crate::sync_count::{NegativeSyncCount, SyncCount};
use crate::timestamp::Timestamp;

/// One record of a dataset (`Record`).
///
/// A record without a value is the tombstone of a removed one; the empty string is a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Record {
    /// `Key`.
    pub key: RecordKey,
    /// `Value`; `None` in a tombstone.
    #[serde(default)]
    pub value: Option<String>,
    /// `SyncCount`: the dataset's count of the update that last changed this record.
    #[serde(default, deserialize_with = "null_as_default")]
    pub sync_count: SyncCount,
    /// `LastModifiedDate`, by the service's clock.
    #[serde(default)]
    pub last_modified_date: Option<Timestamp>,
    /// `LastModifiedBy`: an identity id, an account's number or a text such as "Amazon Cognito
    /// Management Console".
    #[serde(default)]
    pub last_modified_by: Option<String>,
    /// `DeviceLastModifiedDate`, by a device's clock.
    #[serde(default)]
    pub device_last_modified_date: Option<Timestamp>,
}

/// What a patch does with its record (`Operation` of the model).
///
/// Closed: the model has had these two since 2014, and a third would need a decision of the
/// server's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// Sets the value.
    Replace,
    /// Leaves a tombstone.
    Remove,
}

/// One change of one record (`RecordPatch`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", try_from = "PatchForm")]
pub struct RecordPatch {
    /// `Op`.
    pub op: Op,
    /// `Key`.
    pub key: RecordKey,
    /// `Value`; left out when the record is removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// `SyncCount`: the last known count of this record, 0 if it is not known to exist.
    pub sync_count: SyncCount,
    /// `DeviceLastModifiedDate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_last_modified_date: Option<Timestamp>,
}

/// A patch whose JSON types are right and whose constraints are not yet checked.
///
/// The service tells the two apart: a wrong type is a SerializationException, a broken constraint
/// an InvalidParameterException.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PatchForm {
    op: Option<String>,
    key: Option<String>,
    value: Option<String>,
    sync_count: Option<i64>,
    device_last_modified_date: Option<Timestamp>,
}

/// Why a well-formed patch breaks the model.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PatchError {
    /// A required member is missing.
    #[error("{0} of a record patch is missing")]
    Missing(&'static str),
    /// `Op` is neither `replace` nor `remove`.
    #[error("Op of a record patch is neither replace nor remove")]
    Op,
    /// `Key` breaks its constraint.
    #[error(transparent)]
    Key(#[from] IdError),
    /// `Value` breaks its constraint.
    #[error(transparent)]
    Value(#[from] ValueTooLong),
    /// `SyncCount` is below zero.
    #[error(transparent)]
    SyncCount(#[from] NegativeSyncCount),
}

impl TryFrom<PatchForm> for RecordPatch {
    type Error = PatchError;

    fn try_from(form: PatchForm) -> Result<Self, PatchError> {
        if let Some(value) = &form.value {
            check_value(value)?;
        }
        Ok(Self {
            op: match form.op.as_deref() {
                Some("replace") => Op::Replace,
                Some("remove") => Op::Remove,
                Some(_) => return Err(PatchError::Op),
                None => return Err(PatchError::Missing("Op")),
            },
            key: form.key.ok_or(PatchError::Missing("Key"))?.try_into()?,
            value: form.value,
            sync_count: form
                .sync_count
                .ok_or(PatchError::Missing("SyncCount"))?
                .try_into()?,
            device_last_modified_date: form.device_last_modified_date,
        })
    }
}
