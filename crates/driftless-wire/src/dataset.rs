//! What the service tells about a dataset.

use serde::{Deserialize, Serialize};

use crate::id::{DatasetName, IdentityId};
use crate::json::null_as_default;
use crate::timestamp::Timestamp;

/// A dataset's description (`Dataset`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Dataset {
    /// `IdentityId`.
    pub identity_id: IdentityId,
    /// `DatasetName`.
    pub dataset_name: DatasetName,
    /// `CreationDate`.
    #[serde(default)]
    pub creation_date: Option<Timestamp>,
    /// `LastModifiedDate`.
    #[serde(default)]
    pub last_modified_date: Option<Timestamp>,
    /// `LastModifiedBy`.
    #[serde(default)]
    pub last_modified_by: Option<String>,
    /// `DataStorage`: "Total size in bytes of the records in this dataset."
    #[serde(default, deserialize_with = "null_as_default")]
    pub data_storage: i64,
    /// `NumRecords`: "Number of records in this dataset."
    #[serde(default, deserialize_with = "null_as_default")]
    pub num_records: i64,
}
