//! Devices that ask to be told of changes: what is asked of the service, what is remembered, and who is told.

use std::sync::Arc;

use driftless::transport::{
    Credentials, CredentialsProvider, Endpoint, ExchangeError, HyperTransport, IdentityPool,
    StaticCredentials, Transport,
};
use driftless::{
    Client, Dataset, DeviceError, DeviceId, Platform, Reconnect, Schedule, Subscription, SyncError,
};
use driftless_server::{
    Config, KeyPair, MemorySink, MemoryStorage, Pool, PushHint, Server, Service,
};
use driftless_store::{MemoryStore, Store};
use driftless_wire::Operation::{
    self, DescribeDataset, ListRecords, RegisterDevice, SubscribeToDataset, UnsubscribeFromDataset,
    UpdateRecords,
};
use driftless_wire::{
    ApiError, ErrorCode, IdentityPoolId, PushSync, Request, Response,
    SetIdentityPoolConfigurationRequest, SubscribeToDatasetResponse,
};
use tokio::task::JoinHandle;

use crate::auto::{OnTheSpot, settle};
use crate::fake::{Fake, Fault};
use crate::service::{IDENTITY, POOL, SECRET};

/// Returns a service that pushes to Google's devices.
pub(crate) fn service() -> Arc<Fake> {
    let fake = Fake::new();
    fake.handle(push_setting()).unwrap();
    fake
}

/// What an operator asks for, so that the pool pushes.
fn push_setting() -> Request {
    let push = PushSync {
        application_arns: vec!["arn:aws:sns:us-east-1:123:app/GCM/app".to_owned()],
        role_arn: None,
    };
    Request::SetIdentityPoolConfiguration(SetIdentityPoolConfigurationRequest {
        identity_pool_id: POOL.parse().unwrap(),
        push_sync: Some(push),
        cognito_streams: None,
    })
}

/// A device with a dataset that the service has.
struct Device {
    store: Arc<MemoryStore>,
    client: Client,
    notes: Dataset,
}

impl Device {
    async fn with_notes(fake: &Arc<Fake>) -> Self {
        let store = Arc::new(MemoryStore::new());
        let client = fake.builder(&store).open().unwrap();
        let notes = client.dataset("notes").unwrap();
        notes.put("begun", true).unwrap();
        notes.synchronize().await.unwrap();
        drop((fake.requests(), fake.hints()));
        Self {
            store,
            client,
            notes,
        }
    }

    async fn subscribed(fake: &Arc<Fake>, token: &str) -> Self {
        let device = Self::with_notes(fake).await;
        device.register(token).await;
        assert_eq!(
            device.notes.subscribe().await.unwrap(),
            Subscription::Standing
        );
        fake.requests();
        device
    }

    async fn register(&self, token: &str) -> DeviceId {
        self.client
            .register_device(Platform::Gcm, token)
            .await
            .unwrap()
    }

    async fn edit(&self, value: i64) {
        self.notes.put("key", value).unwrap();
        self.notes.synchronize().await.unwrap();
    }

    /// The same device after its app was started again.
    fn restarted(self, fake: &Arc<Fake>) -> Self {
        let Self {
            store,
            client,
            notes,
        } = self;
        drop((client, notes));
        let client = fake.builder(&store).open().unwrap();
        let notes = client.dataset("notes").unwrap();
        Self {
            store,
            client,
            notes,
        }
    }

    fn subscription(&self) -> Option<Subscription> {
        let subscriptions = self.client.subscriptions().unwrap();
        subscriptions.get(self.notes.name()).copied()
    }
}

fn told(hints: &[PushHint]) -> Vec<&str> {
    hints.iter().map(|hint| hint.token.as_str()).collect()
}

fn no_network() -> Fault {
    Fault::Before(ExchangeError::Connect("no network".into()))
}

fn not_found() -> Fault {
    Fault::Before(ApiError::new(ErrorCode::ResourceNotFound, "gone").into())
}

/// Checks the requests since the last check.
#[track_caller]
fn check(fake: &Fake, expected: &[Operation]) {
    assert_eq!(fake.requests(), expected);
}

