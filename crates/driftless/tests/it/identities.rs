//! Guests, logins, and whose data a device shows, against the real server on loopback.

use std::sync::{Arc, Mutex};

use driftless::store::{MemoryStore, Store};
use driftless::transport::{
    BoxError, BoxFuture, Endpoint, HyperTransport, IdentityPool, LoginsSource,
};
use driftless::wire::identity::Logins;
use driftless::wire::{IdentityPoolId, Timestamp};
use driftless::{Became, Client, Dataset, DatasetError, Owner, PutError, SyncError};
use driftless_server::{
    Config, KeyPair, MemoryStorage, Pool, Server, Service as Core, SharedKeyLogins, Subject,
};
use tokio::sync::oneshot;

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
struct Who(Mutex<Option<&'static str>>);

impl LoginsSource for Who {
    fn logins(&self) -> BoxFuture<'_, Result<Logins, BoxError>> {
        let who = *self.0.lock().unwrap();
        Box::pin(async move {
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
    let endpoint = Endpoint::url(url, "us-east-1").unwrap();
    let identities = IdentityPool::builder(pool(), endpoint.clone())
        .logins(who.clone())
        .timer(Arc::new(NoPause));
    Client::with_store(Arc::new(store.reopen()))
        .pool(pool())
        .identity_pool(identities, |credentials| {
            let transport = HyperTransport::builder(endpoint, credentials);
            Arc::new(transport.timer(Arc::new(NoPause)).build())
        })
        .timer(Arc::new(NoPause))
        .open()
        .unwrap()
}

impl Device {
    fn log_in(&self, who: &'static str) {
        *self.who.0.lock().unwrap() = Some(who);
        self.client.logins_changed();
    }

    fn sign_out(&self) {
        *self.who.0.lock().unwrap() = None;
        self.client.sign_out().unwrap();
    }

    fn restart(&mut self) {
        self.client.close().unwrap();
        self.client = open(&self.url, &self.store, &self.who);
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
    let store = &device.store;
    store
        .set_setting(
            "identity",
            Some(row.as_bytes()),
            driftless::Durability::Disk,
        )
        .unwrap();
    device.who.0.lock().unwrap().replace("ann");
    device.restart();
    assert_eq!(device.client.identity(), Some(ann));
    assert_eq!(device.keys(), ["guest", "unsynced"]);
    assert!(device.notes().has_unsynced());
    let row = device.store.setting("identity").unwrap().unwrap();
    assert!(!String::from_utf8(row).unwrap().contains("moves"));
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
    let refused = device.client.dataset(&"n".repeat(73));
    assert!(matches!(
        refused,
        Err(DatasetError::LongName { chars: 73, .. })
    ));
}
