//! A service with invented time, and short words for its requests.

use std::cell::Cell;
use std::sync::Arc;

use driftless_server::{
    Caller, Limits, MemoryStorage, Owner, Pool, Service, SharedKeyLogins, Storage, Subject,
};
use driftless_wire::identity::{
    GetCredentialsForIdentityRequest, GetCredentialsForIdentityResponse, GetIdRequest,
    IdentityRequest, IdentityResponse, Logins,
};
use driftless_wire::{
    ApiError, Dataset, DeleteDatasetRequest, DescribeDatasetRequest, ErrorCode, IdentityId,
    IdentityPoolId, ListDatasetsRequest, ListDatasetsResponse, ListRecordsRequest,
    ListRecordsResponse, Op, Record, RecordPatch, Request, Response, SyncCount, SyncSessionToken,
    Timestamp, UpdateRecordsRequest,
};

pub(crate) const POOL: &str = "us-east-1:00000000-0000-0000-0000-00000000000a";
pub(crate) const IDENTITY: &str = "us-east-1:00000000-0000-0000-0000-00000000000b";

/// One identity's view of a service.
pub(crate) struct World {
    service: Service,
    now: Cell<i64>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::over(Arc::new(MemoryStorage::new()), Limits::default())
    }

    pub(crate) fn over(storage: Arc<dyn Storage>, limits: Limits) -> Self {
        Self::of(Service::new(storage, [1; 32], [2; 32]).with_limits(limits))
    }

    pub(crate) fn of(service: Service) -> Self {
        Self {
            service,
            now: Cell::new(1_700_000_000_000),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.get())
    }

    pub(crate) fn pass(&self, millis: i64) {
        self.now.set(self.now.get() + millis);
    }

    pub(crate) fn handle(&self, request: Request) -> Result<Response, ApiError> {
        self.handle_as(request, &Caller::Operator)
    }

    pub(crate) fn handle_as(
        &self,
        request: Request,
        caller: &Caller,
    ) -> Result<Response, ApiError> {
        self.pass(1);
        self.service.handle(request, caller, self.now())
    }

    pub(crate) fn identify(&self, request: IdentityRequest) -> Result<IdentityResponse, ApiError> {
        self.pass(1);
        self.service.identify(request, self.now())
    }

    pub(crate) fn get_id(&self, logins: Logins) -> Result<IdentityId, ApiError> {
        let request = GetIdRequest {
            identity_pool_id: pool(),
            logins,
        };
        match self.identify(IdentityRequest::GetId(request))? {
            IdentityResponse::GetId(response) => Ok(response.identity_id),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn get_credentials(
        &self,
        identity_id: &IdentityId,
        logins: Logins,
    ) -> Result<GetCredentialsForIdentityResponse, ApiError> {
        let request = GetCredentialsForIdentityRequest {
            identity_id: identity_id.clone(),
            logins,
        };
        match self.identify(IdentityRequest::GetCredentialsForIdentity(request))? {
            IdentityResponse::GetCredentialsForIdentity(response) => Ok(response),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn list_with(
        &self,
        dataset: &str,
        change: impl FnOnce(&mut ListRecordsRequest),
    ) -> Result<ListRecordsResponse, ApiError> {
        let mut request = list_records(dataset);
        change(&mut request);
        match self.handle(Request::ListRecords(request))? {
            Response::ListRecords(response) => Ok(response),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn list(&self, dataset: &str, since: u32) -> ListRecordsResponse {
        self.try_list(dataset, since).unwrap()
    }

    pub(crate) fn try_list(
        &self,
        dataset: &str,
        since: u32,
    ) -> Result<ListRecordsResponse, ApiError> {
        self.list_with(dataset, |request| {
            request.last_sync_count = Some(since.into())
        })
    }

    pub(crate) fn token(&self, dataset: &str) -> SyncSessionToken {
        self.list(dataset, 0).sync_session_token.unwrap()
    }

    pub(crate) fn push_with(
        &self,
        dataset: &str,
        token: SyncSessionToken,
        patches: Vec<RecordPatch>,
    ) -> Result<Vec<Record>, ApiError> {
        match self.handle(update_records(dataset, token, patches))? {
            Response::UpdateRecords(response) => Ok(response.records),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn push(
        &self,
        dataset: &str,
        patches: Vec<RecordPatch>,
    ) -> Result<Vec<Record>, ApiError> {
        self.push_with(dataset, self.token(dataset), patches)
    }

    pub(crate) fn describe(&self, dataset: &str) -> Result<Dataset, ApiError> {
        let request = DescribeDatasetRequest {
            identity_pool_id: pool(),
            identity_id: identity(),
            dataset_name: dataset.parse().unwrap(),
        };
        match self.handle(Request::DescribeDataset(request))? {
            Response::DescribeDataset(response) => Ok(response.dataset),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn delete(&self, dataset: &str) -> Result<Dataset, ApiError> {
        let request = DeleteDatasetRequest {
            identity_pool_id: pool(),
            identity_id: identity(),
            dataset_name: dataset.parse().unwrap(),
        };
        match self.handle(Request::DeleteDataset(request))? {
            Response::DeleteDataset(response) => Ok(response.dataset),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn datasets(
        &self,
        next_token: Option<&str>,
        max_results: Option<u32>,
    ) -> Result<ListDatasetsResponse, ApiError> {
        let request = ListDatasetsRequest {
            identity_pool_id: pool(),
            identity_id: identity(),
            next_token: next_token.map(str::to_owned),
            max_results,
        };
        match self.handle(Request::ListDatasets(request))? {
            Response::ListDatasets(response) => Ok(response),
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn pool() -> IdentityPoolId {
    POOL.parse().unwrap()
}

pub(crate) fn identity() -> IdentityId {
    IDENTITY.parse().unwrap()
}

/// The provider of logins that test pools have.
pub(crate) const PROVIDER: &str = "login.example";

pub(crate) fn shared_key() -> SharedKeyLogins {
    SharedKeyLogins::new(&[9; 32]).unwrap()
}

/// A pool for guests and for those who log in.
pub(crate) fn open_pool() -> Pool {
    Pool::new()
        .with_guests()
        .with_logins(PROVIDER, Arc::new(shared_key()))
        .with_logins("other.example", Arc::new(shared_key()))
}

/// A login that is good for a hundred years.
pub(crate) fn login(subject: &str) -> Logins {
    login_at(PROVIDER, subject)
}

pub(crate) fn login_at(provider: &str, subject: &str) -> Logins {
    let expires = Timestamp::from_millis(4_900_000_000_000);
    let subject = Subject::new(subject).unwrap();
    Logins::none().with(
        provider,
        shared_key().sign(&pool(), provider, &subject, expires),
    )
}

pub(crate) fn caller(identity: &IdentityId) -> Caller {
    Caller::Identity(Owner {
        pool: pool(),
        identity: identity.clone(),
    })
}

#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(
    result: Result<T, ApiError>,
    code: ErrorCode,
    message: &str,
) {
    let error = result.unwrap_err();
    assert_eq!((error.code, error.message.as_str()), (code, message));
}

pub(crate) fn list_records(dataset: &str) -> ListRecordsRequest {
    ListRecordsRequest {
        identity_pool_id: pool(),
        identity_id: identity(),
        dataset_name: dataset.parse().unwrap(),
        last_sync_count: None,
        next_token: None,
        max_results: None,
        sync_session_token: None,
    }
}

pub(crate) fn update_records(
    dataset: &str,
    token: SyncSessionToken,
    patches: Vec<RecordPatch>,
) -> Request {
    Request::UpdateRecords(UpdateRecordsRequest {
        identity_pool_id: pool(),
        identity_id: identity(),
        dataset_name: dataset.parse().unwrap(),
        sync_session_token: token,
        device_id: None,
        record_patches: patches,
    })
}

pub(crate) fn put(key: &str, value: &str, count: u32) -> RecordPatch {
    patch(Op::Replace, key, Some(value), count.into())
}

pub(crate) fn remove(key: &str, count: u32) -> RecordPatch {
    patch(Op::Remove, key, None, count.into())
}

pub(crate) fn patch(op: Op, key: &str, value: Option<&str>, count: SyncCount) -> RecordPatch {
    RecordPatch {
        op,
        key: key.parse().unwrap(),
        value: value.map(str::to_owned),
        sync_count: count,
        device_last_modified_date: None,
    }
}

/// Key, value and count of records, in their order.
pub(crate) fn brief(records: &[Record]) -> Vec<(&str, Option<&str>, i64)> {
    records
        .iter()
        .map(|r| (r.key.as_str(), r.value.as_deref(), r.sync_count.get()))
        .collect()
}
