//! Credentials of an identity pool, from the real service: in memory, and over a socket.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use driftless_server::{
    Config, Gate, KeyPair, MemoryStorage, Pool, Server, Service, SharedKeyLogins, Subject,
};
use driftless_transport::{
    BoxError, BoxFuture, Clock, Courier, CredentialsError, CredentialsProvider, Endpoint,
    ExchangeError, HyperTransport, Identity, IdentityCache, IdentityPool, LoginsSource,
    MemoryCache, Origin, Retry, Transport,
};
use driftless_wire::identity::Logins;
use driftless_wire::{
    ErrorCode, IdentityId, IdentityPoolId, ListRecordsRequest, ListRecordsResponse, Op,
    RecordPatch, Request, Response, SyncCount, Timestamp, UpdateRecordsRequest,
};
use tokio::sync::{Semaphore, oneshot};

use crate::world::{NOW, POOL, Waits};

const PROVIDER: &str = "login.example";
const HOUR_MILLIS: i64 = 3_600_000;
/// What remains of credentials when they are refreshed.
const EARLY_MILLIS: i64 = 500_000;

/// A clock that is moved by hand.
#[derive(Debug, Default)]
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(NOW.as_millis() + self.0.load(Ordering::SeqCst))
    }
}

/// What happens to a request instead of being answered, or to its answer.
enum Mishap {
    NotSent,
    AnswerLost,
    Answer(u16, &'static str),
}

/// The service behind its gate, without sockets; it counts what it was asked.
struct Cloud {
    gate: Mutex<Gate>,
    clock: Arc<Hand>,
    asked: Mutex<Vec<String>>,
    mishaps: Mutex<VecDeque<Mishap>>,
    /// How many requests may pass.
    door: Semaphore,
    date_ahead_seconds: AtomicI64,
}

impl std::fmt::Debug for Cloud {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cloud")
    }
}

impl Courier for Cloud {
    fn carry(
        &self,
        mut request: http::Request<Bytes>,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, ExchangeError>> {
        // As hyper does.
        let host = request.uri().authority().unwrap().as_str().parse().unwrap();
        request.headers_mut().insert("host", host);
        Box::pin(async move {
            let name = match request.headers().get("x-amz-target") {
                Some(target) => target
                    .to_str()
                    .unwrap()
                    .rsplit('.')
                    .next()
                    .unwrap()
                    .to_owned(),
                None => request.method().to_string(),
            };
            self.asked.lock().unwrap().push(name);
            drop(self.door.acquire().await.unwrap());
            let mishap = self.mishaps.lock().unwrap().pop_front();
            let ahead = self.date_ahead_seconds.load(Ordering::SeqCst);
            let now = Timestamp::from_millis(self.clock.now().as_millis() + ahead * 1_000);
            let answer = match mishap {
                Some(Mishap::NotSent) => return Err(ExchangeError::Connect("no route".into())),
                Some(Mishap::Answer(status, body)) => {
                    let mut answer = http::Response::new(Bytes::from_static(body.as_bytes()));
                    *answer.status_mut() = http::StatusCode::from_u16(status).unwrap();
                    return Ok(answer);
                }
                Some(Mishap::AnswerLost) => {
                    drop(self.gate.lock().unwrap().answer(request, now));
                    return Err(ExchangeError::Interrupted("reset".into()));
                }
                None => self.gate.lock().unwrap().answer(request, now),
            };
            Ok(dated(answer, now))
        })
    }
}

fn dated(mut answer: http::Response<Bytes>, now: Timestamp) -> http::Response<Bytes> {
    let seconds = u64::try_from(now.as_millis() / 1_000).unwrap();
    let time = std::time::UNIX_EPOCH + Duration::from_secs(seconds);
    let date = httpdate::fmt_http_date(time).parse().unwrap();
    answer.headers_mut().insert("date", date);
    answer
}

/// Logins that a test changes.
#[derive(Debug, Default)]
struct Who(Mutex<Option<&'static str>>);

impl LoginsSource for Who {
    fn logins(&self) -> BoxFuture<'_, Result<Logins, BoxError>> {
        let who = *self.0.lock().unwrap();
        Box::pin(async move {
            match who {
                Some("down") => Err("the app cannot log in".into()),
                Some(who) => Ok(login(who)),
                None => Ok(Logins::none()),
            }
        })
    }
}

fn pool() -> IdentityPoolId {
    POOL.parse().unwrap()
}

fn shared_key() -> SharedKeyLogins {
    SharedKeyLogins::new(&[9; 32]).unwrap()
}

fn login(who: &str) -> Logins {
    let subject = Subject::new(who).unwrap();
    let expires = Timestamp::from_millis(4_900_000_000_000);
    Logins::none().with(
        PROVIDER,
        shared_key().sign(&pool(), PROVIDER, &subject, expires),
    )
}

fn gate(key: [u8; 32], storage: &Arc<MemoryStorage>, guests: bool) -> Gate {
    let service = Service::new(storage.clone(), key, key);
    let pool_config = Pool::new().with_logins(PROVIDER, Arc::new(shared_key()));
    let pool_config = if guests {
        pool_config.with_guests()
    } else {
        pool_config
    };
    Gate::new(
        service.with_pool(pool(), pool_config),
        KeyPair::new("AKID", "s"),
    )
}

/// A service and a device's way to it.
struct World {
    cloud: Arc<Cloud>,
    clock: Arc<Hand>,
    who: Arc<Who>,
    cache: Arc<dyn IdentityCache>,
    waits: Waits,
}

impl World {
    fn new() -> Self {
        Self::with(true)
    }