#[tokio::test]
async fn push_comes_to_the_others_and_brings_them_the_edit() {
    let fake = service();
    let here = Device::subscribed(&fake, "here").await;
    let there = Device::subscribed(&fake, "there").await;
    there.edit(1).await;
    let [hint] = fake.hints().try_into().unwrap();
    assert_eq!(hint.token, "here");
    let (_, report) = here
        .client
        .handle_push(&hint.payload())
        .await
        .unwrap()
        .unwrap();
    assert!(report.changed_here.contains("key"));
    assert_eq!(here.notes.get("key"), there.notes.get("key"));
}

#[tokio::test]
async fn trap_56_device_is_not_told_of_its_own_push() {
    let fake = service();
    let here = Device::subscribed(&fake, "here").await;
    here.edit(1).await;
    assert_eq!(told(&fake.hints()), Vec::<&str>::new());
    let here = here.restarted(&fake);
    here.edit(2).await;
    assert_eq!(told(&fake.hints()), Vec::<&str>::new());
    here.client.unregister_device().await.unwrap();
    let Some(Request::UnsubscribeFromDataset(_)) = fake.kept() else {
        panic!("it was subscribed")
    };
    here.edit(3).await;
    let Some(Request::UpdateRecords(update)) = fake.kept() else {
        panic!("an edit is pushed")
    };
    assert_eq!(update.device_id, None);
}

#[tokio::test]
async fn known_token_takes_no_request_and_a_new_one_moves_the_subscriptions() {
    let fake = service();
    let here = Device::subscribed(&fake, "old").await;
    let old = here.client.device_id().unwrap().unwrap();
    let here = here.restarted(&fake);
    assert_eq!(here.register("old").await, old);
    check(&fake, &[]);
    let new = here.register("new").await;
    check(
        &fake,
        &[RegisterDevice, UnsubscribeFromDataset, SubscribeToDataset],
    );
    assert_ne!(new, old);
    assert_eq!(here.client.device_id().unwrap(), Some(new));
    let there = Device::with_notes(&fake).await;
    there.edit(1).await;
    assert_eq!(told(&fake.hints()), ["new"]);
}

#[tokio::test]
async fn dataset_that_is_not_at_the_service_is_subscribed_to_by_its_first_push() {
    let fake = service();
    let store = Arc::new(MemoryStore::new());
    let client = fake.builder(&store).open().unwrap();
    client.register_device(Platform::Gcm, "here").await.unwrap();
    let notes = client.dataset("notes").unwrap();
    notes.put("key", 1).unwrap();
    fake.requests();
    assert_eq!(notes.subscribe().await.unwrap(), Subscription::Waiting);
    check(&fake, &[]);
    drop((client, notes));
    let client = fake.builder(&store).open().unwrap();
    let report = client
        .dataset("notes")
        .unwrap()
        .synchronize()
        .await
        .unwrap();
    check(&fake, &[ListRecords, UpdateRecords, SubscribeToDataset]);
    assert_eq!(report.requests, 3);
    let there = Device::with_notes(&fake).await;
    there.edit(2).await;
    assert_eq!(told(&fake.hints()), ["here"]);
    let again = client
        .dataset("notes")
        .unwrap()
        .synchronize()
        .await
        .unwrap();
    assert_eq!(again.requests, 1);
}

#[tokio::test]
async fn nothing_that_is_listed_is_not_subscribed_to() {
    let fake = service();
    let client = fake.device();
    client.register_device(Platform::Gcm, "here").await.unwrap();
    let notes = client.dataset("notes").unwrap();
    notes.subscribe().await.unwrap();
    fake.requests();
    notes.synchronize().await.unwrap();
    check(&fake, &[ListRecords]);
}

#[tokio::test]
async fn wish_made_offline_is_granted_by_the_next_session_even_after_a_restart() {
    let fake = service();
    let here = Device::with_notes(&fake).await;
    here.register("here").await;
    fake.fail(SubscribeToDataset, no_network());
    let error = here.notes.subscribe().await.unwrap_err();
    assert!(matches!(error, DeviceError::Sync(SyncError::Request(_))));
    assert_eq!(here.subscription(), Some(Subscription::Waiting));
    let here = here.restarted(&fake);
    fake.requests();
    // That it fails once more is no failure of the session.
    fake.fail(SubscribeToDataset, no_network());
    here.notes.synchronize().await.unwrap();
    here.notes.synchronize().await.unwrap();
    check(
        &fake,
        &[
            ListRecords,
            SubscribeToDataset,
            ListRecords,
            SubscribeToDataset,
        ],
    );
    assert_eq!(here.subscription(), Some(Subscription::Standing));
}

