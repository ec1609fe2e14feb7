//! The operations as one closed door: any request in, its answer out.

use std::fmt;

use thiserror::Error;

use crate::bulk_publish::{
    BulkPublishRequest, BulkPublishResponse, GetBulkPublishDetailsRequest,
    GetBulkPublishDetailsResponse,
};
use crate::delete_dataset::{DeleteDatasetRequest, DeleteDatasetResponse};
use crate::describe_dataset::{DescribeDatasetRequest, DescribeDatasetResponse};
use crate::events::{
    GetCognitoEventsRequest, GetCognitoEventsResponse, SetCognitoEventsRequest,
    SetCognitoEventsResponse,
};
use crate::http::HttpParts;
use crate::id::{DatasetName, IdentityId, IdentityPoolId};
use crate::identity_usage::{DescribeIdentityUsageRequest, DescribeIdentityUsageResponse};
use crate::json;
use crate::list_datasets::{ListDatasetsRequest, ListDatasetsResponse};
use crate::list_records::{ListRecordsRequest, ListRecordsResponse};
use crate::pool_configuration::{
    GetIdentityPoolConfigurationRequest, GetIdentityPoolConfigurationResponse,
    SetIdentityPoolConfigurationRequest, SetIdentityPoolConfigurationResponse,
};
use crate::pool_usage::{
    DescribeIdentityPoolUsageRequest, DescribeIdentityPoolUsageResponse,
    ListIdentityPoolUsageRequest, ListIdentityPoolUsageResponse,
};
use crate::register_device::{RegisterDeviceRequest, RegisterDeviceResponse};
use crate::request_error::RequestError;
use crate::subscriptions::{
    SubscribeToDatasetRequest, SubscribeToDatasetResponse, UnsubscribeFromDatasetRequest,
    UnsubscribeFromDatasetResponse,
};
use crate::update_records::{UpdateRecordsRequest, UpdateRecordsResponse};
use crate::uri::{Query, segments};

macro_rules! operations {
    ($($name:ident, $request:ident => $response:ident;)*) => {
        /// The name of an operation.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Operation {
            $(#[doc = concat!(stringify!($name), ".")] $name,)*
        }

        impl Operation {
            /// Every operation of the API.
            pub const ALL: [Self; [$(stringify!($name)),*].len()] = [$(Self::$name),*];

            /// Returns the name in the API's spelling, as in the IAM action
            /// `cognito-sync:ListRecords`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }
        }

        /// A request for any operation.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Request {
            $(#[doc = concat!(stringify!($name), ".")] $name($request),)*
        }

        impl Request {
            /// Returns the operation that is asked for.
            #[must_use]
            pub fn operation(&self) -> Operation {
                match self {
                    $(Self::$name(_) => Operation::$name,)*
                }
            }

            /// Returns the parts of the HTTP request.
            #[must_use]
            pub fn to_http(&self) -> HttpParts {
                match self {
                    $(Self::$name(request) => request.to_http(),)*
                }
            }
        }

        /// The answer of any operation, status 200.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Response {
            $(#[doc = concat!(stringify!($name), ".")] $name($response),)*
        }

        impl Response {
            /// Returns the operation that is answered.
            #[must_use]
            pub fn operation(&self) -> Operation {
                match self {
                    $(Self::$name(_) => Operation::$name,)*
                }
            }

            /// Returns the JSON body.
            ///
            /// Members without a value are null, as the service sends them; an old client that
            /// reads an absent flag as false finds every flag.
            #[must_use]
            pub fn to_body(&self) -> Vec<u8> {
                match self {
                    $(Self::$name(response) => json::to_vec(response),)*
                }
            }

            fn read(operation: Operation, body: &[u8]) -> Result<Self, serde_json::Error> {
                match operation {
                    $(Operation::$name => serde_json::from_slice(body).map(Self::$name),)*
                }
            }
        }
    };
}