    fn with(guests: bool) -> Self {
        let clock = Arc::new(Hand::default());
        let cloud = Cloud {
            gate: Mutex::new(gate([1; 32], &Arc::default(), guests)),
            clock: clock.clone(),
            asked: Mutex::default(),
            mishaps: Mutex::default(),
            door: Semaphore::new(1_000),
            date_ahead_seconds: AtomicI64::new(0),
        };
        Self {
            cloud: Arc::new(cloud),
            clock,
            who: Arc::default(),
            cache: Arc::new(MemoryCache::default()),
            waits: Waits::default(),
        }
    }

    /// A provider as the device has it after a start.
    fn provider(&self) -> Arc<IdentityPool> {
        let endpoint = Endpoint::url("http://localhost", "us-east-1").unwrap();
        let builder = IdentityPool::builder(pool(), endpoint)
            .logins(self.who.clone())
            .cache(self.cache.clone())
            .clock(self.clock.clone())
            .timer(Arc::new(self.waits.clone()))
            .courier(self.cloud.clone())
            .jitter_seed(1);
        Arc::new(builder.build())
    }

    fn transport(&self, provider: &Arc<IdentityPool>) -> HyperTransport {
        let endpoint = Endpoint::url("http://localhost", "us-east-1").unwrap();
        HyperTransport::builder(endpoint, provider.clone())
            .clock(self.clock.clone())
            .timer(Arc::new(self.waits.clone()))
            .courier(self.cloud.clone())
            .jitter_seed(1)
            .build()
    }

    fn pass(&self, millis: i64) {
        self.clock.0.fetch_add(millis, Ordering::SeqCst);
    }

    fn mishap(&self, mishap: Mishap) {
        self.cloud.mishaps.lock().unwrap().push_back(mishap);
    }

    fn log_in(&self, who: &'static str) {
        *self.who.0.lock().unwrap() = Some(who);
    }

    /// What the service was asked since the last call.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.cloud.asked.lock().unwrap())
    }
}

const BOTH: [&str; 2] = ["GetId", "GetCredentialsForIdentity"];
const REFRESH: [&str; 1] = ["GetCredentialsForIdentity"];

fn list(identity: &IdentityId) -> Request {
    Request::ListRecords(ListRecordsRequest {
        identity_pool_id: pool(),
        identity_id: identity.clone(),
        dataset_name: "notes".parse().unwrap(),
        last_sync_count: None,
        next_token: None,
        max_results: None,
        sync_session_token: None,
    })
}

async fn listed(transport: &HyperTransport, identity: &IdentityId) -> ListRecordsResponse {
    match transport.exchange(list(identity)).await.unwrap().response {
        Response::ListRecords(listed) => listed,
        other => panic!("{other:?}"),
    }
}

async fn push(transport: &HyperTransport, identity: &IdentityId) {
    let token = listed(transport, identity)
        .await
        .sync_session_token
        .unwrap();
    let update = Request::UpdateRecords(UpdateRecordsRequest {
        identity_pool_id: pool(),
        identity_id: identity.clone(),
        dataset_name: "notes".parse().unwrap(),
        sync_session_token: token,
        device_id: None,
        record_patches: vec![RecordPatch {
            op: Op::Replace,
            key: "k".parse().unwrap(),
            value: Some("v".to_owned()),
            sync_count: SyncCount::ZERO,
            device_last_modified_date: None,
        }],
    });
    transport.exchange(update).await.unwrap();
}

