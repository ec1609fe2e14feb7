//! Guests, logins, and whose data a device shows, against the real server on loopback.

use std::sync::{Arc, Mutex};

use driftless::store::{MemoryStore, Store};
use driftless::transport::{
    BoxError, BoxFuture, Endpoint, ExchangeError, Exchanged, HyperTransport, IdentityPool,
    LoginsSource, Transport,
};
use driftless::wire::identity::Logins;
use driftless::wire::{
    IdentityId, IdentityPoolId, ListRecordsRequest, Op, Operation, RecordPatch, Request, Response,
    SyncCount, Timestamp, UpdateRecordsRequest,
};
use driftless::{
    Became, Client, ClientBuilder, Dataset, DatasetError, Durability, OpenError, Owner, PushError,
    PutError, Schedule, Scope, SyncError, Unsynced,
};
use driftless_server::{
    Config, KeyPair, MemoryStorage, Pool, PushHint, Server, Service as Core, SharedKeyLogins,
    Subject,
};
use tokio::sync::{Notify, oneshot};

use crate::failures::check_text;
use crate::fake::NoPause;
use crate::service::POOL;

const PROVIDER: &str = "login.example";

/// A server with an identity pool, which stops when it is dropped.
pub(crate) struct Cloud {
    url: String,
    _stop: oneshot::Sender<()>,
}

fn pool() -> IdentityPoolId {
    POOL.parse().unwrap()
}

fn logins() -> SharedKeyLogins {
    SharedKeyLogins::new(&[9; 32]).unwrap()
}

/// Who has logged in at a device.
#[derive(Debug, Default)]
struct Who {
    name: Mutex<Option<&'static str>>,
    /// Logs somebody in while a session runs, before its first push.
    logs_in_at_push: Mutex<Option<&'static str>>,
    /// How many of the next questions for the logins wait, so that the test goes on meanwhile.
    slow: Mutex<u32>,
    asked: Notify,
    goes_on: Notify,
}

impl LoginsSource for Who {
    fn logins(&self) -> BoxFuture<'_, Result<Logins, BoxError>> {
        let who = *self.name.lock().unwrap();
        Box::pin(async move {
            let is_slow = {
                let mut slow = self.slow.lock().unwrap();
                let is_slow = *slow > 0;
                *slow = slow.saturating_sub(1);
                is_slow
            };
            if is_slow {
                self.asked.notify_one();
                self.goes_on.notified().await;
            }
            let Some(who) = who else {
                return Ok(Logins::none());
            };
            let subject = Subject::new(who).unwrap();
            let expires = Timestamp::from_millis(4_900_000_000_000);
            let token = logins().sign(&pool(), PROVIDER, &subject, expires);
            Ok(Logins::none().with(PROVIDER, token))
        })
    }
}

/// The way to the service, on which somebody may log in.
struct Meddler {
    transport: HyperTransport,
    pool: Arc<IdentityPool>,
    who: Arc<Who>,
}

impl Transport for Meddler {
    fn exchange(&self, request: Request) -> BoxFuture<'_, Result<Exchanged, ExchangeError>> {
        if request.operation() == Operation::UpdateRecords
            && let Some(name) = self.who.logs_in_at_push.lock().unwrap().take()
        {
            *self.who.name.lock().unwrap() = Some(name);
            self.pool.logins_changed();
        }
        self.transport.exchange(request)
    }
}

/// A device: a store that survives restarts, and who uses it.
pub(crate) struct Device {
    url: String,
    store: MemoryStore,
    who: Arc<Who>,
    pub(crate) client: Client,
}

impl Cloud {
    pub(crate) async fn start() -> Self {
        let core = Core::new(Arc::new(MemoryStorage::new()), [7; 32], [8; 32]);
        let people = Pool::new()
            .with_guests()
            .with_logins(PROVIDER, Arc::new(logins()));
        let config = Config::new(core, KeyPair::new("AKIDTEST", "s")).with_pool(pool(), people);
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), config)
            .await
            .unwrap();
        let url = format!("http://{}", server.local_addr());
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        Self { url, _stop: stop }
    }

    pub(crate) fn device(&self) -> Device {
        let (store, who) = (MemoryStore::new(), Arc::default());
        let client = open(&self.url, &store, &who);
        Device {
            url: self.url.clone(),
            store,
            who,
            client,
        }
    }

    /// A device at which somebody has logged in.
    async fn device_of(&self, who: &'static str) -> Device {
        let device = self.device();
        device.log_in(who);
        device.client.identify().await.unwrap();
        device
    }
}

