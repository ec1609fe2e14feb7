//! DescribeIdentityPoolUsage and ListIdentityPoolUsage: how much identity pools have stored.
//!
//! `GET /identitypools/{IdentityPoolId}` and `GET /identitypools`. Both can "only be called with
//! developer credentials".

use serde::{Deserialize, Serialize};

use crate::http::{HttpParts, Method};
use crate::id::IdentityPoolId;
use crate::json::null_as_default;
use crate::request_error::RequestError;
use crate::timestamp::Timestamp;
use crate::uri::{Path, Query, QueryWriter};

/// Asks how much a pool has stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribeIdentityPoolUsageRequest {
    /// `IdentityPoolId`.
    pub identity_pool_id: IdentityPoolId,
}

impl DescribeIdentityPoolUsageRequest {
    pub(crate) fn to_http(&self) -> HttpParts {
        let path = Path::pool(&self.identity_pool_id);
        HttpParts::without_body(Method::Get, path, QueryWriter::default())
    }

    pub(crate) fn read(pool: &str) -> Result<Self, RequestError> {
        Ok(Self {
            identity_pool_id: pool.parse()?,
        })
    }
}

/// How much a pool has stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeIdentityPoolUsageResponse {
    /// `IdentityPoolUsage`.
    pub identity_pool_usage: IdentityPoolUsage,
}

/// Usage of one pool (`IdentityPoolUsage`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct IdentityPoolUsage {
    /// `IdentityPoolId`.
    pub identity_pool_id: IdentityPoolId,
    /// `SyncSessionsCount`: null where it is not counted.
    #[serde(default)]
    pub sync_sessions_count: Option<i64>,
    /// `DataStorage`: "Data storage information for the identity pool", in bytes.
    #[serde(default, deserialize_with = "null_as_default")]
    pub data_storage: i64,
    /// `LastModifiedDate`.
    #[serde(default)]
    pub last_modified_date: Option<Timestamp>,
}

/// Asks how much each pool has stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListIdentityPoolUsageRequest {
    /// `NextToken`, from the page before.
    pub next_token: Option<String>,
    /// `MaxResults`: pools on a page, at least 1.
    pub max_results: Option<u32>,
}

impl ListIdentityPoolUsageRequest {
    pub(crate) fn to_http(&self) -> HttpParts {
        let mut query = QueryWriter::default();
        query.text("nextToken", self.next_token.as_deref());
        query.number("maxResults", self.max_results);
        HttpParts::without_body(Method::Get, Path::pools(), query)
    }

    pub(crate) fn read(query: &Query<'_>) -> Result<Self, RequestError> {
        Ok(Self {
            next_token: query.text("nextToken"),
            max_results: query.max_results()?,
        })
    }
}

/// One page of the pools' usage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListIdentityPoolUsageResponse {
    /// `IdentityPoolUsages`.
    #[serde(default, deserialize_with = "null_as_default")]
    pub identity_pool_usages: Vec<IdentityPoolUsage>,
    /// `MaxResults`: "The maximum number of results to be returned."
    #[serde(default, deserialize_with = "null_as_default")]
    pub max_results: i64,
    /// `Count`: "Total number of identities for the identity pool."
    #[serde(default, deserialize_with = "null_as_default")]
    pub count: i64,
    /// `NextToken`: there is another page.
    #[serde(default)]
    pub next_token: Option<String>,
}