#[tokio::test]
async fn guest_signs_with_what_the_pool_gives() {
    let world = World::new();
    let provider = world.provider();
    let who = provider.identity().await.unwrap();
    assert_eq!(who.origin, Origin::New);
    let transport = world.transport(&provider);
    push(&transport, &who.id).await;
    assert!(listed(&transport, &who.id).await.dataset_exists);
    let asked = world.asked();
    assert_eq!(asked[..2], BOTH);
    assert_eq!(asked[2..], ["GET", "POST", "GET"], "one refresh serves all");
}

#[tokio::test]
async fn guest_is_the_same_one_after_a_restart() {
    let world = World::new();
    let first = world.provider().identity().await.unwrap();
    let second = world.provider().identity().await.unwrap();
    assert_eq!((second.id, second.origin), (first.id, Origin::Cached));
    assert_eq!(world.asked()[2..], REFRESH);
}

#[tokio::test]
async fn credentials_are_refreshed_before_they_expire() {
    let world = World::new();
    let provider = world.provider();
    let first = provider.credentials().await.unwrap();
    let expires = Timestamp::from_millis(NOW.as_millis() + HOUR_MILLIS);
    assert_eq!(first.expires_at, Some(expires));
    world.pass(HOUR_MILLIS - EARLY_MILLIS - 1);
    assert_eq!(provider.credentials().await.unwrap(), first);
    world.asked();
    world.pass(1);
    assert_ne!(provider.credentials().await.unwrap(), first);
    assert_eq!(world.asked(), REFRESH);
}

#[tokio::test]
async fn early_refresh_that_fails_costs_nothing_until_they_expire() {
    let world = World::new();
    let provider = world.provider();
    let first = provider.credentials().await.unwrap();
    world.pass(HOUR_MILLIS - EARLY_MILLIS);
    world.asked();
    world.who.0.lock().unwrap().replace("down");
    for _ in 0..3 {
        assert_eq!(provider.credentials().await.unwrap(), first);
    }
    world.pass(EARLY_MILLIS);
    let error = provider.credentials().await.unwrap_err();
    assert!(
        matches!(error, CredentialsError::Unavailable(_)),
        "{error:?}"
    );
    assert_eq!(ExchangeError::from(error).retry(), Retry::Later);
    *world.who.0.lock().unwrap() = None;
    assert_ne!(provider.credentials().await.unwrap(), first);
}

#[tokio::test]
async fn pause_after_a_failed_refresh_ends_when_they_expire() {
    let world = World::new();
    let provider = world.provider();
    let first = provider.credentials().await.unwrap();
    world.pass(HOUR_MILLIS - 10_000);
    (0..4).for_each(|_| world.mishap(Mishap::NotSent));
    assert_eq!(provider.credentials().await.unwrap(), first);
    world.pass(10_000);
    assert_ne!(provider.credentials().await.unwrap(), first);
}

#[tokio::test]
async fn early_refresh_that_failed_is_not_tried_at_each_request() {
    let world = World::new();
    let provider = world.provider();
    provider.credentials().await.unwrap();
    world.pass(HOUR_MILLIS - EARLY_MILLIS);
    world.asked();
    (0..8).for_each(|_| world.mishap(Mishap::NotSent));
    provider.credentials().await.unwrap();
    assert_eq!(world.asked().len(), 4, "the attempts of one refresh");
    provider.credentials().await.unwrap();
    assert_eq!(world.asked(), [""; 0]);
    world.pass(30_000);
    provider.credentials().await.unwrap();
    assert_eq!(world.asked().len(), 4);
}

#[tokio::test]
async fn all_who_wait_share_one_refresh() {
    let world = World::new();
    let provider = world.provider();
    world.cloud.door.forget_permits(1_000);
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let provider = provider.clone();
            tokio::spawn(async move { provider.credentials().await.unwrap() })
        })
        .collect();
    tokio::task::yield_now().await;
    world.cloud.door.add_permits(1_000);
    let mut given = Vec::new();
    for task in tasks {
        given.push(task.await.unwrap());
    }
    assert!(given.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(world.asked(), BOTH);
}

