//! The Amazon Cognito Sync API: its shapes, their JSON, and their HTTP forms; and in [`identity`]
//! what devices get their credentials by.
//!
//! This crate knows what the service prescribes and does nothing: it opens no connection, reads no
//! clock, signs nothing and merges nothing. A client turns a [`Request`] into [`HttpParts`] and a
//! body into a [`Response`] or an [`ApiError`]; a server goes the other way.
//!
//! Two rules hold everywhere. What was parsed is valid: ids and counts are newtypes that can only
//! be made through their check. And foreign bytes are an error at worst: every reader is strict,
//! linear in its input, and never panics; the caller bounds the length.
//!
//! In requests an absent member is left out; in answers it is null, as the service writes it.
//!
//! ```
//! use driftless_wire::{DescribeDatasetRequest, Operation, Request, Response};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let request = Request::DescribeDataset(DescribeDatasetRequest {
//!     identity_pool_id: "us-east-1:0a".parse()?,
//!     identity_id: "us-east-1:0b".parse()?,
//!     dataset_name: "notes".parse()?,
//! });
//! let http = request.to_http();
//! assert_eq!(http.path, "/identitypools/us-east-1%3A0a/identities/us-east-1%3A0b/datasets/notes");
//!
//! let body = br#"{"Dataset":{"IdentityId":"us-east-1:0b","DatasetName":"notes","NumRecords":1}}"#;
//! let Response::DescribeDataset(answer) = Response::from_body(Operation::DescribeDataset, body)?
//! else {
//!     unreachable!("an answer is that of the operation asked for");
//! };
//! assert_eq!(answer.dataset.num_records, 1);
//! # Ok(())
//! # }
//! ```

mod bulk_publish;
mod dataset;
mod delete_dataset;
mod describe_dataset;
mod error;
mod events;
mod http;
mod id;
pub mod identity;
mod identity_usage;
mod json;
pub mod limits;
mod list_datasets;
mod list_records;
mod operation;
mod pool_configuration;
mod pool_usage;
mod record;
mod register_device;
mod request_error;
mod subscriptions;
mod sync_count;
mod timestamp;
mod update_records;
mod uri;

pub use bulk_publish::{
    BulkPublishRequest, BulkPublishResponse, BulkPublishStatus, GetBulkPublishDetailsRequest,
    GetBulkPublishDetailsResponse,
};
pub use dataset::Dataset;
pub use delete_dataset::{DeleteDatasetRequest, DeleteDatasetResponse};
pub use describe_dataset::{DescribeDatasetRequest, DescribeDatasetResponse};
pub use error::{ApiError, ERROR_TYPE_HEADER, ErrorCode};
pub use events::{
    GetCognitoEventsRequest, GetCognitoEventsResponse, SetCognitoEventsRequest,
    SetCognitoEventsResponse,
};
pub use http::{HttpParts, Method};
pub use id::{
    DatasetName, DeviceId, IdError, IdentityId, IdentityPoolId, RecordKey, SyncSessionToken,
};
pub use identity_usage::{
    DescribeIdentityUsageRequest, DescribeIdentityUsageResponse, IdentityUsage,
};
pub use list_datasets::{ListDatasetsRequest, ListDatasetsResponse};
pub use list_records::{ListRecordsRequest, ListRecordsResponse};
pub use operation::{AnswerError, Operation, Request, Response};
pub use pool_configuration::{
    CognitoStreams, GetIdentityPoolConfigurationRequest, GetIdentityPoolConfigurationResponse,
    PushSync, SetIdentityPoolConfigurationRequest, SetIdentityPoolConfigurationResponse,
};
pub use pool_usage::{
    DescribeIdentityPoolUsageRequest, DescribeIdentityPoolUsageResponse, IdentityPoolUsage,
    ListIdentityPoolUsageRequest, ListIdentityPoolUsageResponse,
};
pub use record::{Op, Record, RecordPatch};
pub use register_device::{Platform, RegisterDeviceRequest, RegisterDeviceResponse};
pub use request_error::RequestError;
pub use subscriptions::{
    SubscribeToDatasetRequest, SubscribeToDatasetResponse, UnsubscribeFromDatasetRequest,
    UnsubscribeFromDatasetResponse,
};
pub use sync_count::{NegativeSyncCount, SyncCount};
pub use timestamp::Timestamp;
pub use update_records::{UpdateRecordsRequest, UpdateRecordsResponse};
