//! ListRecords: the records of a dataset that changed after a count.
//!
//! `GET /identitypools/{IdentityPoolId}/identities/{IdentityId}/datasets/{DatasetName}/records`.
//! The action has no ResourceNotFoundException: a dataset that does not exist is an answer like any
//! other.

use serde::{Deserialize, Serialize};

use crate::http::{HttpParts, Method};
use crate::id::{DatasetName, IdentityId, IdentityPoolId, SyncSessionToken};
use crate::json::null_as_default;
use crate::record::Record;
use crate::request_error::RequestError;
use crate::sync_count::SyncCount;
use crate::uri::{Path, Query, QueryWriter};

/// Asks for the records of a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRecordsRequest {
    /// `IdentityPoolId`.
    pub identity_pool_id: IdentityPoolId,
    /// `IdentityId`.
    pub identity_id: IdentityId,
    /// `DatasetName`.
    pub dataset_name: DatasetName,
    /// `LastSyncCount`: only records with a higher count are listed; absent or 0 lists all.
    pub last_sync_count: Option<SyncCount>,
    /// `NextToken`, from the page before.
    pub next_token: Option<String>,
    /// `MaxResults`: records on a page, at least 1.
    pub max_results: Option<u32>,
    /// `SyncSessionToken`, from an earlier list of the same session.
    pub sync_session_token: Option<SyncSessionToken>,
}

impl ListRecordsRequest {
    pub(crate) fn to_http(&self) -> HttpParts {
        let path = Path::dataset(
            &self.identity_pool_id,
            &self.identity_id,
            &self.dataset_name,
        );
        let mut query = QueryWriter::default();
        query.number("lastSyncCount", self.last_sync_count);
        query.text("nextToken", self.next_token.as_deref());
        query.number("maxResults", self.max_results);
        query.text(
            "syncSessionToken",
            self.sync_session_token
                .as_ref()
                .map(SyncSessionToken::as_str),
        );
        HttpParts::without_body(Method::Get, path.then("records"), query)
    }

    pub(crate) fn read(names: [&str; 3], query: &Query) -> Result<Self, RequestError> {
        Ok(Self {
            identity_pool_id: names[0].parse()?,
            identity_id: names[1].parse()?,
            dataset_name: names[2].parse()?,
            last_sync_count: query.sync_count("lastSyncCount")?,
            next_token: query.text("nextToken"),
            max_results: query.max_results()?,
            sync_session_token: query.text("syncSessionToken").map(Into::into),
        })
    }
}

/// One page of a dataset's records.
///
/// The count, the flags and the token that hold for a list are those of its last page.
/// `DatasetExists` and `DatasetSyncCount` must be there: read as false and 0, their absence would
/// claim that the dataset was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListRecordsResponse {
    /// `Records`, tombstones included.
    #[serde(default, deserialize_with = "null_as_default")]
    pub records: Vec<Record>,
    /// `NextToken`: there is another page.
    #[serde(default)]
    pub next_token: Option<String>,
    /// `Count`: "Total number of records."
    #[serde(default, deserialize_with = "null_as_default")]
    pub count: i64,
    /// `DatasetSyncCount`: "Server sync count for this dataset."
    pub dataset_sync_count: SyncCount,
    /// `LastModifiedBy`.
    #[serde(default)]
    pub last_modified_by: Option<String>,
    /// `MergedDatasetNames`: datasets of merged identities that wait to be folded in. A name is not
    /// checked here, so that an odd one does not hide the records.
    #[serde(default, deserialize_with = "null_as_default")]
    pub merged_dataset_names: Vec<String>,
    /// `DatasetExists`.
    pub dataset_exists: bool,
    /// `DatasetDeletedAfterRequestedSyncCount`: deleted, and perhaps made again, since that count.
    #[serde(default, deserialize_with = "null_as_default")]
    pub dataset_deleted_after_requested_sync_count: bool,
    /// `SyncSessionToken`: what one UpdateRecords after this list takes.
    #[serde(default)]
    pub sync_session_token: Option<SyncSessionToken>,
}
