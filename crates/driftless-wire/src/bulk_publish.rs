//! BulkPublish and GetBulkPublishDetails: all data of a pool, once more, to its stream.
//!
//! `POST /identitypools/{IdentityPoolId}/bulkpublish`, and `POST
//! /identitypools/{IdentityPoolId}/getBulkPublishDetails`, a POST although it only reads. Neither
//! has a body. Both can "only be called with developer credentials".

use serde::{Deserialize, Serialize};

use crate::http::{HttpParts, Method};
use crate::id::IdentityPoolId;
use crate::request_error::RequestError;
use crate::timestamp::Timestamp;
use crate::uri::{Path, QueryWriter};

macro_rules! bulk {
    ($(#[$doc:meta])* $request:ident, $segment:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $request {
            /// `IdentityPoolId`.
            pub identity_pool_id: IdentityPoolId,
        }

        impl $request {
            pub(crate) fn to_http(&self) -> HttpParts {
                let path = Path::pool(&self.identity_pool_id).then($segment);
                HttpParts::without_body(Method::Post, path, QueryWriter::default())
            }

            pub(crate) fn read(pool: &str) -> Result<Self, RequestError> {
                Ok(Self {
                    identity_pool_id: pool.parse()?,
                })
            }
        }
    };
}

bulk! {
    /// Asks to publish a pool's data.
    BulkPublishRequest, "bulkpublish"
}

bulk! {
    /// Asks how the last publication of a pool's data went.
    GetBulkPublishDetailsRequest, "getBulkPublishDetails"
}

/// The publication has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct BulkPublishResponse {
    /// `IdentityPoolId`.
    pub identity_pool_id: IdentityPoolId,
}

/// How the last publication went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetBulkPublishDetailsResponse {
    /// `IdentityPoolId`.
    pub identity_pool_id: IdentityPoolId,
    /// `BulkPublishStartTime`.
    #[serde(default)]
    pub bulk_publish_start_time: Option<Timestamp>,
    /// `BulkPublishCompleteTime`.
    #[serde(default)]
    pub bulk_publish_complete_time: Option<Timestamp>,
    /// `BulkPublishStatus`.
    pub bulk_publish_status: BulkPublishStatus,
    /// `FailureMessage`.
    #[serde(default)]
    pub failure_message: Option<String>,
}

/// Where a publication stands (`BulkPublishStatus`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum BulkPublishStatus {
    /// There was none.
    NotStarted,
    /// It runs.
    InProgress,
    /// It failed.
    Failed,
    /// It was done.
    Succeeded,
}