#[tokio::test]
async fn unregistering_offline_forgets_at_once_and_tells_the_service_later() {
    let fake = service();
    let here = Device::subscribed(&fake, "here").await;
    fake.fail(UnsubscribeFromDataset, no_network());
    assert!(here.client.unregister_device().await.is_err());
    assert_eq!(here.client.device_id().unwrap(), None);
    let here = here.restarted(&fake);
    assert_eq!(here.client.subscriptions().unwrap().len(), 0);
    fake.requests();
    here.notes.synchronize().await.unwrap();
    check(&fake, &[ListRecords, UnsubscribeFromDataset]);
    let there = Device::with_notes(&fake).await;
    there.edit(1).await;
    assert_eq!(told(&fake.hints()), Vec::<&str>::new());
    here.client.unregister_device().await.unwrap();
}

#[tokio::test]
async fn unsubscribed_dataset_brings_no_more_pushes_and_others_do() {
    let fake = service();
    let here = Device::subscribed(&fake, "here").await;
    here.notes.unsubscribe().await.unwrap();
    here.notes.unsubscribe().await.unwrap();
    check(&fake, &[UnsubscribeFromDataset]);
    assert_eq!(here.subscription(), None);
    let there = Device::with_notes(&fake).await;
    there.edit(1).await;
    assert_eq!(told(&fake.hints()), Vec::<&str>::new());
}

#[tokio::test]
async fn all_datasets_are_subscribed_to_and_unsubscribed_from_at_once() {
    let fake = service();
    let here = Device::with_notes(&fake).await;
    let more = here.client.dataset("more").unwrap();
    more.put("key", 1).unwrap();
    more.synchronize().await.unwrap();
    here.client
        .dataset("not-there-yet")
        .unwrap()
        .put("key", 1)
        .unwrap();
    here.register("here").await;
    fake.requests();
    let all = here.client.subscribe_all().await.unwrap();
    let all: Vec<_> = all
        .iter()
        .map(|(name, way)| (name.as_str(), *way))
        .collect();
    let expected = [
        ("more", Subscription::Standing),
        ("not-there-yet", Subscription::Waiting),
        ("notes", Subscription::Standing),
    ];
    assert_eq!(all, expected);
    check(&fake, &[SubscribeToDataset; 2]);
    here.client.unsubscribe_all().await.unwrap();
    assert_eq!(here.client.subscriptions().unwrap().len(), 0);
    let kinds = fake.requests();
    assert!(kinds.iter().all(|kind| *kind == UnsubscribeFromDataset) && kinds.len() >= 2);
}

#[tokio::test]
async fn datasets_that_are_not_open_are_subscribed_to_too() {
    let fake = service();
    let here = Device::with_notes(&fake).await;
    here.register("here").await;
    let Device {
        store,
        client,
        notes,
    } = here;
    drop((client, notes));
    let client = fake.builder(&store).open().unwrap();
    let all = client.subscribe_all().await.unwrap();
    assert!(all.values().eq([&Subscription::Standing]));
}

#[tokio::test]
async fn device_that_the_service_forgot_says_so_and_keeps_its_wishes() {
    let fake = service();
    let here = Device::with_notes(&fake).await;
    here.register("here").await;
    fake.requests();
    fake.fail(SubscribeToDataset, not_found());
    let error = here.notes.subscribe().await.unwrap_err();
    assert!(matches!(error, DeviceError::Unknown));
    check(&fake, &[SubscribeToDataset, DescribeDataset]);
    assert_eq!(here.client.device_id().unwrap(), None);
    let refused = here.notes.subscribe().await;
    assert!(matches!(refused, Err(DeviceError::NotRegistered)));
    check(&fake, &[]);
    here.register("here").await;
    check(&fake, &[RegisterDevice, SubscribeToDataset]);
    assert_eq!(here.subscription(), Some(Subscription::Standing));
}