#[tokio::test]
async fn all_who_wait_share_a_failure() {
    let world = World::new();
    let provider = world.provider();
    world.cloud.door.forget_permits(1_000);
    (0..4).for_each(|_| world.mishap(Mishap::NotSent));
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let provider = provider.clone();
            tokio::spawn(async move { provider.credentials().await })
        })
        .collect();
    tokio::task::yield_now().await;
    world.cloud.door.add_permits(1_000);
    for task in tasks {
        let error = task.await.unwrap().unwrap_err();
        assert!(
            matches!(error, CredentialsError::Unavailable(_)),
            "{error:?}"
        );
    }
    assert_eq!(world.asked(), ["GetId"; 4]);
    provider.credentials().await.unwrap();
}

#[tokio::test]
async fn refresh_that_was_dropped_is_begun_anew() {
    let world = World::new();
    let provider = world.provider();
    world.cloud.door.forget_permits(1_000);
    let dropped = tokio::spawn({
        let provider = provider.clone();
        async move { drop(provider.credentials().await) }
    });
    tokio::task::yield_now().await;
    let waiting = tokio::spawn({
        let provider = provider.clone();
        async move { provider.credentials().await }
    });
    tokio::task::yield_now().await;
    dropped.abort();
    world.cloud.door.add_permits(1_000);
    waiting.await.unwrap().unwrap();
    assert_eq!(
        world.asked(),
        ["GetId", "GetId", "GetCredentialsForIdentity"]
    );
}

#[tokio::test]
async fn expired_credentials_are_renewed_once_and_the_request_sent_again() {
    let world = World::new();
    let provider = world.provider();
    let who = provider.identity().await.unwrap();
    let transport = world.transport(&provider);
    world.asked();
    let expired = r#"{"__type":"ExpiredTokenException","message":"m"}"#;
    world.mishap(Mishap::Answer(403, expired));
    listed(&transport, &who.id).await;
    assert_eq!(world.asked(), ["GET", "GetCredentialsForIdentity", "GET"]);
}

#[tokio::test]
async fn credentials_of_a_server_that_lost_its_key_are_renewed() {
    let world = World::new();
    let storage = Arc::new(MemoryStorage::new());
    *world.cloud.gate.lock().unwrap() = gate([1; 32], &storage, true);
    let provider = world.provider();
    let who = provider.identity().await.unwrap();
    let transport = world.transport(&provider);
    push(&transport, &who.id).await;
    *world.cloud.gate.lock().unwrap() = gate([2; 32], &storage, true);
    world.asked();
    assert!(listed(&transport, &who.id).await.dataset_exists);
    assert_eq!(world.asked(), ["GET", "GetCredentialsForIdentity", "GET"]);
}

#[tokio::test]
async fn trap_50_expiry_goes_by_the_services_clock() {
    let world = World::new();
    world
        .cloud
        .date_ahead_seconds
        .store(-2 * 3_600, Ordering::SeqCst);
    let provider = world.provider();
    let first = provider.credentials().await.unwrap();
    assert!(
        first.expires_at.unwrap() < world.clock.now(),
        "as our clock has it"
    );
    assert_eq!(provider.credentials().await.unwrap(), first);
    world.pass(HOUR_MILLIS - EARLY_MILLIS);
    assert_ne!(provider.credentials().await.unwrap(), first);
}

/// A world in which Ann has an identity of her own, by another device.
async fn with_ann() -> (World, IdentityId) {
    let world = World::new();
    world.log_in("ann");
    let device = World {
        cache: Arc::new(MemoryCache::default()),
        cloud: world.cloud.clone(),
        clock: world.clock.clone(),
        who: world.who.clone(),
        waits: Waits::default(),
    };
    let ann = device.provider().identity().await.unwrap().id;
    *world.who.0.lock().unwrap() = None;
    (world, ann)
}

#[tokio::test]
async fn trap_30_merged_guest_is_told_and_its_session_signs_no_more() {
    let (world, ann) = with_ann().await;
    let provider = world.provider();
    let guest = provider.identity().await.unwrap().id;
    let transport = world.transport(&provider);
    push(&transport, &guest).await;
    world.log_in("ann");
    listed(&transport, &guest).await;
    provider.logins_changed();
    world.asked();
    let error = transport.exchange(list(&guest)).await.unwrap_err();
    let ExchangeError::Credentials(CredentialsError::OtherIdentity { asked, now }) = &error else {
        panic!("{error:?}")
    };
    assert_eq!((asked, now), (&guest, &ann));
    assert_eq!(
        (error.retry(), error.outcome_unknown()),
        (Retry::Never, false)
    );
    assert_eq!(world.asked(), REFRESH, "nothing was sent for the guest");
    let who = provider.identity().await.unwrap();
    assert_eq!(
        (who.id, who.origin),
        (ann.clone(), Origin::Merged(guest.clone()))
    );
    assert_eq!(world.cache.get(&pool()).await.unwrap(), Some(ann.clone()));
    let merged = listed(&transport, &ann).await.merged_dataset_names;
    assert_eq!(merged, [format!("notes.{guest}")]);
}

