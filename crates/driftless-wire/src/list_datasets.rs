//! ListDatasets: the datasets of an identity.
//!
//! `GET /identitypools/{IdentityPoolId}/identities/{IdentityId}/datasets`.

use serde::{Deserialize, Serialize};

use crate::dataset::Dataset;
use crate::http::{HttpParts, Method};
use crate::id::{IdentityId, IdentityPoolId};
use crate::json::null_as_default;
use crate::request_error::RequestError;
use crate::uri::{Path, Query, QueryWriter};

/// Asks for the datasets of an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListDatasetsRequest {
    /// `IdentityPoolId`.
    pub identity_pool_id: IdentityPoolId,
    /// `IdentityId`.
    pub identity_id: IdentityId,
    /// `NextToken`, from the page before.
    pub next_token: Option<String>,
    /// `MaxResults`: datasets on a page, at least 1.
    pub max_results: Option<u32>,
}

impl ListDatasetsRequest {
    pub(crate) fn to_http(&self) -> HttpParts {
        let path = Path::identity(&self.identity_pool_id, &self.identity_id).then("datasets");
        let mut query = QueryWriter::default();
        query.text("nextToken", self.next_token.as_deref());
        query.number("maxResults", self.max_results);
        HttpParts::without_body(Method::Get, path, query)
    }

    pub(crate) fn read(names: [&str; 2], query: &Query) -> Result<Self, RequestError> {
        Ok(Self {
            identity_pool_id: names[0].parse()?,
            identity_id: names[1].parse()?,
            next_token: query.text("nextToken"),
            max_results: query.max_results()?,
        })
    }
}

/// One page of an identity's datasets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListDatasetsResponse {
    /// `Datasets`.
    #[serde(default, deserialize_with = "null_as_default")]
    pub datasets: Vec<Dataset>,
    /// `Count`: "Number of datasets returned."
    #[serde(default, deserialize_with = "null_as_default")]
    pub count: i64,
    /// `NextToken`: there is another page.
    #[serde(default)]
    pub next_token: Option<String>,
}
