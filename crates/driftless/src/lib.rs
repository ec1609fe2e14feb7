//! Offline-first datasets that merge by themselves and sync through Amazon Cognito Sync records.

pub use driftless_document as document;
pub use driftless_document::{Actor, Conflict, EditError, Scalar, Value};
pub use driftless_merge::{Durability, RefusedEdit, SessionError, Size};
pub use driftless_record::{Limits, Wrote};
pub use driftless_store as store;
pub use driftless_transport as transport;
pub use driftless_wire::{DatasetName, IdentityId, IdentityPoolId};

mod builder;
mod changes;
mod client;
mod dataset;
mod driver;
mod error;
mod recorder;
mod report;
mod seeds;
mod shared;
mod slot;
mod turns;

pub use builder::ClientBuilder;
pub use changes::{Change, Changes, Origin};
pub use client::Client;
pub use dataset::{Dataset, Transaction};
pub use error::{CloseError, DatasetError, OpenError, PutError, SyncError};
pub use recorder::Recorder;
pub use report::{Outcome, Report};