fn open(url: &str, store: &MemoryStore, who: &Arc<Who>) -> Client {
    try_open(url, store, who).unwrap()
}

fn try_open(url: &str, store: &MemoryStore, who: &Arc<Who>) -> Result<Client, OpenError> {
    builder(url, store, who).open()
}

fn builder(url: &str, store: &MemoryStore, who: &Arc<Who>) -> ClientBuilder {
    let meddling = Arc::clone(who);
    let endpoint = Endpoint::url(url, "us-east-1").unwrap();
    let identities = IdentityPool::builder(pool(), endpoint.clone())
        .logins(who.clone())
        .timer(Arc::new(NoPause));
    Client::with_store(Arc::new(store.reopen()))
        .pool(pool())
        .identity_pool(identities, |pool| {
            let transport = HyperTransport::builder(endpoint, pool.clone());
            Arc::new(Meddler {
                transport: transport.timer(Arc::new(NoPause)).build(),
                pool,
                who: meddling,
            })
        })
        .timer(Arc::new(NoPause))
}

impl Device {
    fn log_in(&self, who: &'static str) {
        *self.who.name.lock().unwrap() = Some(who);
        self.client.logins_changed();
    }

    fn sign_out(&self) {
        *self.who.name.lock().unwrap() = None;
        self.client.sign_out().unwrap();
    }

    fn restart(&mut self) {
        self.client.close().unwrap();
        self.client = open(&self.url, &self.store, &self.who);
    }

    /// What the store keeps of identities.
    fn row(&self) -> String {
        let row = self.store.setting("identity").unwrap().unwrap();
        String::from_utf8(row).unwrap()
    }

    fn set_row(&self, row: &str) {
        let row = Some(row.as_bytes());
        let set = self.store.set_setting("identity", row, Durability::Disk);
        set.unwrap();
    }

    pub(crate) fn notes(&self) -> Dataset {
        self.client.dataset("notes").unwrap()
    }

    fn keys(&self) -> Vec<String> {
        self.notes().keys()
    }
}

#[tokio::test]
async fn trap_32_what_was_made_before_any_identity_is_adopted_by_the_first() {
    let cloud = Cloud::start().await;
    let mut device = cloud.device();
    let notes = device.notes();
    notes.put("offline", 1).unwrap();
    assert_eq!(device.client.identity(), None);
    let mut changes = device.client.identity_changes();
    notes.synchronize().await.unwrap();
    assert!(!notes.has_unsynced(), "the handle goes on");
    let change = changes.borrow_and_update().clone().unwrap();
    assert_eq!((change.before, change.data), (None, Became::Moved));
    assert_eq!(change.now, device.client.identity());
    assert!(device.store.datasets(&Owner::Local).unwrap().is_empty());
    device.restart();
    assert_eq!(device.keys(), ["offline"]);
    let report = device.notes().synchronize().await.unwrap();
    assert_eq!((report.requests, change.now), (1, device.client.identity()));
}

#[tokio::test]
async fn guest_whose_id_stays_keeps_everything_as_it_is() {
    let cloud = Cloud::start().await;
    let device = cloud.device();
    let notes = device.notes();
    notes.put("guest", 1).unwrap();
    notes.synchronize().await.unwrap();
    let guest = device.client.identity();
    device.log_in("ann");
    notes.put("more", 2).unwrap();
    notes.synchronize().await.unwrap();
    assert_eq!(device.client.identity(), guest);
    assert_eq!(notes.keys(), ["guest", "more"]);
}

