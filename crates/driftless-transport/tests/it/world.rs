//! What a transport is given: requests, credentials, a clock that stands still, a timer that does
//! not wait.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use driftless_transport::{
    BoxFuture, Clock, Credentials, CredentialsError, CredentialsProvider, Endpoint, HyperTransport,
    HyperTransportBuilder, StaticCredentials, Timer,
};
use driftless_wire::{
    DeleteDatasetRequest, ListRecordsRequest, Op, RecordPatch, Request, SyncCount, Timestamp,
    UpdateRecordsRequest,
};

pub(crate) const POOL: &str = "us-east-1:11111111-2222-3333-4444-555555555555";
pub(crate) const IDENTITY: &str = "us-east-1:aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";

/// An answer to ListRecords.
pub(crate) const LISTED: &str =
    r#"{"DatasetExists":true,"DatasetSyncCount":3,"Records":[],"SyncSessionToken":"t"}"#;

/// An answer to UpdateRecords.
pub(crate) const UPDATED: &str = r#"{"Records":[]}"#;

pub(crate) fn list() -> Request {
    Request::ListRecords(ListRecordsRequest {
        identity_pool_id: POOL.parse().unwrap(),
        identity_id: IDENTITY.parse().unwrap(),
        dataset_name: "notes".parse().unwrap(),
        last_sync_count: Some(SyncCount::ZERO),
        next_token: Some("hidden-next+/=".to_owned()),
        max_results: None,
        sync_session_token: Some("hidden-session+/=".into()),
    })
}

pub(crate) fn update() -> Request {
    Request::UpdateRecords(UpdateRecordsRequest {
        identity_pool_id: POOL.parse().unwrap(),
        identity_id: IDENTITY.parse().unwrap(),
        dataset_name: "notes".parse().unwrap(),
        sync_session_token: "hidden-session".into(),
        device_id: Some("hidden-device".parse().unwrap()),
        record_patches: vec![RecordPatch {
            op: Op::Replace,
            key: "hidden-key".parse().unwrap(),
            value: Some("hidden-value".to_owned()),
            sync_count: SyncCount::ZERO,
            device_last_modified_date: None,
        }],
    })
}

pub(crate) fn delete() -> Request {
    Request::DeleteDataset(DeleteDatasetRequest {
        identity_pool_id: POOL.parse().unwrap(),
        identity_id: IDENTITY.parse().unwrap(),
        dataset_name: "notes".parse().unwrap(),
    })
}

pub(crate) fn credentials(token: &str) -> Credentials {
    Credentials {
        access_key_id: "hidden-id".to_owned(),
        secret_access_key: "hidden-secret".to_owned(),
        session_token: Some(token.to_owned()),
        expires_at: None,
    }
}

/// 2026-01-02T03:04:05Z.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_767_323_045_000);

#[derive(Debug)]
struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        NOW
    }
}

/// Remembers how long it was asked to wait, and does not wait.
#[derive(Debug, Clone, Default)]
pub(crate) struct Waits(Arc<Mutex<Vec<Duration>>>);

impl Waits {
    pub(crate) fn get(&self) -> Vec<Duration> {
        self.0.lock().unwrap().clone()
    }
}

impl Timer for Waits {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.0.lock().unwrap().push(duration);
        Box::pin(async {})
    }
}

/// Gives out `first`, and `second` once that was refused.
#[derive(Debug, Default)]
pub(crate) struct Renewing {
    renewals: AtomicU32,
}

impl Renewing {
    pub(crate) fn renewals(&self) -> u32 {
        self.renewals.load(Ordering::SeqCst)
    }
}

impl CredentialsProvider for Renewing {
    fn credentials(&self) -> BoxFuture<'_, Result<Credentials, CredentialsError>> {
        Box::pin(async { Ok(credentials("first")) })
    }

    fn renew<'a>(
        &'a self,
        _refused: &'a Credentials,
    ) -> BoxFuture<'a, Result<Credentials, CredentialsError>> {
        self.renewals.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Ok(credentials("second")) })
    }
}

pub(crate) fn builder(address: SocketAddr, waits: &Waits) -> HyperTransportBuilder {
    let provider = Arc::new(StaticCredentials::new(credentials("hidden-token+/=")));
    builder_with(address, waits, provider)
}

pub(crate) fn builder_with(
    address: SocketAddr,
    waits: &Waits,
    provider: Arc<dyn CredentialsProvider>,
) -> HyperTransportBuilder {
    let endpoint = Endpoint::url(&format!("http://{address}"), "us-east-1").unwrap();
    HyperTransport::builder(endpoint, provider)
        .clock(Arc::new(StoppedClock))
        .timer(Arc::new(waits.clone()))
        .jitter_seed(1)
}

pub(crate) fn transport(address: SocketAddr) -> HyperTransport {
    builder(address, &Waits::default()).build()
}
