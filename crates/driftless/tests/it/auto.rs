//! Synchronizing by itself: when it does, and above all when it does not. The time is the test's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use driftless::transport::{BoxFuture, ExchangeError, Timer};
use driftless::{
    AutoSync, Client, Dataset, Network, Networks, Reconnect, Report, Schedule, SyncError,
    ToldConnectivity, Work, Workers,
};
use driftless_store::MemoryStore;
use driftless_wire::Operation::{self, ListRecords, UpdateRecords};
use driftless_wire::{ApiError, DatasetName, ErrorCode};
use tokio::sync::watch;

use crate::fake::{Fake, Fault};

const SECOND: Duration = Duration::from_secs(1);
const QUIET: Duration = Duration::from_secs(2);
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A time that passes when it is told to.
#[derive(Clone, Debug, Default)]
struct Time {
    now: Arc<watch::Sender<Duration>>,
}

impl Time {
    /// Lets a while pass, and everything that follows from it happen.
    async fn pass(&self, while_: Duration) {
        settle().await;
        self.now.send_modify(|now| *now += while_);
        settle().await;
    }
}

impl Timer for Time {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let mut now = self.now.subscribe();
        let end = *now.borrow() + duration;
        Box::pin(async move {
            let is_over = now.wait_for(|now| *now >= end).await.is_ok();
            assert!(is_over, "time goes on");
        })
    }
}

/// Does work on the spot, so that one thread does everything.
#[derive(Debug)]
pub(crate) struct OnTheSpot;

impl Workers for OnTheSpot {
    fn step(&self, work: Work) -> bool {
        work();
        true
    }

    fn background(&self, work: Work) -> bool {
        drop(work);
        false
    }
}