#[tokio::test]
async fn dataset_that_is_gone_at_the_service_is_no_device_that_is() {
    let fake = service();
    let here = Device::with_notes(&fake).await;
    let device = here.register("here").await;
    let there = Device::with_notes(&fake).await;
    there.notes.delete().unwrap();
    there.notes.synchronize().await.unwrap();
    assert_eq!(here.notes.subscribe().await.unwrap(), Subscription::Waiting);
    assert_eq!(here.client.device_id().unwrap(), Some(device));
}

#[tokio::test]
async fn new_life_of_a_dataset_is_subscribed_to_again() {
    let fake = service();
    let here = Device::subscribed(&fake, "here").await;
    let there = Device::with_notes(&fake).await;
    there.notes.delete().unwrap();
    there.notes.synchronize().await.unwrap();
    here.notes.synchronize().await.unwrap();
    assert_eq!(here.subscription(), Some(Subscription::Waiting));
    there.edit(1).await;
    fake.requests();
    here.notes.synchronize().await.unwrap();
    check(&fake, &[ListRecords, SubscribeToDataset]);
    fake.hints();
    there.edit(2).await;
    assert_eq!(told(&fake.hints()), ["here"]);
}

#[tokio::test]
async fn push_that_is_refused_for_its_device_is_made_without_it() {
    let fake = service();
    let here = Device::subscribed(&fake, "here").await;
    fake.fail(UpdateRecords, not_found());
    here.edit(1).await;
    check(
        &fake,
        &[ListRecords, UpdateRecords, ListRecords, UpdateRecords],
    );
    assert!(!here.notes.has_unsynced());
    assert_eq!(here.client.device_id().unwrap(), None);
    assert_eq!(here.subscription(), Some(Subscription::Waiting));
    // Without a device it is what it was before: an error that stands.
    fake.fail(UpdateRecords, not_found());
    here.notes.put("key", 2).unwrap();
    let error = here.notes.synchronize().await.unwrap_err();
    assert!(matches!(error, SyncError::Request(_)));
}

#[tokio::test]
async fn pool_that_does_not_push_is_an_error_of_its_own() {
    let fake = Fake::new();
    let here = Device::with_notes(&fake).await;
    let refused = here.client.register_device(Platform::Gcm, "here").await;
    assert!(matches!(refused, Err(DeviceError::NotConfigured(_))));
    let refused = here.notes.subscribe().await;
    assert!(matches!(refused, Err(DeviceError::NotRegistered)));
    assert_eq!(here.client.subscriptions().unwrap().len(), 0);
}

#[tokio::test]
async fn pool_that_stopped_to_push_has_nothing_to_unsubscribe_from() {
    let fake = service();
    let here = Device::subscribed(&fake, "here").await;
    let unconfigured = ApiError::new(ErrorCode::InvalidConfiguration, "no pushes");
    let fault = Fault::Before(unconfigured.into());
    fake.fail(UnsubscribeFromDataset, fault);
    here.client.unregister_device().await.unwrap();
    fake.requests();
    here.notes.synchronize().await.unwrap();
    check(&fake, &[ListRecords]);
}

#[tokio::test]
async fn registration_is_of_one_identity_only() {
    let fake = service();
    let here = Device::subscribed(&fake, "here").await;
    let Device {
        store,
        client,
        notes,
    } = here;
    drop((client, notes));
    let other = IDENTITY.replace("-0000-", "-0001-").parse().unwrap();
    let client = fake.builder(&store).identity(other).open().unwrap();
    assert_eq!(client.device_id().unwrap(), None);
    let client_without_any = Client::with_store(Arc::new(MemoryStore::new()) as Arc<dyn Store>);
    let client_without_any = client_without_any
        .pool(POOL.parse().unwrap())
        .open()
        .unwrap();
    let refused = client_without_any
        .register_device(Platform::Gcm, "here")
        .await;
    assert!(matches!(
        refused,
        Err(DeviceError::Sync(SyncError::NoIdentity))
    ));
    drop(client);
    let client = fake.builder(&store).open().unwrap();
    assert!(client.device_id().unwrap().is_some());
}

