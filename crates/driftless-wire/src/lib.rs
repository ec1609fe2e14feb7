//! The Amazon Cognito Sync API: its shapes, their JSON, and their HTTP forms.
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

mod dataset;
mod delete_dataset;
mod describe_dataset;
mod error;
mod http;
mod id;
mod json;
pub mod limits;
mod list_datasets;
mod list_records;
mod operation;
mod record;
mod request_error;
mod sync_count;
mod timestamp;
mod update_records;
mod uri;

pub use dataset::Dataset;
pub use delete_dataset::{DeleteDatasetRequest, DeleteDatasetResponse};
pub use describe_dataset::{DescribeDatasetRequest, DescribeDatasetResponse};
pub use error::{ApiError, ERROR_TYPE_HEADER, ErrorCode};
pub use http::{HttpParts, Method};
pub use id::{
    DatasetName, DeviceId, IdError, IdentityId, IdentityPoolId, RecordKey, SyncSessionToken,
};
pub use list_datasets::{ListDatasetsRequest, ListDatasetsResponse};
pub use list_records::{ListRecordsRequest, ListRecordsResponse};
pub use operation::{AnswerError, Operation, Request, Response};
pub use record::{Op, Record, RecordPatch};
pub use request_error::RequestError;
pub use sync_count::{NegativeSyncCount, SyncCount};
pub use timestamp::Timestamp;
pub use update_records::{UpdateRecordsRequest, UpdateRecordsResponse};
