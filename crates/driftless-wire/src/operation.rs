//! The operations as one closed door: any request in, its answer out.

use std::fmt;

use thiserror::Error;

use crate::delete_dataset::{DeleteDatasetRequest, DeleteDatasetResponse};
use crate::describe_dataset::{DescribeDatasetRequest, DescribeDatasetResponse};
use crate::http::HttpParts;
use crate::id::{DatasetName, IdentityId, IdentityPoolId};
use crate::json;
use crate::list_datasets::{ListDatasetsRequest, ListDatasetsResponse};
use crate::list_records::{ListRecordsRequest, ListRecordsResponse};
use crate::request_error::RequestError;
use crate::update_records::{UpdateRecordsRequest, UpdateRecordsResponse};
use crate::uri::{Query, segments};

/// The name of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// ListRecords.
    ListRecords,
    /// UpdateRecords.
    UpdateRecords,
    /// DescribeDataset.
    DescribeDataset,
    /// ListDatasets.
    ListDatasets,
    /// DeleteDataset.
    DeleteDataset,
}

impl Operation {
    /// Every operation that is known here.
    pub const ALL: [Self; 5] = [
        Self::ListRecords,
        Self::UpdateRecords,
        Self::DescribeDataset,
        Self::ListDatasets,
        Self::DeleteDataset,
    ];

    /// Returns the name in the API's spelling, as in the IAM action `cognito-sync:ListRecords`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ListRecords => "ListRecords",
            Self::UpdateRecords => "UpdateRecords",
            Self::DescribeDataset => "DescribeDataset",
            Self::ListDatasets => "ListDatasets",
            Self::DeleteDataset => "DeleteDataset",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Dispatches over the variants, which all wrap one struct with the same members.
macro_rules! each {
    ($enum:ident, $self:expr, $inner:ident => $body:expr) => {
        match $self {
            $enum::ListRecords($inner) => $body,
            $enum::UpdateRecords($inner) => $body,
            $enum::DescribeDataset($inner) => $body,
            $enum::ListDatasets($inner) => $body,
            $enum::DeleteDataset($inner) => $body,
        }
    };
}

/// A request for any operation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// ListRecords.
    ListRecords(ListRecordsRequest),
    /// UpdateRecords.
    UpdateRecords(UpdateRecordsRequest),
    /// DescribeDataset.
    DescribeDataset(DescribeDatasetRequest),
    /// ListDatasets.
    ListDatasets(ListDatasetsRequest),
    /// DeleteDataset.
    DeleteDataset(DeleteDatasetRequest),
}

impl Request {
    /// Returns the operation that is asked for.
    #[must_use]
    pub fn operation(&self) -> Operation {
        match self {
            Self::ListRecords(_) => Operation::ListRecords,
            Self::UpdateRecords(_) => Operation::UpdateRecords,
            Self::DescribeDataset(_) => Operation::DescribeDataset,
            Self::ListDatasets(_) => Operation::ListDatasets,
            Self::DeleteDataset(_) => Operation::DeleteDataset,
        }
    }

    /// Returns the identity pool that the request is about.
    #[must_use]
    pub fn identity_pool_id(&self) -> &IdentityPoolId {
        each!(Self, self, request => &request.identity_pool_id)
    }

    /// Returns the identity that the request is about.
    #[must_use]
    pub fn identity_id(&self) -> &IdentityId {
        each!(Self, self, request => &request.identity_id)
    }

    /// Returns the dataset that the request is about, if it is about one.
    #[must_use]
    pub fn dataset_name(&self) -> Option<&DatasetName> {
        match self {
            Self::ListRecords(request) => Some(&request.dataset_name),
            Self::UpdateRecords(request) => Some(&request.dataset_name),
            Self::DescribeDataset(request) => Some(&request.dataset_name),
            Self::DeleteDataset(request) => Some(&request.dataset_name),
            Self::ListDatasets(_) => None,
        }
    }

    /// Returns the parts of the HTTP request.
    #[must_use]
    pub fn to_http(&self) -> HttpParts {
        each!(Self, self, request => request.to_http())
    }