#[tokio::test]
async fn answer_of_another_operation_registers_nothing() {
    let fake = service();
    let here = Device::with_notes(&fake).await;
    let other = Response::SubscribeToDataset(SubscribeToDatasetResponse {});
    fake.fail(RegisterDevice, Fault::Instead(other));
    let refused = here.client.register_device(Platform::Gcm, "here").await;
    assert!(matches!(
        refused,
        Err(DeviceError::Sync(SyncError::WrongAnswer))
    ));
    assert_eq!(here.client.device_id().unwrap(), None);
}

#[tokio::test]
async fn call_that_is_dropped_in_the_middle_leaves_a_wish() {
    let fake = service();
    let here = Device::with_notes(&fake).await;
    here.register("here").await;
    fake.hold(Some(SubscribeToDataset));
    let arrived = fake.count() + 1;
    tokio::select! {
        _ = here.notes.subscribe() => panic!("the service does not answer"),
        () = fake.arrived(arrived) => {}
    }
    fake.hold(None);
    fake.requests();
    here.notes.synchronize().await.unwrap();
    check(&fake, &[ListRecords, SubscribeToDataset]);
    assert_eq!(here.subscription(), Some(Subscription::Standing));
}

/// A device that is subscribed to nothing, whose service does not answer to the next subscription.
async fn waiting_for_the_service() -> (Arc<Fake>, Device, JoinHandle<bool>) {
    let fake = service();
    let store = Arc::new(MemoryStore::new());
    let client = fake.builder(&store).workers(Arc::new(OnTheSpot));
    let client = client.open().unwrap();
    client.register_device(Platform::Gcm, "here").await.unwrap();
    let notes = client.dataset("notes").unwrap();
    for dataset in [&notes, &client.dataset("more").unwrap()] {
        dataset.put("key", 1).unwrap();
        dataset.synchronize().await.unwrap();
    }
    fake.hold(Some(SubscribeToDataset));
    let arrived = fake.count() + 1;
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.subscribe_all().await.is_ok() }
    });
    fake.arrived(arrived).await;
    fake.requests();
    let device = Device {
        store,
        client,
        notes,
    };
    (fake, device, waiting)
}

#[tokio::test]
async fn device_is_forgotten_while_the_service_keeps_a_subscription_waiting() {
    let (fake, here, waiting) = waiting_for_the_service().await;
    let leaving = tokio::spawn({
        let client = here.client.clone();
        async move { client.unregister_device().await }
    });
    settle().await;
    assert_eq!(here.client.device_id().unwrap(), None);
    assert_eq!(here.client.subscriptions().unwrap().len(), 0);
    fake.hold(None);
    leaving.await.unwrap().unwrap();
    waiting.await.unwrap();
    // The answer that came late made no subscription that nobody takes back.
    check(&fake, &[UnsubscribeFromDataset; 2]);
    let there = Device::with_notes(&fake).await;
    there.edit(2).await;
    assert_eq!(told(&fake.hints()), Vec::<&str>::new());
}

#[tokio::test]
async fn session_does_not_wait_for_another_call_that_the_service_keeps_waiting() {
    let (fake, here, waiting) = waiting_for_the_service().await;
    here.notes.put("key", 2).unwrap();
    let session = tokio::spawn({
        let notes = here.notes.clone();
        async move { notes.synchronize().await }
    });
    settle().await;
    assert!(session.is_finished());
    session.await.unwrap().unwrap();
    check(&fake, &[ListRecords, UpdateRecords]);
    fake.hold(None);
    assert!(waiting.await.unwrap());
    // What the session left to be done was done by then, once.
    check(&fake, &[SubscribeToDataset]);
    let subscriptions = here.client.subscriptions().unwrap();
    assert!(subscriptions.values().eq([&Subscription::Standing; 2]));
}

/// Two sessions end at the same time, and one of them finds the other one speaking about the device.
#[tokio::test]
async fn subscription_that_a_session_leaves_to_another_one_is_made_by_that_one() {
    let fake = service();
    let store = Arc::new(MemoryStore::new());
    let client = fake.builder(&store).workers(Arc::new(OnTheSpot));
    let client = client.open().unwrap();
    client.register_device(Platform::Gcm, "here").await.unwrap();
    let datasets = ["a", "b"].map(|name| client.dataset(name).unwrap());
    for dataset in &datasets {
        dataset.put("key", 1).unwrap();
        assert_eq!(dataset.subscribe().await.unwrap(), Subscription::Waiting);
    }
    fake.hold(Some(SubscribeToDataset));
    let sessions = datasets.map(|dataset| {
        tokio::spawn(async move { dataset.synchronize().await.map(|report| report.requests) })
    });
    settle().await;
    fake.hold(None);
    let mut requests = 0;
    for session in sessions {
        requests += session.await.unwrap().unwrap();
    }
    assert_eq!(requests, 6);
    let subscriptions = client.subscriptions().unwrap();
    assert!(subscriptions.values().eq([&Subscription::Standing; 2]));
}