/// Ann has data, and a guest whose datasets are synced, edited since, and never synced logs in as Ann.
/// An app that is updated in place: the old client kept the guest's id, and the new store knows nobody yet.
#[tokio::test]
async fn guest_of_an_old_client_goes_on_as_that_one_until_a_sign_out_or_wipe() {
    let cloud = Cloud::start().await;
    let old = cloud.device();
    old.notes().put("guest", 1).unwrap();
    old.notes().synchronize().await.unwrap();
    let guest = old.client.identity().unwrap();
    for wipes in [false, true] {
        let mut device = cloud.device();
        let reopen = |device: &Device| {
            device.client.close().unwrap();
            let builder = builder(&device.url, &device.store, &device.who);
            builder.identity(guest.clone()).open().unwrap()
        };
        device.client = reopen(&device);
        assert_eq!(device.client.identity(), Some(guest.clone()));
        device.notes().synchronize().await.unwrap();
        assert_eq!(device.keys(), ["guest"]);
        device.restart();
        assert_eq!(device.client.identity(), Some(guest.clone()));
        match wipes {
            true => device.client.wipe(Scope::Device, Unsynced::Keep).unwrap(),
            false => device.sign_out(),
        }
        device.client = reopen(&device);
        assert_eq!(device.client.identity(), None);
        device.notes().synchronize().await.unwrap();
        assert_ne!(device.client.identity(), Some(guest.clone()));
        assert_eq!(device.keys(), [""; 0]);
    }
}

#[tokio::test]
async fn guest_that_becomes_ann_moves_with_all_datasets() {
    let cloud = Cloud::start().await;
    let ann = cloud.device_of("ann").await;
    ann.notes().increment("count", 100).unwrap();
    ann.notes().synchronize().await.unwrap();
    let mut guest = cloud.device();
    let notes = guest.notes();
    notes.increment("count", 1).unwrap();
    notes.synchronize().await.unwrap();
    let as_guest = guest.client.identity();
    notes.increment("count", 10).unwrap();
    guest
        .client
        .dataset("draft")
        .unwrap()
        .put("key", 1)
        .unwrap();
    guest.log_in("ann");
    let report = notes.synchronize().await.unwrap();
    assert_eq!(report.merged.len(), 1, "the guest's dataset at the service");
    assert_eq!(notes.counter("count"), Some(111));
    assert_eq!(guest.client.identity(), ann.client.identity());
    guest.restart();
    assert_eq!(guest.notes().counter("count"), Some(111));
    let draft = guest.client.dataset("draft").unwrap();
    assert!(draft.has_unsynced());
    draft.synchronize().await.unwrap();
    ann.notes().synchronize().await.unwrap();
    assert_eq!(ann.notes().state(), guest.notes().state());
    let remote = ann.client.remote_datasets().await.unwrap();
    assert_eq!(remote.len(), 2, "no child is left: {remote:?}");
    let of_guest = Owner::Identity(as_guest.unwrap());
    assert!(guest.store.datasets(&of_guest).unwrap().is_empty());
}

