//! A way to the real server core without a network: it counts, holds back, fails and lies on
//! demand.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use driftless::transport::{BoxFuture, Clock, ExchangeError, Exchanged, Timer, Transport};
use driftless::{Client, ClientBuilder};
use driftless_server::{Caller, MemorySink, MemoryStorage, Owner, PushHint, Service};
use driftless_store::{MemoryStore, Store};
use driftless_wire::{
    ListRecordsRequest, Op, Operation, Record, RecordPatch, Request, Response, SyncSessionToken,
    Timestamp, UpdateRecordsRequest,
};
use tokio::sync::watch;

use crate::service::{IDENTITY, POOL};

/// What goes wrong with one request.
pub(crate) enum Fault {
    /// It fails and nothing was done.
    Before(ExchangeError),
    /// It is carried out, and the answer lost.
    After(ExchangeError),
    /// It is carried out, and another answer comes.
    Instead(Response),
}

/// A transport to a server core in this process.
pub(crate) struct Fake {
    core: Service,
    sink: Arc<MemorySink>,
    now: AtomicI64,
    seen: Mutex<Vec<Operation>>,
    faults: Mutex<VecDeque<(Operation, Fault)>>,
    last: Mutex<Option<Request>>,
    /// Requests of this operation wait.
    held: watch::Sender<Option<Operation>>,
    arrived: watch::Sender<usize>,
}

impl Fake {
    pub(crate) fn new() -> Arc<Self> {
        let sink = Arc::new(MemorySink::default());
        let core = Service::new(Arc::new(MemoryStorage::new()), [1; 32], [2; 32]);
        Arc::new(Self {
            core: core.with_push_sink(sink.clone()),
            sink,
            now: AtomicI64::new(1_700_000_000_000),
            seen: Mutex::default(),
            faults: Mutex::default(),
            last: Mutex::default(),
            held: watch::Sender::new(None),
            arrived: watch::Sender::new(0),
        })
    }

    /// Returns a builder for a device with this way to the service, and pauses that take no time.
    pub(crate) fn builder(self: &Arc<Self>, store: &Arc<MemoryStore>) -> ClientBuilder {
        self.reach(Client::with_store(Arc::clone(store) as Arc<dyn Store>))
    }

    pub(crate) fn reach(self: &Arc<Self>, builder: ClientBuilder) -> ClientBuilder {
        builder
            .pool(POOL.parse().unwrap())
            .identity(IDENTITY.parse().unwrap())
            .transport(Arc::clone(self) as Arc<dyn Transport>)
            .timer(Arc::new(NoPause))
    }

    pub(crate) fn device(self: &Arc<Self>) -> Client {
        self.builder(&Arc::new(MemoryStore::new())).open().unwrap()
    }

    /// Returns the requests since the last call, oldest first.
    pub(crate) fn requests(&self) -> Vec<Operation> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    /// Returns the last request.
    pub(crate) fn kept(&self) -> Option<Request> {
        self.last.lock().unwrap().clone()
    }

    /// Lets the next request of an operation go wrong.
    pub(crate) fn fail(&self, operation: Operation, fault: Fault) {
        self.faults.lock().unwrap().push_back((operation, fault));
    }

    /// Lets nothing go wrong any more.
    pub(crate) fn forgive(&self) {
        self.faults.lock().unwrap().clear();
    }

    /// Lets requests of an operation wait from now on, or none.
    pub(crate) fn hold(&self, operation: Option<Operation>) {
        self.held.send_replace(operation);
    }

    /// Returns how many requests have come in all.
    pub(crate) fn count(&self) -> usize {
        *self.arrived.borrow()
    }

    /// Waits until so many requests have come in all.
    pub(crate) async fn arrived(&self, count: usize) {
        let mut arrived = self.arrived.subscribe();
        arrived.wait_for(|arrived| *arrived >= count).await.unwrap();
    }

    /// Returns the hints to devices since the last call, in order.
    pub(crate) fn hints(&self) -> Vec<PushHint> {
        self.sink.take()
    }

    /// Carries a request out: for the operator, and what only identities may ask for, for its identity.
    pub(crate) fn handle(&self, request: Request) -> Result<Response, ExchangeError> {
        let now = Timestamp::from_millis(self.now.fetch_add(1, Ordering::SeqCst));
        let caller = match request.operation() {
            Operation::RegisterDevice
            | Operation::SubscribeToDataset
            | Operation::UnsubscribeFromDataset => Caller::Identity(Owner {
                pool: request.identity_pool_id().unwrap().clone(),
                identity: request.identity_id().unwrap().clone(),
            }),
            _ => Caller::Operator,
        };
        Ok(self.core.handle(request, &caller, now)?)
    }