/// Each left its own subscription to the one that speaks with the service, and that finds that there is no network.
#[tokio::test]
async fn network_that_is_gone_is_met_once_by_the_subscriptions_of_many_sessions() {
    let fake = service();
    let builder = fake.builder(&Arc::new(MemoryStore::new()));
    let client = builder.workers(Arc::new(OnTheSpot)).open().unwrap();
    client.register_device(Platform::Gcm, "here").await.unwrap();
    let datasets = ["a", "b", "c"].map(|name| client.dataset(name).unwrap());
    for dataset in &datasets {
        dataset.put("key", 1).unwrap();
        dataset.subscribe().await.unwrap();
    }
    fake.hold(Some(SubscribeToDataset));
    let sessions =
        datasets.map(|dataset| tokio::spawn(async move { dataset.synchronize().await.map(drop) }));
    settle().await;
    fake.requests();
    for _ in 0..3 {
        fake.fail(SubscribeToDataset, no_network());
    }
    fake.hold(None);
    for session in sessions {
        session.await.unwrap().unwrap();
    }
    check(&fake, &[]);
    let subscriptions = client.subscriptions().unwrap();
    assert!(subscriptions.values().eq([&Subscription::Waiting; 3]));
}

#[tokio::test]
async fn registration_that_is_taken_back_before_the_answer_is_none() {
    let fake = service();
    let builder = fake.builder(&Arc::new(MemoryStore::new()));
    let client = builder.workers(Arc::new(OnTheSpot)).open().unwrap();
    fake.hold(Some(RegisterDevice));
    let registering = tokio::spawn({
        let client = client.clone();
        async move { client.register_device(Platform::Gcm, "here").await }
    });
    fake.arrived(1).await;
    let leaving = tokio::spawn({
        let client = client.clone();
        async move { client.unregister_device().await }
    });
    settle().await;
    fake.hold(None);
    let registered = registering.await.unwrap();
    assert!(matches!(registered, Err(DeviceError::NotRegistered)));
    leaving.await.unwrap().unwrap();
    assert_eq!(client.device_id().unwrap(), None);
}

#[tokio::test]
async fn refusal_of_one_dataset_does_not_keep_the_others_from_theirs() {
    let fake = service();
    let here = Device::with_notes(&fake).await;
    let more = here.client.dataset("more").unwrap();
    more.put("key", 1).unwrap();
    more.synchronize().await.unwrap();
    here.register("here").await;
    let refused = ApiError::new(ErrorCode::NotAuthorized, "not this one");
    fake.fail(SubscribeToDataset, Fault::Before(refused.into()));
    fake.requests();
    let error = here.client.subscribe_all().await.unwrap_err();
    assert!(matches!(error, DeviceError::Sync(SyncError::Request(_))));
    check(&fake, &[SubscribeToDataset; 2]);
    let subscriptions = here.client.subscriptions().unwrap();
    let expected = [&Subscription::Waiting, &Subscription::Standing];
    assert!(subscriptions.values().eq(expected));
    // A network that is gone is gone for all.
    fake.fail(UnsubscribeFromDataset, no_network());
    here.client.unsubscribe_all().await.unwrap_err();
    check(&fake, &[UnsubscribeFromDataset]);
}

#[tokio::test]
async fn row_of_a_later_version_is_refused_and_kept_and_edits_go_on() {
    let fake = service();
    let here = Device::with_notes(&fake).await;
    let setting = format!("device/{IDENTITY}");
    let later = br#"{"version":2,"device":"in a form of tomorrow"}"#;
    let durability = driftless::Durability::Disk;
    here.store
        .set_setting(&setting, Some(later), durability)
        .unwrap();
    let here = here.restarted(&fake);
    let refused = here.client.register_device(Platform::Gcm, "here").await;
    assert!(matches!(refused, Err(DeviceError::Version(2))));
    here.edit(1).await;
    assert!(!here.notes.has_unsynced());
    assert_eq!(here.store.setting(&setting).unwrap().unwrap(), later);
}

