//! The service without IO: a request and the time go in, an answer comes out.
//!
//! It reads no clock and draws no random number; where it must not be predictable it uses the
//! seed that it was given. It never looks into a value. What the reference leaves open was decided
//! in `docs/compatibility.md`; the places where it was decided are `service/*.rs`, one file for
//! each kind of request.
//!
//! Requests may come from many threads. No lock is held from one storage call to the next: a write
//! is planned on what was read, swapped in if the dataset still stands there, and planned again if
//! not.

mod datasets;
mod list_records;
mod update_records;

use std::sync::Arc;

use driftless_wire::{
    ApiError, DatasetName, ErrorCode, IdentityId, IdentityPoolId, Request, Response, Timestamp,
    limits,
};

use crate::storage::{Address, Owner, Storage, StorageError};
use crate::token::Tokens;

/// How often a write is planned anew because another one came between. Each time that other one
/// succeeded, so more tries would help one client at the cost of another.
const ATTEMPTS: usize = 32;

/// Half the longest life of Cognito's own credentials, which bounds every session there.
const TOKEN_LIFETIME_MILLIS: i64 = 30 * 60 * 1_000;

/// Who sent a request, as far as its signature tells.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Caller {
    /// The holder of the server's own key pair, for whom every pool and identity is open.
    Operator,
    /// One identity, for whom only its own datasets are.
    Identity(Owner),
}

impl Caller {
    fn may(&self, request: &Request) -> bool {
        match self {
            Self::Operator => true,
            Self::Identity(own) => {
                request.identity_pool_id() == Some(&own.pool)
                    && request.identity_id() == Some(&own.identity)
            }
        }
    }
}

/// What one dataset and one identity may hold; the service's own quotas are the defaults.
///
/// They are compared with what would stand after a push. A push that makes a dataset smaller passes
/// even where it is still too large, so that a lowered limit locks nobody out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Records in a dataset, removed ones counted.
    pub records: u64,
    /// Bytes of the keys and values of a dataset.
    pub bytes: u64,
    /// Datasets of an identity. Datasets that begin at the same moment are not counted against
    /// each other.
    pub datasets: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            records: limits::RECORDS_PER_DATASET as u64,
            bytes: limits::DATASET_BYTES as u64,
            datasets: limits::DATASETS_PER_IDENTITY,
        }
    }
}

/// The Cognito Sync service over a storage.
#[derive(Debug)]
pub struct Service {
    storage: Arc<dyn Storage>,
    tokens: Tokens,
    limits: Limits,
}

impl Service {
    /// Returns a service over `storage`.
    ///
    /// `token_key` makes session tokens: two services that share it take each other's, and a
    /// service that is started again with it takes those from before. `seed` must be another one
    /// in each of these.
    #[must_use]
    pub fn new(storage: Arc<dyn Storage>, token_key: [u8; 32], seed: [u8; 32]) -> Self {
        Self {
            storage,
            tokens: Tokens::new(token_key, seed, TOKEN_LIFETIME_MILLIS),
            limits: Limits::default(),
        }
    }

    /// Sets what datasets and identities may hold.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Answers a request. What it changed is durable before this returns.
    ///
    /// Blocks as long as the storage does.
    ///
    /// # Errors
    ///
    /// What the service would answer instead. `InternalErrorException` means that the storage
    /// failed and that a write may or may not have happened.
    pub fn handle(
        &self,
        request: Request,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<Response, ApiError> {
        if !caller.may(&request) {
            return Err(ApiError::new(
                ErrorCode::NotAuthorized,
                "These credentials are not valid for accessing this resource",
            ));
        }
        match request {
            Request::ListRecords(request) => {
                self.list_records(&request, now).map(Response::ListRecords)
            }
            Request::UpdateRecords(request) => self
                .update_records(request, now)
                .map(Response::UpdateRecords),
            Request::DescribeDataset(request) => self
                .describe_dataset(&request)
                .map(Response::DescribeDataset),
            Request::ListDatasets(request) => {
                self.list_datasets(&request).map(Response::ListDatasets)
            }
            Request::DeleteDataset(request) => {
                self.delete_dataset(&request).map(Response::DeleteDataset)
            }
            _ => Err(ApiError::new(
                ErrorCode::UnknownOperation,
                "no such operation",
            )),
        }
    }
}

fn owner(pool: &IdentityPoolId, identity: &IdentityId) -> Owner {
    Owner {
        pool: pool.clone(),
        identity: identity.clone(),
    }
}

fn address(pool: &IdentityPoolId, identity: &IdentityId, dataset: &DatasetName) -> Address {
    Address {
        owner: owner(pool, identity),
        dataset: dataset.clone(),
    }
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::InvalidParameter, message)
}

fn too_many_writers() -> ApiError {
    ApiError::new(
        ErrorCode::TooManyRequests,
        "too many concurrent updates of this dataset",
    )
}

/// Tells the log what failed and the client only that something did.
fn storage_failed(error: StorageError) -> ApiError {
    tracing::error!(error = &error as &dyn std::error::Error, "storage failed");
    ApiError::new(ErrorCode::InternalError, "the service failed")
}