/// The device learns of the merge, and its process ends before anything moves.
#[tokio::test]
async fn move_that_a_crash_interrupts_is_made_at_the_next_start() {
    let cloud = Cloud::start().await;
    let ann = cloud.device_of("ann").await.client.identity().unwrap();
    let mut device = cloud.device();
    device.notes().put("guest", 1).unwrap();
    device.notes().synchronize().await.unwrap();
    device.notes().put("unsynced", 2).unwrap();
    let guest = device.client.identity().unwrap();
    let row = format!(r#"{{"version":1,"identity":"{ann}","moves":[["{guest}","{ann}"]]}}"#);
    device.set_row(&row);
    device.who.name.lock().unwrap().replace("ann");
    device.restart();
    assert_eq!(device.client.identity(), Some(ann));
    assert_eq!(device.keys(), ["guest", "unsynced"]);
    assert!(device.notes().has_unsynced());
    assert!(!device.row().contains("moves"));
}

#[tokio::test]
async fn trap_31_another_login_shows_its_own_data_and_leaves_the_others() {
    let cloud = Cloud::start().await;
    let device = cloud.device_of("ann").await;
    let of_ann = device.notes();
    of_ann.put("ann's", 1).unwrap();
    of_ann.synchronize().await.unwrap();
    of_ann.put("unsynced", 2).unwrap();
    let mut changes = device.client.identity_changes();
    for _ in 0..2 {
        device.log_in("bob");
        device.client.identify().await.unwrap();
        let change = changes.borrow_and_update().clone().unwrap();
        assert_eq!(change.data, Became::Kept);
        assert!(!device.keys().contains(&"ann's".to_owned()));
        device.notes().put("bob's", 1).unwrap();
        device.notes().synchronize().await.unwrap();
        device.log_in("ann");
        device.client.identify().await.unwrap();
        assert_eq!(device.keys(), ["ann's", "unsynced"]);
        assert!(device.notes().has_unsynced());
    }
    // The handle from before shows what it showed, and says whose it is.
    assert_eq!(of_ann.keys(), ["ann's", "unsynced"]);
    assert!(matches!(of_ann.put("key", 1), Err(PutError::OtherIdentity)));
    let error = of_ann.synchronize().await.unwrap_err();
    assert!(matches!(error, SyncError::OtherIdentity));
    device.notes().synchronize().await.unwrap();
    let bob = cloud.device_of("bob").await;
    bob.notes().synchronize().await.unwrap();
    assert_eq!(bob.keys(), ["bob's"]);
}

#[tokio::test]
async fn trap_30_session_of_a_handle_from_before_a_login_tells_and_sends_nothing() {
    let cloud = Cloud::start().await;
    let device = cloud.device_of("ann").await;
    let of_ann = device.notes();
    of_ann.put("ann's", 1).unwrap();
    device.log_in("bob");
    let error = of_ann.synchronize().await.unwrap_err();
    assert!(matches!(error, SyncError::OtherIdentity));
    assert!(of_ann.has_unsynced());
    assert!(device.client.remote_datasets().await.unwrap().is_empty());
}

#[tokio::test]
async fn after_a_sign_out_nobody_sees_the_data_and_what_is_made_goes_to_the_next() {
    let cloud = Cloud::start().await;
    let mut device = cloud.device_of("ann").await;
    let of_ann = device.notes();
    of_ann.put("ann's", 1).unwrap();
    device.sign_out();
    assert_eq!((device.client.identity(), device.keys()), (None, vec![]));
    assert!(matches!(
        of_ann.remove("ann's"),
        Err(PutError::OtherIdentity)
    ));
    device.notes().put("bob's", 1).unwrap();
    device.restart();
    assert_eq!(device.keys(), ["bob's"]);
    device.log_in("bob");
    device.notes().synchronize().await.unwrap();
    assert_eq!(device.keys(), ["bob's"]);
    device.sign_out();
    device.log_in("ann");
    device.client.identify().await.unwrap();
    assert_eq!(device.keys(), ["ann's"]);
    assert!(device.notes().has_unsynced());
}

#[tokio::test]
async fn trap_53_what_is_unsynced_is_known_after_a_restart_and_a_login() {
    let cloud = Cloud::start().await;
    let mut device = cloud.device();
    device.notes().put("key", 1).unwrap();
    for who in [None, Some("ann")] {
        device.restart();
        assert!(device.notes().has_unsynced());
        who.into_iter().for_each(|who| device.log_in(who));
    }
    device.client.identify().await.unwrap();
    device.restart();
    assert!(device.notes().has_unsynced());
    device.notes().synchronize().await.unwrap();
    device.restart();
    assert!(!device.notes().has_unsynced());
}

#[tokio::test]
async fn trap_33_deletion_by_a_guest_holds_for_the_login_too() {
    let cloud = Cloud::start().await;
    let ann = cloud.device_of("ann").await;
    ann.notes().put("ann's", 1).unwrap();
    ann.notes().synchronize().await.unwrap();
    let mut device = cloud.device();
    device.notes().put("secret", 1).unwrap();
    device.notes().synchronize().await.unwrap();
    device.notes().delete().unwrap();
    device.notes().put("later", 2).unwrap();
    device.restart();
    device.log_in("ann");
    device.notes().synchronize().await.unwrap();
    assert_eq!(device.keys(), ["ann's", "later"]);
}

#[tokio::test]
async fn trap_29_name_that_a_merge_has_no_room_for_is_refused() {
    let cloud = Cloud::start().await;
    let device = cloud.device();
    device.client.dataset(&"n".repeat(72)).unwrap();
    let refused = device.client.dataset(&"n".repeat(73)).unwrap_err();
    assert!(matches!(refused, DatasetError::LongName { chars: 73, .. }));
    let happened = "the name has 73 characters and merges of identities have room for 72";
    check_text(
        &refused,
        [happened, "no dataset was made", "choose a shorter name"],
    );
}

/// Somebody logs in between a session's list and its push.
#[tokio::test]
async fn trap_30_login_inside_of_a_session_ends_it_and_another_one_follows() {
    let cloud = Cloud::start().await;
    let ann = cloud.device_of("ann").await;
    let device = cloud.device();
    let notes = device.notes();
    notes.increment("count", 1).unwrap();
    notes.synchronize().await.unwrap();
    let guest = device.client.identity();
    notes.increment("count", 10).unwrap();
    *device.who.logs_in_at_push.lock().unwrap() = Some("ann");
    let mut changes = device.client.identity_changes();
    let report = notes.synchronize().await.unwrap();
    let change = changes.borrow_and_update().clone().unwrap();
    assert_eq!((change.before, change.data), (guest, Became::Moved));
    assert_eq!(report.merged.len(), 1);
    assert_eq!(device.client.identity(), ann.client.identity());
    ann.notes().synchronize().await.unwrap();
    assert_eq!(ann.notes().counter("count"), Some(11));
}

/// The pool has read Ann's login when she signs out; its answer comes after that.
#[tokio::test]
async fn answer_about_who_signed_out_meanwhile_is_void() {
    let cloud = Cloud::start().await;
    let ann = cloud.device_of("ann").await.client.identity().unwrap();
    let mut device = cloud.device();
    device.log_in("ann");
    *device.who.slow.lock().unwrap() = 2;
    let asking = tokio::spawn({
        let client = device.client.clone();
        async move { client.identify().await.unwrap() }
    });
    device.who.asked.notified().await;
    device.sign_out();
    device.who.goes_on.notify_one();
    // The answer has come, and the pool is asked again: a device that stops here is nobody's.
    device.who.asked.notified().await;
    assert!(!device.row().contains(ann.as_str()));
    device.who.goes_on.notify_one();
    let now: Option<IdentityId> = asking.await.unwrap();
    assert_ne!(now, Some(ann));
    device.restart();
    assert_eq!(device.client.identity(), now);
}

#[tokio::test]
async fn row_that_cannot_be_read_is_an_error_and_stays_as_it_is() {
    let cloud = Cloud::start().await;
    let device = cloud.device_of("ann").await;
    device.notes().put("ann's", 1).unwrap();
    for row in [r#"{"version":2,"identity":null}"#, "torn"] {
        device.set_row(row);
        let refused = device.client.sign_out();
        assert!(matches!(refused, Err(DatasetError::Identity(_))));
        device.log_in("bob");
        let refused = device.client.identify().await;
        assert!(matches!(refused, Err(SyncError::Identity(_))));
        assert_eq!(device.keys(), ["ann's"], "nothing changed");
        assert_eq!(device.row(), row);
    }
    device.client.close().unwrap();
    let refused = try_open(&device.url, &device.store, &device.who);
    assert!(matches!(refused, Err(OpenError::Identity(_))));
}

#[tokio::test]
async fn trap_56_push_for_the_guest_is_refused_once_the_device_is_ann() {
    let cloud = Cloud::start().await;
    let push = |identity: &IdentityId| {
        let hint = PushHint {
            device_id: "device".parse().unwrap(),
            platform: driftless::wire::Platform::Gcm,
            token: String::new(),
            identity_pool_id: pool(),
            identity_id: identity.clone(),
            dataset_name: "notes".parse().unwrap(),
            sync_count: SyncCount::from(9),
        };
        hint.payload()
    };
    let _ann = cloud.device_of("ann").await;
    let device = cloud.device();
    device.notes().put("key", 1).unwrap();
    device.notes().synchronize().await.unwrap();
    let guest = device.client.identity().unwrap();
    assert!(matches!(
        device.client.handle_push(&push(&guest)).await,
        Ok(Some(_))
    ));
    device.log_in("ann");
    device.client.identify().await.unwrap();
    let refused = device.client.handle_push(&push(&guest)).await;
    assert!(matches!(refused, Err(PushError::OtherIdentity)));
    let now = device.client.identity().unwrap();
    assert!(matches!(
        device.client.handle_push(&push(&now)).await,
        Ok(Some(_))
    ));
}

/// The dataset is deleted by one device, and another one has edits in it that were not synchronized, or none.
#[tokio::test]
async fn dataset_deleted_elsewhere_goes_but_for_unsynced_edits() {
    for edited in [false, true] {
        let cloud = Cloud::start().await;
        let (here, there) = (cloud.device_of("ann").await, cloud.device_of("ann").await);
        here.notes().put("synced", 1).unwrap();
        here.notes().synchronize().await.unwrap();
        there.notes().synchronize().await.unwrap();
        if edited {
            here.notes().put("unsynced", 2).unwrap();
        }
        there.notes().delete().unwrap();
        there.notes().synchronize().await.unwrap();
        let report = here.notes().synchronize().await.unwrap();
        assert!(report.began_anew);
        there.notes().synchronize().await.unwrap();
        let left: &[&str] = if edited { &["unsynced"] } else { &[] };
        assert_eq!((here.keys(), there.keys()), (names(left), names(left)));
    }
}

/// Deleted and made again before the other device, which has an unsynced edit, hears of either.
#[tokio::test]
async fn dataset_deleted_and_made_again_elsewhere_keeps_unsynced_edits_of_both() {
    let cloud = Cloud::start().await;
    let (here, there) = (cloud.device_of("ann").await, cloud.device_of("ann").await);
    here.notes().increment("count", 1).unwrap();
    here.notes().put("synced", 1).unwrap();
    here.notes().synchronize().await.unwrap();
    there.notes().synchronize().await.unwrap();
    here.notes().increment("count", 10).unwrap();
    there.notes().delete().unwrap();
    there.notes().increment("count", 100).unwrap();
    there.notes().synchronize().await.unwrap();
    here.notes().synchronize().await.unwrap();
    there.notes().synchronize().await.unwrap();
    for device in [&here, &there] {
        assert_eq!(device.keys(), ["count"]);
        assert_eq!(device.notes().counter("count"), Some(110));
    }
}

/// An app that knows no Driftless was used as a guest and then logged in, which the service answered with a merge.
#[tokio::test]
async fn data_of_an_old_client_are_folded_in_after_a_merge() {
    let cloud = Cloud::start().await;
    let ann = cloud.device_of("ann").await;
    ann.notes().keep_plain_records().unwrap();
    ann.notes().increment("count", 1).unwrap();
    ann.notes().synchronize().await.unwrap();
    let who = Arc::new(Who::default());
    let endpoint = Endpoint::url(&cloud.url, "us-east-1").unwrap();
    let identities = IdentityPool::builder(pool(), endpoint.clone()).logins(who.clone());
    let identities = Arc::new(identities.timer(Arc::new(NoPause)).build());
    let transport = HyperTransport::builder(endpoint, identities.clone()).build();
    let guest = identities.identity().await.unwrap().id;
    for (dataset, key) in [("notes", "mine"), ("drafts", "first")] {
        put_as_old_client(&transport, &guest, dataset, key, "text").await;
    }
    *who.name.lock().unwrap() = Some("ann");
    identities.logins_changed();
    assert_eq!(
        Some(identities.identity().await.unwrap().id),
        ann.client.identity()
    );

    let drafts = ann.client.dataset("drafts").unwrap();
    for (dataset, keys) in [
        (ann.notes(), vec!["count", "mine"]),
        (drafts, vec!["first"]),
    ] {
        let report = dataset.synchronize().await.unwrap();
        assert_eq!((report.merged.len(), report.left_over.len()), (1, 0));
        assert_eq!(dataset.keys(), names(&keys));
        assert!(dataset.is_plain(), "the old client goes on with it");
    }
    let remote = ann.client.remote_datasets().await.unwrap();
    assert_eq!(remote.len(), 2, "no child is left: {remote:?}");
}

/// Writes one record into a dataset that is not there yet.
async fn put_as_old_client(
    transport: &HyperTransport,
    identity: &IdentityId,
    dataset: &str,
    key: &str,
    value: &str,
) {
    let list = ListRecordsRequest {
        identity_pool_id: pool(),
        identity_id: identity.clone(),
        dataset_name: dataset.parse().unwrap(),
        last_sync_count: None,
        next_token: None,
        max_results: None,
        sync_session_token: None,
    };
    let listed = transport
        .exchange(Request::ListRecords(list))
        .await
        .unwrap();
    let Response::ListRecords(listed) = listed.response else {
        panic!("{listed:?}")
    };
    let update = UpdateRecordsRequest {
        identity_pool_id: pool(),
        identity_id: identity.clone(),
        dataset_name: dataset.parse().unwrap(),
        sync_session_token: listed.sync_session_token.unwrap(),
        device_id: None,
        record_patches: vec![RecordPatch {
            op: Op::Replace,
            key: key.parse().unwrap(),
            value: Some(value.to_owned()),
            sync_count: SyncCount::ZERO,
            device_last_modified_date: None,
        }],
    };
    transport
        .exchange(Request::UpdateRecords(update))
        .await
        .unwrap();
}

/// What is pending survives a restart, and what is put meanwhile is of the next life.
#[tokio::test]
async fn trap_33_deletion_here_is_carried_out_after_a_restart_and_a_put() {
    let cloud = Cloud::start().await;
    let (mut here, there) = (cloud.device_of("ann").await, cloud.device_of("ann").await);
    here.notes().put("old", 1).unwrap();
    here.notes().synchronize().await.unwrap();
    there.notes().synchronize().await.unwrap();
    here.notes().delete().unwrap();
    here.restart();
    assert!(here.notes().has_unsynced());
    here.notes().put("new", 2).unwrap();
    let report = here.notes().synchronize().await.unwrap();
    assert!(report.deleted);
    there.notes().synchronize().await.unwrap();
    assert_eq!(
        (here.keys(), there.keys()),
        (names(&["new"]), names(&["new"]))
    );
}

#[tokio::test]
async fn trap_32_edits_wait_under_nobody_until_the_service_can_be_reached() {
    let cloud = Cloud::start().await;
    let mut device = cloud.device();
    // Nobody listens there.
    let url = std::mem::replace(&mut device.url, "http://127.0.0.1:1".to_owned());
    device.restart();
    for _ in 0..2 {
        device.notes().increment("count", 1).unwrap();
        let failed = device.notes().synchronize().await;
        assert!(matches!(failed, Err(SyncError::Identity(_))));
        device.restart();
        assert!(device.notes().has_unsynced());
        assert_eq!(device.client.identity(), None);
    }
    device.url = url;
    device.restart();
    device.notes().synchronize().await.unwrap();
    assert!(device.client.identity().is_some());
    assert_eq!(device.notes().counter("count"), Some(2));
    assert_eq!(device.client.remote_datasets().await.unwrap().len(), 1);
}

/// They are Ann's, in a dataset that is not open, and Bob uses the device meanwhile.
#[tokio::test]
async fn trap_53_edits_that_wait_are_synchronized_by_itself_once_their_owner_is_back() {
    let cloud = Cloud::start().await;
    let device = cloud.device_of("ann").await;
    device.notes().put("ann's", 1).unwrap();
    device.log_in("bob");
    device.client.identify().await.unwrap();
    let mut auto = device.client.auto_sync(Schedule::default()).unwrap();
    device.log_in("ann");
    device.client.identify().await.unwrap();
    while auto.outcomes().is_empty() {
        assert!(auto.changed().await);
    }
    assert!(auto.outcomes().into_values().all(|outcome| outcome.is_ok()));
    let other = cloud.device_of("ann").await;
    other.notes().synchronize().await.unwrap();
    assert_eq!(other.keys(), names(&["ann's"]));
    let bob = cloud.device_of("bob").await;
    assert!(bob.client.remote_datasets().await.unwrap().is_empty());
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}