#[tokio::test]
async fn push_that_was_handled_in_vain_is_left_to_auto_sync() {
    let fake = service();
    let here = Device::subscribed(&fake, "here").await;
    let there = Device::with_notes(&fake).await;
    there.edit(1).await;
    let [hint] = fake.hints().try_into().unwrap();
    fake.requests();
    fake.fail(ListRecords, no_network());
    assert!(here.client.handle_push(&hint.payload()).await.is_err());
    check(&fake, &[ListRecords]);
    let edits_only = Schedule::default().reconnect(Reconnect::Unsynced);
    let mut auto = here.client.auto_sync(edits_only).unwrap();
    assert!(auto.changed().await);
    check(&fake, &[ListRecords]);
    assert_eq!(here.notes.get("key"), there.notes.get("key"));
    // One that went well is not handled twice.
    there.edit(2).await;
    let [hint] = fake.hints().try_into().unwrap();
    here.client.handle_push(&hint.payload()).await.unwrap();
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    let lists = fake
        .requests()
        .into_iter()
        .filter(|operation| *operation == ListRecords);
    assert_eq!(lists.count(), 2);
}

/// The same over sockets: a guest with temporary credentials, the operator who sets pushes up, and the service's sink.
#[tokio::test]
async fn guest_over_http_registers_subscribes_and_is_told() {
    let (sink, pool) = (
        Arc::new(MemorySink::default()),
        POOL.parse::<IdentityPoolId>().unwrap(),
    );
    let core = Service::new(Arc::new(MemoryStorage::new()), [7; 32], [8; 32]);
    let config = Config::new(core, KeyPair::new("AKIDTEST", SECRET))
        .with_pool(pool.clone(), Pool::new().with_guests())
        .with_push_sink(sink.clone());
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), config)
        .await
        .unwrap();
    let url = format!("http://{}", server.local_addr());
    tokio::spawn(server.run(std::future::pending()));
    let endpoint = Endpoint::url(&url, "us-east-1").unwrap();
    let operator = StaticCredentials::new(Credentials {
        access_key_id: "AKIDTEST".to_owned(),
        secret_access_key: SECRET.to_owned(),
        session_token: None,
        expires_at: None,
    });
    let operator = HyperTransport::builder(endpoint.clone(), Arc::new(operator)).build();
    operator.exchange(push_setting()).await.unwrap();

    let guest = Arc::new(IdentityPool::builder(pool.clone(), endpoint.clone()).build());
    let identity = guest.identity().await.unwrap().id;
    let device = |credentials: Arc<dyn CredentialsProvider>| {
        let transport = HyperTransport::builder(endpoint.clone(), credentials).build();
        let builder = Client::with_store(Arc::new(MemoryStore::new()) as Arc<dyn Store>);
        let builder = builder.pool(pool.clone()).identity(identity.clone());
        builder.transport(Arc::new(transport)).open().unwrap()
    };
    let (here, there) = (device(guest.clone()), device(guest));
    let notes = here.dataset("notes").unwrap();
    notes.put("key", 1).unwrap();
    let token = "a token/with+signs=";
    here.register_device(Platform::Gcm, token).await.unwrap();
    assert_eq!(notes.subscribe().await.unwrap(), Subscription::Waiting);
    notes.synchronize().await.unwrap();
    assert!(
        here.subscriptions()
            .unwrap()
            .values()
            .eq([&Subscription::Standing])
    );
    assert_eq!(sink.take(), []);

    let other = there.dataset("notes").unwrap();
    other.put("key", 2).unwrap();
    other.synchronize().await.unwrap();
    let [hint] = sink.take().try_into().unwrap();
    assert_eq!(hint.token, token);
    assert!(here.handle_push(&hint.payload()).await.unwrap().is_some());
    assert_eq!(notes.entries(), other.entries());

    here.unregister_device().await.unwrap();
    other.put("key", 3).unwrap();
    other.synchronize().await.unwrap();
    assert_eq!(sink.take(), []);
}
