//! One end of a migration: what an identity has there, page by page.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use driftless::transport::{ExchangeError, Transport};
use driftless_wire::{
    DatasetName, IdentityId, IdentityPoolId, ListDatasetsRequest, ListRecordsRequest,
    ListRecordsResponse, Record, RecordKey, RecordPatch, Request, Response, SyncCount,
    SyncSessionToken, UpdateRecordsRequest, limits,
};
use thiserror::Error;

/// More pages than any dataset has that keeps the limits, even if a service gives out small ones.
const MAX_PAGES: usize = 4_096;

/// A service, and the pool whose identities are read or written there.
#[derive(Clone)]
pub struct Service {
    transport: Arc<dyn Transport>,
    pool: IdentityPoolId,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Service");
        debug.field("pool", &self.pool).finish_non_exhaustive()
    }
}

/// Why a service gave no good answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The request failed; [`ExchangeError::retry`] tells whether to try later.
    #[error("a request failed")]
    Request(#[from] ExchangeError),
    /// The answer belongs to another operation.
    #[error("the answer belongs to another operation")]
    WrongAnswer,
    /// A list has more pages than any dataset can have.
    #[error("a list has over {MAX_PAGES} pages")]
    Endless,
    /// The dataset changed from one page of its list to the next. Stop the devices that write to it, and try again.
    #[error("dataset {0} changed while it was listed")]
    Changed(DatasetName),
    /// A list came without the token that an update needs.
    #[error("a list came without a session token")]
    NoToken,
}

/// All records of a dataset.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) records: BTreeMap<RecordKey, Record>,
    pub(crate) sync_count: SyncCount,
    token: Option<SyncSessionToken>,
}

impl Listed {
    /// Returns the value of a record, unless it is a tombstone or not there.
    pub(crate) fn value(&self, key: &RecordKey) -> Option<&str> {
        self.records.get(key)?.value.as_deref()
    }

    /// Returns all records that have a value, in the order of their keys.
    pub(crate) fn values(&self) -> impl Iterator<Item = (&RecordKey, &str)> {
        let records = self.records.iter();
        records.filter_map(|(key, record)| Some((key, record.value.as_deref()?)))
    }
}

impl Service {
    /// Returns the service behind a transport.
    #[must_use]
    pub fn new(transport: Arc<dyn Transport>, pool: IdentityPoolId) -> Self {
        Self { transport, pool }
    }

    /// Returns the names of an identity's datasets, all pages.
    ///
    /// # Errors
    ///
    /// [`ServiceError`] if they cannot be listed.
    pub async fn datasets(&self, identity: &IdentityId) -> Result<Vec<DatasetName>, ServiceError> {
        let mut names = Vec::new();
        let mut next_token = None;
        for _ in 0..MAX_PAGES {
            let request = Request::ListDatasets(ListDatasetsRequest {
                identity_pool_id: self.pool.clone(),
                identity_id: identity.clone(),
                next_token: next_token.take(),
                max_results: Some(limits::DATASETS_PER_PAGE),
            });
            let Response::ListDatasets(page) = self.transport.exchange(request).await?.response
            else {
                return Err(ServiceError::WrongAnswer);
            };
            names.extend(page.datasets.into_iter().map(|it| it.dataset_name));
            match page.next_token {
                Some(token) => next_token = Some(token),
                None => return Ok(names),
            }
        }
        Err(ServiceError::Endless)
    }

    pub(crate) async fn records(
        &self,
        identity: &IdentityId,
        name: &DatasetName,
    ) -> Result<Listed, ServiceError> {
        let mut records = BTreeMap::new();
        let (mut next_token, mut counted) = (None, None);
        for _ in 0..MAX_PAGES {
            let page = self.page(identity, name, next_token.take()).await?;
            if *counted.get_or_insert(page.dataset_sync_count) != page.dataset_sync_count {
                return Err(ServiceError::Changed(name.clone()));
            }
            records.extend(page.records.into_iter().map(|it| (it.key.clone(), it)));
            if page.next_token.is_none() {
                return Ok(Listed {
                    records,
                    sync_count: page.dataset_sync_count,
                    token: page.sync_session_token,
                });
            }
            next_token = page.next_token;
        }
        Err(ServiceError::Endless)
    }

    async fn page(
        &self,
        identity: &IdentityId,
        name: &DatasetName,
        next_token: Option<String>,
    ) -> Result<ListRecordsResponse, ServiceError> {
        let request = Request::ListRecords(ListRecordsRequest {
            identity_pool_id: self.pool.clone(),
            identity_id: identity.clone(),
            dataset_name: name.clone(),
            last_sync_count: None,
            next_token,
            max_results: Some(limits::RECORDS_PER_PAGE),
            sync_session_token: None,
        });
        match self.transport.exchange(request).await?.response {
            Response::ListRecords(page) => Ok(page),
            _ => Err(ServiceError::WrongAnswer),
        }
    }

    /// Sends patches in the session of a list.
    pub(crate) async fn update(
        &self,
        identity: &IdentityId,
        name: &DatasetName,
        listed: Listed,
        record_patches: Vec<RecordPatch>,
    ) -> Result<(), ServiceError> {
        let request = Request::UpdateRecords(UpdateRecordsRequest {
            identity_pool_id: self.pool.clone(),
            identity_id: identity.clone(),
            dataset_name: name.clone(),
            sync_session_token: listed.token.ok_or(ServiceError::NoToken)?,
            device_id: None,
            record_patches,
        });
        match self.transport.exchange(request).await?.response {
            Response::UpdateRecords(_) => Ok(()),
            _ => Err(ServiceError::WrongAnswer),
        }
    }
}