/// Lets all tasks go on until they wait for the test: there is but one thread.
pub(crate) async fn settle() {
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

/// A device whose time and network are the test's.
struct Device {
    fake: Arc<Fake>,
    store: Arc<MemoryStore>,
    time: Time,
    network: Arc<ToldConnectivity>,
}

impl Device {
    fn new(network: Network) -> Self {
        Self {
            fake: Fake::new(),
            store: Arc::new(MemoryStore::new()),
            time: Time::default(),
            network: Arc::new(ToldConnectivity::new(network)),
        }
    }

    fn open(&self) -> Client {
        let builder = self.fake.builder(&self.store).workers(Arc::new(OnTheSpot));
        let builder = builder.timer(Arc::new(self.time.clone()));
        builder.connectivity(self.network.clone()).open().unwrap()
    }

    /// Checks which requests there were since the last check.
    #[track_caller]
    fn check(&self, expected: &[Operation]) {
        assert_eq!(self.fake.requests(), expected);
    }

    fn fail(&self) {
        self.fake.fail(ListRecords, Fault::Before(no_connection()));
    }
}

fn no_connection() -> ExchangeError {
    ExchangeError::Connect("no network".into())
}

/// Only what was edited is synchronized.
fn edits_only() -> Schedule {
    Schedule::default().reconnect(Reconnect::Unsynced)
}

/// Begins to synchronize the dataset "notes" of a device by itself.
async fn begin(device: &Device, schedule: Schedule) -> (Client, Dataset, AutoSync) {
    let client = device.open();
    let auto = client.auto_sync(schedule).unwrap();
    let notes = client.dataset("notes").unwrap();
    settle().await;
    (client, notes, auto)
}

/// Returns what of sessions that have ended was not told yet.
async fn untold(auto: &mut AutoSync) -> Option<BTreeMap<DatasetName, Result<Report, SyncError>>> {
    tokio::select! {
        biased;
        ended = auto.ended() => ended,
        () = settle() => Some(BTreeMap::new()),
    }
}

/// What the session of another dataset ended with, or an earlier one of the same, is not told with it.
#[tokio::test]
async fn each_end_of_a_session_is_told_once() {
    let device = Device::new(Network::Unmetered);
    let (client, notes, mut auto) = begin(&device, edits_only()).await;
    let drafts = client.dataset("drafts").unwrap();
    assert!(untold(&mut auto).await.unwrap().is_empty());
    // It is not tried again by itself.
    let refused = || {
        let refused = ApiError::new(ErrorCode::NotAuthorized, "");
        device.fake.fail(ListRecords, Fault::Before(refused.into()));
    };
    for (dataset, fails) in [
        (&notes, true),
        (&drafts, false),
        (&notes, true),
        (&notes, false),
    ] {
        if fails {
            refused();
        }
        dataset.put("key", 1).unwrap();
        dataset.hint();
        device.time.pass(QUIET).await;
        let ended = untold(&mut auto).await.unwrap();
        assert!(ended.keys().eq([dataset.name()]), "{ended:?}");
        assert_eq!(ended[dataset.name()].is_err(), fails, "{ended:?}");
        assert!(untold(&mut auto).await.unwrap().is_empty());
    }
    assert_eq!(auto.outcomes().len(), 2);
    client.close().unwrap();
    assert!(untold(&mut auto).await.is_none());
}

#[tokio::test]
async fn edit_is_synchronized_once_the_dataset_was_left_alone() {
    let device = Device::new(Network::Unmetered);
    let (_client, notes, mut auto) = begin(&device, edits_only()).await;
    for round in 0..5 {
        notes.put("key", round).unwrap();
        device.time.pass(SECOND).await;
    }
    device.check(&[]);
    device.time.pass(SECOND).await;
    device.check(&[ListRecords, UpdateRecords]);
    assert!(!notes.has_unsynced() && auto.changed().await);
    let outcomes = auto.outcomes();
    let pushed = outcomes[notes.name()].as_ref().unwrap();
    assert!(pushed.changed_there.iter().eq(["key"]));
}

#[tokio::test]
async fn edits_that_do_not_cease_are_synchronized_too() {
    let device = Device::new(Network::Unmetered);
    let schedule = edits_only().quiet(QUIET).longest_wait(10 * SECOND);
    let (_client, notes, _auto) = begin(&device, schedule).await;
    for round in 0..10 {
        device.check(&[]);
        notes.put("key", round).unwrap();
        device.time.pass(SECOND).await;
    }
    device.check(&[ListRecords, UpdateRecords]);
}

#[tokio::test]
async fn trap_52_session_by_itself_and_one_that_is_called_are_never_two_at_a_time() {
    let device = Device::new(Network::Unmetered);
    let (_client, notes, _auto) = begin(&device, edits_only()).await;
    notes.put("key", 1).unwrap();
    device.fake.hold(Some(ListRecords));
    device.time.pass(QUIET).await;
    let called = tokio::spawn({
        let notes = notes.clone();
        async move { notes.synchronize().await }
    });
    device.time.pass(QUIET).await;
    device.check(&[ListRecords]);
    device.fake.hold(None);
    called.await.unwrap().unwrap();
    settle().await;
    device.check(&[UpdateRecords, ListRecords]);
}

#[tokio::test]
async fn trap_53_edits_that_wait_are_synchronized_after_a_restart() {
    let device = Device::new(Network::Unmetered);
    let client = device.open();
    client.dataset("notes").unwrap().put("key", 1).unwrap();
    drop(client);
    let client = device.open();
    let _auto = client.auto_sync(edits_only()).unwrap();
    device.time.pass(QUIET).await;
    device.check(&[ListRecords, UpdateRecords]);
    assert!(!client.dataset("notes").unwrap().has_unsynced());
}

#[tokio::test]
async fn trap_57_idle_app_makes_no_requests() {
    let device = Device::new(Network::Unmetered);
    let (_client, notes, _auto) = begin(&device, Schedule::default()).await;
    device.time.pass(QUIET).await;
    device.check(&[ListRecords]);
    notes.put("key", 1).unwrap();
    device.time.pass(QUIET).await;
    device.check(&[ListRecords, UpdateRecords]);
    for _ in 0..10 {
        device.time.pass(YEAR).await;
    }
    device.network.tell(Network::Metered);
    settle().await;
    device.network.tell(Network::Unmetered);
    device.time.pass(YEAR).await;
    device.check(&[]);
}

#[tokio::test]
async fn hints_make_one_session() {
    let device = Device::new(Network::Unmetered);
    let (_client, notes, _auto) = begin(&device, edits_only()).await;
    notes.hint();
    device.time.pass(SECOND).await;
    notes.hint();
    device.time.pass(QUIET).await;
    device.check(&[ListRecords]);
}

#[tokio::test]
async fn failures_are_tried_again_after_pauses_that_grow_to_the_longest() {
    let device = Device::new(Network::Unmetered);
    let schedule = edits_only().quiet(Duration::ZERO);
    let schedule = schedule.pauses(8 * SECOND, 16 * SECOND);
    let (_client, notes, _auto) = begin(&device, schedule).await;
    (0..4).for_each(|_| device.fail());
    notes.put("key", 1).unwrap();
    settle().await;
    device.check(&[ListRecords]);
    for longest in [8, 16, 16] {
        // Jitter takes at most half of a pause.
        device.time.pass(longest / 2 * SECOND - SECOND / 10).await;
        device.check(&[]);
        device.time.pass(longest / 2 * SECOND + SECOND / 10).await;
        device.check(&[ListRecords]);
    }
    device.time.pass(16 * SECOND).await;
    device.check(&[ListRecords, UpdateRecords]);
    // A success begins anew.
    device.fail();
    notes.put("key", 2).unwrap();
    device.time.pass(8 * SECOND).await;
    device.check(&[ListRecords, ListRecords, UpdateRecords]);
}

#[tokio::test]
async fn error_that_stands_is_not_tried_again_before_something_changes() {
    let device = Device::new(Network::Unmetered);
    let (_client, notes, auto) = begin(&device, edits_only()).await;
    let refused = ApiError::new(ErrorCode::NotAuthorized, "");
    device.fake.fail(ListRecords, Fault::Before(refused.into()));
    notes.put("key", 1).unwrap();
    for _ in 0..5 {
        device.time.pass(YEAR).await;
    }
    device.check(&[ListRecords]);
    assert!(auto.outcomes()[notes.name()].is_err());
    notes.put("key", 2).unwrap();
    device.time.pass(QUIET).await;
    device.check(&[ListRecords, UpdateRecords]);
}

#[tokio::test]
async fn nothing_is_sent_without_a_network_that_may_be_used() {
    let device = Device::new(Network::Offline);
    let schedule = Schedule::default().networks(Networks::Unmetered);
    let (_client, notes, _auto) = begin(&device, schedule).await;
    notes.put("key", 1).unwrap();
    device.time.pass(YEAR).await;
    device.network.tell(Network::Metered);
    device.time.pass(YEAR).await;
    device.check(&[]);
    device.network.tell(Network::Unmetered);
    settle().await;
    device.check(&[ListRecords, UpdateRecords]);
}

#[tokio::test]
async fn network_that_comes_back_brings_news_of_open_datasets() {
    let device = Device::new(Network::Unmetered);
    let (client, _notes, _auto) = begin(&device, Schedule::default()).await;
    let _other = client.dataset("other").unwrap();
    device.time.pass(QUIET).await;
    device.check(&[ListRecords, ListRecords]);
    device.network.tell(Network::Offline);
    device.time.pass(YEAR).await;
    device.network.tell(Network::Unmetered);
    device.time.pass(QUIET).await;
    device.check(&[ListRecords, ListRecords]);
}

#[tokio::test]
async fn network_that_comes_back_is_nothing_to_a_schedule_of_edits() {
    let device = Device::new(Network::Unmetered);
    let (_client, _notes, _auto) = begin(&device, edits_only()).await;
    device.network.tell(Network::Offline);
    settle().await;
    device.network.tell(Network::Unmetered);
    device.time.pass(YEAR).await;
    device.check(&[]);
}

#[tokio::test]
async fn network_that_comes_back_ends_a_pause() {
    let device = Device::new(Network::Unmetered);
    let (_client, notes, _auto) = begin(&device, edits_only()).await;
    device.fail();
    notes.put("key", 1).unwrap();
    device.time.pass(QUIET).await;
    device.check(&[ListRecords]);
    device.network.tell(Network::Offline);
    settle().await;
    device.network.tell(Network::Metered);
    settle().await;
    device.time.pass(QUIET).await;
    device.check(&[ListRecords, UpdateRecords]);
}

#[tokio::test]
async fn dropped_handle_ends_it() {
    let device = Device::new(Network::Unmetered);
    let (_client, notes, auto) = begin(&device, Schedule::default()).await;
    drop(auto);
    notes.put("key", 1).unwrap();
    notes.hint();
    device.time.pass(YEAR).await;
    device.check(&[]);
    assert!(notes.has_unsynced());
}

#[tokio::test]
async fn closed_client_ends_it() {
    let device = Device::new(Network::Offline);
    let (client, notes, mut auto) = begin(&device, Schedule::default()).await;
    notes.put("key", 1).unwrap();
    client.close().unwrap();
    assert!(!auto.changed().await);
    device.network.tell(Network::Unmetered);
    device.time.pass(YEAR).await;
    device.check(&[]);
    let again = client.auto_sync(Schedule::default());
    assert!(matches!(again, Err(SyncError::Closed)));
}

#[tokio::test]
async fn it_does_not_keep_the_client_open() {
    let device = Device::new(Network::Unmetered);
    let (client, notes, mut auto) = begin(&device, Schedule::default()).await;
    device.time.pass(QUIET).await;
    device.check(&[ListRecords]);
    assert!(Arc::strong_count(&device.store) > 1 && auto.changed().await);
    drop((client, notes));
    assert_eq!(Arc::strong_count(&device.store), 1);
    assert!(!auto.changed().await);
}

#[tokio::test]
async fn call_waits_for_a_network_that_may_be_used() {
    let device = Device::new(Network::Offline);
    let notes = device.open().dataset("notes").unwrap();
    let call = tokio::spawn({
        let notes = notes.clone();
        async move { notes.synchronize_on_connectivity(Networks::Unmetered).await }
    });
    settle().await;
    device.network.tell(Network::Metered);
    settle().await;
    device.check(&[]);
    device.network.tell(Network::Unmetered);
    call.await.unwrap().unwrap();
    device.check(&[ListRecords]);
}

#[tokio::test]
async fn call_whose_network_goes_waits_again() {
    let device = Device::new(Network::Unmetered);
    let notes = device.open().dataset("notes").unwrap();
    device.fail();
    device.fake.hold(Some(ListRecords));
    let call = tokio::spawn(async move { notes.synchronize_on_connectivity(Networks::Any).await });
    settle().await;
    device.network.tell(Network::Offline);
    device.fake.hold(None);
    settle().await;
    device.check(&[ListRecords]);
    device.network.tell(Network::Metered);
    call.await.unwrap().unwrap();
    device.check(&[ListRecords]);
}

#[tokio::test]
async fn call_that_fails_with_a_network_says_so() {
    let device = Device::new(Network::Metered);
    let notes = device.open().dataset("notes").unwrap();
    device.fail();
    let failed = notes.synchronize_on_connectivity(Networks::Any).await;
    assert!(matches!(failed, Err(SyncError::Request(_))));
    device.check(&[ListRecords]);
}

#[tokio::test]
async fn call_that_waits_ends_with_the_client() {
    let device = Device::new(Network::Offline);
    let client = device.open();
    let notes = client.dataset("notes").unwrap();
    let call = tokio::spawn(async move { notes.synchronize_on_connectivity(Networks::Any).await });
    settle().await;
    client.close().unwrap();
    assert!(matches!(call.await.unwrap(), Err(SyncError::Closed)));
    device.check(&[]);
}