#[tokio::test]
async fn trap_30_renewal_that_finds_another_identity_signs_nothing() {
    let world = World::new();
    let provider = world.provider();
    let guest = provider.identity().await.unwrap().id;
    let transport = world.transport(&provider);
    *world.cloud.gate.lock().unwrap() = gate([3; 32], &Arc::default(), true);
    let expired = r#"{"__type":"ExpiredTokenException","message":"m"}"#;
    world.mishap(Mishap::Answer(403, expired));
    world.asked();
    let error = transport.exchange(list(&guest)).await.unwrap_err();
    let other = matches!(
        error,
        ExchangeError::Credentials(CredentialsError::OtherIdentity { .. })
    );
    assert!(other, "{error:?}");
    let asked = world.asked();
    assert_eq!(asked[0], "GET");
    assert!(!asked[1..].contains(&"GET".to_owned()), "{asked:?}");
}

#[tokio::test]
async fn guest_that_logs_in_for_the_first_time_stays_who_it_is() {
    let world = World::new();
    let provider = world.provider();
    let guest = provider.identity().await.unwrap();
    world.log_in("ann");
    provider.logins_changed();
    assert_eq!(provider.identity().await.unwrap(), guest);
}

#[tokio::test]
async fn identity_that_the_service_lost_is_replaced_and_named() {
    let world = World::new();
    let lost = world.provider().identity().await.unwrap().id;
    *world.cloud.gate.lock().unwrap() = gate([3; 32], &Arc::default(), true);
    let provider = world.provider();
    world.asked();
    let who = provider.identity().await.unwrap();
    assert_ne!(who.id, lost);
    assert_eq!(who.origin, Origin::Lost(lost));
    let asked = [
        "GetCredentialsForIdentity",
        "GetId",
        "GetCredentialsForIdentity",
    ];
    assert_eq!(world.asked(), asked);
    assert_eq!(world.cache.get(&pool()).await.unwrap(), Some(who.id));
}

#[tokio::test]
async fn trap_31_somebody_else_gets_their_own_identity() {
    let world = World::new();
    world.log_in("ann");
    let provider = world.provider();
    let ann = provider.identity().await.unwrap().id;
    world.log_in("bob");
    provider.logins_changed();
    let bob = provider.identity().await.unwrap();
    assert_ne!(bob.id, ann);
    assert_eq!(bob.origin, Origin::Refused(ann.clone()));
    world.log_in("ann");
    provider.logins_changed();
    let again = provider.identity().await.unwrap();
    assert_eq!((again.id, again.origin), (ann, Origin::Refused(bob.id)));
}

#[tokio::test]
async fn merge_whose_answer_was_lost_is_told_as_one() {
    // The answer to one attempt, or those to all that a call makes.
    for lost in [1, 20] {
        let (world, ann) = with_ann().await;
        let provider = world.provider();
        let guest = provider.identity().await.unwrap().id;
        world.log_in("ann");
        provider.logins_changed();
        (0..lost).for_each(|_| world.mishap(Mishap::AnswerLost));
        let who = match provider.identity().await {
            Ok(who) => who,
            Err(_) => {
                world.cloud.mishaps.lock().unwrap().clear();
                provider.identity().await.unwrap()
            }
        };
        assert_eq!((who.id, who.origin), (ann, Origin::Merged(guest)));
    }
}

/// Then nobody knows any more into whom the guest was merged.
#[tokio::test]
async fn merge_whose_answer_was_lost_to_somebody_else_shows_as_a_disabled_guest() {
    for is_another_person in [true, false] {
        let (world, ann) = with_ann().await;
        let provider = world.provider();
        let guest = provider.identity().await.unwrap().id;
        world.log_in("ann");
        provider.logins_changed();
        (0..20).for_each(|_| world.mishap(Mishap::AnswerLost));
        provider.identity().await.unwrap_err();
        world.cloud.mishaps.lock().unwrap().clear();
        let who = match is_another_person {
            true => {
                world.log_in("bob");
                provider.identity().await.unwrap()
            }
            // The process ended.
            false => world.provider().identity().await.unwrap(),
        };
        assert_eq!(who.origin, Origin::Disabled(guest));
        assert_eq!(who.id == ann, !is_another_person);
    }
}