    /// Returns what is stored for a dataset, as any client of the service sees it.
    pub(crate) fn records(&self, dataset: &str) -> Vec<Record> {
        self.list(dataset).0
    }

    fn list(&self, dataset: &str) -> (Vec<Record>, SyncSessionToken) {
        let request = Request::ListRecords(ListRecordsRequest {
            identity_pool_id: POOL.parse().unwrap(),
            identity_id: IDENTITY.parse().unwrap(),
            dataset_name: dataset.parse().unwrap(),
            last_sync_count: None,
            next_token: None,
            max_results: None,
            sync_session_token: None,
        });
        let Response::ListRecords(answer) = self.handle(request).unwrap() else {
            panic!("a list is answered by a list")
        };
        (answer.records, answer.sync_session_token.unwrap())
    }

    /// Writes records as an old client does that begins them.
    pub(crate) fn begin_plain(&self, dataset: &str, records: &[(&str, &str)]) {
        let (_, token) = self.list(dataset);
        let patch = |(key, value): &(&str, &str)| RecordPatch {
            op: Op::Replace,
            key: (*key).parse().unwrap(),
            value: Some((*value).to_owned()),
            sync_count: driftless_wire::SyncCount::ZERO,
            device_last_modified_date: None,
        };
        let request = UpdateRecordsRequest {
            identity_pool_id: POOL.parse().unwrap(),
            identity_id: IDENTITY.parse().unwrap(),
            dataset_name: dataset.parse().unwrap(),
            sync_session_token: token,
            device_id: None,
            record_patches: records.iter().map(patch).collect(),
        };
        self.handle(Request::UpdateRecords(request)).unwrap();
    }

    /// Writes a record as a client does that knows nothing of Driftless.
    pub(crate) fn overwrite(&self, dataset: &str, key: &str, value: Option<&str>) {
        let (records, token) = self.list(dataset);
        let stands = records
            .iter()
            .find(|record| record.key.as_str() == key)
            .unwrap();
        let patch = RecordPatch {
            op: if value.is_some() {
                Op::Replace
            } else {
                Op::Remove
            },
            key: stands.key.clone(),
            value: value.map(str::to_owned),
            sync_count: stands.sync_count,
            device_last_modified_date: None,
        };
        let request = UpdateRecordsRequest {
            identity_pool_id: POOL.parse().unwrap(),
            identity_id: IDENTITY.parse().unwrap(),
            dataset_name: dataset.parse().unwrap(),
            sync_session_token: token,
            device_id: None,
            record_patches: vec![patch],
        };
        self.handle(Request::UpdateRecords(request)).unwrap();
    }

    fn fault(&self, operation: Operation) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap();
        let is_meant = faults.front().is_some_and(|(meant, _)| *meant == operation);
        is_meant.then(|| faults.pop_front().unwrap().1)
    }

    async fn run(&self, request: Request) -> Result<Exchanged, ExchangeError> {
        let operation = request.operation();
        self.seen.lock().unwrap().push(operation);
        *self.last.lock().unwrap() = Some(request.clone());
        self.arrived.send_modify(|arrived| *arrived += 1);
        let mut held = self.held.subscribe();
        held.wait_for(|held| *held != Some(operation))
            .await
            .unwrap();
        // Somebody may drop the exchange before it is carried out, and after.
        tokio::task::yield_now().await;
        let response = match self.fault(operation) {
            Some(Fault::Before(error)) => return Err(error),
            Some(Fault::After(error)) => {
                self.handle(request)?;
                return Err(error);
            }
            Some(Fault::Instead(response)) => {
                // A page that the service never promised cannot be asked for.
                self.handle(request).ok();
                response
            }
            None => self.handle(request)?,
        };
        tokio::task::yield_now().await;
        Ok(Exchanged {
            response,
            bytes_up: 1,
            bytes_down: 2,
            requests: 1,
        })
    }
}

impl Transport for Fake {
    fn exchange(&self, request: Request) -> BoxFuture<'_, Result<Exchanged, ExchangeError>> {
        Box::pin(self.run(request))
    }
}

/// Pauses that are over at once.
#[derive(Debug)]
pub(crate) struct NoPause;

impl Timer for NoPause {
    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::task::yield_now())
    }
}

/// A clock that stands still.
#[derive(Debug)]
pub(crate) struct StoppedClock(Timestamp);

impl StoppedClock {
    pub(crate) fn at(millis: i64) -> Arc<Self> {
        Arc::new(Self(Timestamp::from_millis(millis)))
    }
}

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        self.0
    }
}
