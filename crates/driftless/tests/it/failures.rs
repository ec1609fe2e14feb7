//! What goes wrong between a device, its disk and its service, case by case: each ends in one typed error that tells whether to
//! try again, says what happened, what is safe and what to do, keeps the edits, and is over once its cause is.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use driftless::transport::{
    Clock, Credentials, Endpoint, ExchangeError, HyperTransport, Retry, StaticCredentials,
    SystemClock,
};
use driftless::{Client, Dataset, OpenError, SyncError};
use driftless_store::{MemoryStore, Store};
use driftless_wire::limits::DATASETS_PER_IDENTITY;
use driftless_wire::{ErrorCode, Timestamp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::fake::{Fake, NoPause};
use crate::service::{IDENTITY, POOL, SECRET, Service};

/// Opens a dataset with an edit, whose service is at an address; the device's clock goes wrong by some milliseconds.
fn notes_at(store: &Arc<MemoryStore>, url: &str, clock: i64) -> Dataset {
    let credentials = StaticCredentials::new(Credentials {
        access_key_id: "AKIDTEST".to_owned(),
        secret_access_key: SECRET.to_owned(),
        session_token: None,
        expires_at: None,
    });
    let endpoint = Endpoint::url(url, "us-east-1").unwrap();
    let transport = HyperTransport::builder(endpoint, Arc::new(credentials));
    let transport = transport
        .timer(Arc::new(NoPause))
        .clock(Arc::new(WrongBy(clock)));
    let client = Client::with_store(Arc::clone(store) as Arc<dyn Store>)
        .pool(POOL.parse().unwrap())
        .identity(IDENTITY.parse().unwrap())
        .transport(Arc::new(transport.build()))
        .timer(Arc::new(NoPause))
        .open()
        .unwrap();
    let notes = client.dataset("notes").unwrap();
    notes.put("key", 1).unwrap();
    notes
}

#[derive(Debug)]
struct WrongBy(i64);

impl Clock for WrongBy {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(SystemClock.now().as_millis() + self.0)
    }
}

/// Checks the text of an error, with those of its causes: what happened, what is safe, what to do.
pub(crate) fn check_text(error: &dyn Error, [happened, safe, to_do]: [&str; 3]) {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    for part in [happened, safe, to_do] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
}

/// Fails at an address, and checks that the edit is there, waits, and goes through once the service is another one.
async fn failed(url: &str, happened: &str, to_do: &str) -> Arc<ExchangeError> {
    let store = Arc::new(MemoryStore::new());
    let notes = notes_at(&store, url, 0);
    let failed = notes.synchronize().await.unwrap_err();
    check_text(&failed, [happened, "edits are kept and wait", to_do]);
    let SyncError::Request(error) = failed else {
        panic!("{failed:?}")
    };
    assert!(notes.has_unsynced());
    drop(notes);
    let service = Service::start().await;
    let notes = notes_at(&store, &service.url, 0);
    assert!(
        notes
            .synchronize()
            .await
            .unwrap()
            .changed_there
            .contains("key")
    );
    error
}

/// A service that answers all with the same error, and counts how often it is asked.
async fn refusing(status: &'static str, code: &'static str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 16_384];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            counter.fetch_add(1, Ordering::SeqCst);
            let head = format!("HTTP/1.1 {status}\r\nx-amzn-ErrorType: {code}\r\n");
            let rest = "connection: close\r\ncontent-length: 17\r\n\r\n{\"message\":\"why\"}";
            stream.write_all((head + rest).as_bytes()).await.unwrap();
        }
    });
    (url, asked)
}

async fn check_refusal(status: &'static str, code: ErrorCode, retry: Retry, to_do: &str) -> usize {
    let name: &'static str = Box::leak(code.name().to_owned().into_boxed_str());
    let (url, asked) = refusing(status, name).await;
    let error = failed(&url, name, to_do).await;
    assert_eq!(error.api().unwrap().code, code);
    assert_eq!(error.retry(), retry);
    asked.load(Ordering::SeqCst)
}

/// What to do where there is no connection.
const REACHED: &str = "once the service can be reached";

#[tokio::test]
async fn name_that_nobody_knows_is_no_connection() {
    // No resolver is asked: a label of a name has at most 63 characters.
    let url = format!("http://{}.example", "a".repeat(64));
    let error = failed(&url, "cannot connect to the service", REACHED).await;
    assert!(matches!(*error, ExchangeError::Connect(_)), "{error:?}");
    assert_eq!(error.retry(), Retry::Later);
}