#[tokio::test]
async fn refusal_is_told_and_drops_nothing() {
    let world = World::with(false);
    let refused = |error: CredentialsError| match error {
        CredentialsError::Refused(error) => error.code,
        other => panic!("{other:?}"),
    };
    let provider = world.provider();
    let error = provider.credentials().await.unwrap_err();
    assert_eq!(refused(error), ErrorCode::NotAuthorized);
    world.log_in("ann");
    let ann = provider.identity().await.unwrap().id;
    *world.who.0.lock().unwrap() = None;
    provider.logins_changed();
    let error = provider.credentials().await.unwrap_err();
    assert_eq!(
        refused(error),
        ErrorCode::NotAuthorized,
        "there are no guests"
    );
    assert_eq!(world.cache.get(&pool()).await.unwrap(), Some(ann));
}

#[tokio::test]
async fn credentials_of_one_are_not_used_after_another_has_logged_in() {
    let world = World::new();
    world.log_in("ann");
    let provider = world.provider();
    provider.credentials().await.unwrap();
    world.log_in("bob");
    provider.logins_changed();
    (0..4).for_each(|_| world.mishap(Mishap::NotSent));
    assert!(provider.credentials().await.is_err());
}

#[tokio::test]
async fn throttled_and_failed_requests_are_sent_again() {
    let world = World::new();
    let throttled = r#"{"__type":"TooManyRequestsException","message":"m"}"#;
    let failed = r#"{"__type":"InternalErrorException","message":"m"}"#;
    world.mishap(Mishap::Answer(400, throttled));
    world.mishap(Mishap::Answer(500, failed));
    world.mishap(Mishap::NotSent);
    world.provider().credentials().await.unwrap();
    assert_eq!(world.waits.get().len(), 3);
}

#[tokio::test]
async fn answer_that_is_none_is_an_error_that_quotes_nothing() {
    let world = World::new();
    world.mishap(Mishap::Answer(200, "<html>hidden</html>"));
    let error = world.provider().credentials().await.unwrap_err();
    assert!(
        matches!(error, CredentialsError::Unavailable(_)),
        "{error:?}"
    );
    assert!(!format!("{error:?}").contains("hidden"));
}

/// A cache whose disk is full.
#[derive(Debug)]
struct Full;

impl IdentityCache for Full {
    fn get<'a>(
        &'a self,
        _: &'a IdentityPoolId,
    ) -> BoxFuture<'a, Result<Option<IdentityId>, BoxError>> {
        Box::pin(async { Ok(None) })
    }

    fn set<'a>(
        &'a self,
        _: &'a IdentityPoolId,
        _: &'a Identity,
    ) -> BoxFuture<'a, Result<(), BoxError>> {
        Box::pin(async { Err("disk full".into()) })
    }
}

#[tokio::test]
async fn nothing_is_signed_for_an_identity_that_could_not_be_kept() {
    let world = World {
        cache: Arc::new(Full),
        ..World::new()
    };
    let error = world.provider().credentials().await.unwrap_err();
    assert!(
        matches!(error, CredentialsError::Unavailable(_)),
        "{error:?}"
    );
    assert_eq!(world.asked(), ["GetId"]);
}

#[tokio::test]
async fn guest_synchronizes_over_a_socket() {
    let storage = Arc::new(MemoryStorage::new());
    let service = Service::new(storage, [1; 32], [2; 32]);
    let config = Config::new(service, KeyPair::new("AKID", "s"));
    let config = config.with_pool(pool(), Pool::new().with_guests());
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), config)
        .await
        .unwrap();
    let url = format!("http://{}", server.local_addr());
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async { drop(stopped.await) }));
    let endpoint = || Endpoint::url(&url, "us-east-1").unwrap();
    let provider = Arc::new(IdentityPool::builder(pool(), endpoint()).build());
    let who = provider.identity().await.unwrap();
    let transport = HyperTransport::builder(endpoint(), provider).build();
    push(&transport, &who.id).await;
    assert!(listed(&transport, &who.id).await.dataset_exists);
    drop((transport, stop));
    running.await.unwrap().unwrap();
}
