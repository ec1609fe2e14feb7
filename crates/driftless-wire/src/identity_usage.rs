//! DescribeIdentityUsage: how much one identity has stored.
//!
//! `GET /identitypools/{IdentityPoolId}/identities/{IdentityId}`.

use serde::{Deserialize, Serialize};

use crate::http::{HttpParts, Method};
use crate::id::{IdentityId, IdentityPoolId};
use crate::json::null_as_default;
use crate::request_error::RequestError;
use crate::timestamp::Timestamp;
use crate::uri::{Path, QueryWriter};

/// Asks how much an identity has stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribeIdentityUsageRequest {
    /// `IdentityPoolId`.
    pub identity_pool_id: IdentityPoolId,
    /// `IdentityId`.
    pub identity_id: IdentityId,
}

impl DescribeIdentityUsageRequest {
    pub(crate) fn to_http(&self) -> HttpParts {
        let path = Path::identity(&self.identity_pool_id, &self.identity_id);
        HttpParts::without_body(Method::Get, path, QueryWriter::default())
    }

    pub(crate) fn read(names: [&str; 2]) -> Result<Self, RequestError> {
        Ok(Self {
            identity_pool_id: names[0].parse()?,
            identity_id: names[1].parse()?,
        })
    }
}

/// How much an identity has stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeIdentityUsageResponse {
    /// `IdentityUsage`.
    pub identity_usage: IdentityUsage,
}

/// Usage of one identity (`IdentityUsage`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct IdentityUsage {
    /// `IdentityId`.
    pub identity_id: IdentityId,
    /// `IdentityPoolId`.
    pub identity_pool_id: IdentityPoolId,
    /// `LastModifiedDate`: "Date on which the identity was last modified."
    #[serde(default)]
    pub last_modified_date: Option<Timestamp>,
    /// `DatasetCount`.
    #[serde(default, deserialize_with = "null_as_default")]
    pub dataset_count: i32,
    /// `DataStorage`: "Total data storage for this identity", in bytes.
    #[serde(default, deserialize_with = "null_as_default")]
    pub data_storage: i64,
}