    /// Reads the parts of an HTTP request.
    ///
    /// `path` and `query` are as on the wire, percent-encoded; a raw colon is accepted, query names
    /// that the operation does not have are ignored, and so is the content type, for old clients
    /// send all kinds. The caller bounds the body.
    ///
    /// # Errors
    ///
    /// [`RequestError`], which turns into the [`ApiError`](crate::ApiError) to answer with.
    pub fn from_http(
        method: &str,
        path: &str,
        query: &str,
        body: &[u8],
    ) -> Result<Self, RequestError> {
        let segments = segments(path)?;
        let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
        let query = Query::parse(query)?;
        let [
            "identitypools",
            pool,
            "identities",
            identity,
            "datasets",
            rest @ ..,
        ] = &segments[..]
        else {
            return Err(RequestError::UnknownOperation);
        };
        match (method, rest) {
            ("GET", []) => {
                ListDatasetsRequest::read([pool, identity], &query).map(Self::ListDatasets)
            }
            ("GET", [name, "records"]) => {
                ListRecordsRequest::read([pool, identity, name], &query).map(Self::ListRecords)
            }
            ("POST", [name]) => {
                UpdateRecordsRequest::read([pool, identity, name], body).map(Self::UpdateRecords)
            }
            ("GET", [name]) => {
                DescribeDatasetRequest::read([pool, identity, name]).map(Self::DescribeDataset)
            }
            ("DELETE", [name]) => {
                DeleteDatasetRequest::read([pool, identity, name]).map(Self::DeleteDataset)
            }
            _ => Err(RequestError::UnknownOperation),
        }
    }
}

/// The answer of any operation, status 200.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Response {
    /// ListRecords.
    ListRecords(ListRecordsResponse),
    /// UpdateRecords.
    UpdateRecords(UpdateRecordsResponse),
    /// DescribeDataset.
    DescribeDataset(DescribeDatasetResponse),
    /// ListDatasets.
    ListDatasets(ListDatasetsResponse),
    /// DeleteDataset.
    DeleteDataset(DeleteDatasetResponse),
}

impl Response {
    /// Returns the operation that is answered.
    #[must_use]
    pub fn operation(&self) -> Operation {
        match self {
            Self::ListRecords(_) => Operation::ListRecords,
            Self::UpdateRecords(_) => Operation::UpdateRecords,
            Self::DescribeDataset(_) => Operation::DescribeDataset,
            Self::ListDatasets(_) => Operation::ListDatasets,
            Self::DeleteDataset(_) => Operation::DeleteDataset,
        }
    }

    /// Returns the JSON body.
    ///
    /// Members without a value are null, as the service sends them; an old client that reads an
    /// absent flag as false finds every flag.
    #[must_use]
    pub fn to_body(&self) -> Vec<u8> {
        each!(Self, self, response => json::to_vec(response))
    }

    /// Reads the body of an answer with status 200.
    ///
    /// Unknown members are ignored. The caller bounds the body; the work is linear in its length,
    /// and nesting is cut off.
    ///
    /// # Errors
    ///
    /// [`AnswerError`] if the body is not the JSON of that operation's answer.
    pub fn from_body(operation: Operation, body: &[u8]) -> Result<Self, AnswerError> {
        let response = match operation {
            Operation::ListRecords => serde_json::from_slice(body).map(Self::ListRecords),
            Operation::UpdateRecords => serde_json::from_slice(body).map(Self::UpdateRecords),
            Operation::DescribeDataset => serde_json::from_slice(body).map(Self::DescribeDataset),
            Operation::ListDatasets => serde_json::from_slice(body).map(Self::ListDatasets),
            Operation::DeleteDataset => serde_json::from_slice(body).map(Self::DeleteDataset),
        };
        response.map_err(|error| AnswerError {
            operation,
            fault: json::fault(&error),
        })
    }
}

/// An answer with status 200 that is not the operation's JSON.
///
/// The usual causes are a proxy or a captive portal in between. Nothing is known about what the
/// service did. The text says what is wrong and where; it quotes nothing of the body, which holds
/// values.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("answer to {operation} cannot be read: {fault}")]
pub struct AnswerError {
    operation: Operation,
    fault: String,
}

impl AnswerError {
    /// Returns the operation whose answer it should have been.
    #[must_use]
    pub fn operation(&self) -> Operation {
        self.operation
    }
}