operations! {
    ListRecords, ListRecordsRequest => ListRecordsResponse;
    UpdateRecords, UpdateRecordsRequest => UpdateRecordsResponse;
    DescribeDataset, DescribeDatasetRequest => DescribeDatasetResponse;
    ListDatasets, ListDatasetsRequest => ListDatasetsResponse;
    DeleteDataset, DeleteDatasetRequest => DeleteDatasetResponse;
    RegisterDevice, RegisterDeviceRequest => RegisterDeviceResponse;
    SubscribeToDataset, SubscribeToDatasetRequest => SubscribeToDatasetResponse;
    UnsubscribeFromDataset, UnsubscribeFromDatasetRequest => UnsubscribeFromDatasetResponse;
    DescribeIdentityUsage, DescribeIdentityUsageRequest => DescribeIdentityUsageResponse;
    DescribeIdentityPoolUsage, DescribeIdentityPoolUsageRequest => DescribeIdentityPoolUsageResponse;
    ListIdentityPoolUsage, ListIdentityPoolUsageRequest => ListIdentityPoolUsageResponse;
    GetCognitoEvents, GetCognitoEventsRequest => GetCognitoEventsResponse;
    SetCognitoEvents, SetCognitoEventsRequest => SetCognitoEventsResponse;
    GetIdentityPoolConfiguration, GetIdentityPoolConfigurationRequest =>
        GetIdentityPoolConfigurationResponse;
    SetIdentityPoolConfiguration, SetIdentityPoolConfigurationRequest =>
        SetIdentityPoolConfigurationResponse;
    BulkPublish, BulkPublishRequest => BulkPublishResponse;
    GetBulkPublishDetails, GetBulkPublishDetailsRequest => GetBulkPublishDetailsResponse;
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Operation {
    /// Whether the answer has no members; the body may then be empty.
    fn answers_nothing(self) -> bool {
        matches!(
            self,
            Self::SubscribeToDataset | Self::UnsubscribeFromDataset | Self::SetCognitoEvents
        )
    }
}

impl Request {
    /// Returns the identity pool that the request is about, if it is about one.
    #[must_use]
    pub fn identity_pool_id(&self) -> Option<&IdentityPoolId> {
        Some(match self {
            Self::ListRecords(request) => &request.identity_pool_id,
            Self::UpdateRecords(request) => &request.identity_pool_id,
            Self::DescribeDataset(request) => &request.identity_pool_id,
            Self::ListDatasets(request) => &request.identity_pool_id,
            Self::DeleteDataset(request) => &request.identity_pool_id,
            Self::RegisterDevice(request) => &request.identity_pool_id,
            Self::SubscribeToDataset(request) => &request.identity_pool_id,
            Self::UnsubscribeFromDataset(request) => &request.identity_pool_id,
            Self::DescribeIdentityUsage(request) => &request.identity_pool_id,
            Self::DescribeIdentityPoolUsage(request) => &request.identity_pool_id,
            Self::GetCognitoEvents(request) => &request.identity_pool_id,
            Self::SetCognitoEvents(request) => &request.identity_pool_id,
            Self::GetIdentityPoolConfiguration(request) => &request.identity_pool_id,
            Self::SetIdentityPoolConfiguration(request) => &request.identity_pool_id,
            Self::BulkPublish(request) => &request.identity_pool_id,
            Self::GetBulkPublishDetails(request) => &request.identity_pool_id,
            Self::ListIdentityPoolUsage(_) => return None,
        })
    }

    /// Returns the identity that the request is about, if it is about one.
    #[must_use]
    pub fn identity_id(&self) -> Option<&IdentityId> {
        match self {
            Self::ListRecords(request) => Some(&request.identity_id),
            Self::UpdateRecords(request) => Some(&request.identity_id),
            Self::DescribeDataset(request) => Some(&request.identity_id),
            Self::ListDatasets(request) => Some(&request.identity_id),
            Self::DeleteDataset(request) => Some(&request.identity_id),
            Self::RegisterDevice(request) => Some(&request.identity_id),
            Self::SubscribeToDataset(request) => Some(&request.identity_id),
            Self::UnsubscribeFromDataset(request) => Some(&request.identity_id),
            Self::DescribeIdentityUsage(request) => Some(&request.identity_id),
            _ => None,
        }
    }

    /// Returns the dataset that the request is about, if it is about one.
    #[must_use]
    pub fn dataset_name(&self) -> Option<&DatasetName> {
        match self {
            Self::ListRecords(request) => Some(&request.dataset_name),
            Self::UpdateRecords(request) => Some(&request.dataset_name),
            Self::DescribeDataset(request) => Some(&request.dataset_name),
            Self::DeleteDataset(request) => Some(&request.dataset_name),
            Self::SubscribeToDataset(request) => Some(&request.dataset_name),
            Self::UnsubscribeFromDataset(request) => Some(&request.dataset_name),
            _ => None,
        }
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
        match &segments[..] {
            ["identitypools"] if method == "GET" => {
                ListIdentityPoolUsageRequest::read(&query).map(Self::ListIdentityPoolUsage)
            }
            ["identitypools", pool, rest @ ..]
                if !matches!(rest, ["identities" | "identity", ..]) =>
            {
                Self::of_pool(method, pool, rest, body)
            }
            ["identitypools", pool, "identity", identity, "device"] if method == "POST" => {
                RegisterDeviceRequest::read([pool, identity], body).map(Self::RegisterDevice)
            }
            ["identitypools", pool, "identities", identity] if method == "GET" => {
                DescribeIdentityUsageRequest::read([pool, identity])
                    .map(Self::DescribeIdentityUsage)
            }
            ["identitypools", pool, "identities", identity, "datasets"] if method == "GET" => {
                ListDatasetsRequest::read([pool, identity], &query).map(Self::ListDatasets)
            }
            [
                "identitypools",
                pool,
                "identities",
                identity,
                "datasets",
                name,
                rest @ ..,
            ] => Self::of_dataset(method, [pool, identity, name], rest, &query, body),
            _ => Err(RequestError::UnknownOperation),
        }
    }

    fn of_pool(method: &str, pool: &str, rest: &[&str], body: &[u8]) -> Result<Self, RequestError> {
        match (method, rest) {
            ("GET", []) => {
                DescribeIdentityPoolUsageRequest::read(pool).map(Self::DescribeIdentityPoolUsage)
            }
            ("GET", ["events"]) => GetCognitoEventsRequest::read(pool).map(Self::GetCognitoEvents),
            ("POST", ["events"]) => {
                SetCognitoEventsRequest::read(pool, body).map(Self::SetCognitoEvents)
            }
            ("GET", ["configuration"]) => GetIdentityPoolConfigurationRequest::read(pool)
                .map(Self::GetIdentityPoolConfiguration),
            ("POST", ["configuration"]) => SetIdentityPoolConfigurationRequest::read(pool, body)
                .map(Self::SetIdentityPoolConfiguration),
            ("POST", ["bulkpublish"]) => BulkPublishRequest::read(pool).map(Self::BulkPublish),
            ("POST", ["getBulkPublishDetails"]) => {
                GetBulkPublishDetailsRequest::read(pool).map(Self::GetBulkPublishDetails)
            }
            _ => Err(RequestError::UnknownOperation),
        }
    }

    fn of_dataset(
        method: &str,
        names: [&str; 3],
        rest: &[&str],
        query: &Query<'_>,
        body: &[u8],
    ) -> Result<Self, RequestError> {
        match (method, rest) {
            ("GET", ["records"]) => ListRecordsRequest::read(names, query).map(Self::ListRecords),
            ("POST", []) => UpdateRecordsRequest::read(names, body).map(Self::UpdateRecords),
            ("GET", []) => DescribeDatasetRequest::read(names).map(Self::DescribeDataset),
            ("DELETE", []) => DeleteDatasetRequest::read(names).map(Self::DeleteDataset),
            ("POST", ["subscriptions", device]) => {
                SubscribeToDatasetRequest::read(names, device).map(Self::SubscribeToDataset)
            }
            ("DELETE", ["subscriptions", device]) => {
                UnsubscribeFromDatasetRequest::read(names, device).map(Self::UnsubscribeFromDataset)
            }
            _ => Err(RequestError::UnknownOperation),
        }
    }
}

impl Response {
    /// Reads the body of an answer with status 200.
    ///
    /// Unknown members are ignored. The caller bounds the body; the work is linear in its length,
    /// and nesting is cut off.
    ///
    /// # Errors
    ///
    /// [`AnswerError`] if the body is not the JSON of that operation's answer.
    pub fn from_body(operation: Operation, body: &[u8]) -> Result<Self, AnswerError> {
        let body = match body {
            [] if operation.answers_nothing() => b"{}",
            body => body,
        };
        Self::read(operation, body).map_err(|error| AnswerError {
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