#[tokio::test]
async fn device_without_a_network_waits_for_one() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = failed(&url, "cannot connect to the service", REACHED).await;
    assert!(matches!(*error, ExchangeError::Connect(_)), "{error:?}");
    assert_eq!(error.retry(), Retry::Later);
}

#[tokio::test]
async fn service_that_speaks_no_tls_is_no_connection() {
    let (url, _) = refusing("400 Bad Request", "NoTls").await;
    let url = url.replace("http:", "https:");
    let error = failed(&url, "cannot connect to the service", REACHED).await;
    assert!(matches!(*error, ExchangeError::Connect(_)), "{error:?}");
}

#[tokio::test]
async fn expired_token_and_wrong_region_are_told_and_not_tried_again_and_again() {
    let never = Retry::Never;
    for (code, to_do) in [
        (ErrorCode::ExpiredToken, "renew the credentials"),
        (
            ErrorCode::InvalidSignature,
            "check the secret key, the region and the clock",
        ),
        (
            ErrorCode::NotAuthorized,
            "check what the credentials may do",
        ),
    ] {
        let asked = check_refusal("403 Forbidden", code, never, to_do).await;
        // At most once more, with other credentials or a clock that was set right.
        assert!(asked <= 2, "asked {asked} times");
    }
}

#[tokio::test]
async fn trap_22_storm_of_429_is_given_up_for_now() {
    let code = ErrorCode::TooManyRequests;
    let to_do = "synchronize again later";
    let asked = check_refusal("429 Too Many Requests", code, Retry::Later, to_do).await;
    assert!((2..=10).contains(&asked), "asked {asked} times");
}

#[tokio::test]
async fn trap_50_clock_that_is_off_by_an_hour_is_set_right() {
    let service = Service::start().await;
    for hour in [-3_600_000, 3_600_000] {
        let store = Arc::new(MemoryStore::new());
        let notes = notes_at(&store, &service.url, hour);
        notes.put("hour", hour).unwrap();
        notes.synchronize().await.unwrap();
        assert!(!notes.has_unsynced());
        // Once is enough.
        assert_eq!(notes.synchronize().await.unwrap().requests, 1);
    }
}

#[tokio::test]
async fn dataset_beyond_the_quota_waits_until_another_one_goes() {
    let fake = Fake::new();
    let client = fake.device();
    let push = async |name: &str| {
        let dataset = client.dataset(name).unwrap();
        dataset.put("key", name).unwrap();
        dataset.synchronize().await
    };
    for number in 0..DATASETS_PER_IDENTITY {
        push(&format!("dataset-{number}")).await.unwrap();
    }
    let catalog = client.refresh().await.unwrap();
    assert_eq!(
        catalog.taken(),
        (DATASETS_PER_IDENTITY, DATASETS_PER_IDENTITY)
    );
    let failed = push("one-more").await.unwrap_err();
    let to_do = "delete a dataset that is not needed";
    check_text(&failed, ["LimitExceeded", "edits are kept and wait", to_do]);
    let SyncError::Request(error) = failed else {
        panic!("{failed:?}")
    };
    assert_eq!(error.api().unwrap().code, ErrorCode::LimitExceeded);
    assert_eq!(error.retry(), Retry::Never);
    let waiting = client.dataset("one-more").unwrap();
    assert!(waiting.has_unsynced() && waiting.contains_key("key"));
    // The others go on.
    push("dataset-7").await.unwrap();
    let gone = client.dataset("dataset-0").unwrap();
    gone.delete().unwrap();
    gone.synchronize().await.unwrap();
    waiting.synchronize().await.unwrap();
    assert!(!waiting.has_unsynced());
}

#[test]
fn place_that_cannot_hold_a_store_is_told_and_left() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    std::fs::write(&file, "not a store").unwrap();
    for place in [file.clone(), file.join("below")] {
        let opened = Client::builder(place).pool(POOL.parse().unwrap()).open();
        assert!(matches!(opened, Err(OpenError::Store(_))), "{opened:?}");
    }
    assert_eq!(std::fs::read(&file).unwrap(), b"not a store");
}

/// No permission of a file binds the superuser, but sysfs takes no directory from anybody.
#[cfg(target_os = "linux")]
#[test]
fn place_that_takes_no_writes_is_told() {
    let opened = Client::builder("/sys/driftless").pool(POOL.parse().unwrap());
    let error = opened.open().unwrap_err();
    assert!(
        matches!(
            error,
            OpenError::Store(driftless_store::OpenError::NotWritable(_))
        ),
        "{error:?}"
    );
    let happened = "the directory cannot be written to";
    check_text(
        &error,
        [
            happened,
            "what is in it was left",
            "choose another directory",
        ],
    );
}
