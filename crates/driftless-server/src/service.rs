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

mod configuration;
mod datasets;
mod devices;
mod identities;
mod list_records;
mod merges;
mod notes;
mod update_records;
mod usage;

use std::collections::BTreeMap;
use std::sync::Arc;

use driftless_wire::{
    ApiError, DatasetName, ErrorCode, IdentityId, IdentityPoolId, Operation, Request, Response,
    Timestamp, limits,
};

use crate::pool::Pool;
use crate::push_sink::{LogSink, PushSink};
use crate::storage::{Address, Owner, Storage, StorageError};
use crate::temporary::Mint;
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
    /// The holder of the server's own key pair, for whom every pool and identity is open: what the
    /// reference calls developer credentials.
    Operator,
    /// One identity with its temporary credentials, for whom only its own data are.
    Identity(Owner),
}

impl Caller {
    fn may(&self, request: &Request) -> bool {
        match self {
            Self::Operator => !is_for_devices(request.operation()),
            // Not so what is about a whole pool, or all of them.
            Self::Identity(own) => {
                request.identity_pool_id() == Some(&own.pool)
                    && request.identity_id() == Some(&own.identity)
            }
        }
    }
}

/// "This API can only be called with temporary credentials provided by Cognito Identity. You cannot
/// call this API with developer credentials."
fn is_for_devices(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::RegisterDevice
            | Operation::SubscribeToDataset
            | Operation::UnsubscribeFromDataset
    )
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
    mint: Mint,
    device_key: [u8; 32],
    pools: BTreeMap<IdentityPoolId, Pool>,
    sink: Arc<dyn PushSink>,
    limits: Limits,
}

impl Service {
    /// Returns a service over `storage`.
    ///
    /// `token_key` makes session tokens and temporary credentials: two services that share it take
    /// each other's, and a service that is started again with it takes those from before. `seed`
    /// must be another one in each of these. There are no pools that give identities yet.
    #[must_use]
    pub fn new(storage: Arc<dyn Storage>, token_key: [u8; 32], seed: [u8; 32]) -> Self {
        Self {
            storage,
            mint: Mint::new(&token_key),
            device_key: blake3::derive_key("driftless-server 1 device ids", &token_key),
            tokens: Tokens::new(token_key, seed, TOKEN_LIFETIME_MILLIS),
            pools: BTreeMap::new(),
            sink: Arc::new(LogSink),
            limits: Limits::default(),
        }
    }

    /// Sets what datasets and identities may hold.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Gives identities of a pool to whom `pool` lets in.
    ///
    /// Identities and logins are in the storage and stay when a pool is taken away or let in
    /// others.
    #[must_use]
    pub fn with_pool(mut self, id: IdentityPoolId, pool: Pool) -> Self {
        self.pools.insert(id, pool);
        self
    }

    /// Sets what carries hints of pushes to devices; by default nothing does.
    #[must_use]
    pub fn with_push_sink(mut self, sink: Arc<dyn PushSink>) -> Self {
        self.sink = sink;
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
        if let Caller::Identity(owner) = caller {
            self.check_enabled(&owner.identity)?;
        }
        let response = self.carry_out(request, now)?;
        // A push that a merge overtook would be left behind, and must not be acknowledged.
        if let (Caller::Identity(owner), Response::UpdateRecords(_)) = (caller, &response) {
            self.check_enabled(&owner.identity)?;
        }
        Ok(response)
    }

    fn carry_out(&self, request: Request, now: Timestamp) -> Result<Response, ApiError> {
        Ok(match request {
            Request::ListRecords(request) => {
                Response::ListRecords(self.list_records(&request, now)?)
            }
            Request::UpdateRecords(request) => {
                Response::UpdateRecords(self.update_records(request, now)?)
            }
            Request::DescribeDataset(request) => {
                Response::DescribeDataset(self.describe_dataset(&request)?)
            }
            Request::ListDatasets(request) => Response::ListDatasets(self.list_datasets(&request)?),
            Request::DeleteDataset(request) => {
                Response::DeleteDataset(self.delete_dataset(&request)?)
            }
            Request::RegisterDevice(request) => {
                Response::RegisterDevice(self.register_device(request, now)?)
            }
            Request::SubscribeToDataset(request) => {
                Response::SubscribeToDataset(self.subscribe(&request)?)
            }
            Request::UnsubscribeFromDataset(request) => {
                Response::UnsubscribeFromDataset(self.unsubscribe(&request)?)
            }
            Request::DescribeIdentityUsage(request) => {
                Response::DescribeIdentityUsage(self.identity_usage(request)?)
            }
            Request::DescribeIdentityPoolUsage(request) => {
                Response::DescribeIdentityPoolUsage(self.pool_usage(request.identity_pool_id)?)
            }
            Request::ListIdentityPoolUsage(request) => {
                Response::ListIdentityPoolUsage(self.list_pool_usage(&request)?)
            }
            Request::GetCognitoEvents(_) => Response::GetCognitoEvents(configuration::events()),
            Request::SetCognitoEvents(request) => {
                Response::SetCognitoEvents(configuration::set_events(&request)?)
            }
            Request::GetIdentityPoolConfiguration(request) => {
                Response::GetIdentityPoolConfiguration(self.pool_configuration(request)?)
            }
            Request::SetIdentityPoolConfiguration(request) => {
                Response::SetIdentityPoolConfiguration(self.configure_pool(request)?)
            }
            Request::BulkPublish(request) => return Err(configuration::bulk_publish(&request)),
            Request::GetBulkPublishDetails(request) => {
                Response::GetBulkPublishDetails(configuration::bulk_publish_details(request))
            }
            _ => {
                return Err(ApiError::new(
                    ErrorCode::UnknownOperation,
                    "no such operation",
                ));
            }
        })
    }

    /// Whose credentials a session token belongs to, and what they are.
    pub(crate) fn mint(&self) -> &Mint {
        &self.mint
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
