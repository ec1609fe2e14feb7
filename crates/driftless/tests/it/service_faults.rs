//! A service that refuses, is down, talks nonsense or holds damaged records: a typed error or a
//! repair, and no edit lost.

use std::sync::Arc;

use driftless::transport::{
    Credentials, Endpoint, ExchangeError, HyperTransport, Retry, StaticCredentials,
};
use driftless::{Client, Dataset, SessionError, SyncError};
use driftless_store::MemoryStore;
use driftless_wire::Operation::{self, ListRecords, UpdateRecords};
use driftless_wire::{ErrorCode, ListDatasetsResponse, Response, UpdateRecordsResponse};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::failures::check_text;
use crate::fake::{Fake, Fault, NoPause};
use crate::service::{IDENTITY, POOL, SECRET, Service};

/// Opens a dataset with an edit in it, whose service is at an address.
fn dataset_at(url: &str) -> (Client, Dataset) {
    let credentials = StaticCredentials::new(Credentials {
        access_key_id: "AKIDTEST".to_owned(),
        secret_access_key: SECRET.to_owned(),
        session_token: None,
        expires_at: None,
    });
    let endpoint = Endpoint::url(url, "us-east-1").unwrap();
    let transport =
        HyperTransport::builder(endpoint, Arc::new(credentials)).timer(Arc::new(NoPause));
    let client = Client::with_store(Arc::new(MemoryStore::new()))
        .pool(POOL.parse().unwrap())
        .identity(IDENTITY.parse().unwrap())
        .transport(Arc::new(transport.build()))
        .timer(Arc::new(NoPause))
        .open()
        .unwrap();
    let notes = client.dataset("notes").unwrap();
    notes.put("key", 1).unwrap();
    (client, notes)
}

/// Checks that a synchronization fails, and that nothing is lost by it; returns why.
async fn failed(notes: &Dataset) -> SyncError {
    let before = notes.state();
    let error = notes.synchronize().await.unwrap_err();
    assert_eq!(notes.state(), before);
    assert!(notes.has_unsynced());
    notes.put("after", 2).unwrap();
    notes.remove("after").unwrap();
    error
}

fn exchange(error: SyncError) -> Arc<ExchangeError> {
    match error {
        SyncError::Request(error) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn wrong_secret_is_told_and_the_right_one_works() {
    let service = Service::start().await;
    let home = tempfile::tempdir().unwrap();
    let client = service
        .builder(home.path(), "another secret")
        .open()
        .unwrap();
    let notes = client.dataset("notes").unwrap();
    notes.put("key", 1).unwrap();
    let error = failed(&notes).await;
    let to_do = "check the secret key, the region and the clock";
    check_text(
        &error,
        ["InvalidSignature", "edits are kept and wait", to_do],
    );
    let error = exchange(error);
    assert_eq!(error.api().unwrap().code, ErrorCode::InvalidSignature);
    assert_eq!(error.retry(), Retry::Never);
    client.close().unwrap();
    let client = service.builder(home.path(), SECRET).open().unwrap();
    let notes = client.dataset("notes").unwrap();
    notes.synchronize().await.unwrap();
    assert!(notes.contains_key("key") && !notes.has_unsynced());
}

#[tokio::test]
async fn service_that_is_down_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (client, notes) = dataset_at(&url);
    let error = exchange(failed(&notes).await);
    assert!(matches!(*error, ExchangeError::Connect(_)), "{error:?}");
    assert_eq!(error.retry(), Retry::Later);
    assert!(matches!(
        client.remote_datasets().await,
        Err(SyncError::Request(_))
    ));
}

/// Answers every connection with the same bytes.
async fn parrot(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 16_384];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            // The client may have heard enough.
            stream.write_all(answer.as_bytes()).await.ok();
        }
    });
    url
}

async fn check_nonsense(answer: &'static str, expected: fn(&ExchangeError) -> bool) {
    let (_, notes) = dataset_at(&parrot(answer).await);
    let error = exchange(failed(&notes).await);
    assert!(expected(&error), "{answer:?} gave {error:?}");
}

#[tokio::test]
async fn nonsense_of_a_service_is_told() {
    let bad = |error: &ExchangeError| matches!(error, ExchangeError::BadAnswer(_));
    let lost = |error: &ExchangeError| matches!(error, ExchangeError::Interrupted(_));
    let api = |error: &ExchangeError| error.api().is_some();
    check_nonsense("\0\u{1}\u{2} no http at all \u{3}", lost).await;
    check_nonsense("", lost).await;
    let portal = "HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n<html>log in!</html>";
    check_nonsense(portal, bad).await;
    check_nonsense("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", bad).await;
    check_nonsense("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]", bad).await;
    check_nonsense("HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{", lost).await;
    check_nonsense(
        "HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\nnope",
        api,
    )
    .await;
    check_nonsense(
        "HTTP/1.1 302 Found\r\nlocation: /login\r\ncontent-length: 0\r\n\r\n",
        api,
    )
    .await;
}

/// An answer that is well formed and of no use: the session ends, and the next one is well.
async fn check_lie(operation: Operation, lie: Response) -> SyncError {
    let fake = Fake::new();
    let notes = fake.device().dataset("notes").unwrap();
    notes.put("key", 1).unwrap();
    for _ in 0..1_100 {
        fake.fail(operation, Fault::Instead(lie.clone()));
    }
    let error = failed(&notes).await;
    fake.forgive();
    notes.synchronize().await.unwrap();
    let other = fake.device().dataset("notes").unwrap();
    other.synchronize().await.unwrap();
    assert_eq!(other.state(), notes.state());
    assert!(!notes.has_unsynced());
    error
}

#[tokio::test]
async fn lies_of_a_service_are_told_and_lose_nothing() {
    let empty = UpdateRecordsResponse {
        records: Vec::new(),
    };
    let error = check_lie(ListRecords, Response::UpdateRecords(empty)).await;
    assert!(matches!(error, SyncError::WrongAnswer), "{error:?}");
    // Nothing to push with.
    let error = check_lie(
        ListRecords,
        list(r#"{"DatasetExists":false,"DatasetSyncCount":0}"#),
    )
    .await;
    assert!(matches!(error, SyncError::Session(_)), "{error:?}");
    // Another page, for ever.
    let endless = r#"{"DatasetExists":false,"DatasetSyncCount":0,"NextToken":"more"}"#;
    let error = check_lie(ListRecords, list(endless)).await;
    assert!(matches!(error, SyncError::Session(_)), "{error:?}");
}

fn list(body: &str) -> Response {
    Response::from_body(ListRecords, body.as_bytes()).unwrap()
}

/// The push stands and its answer does not show it: a list does.
#[tokio::test]
async fn answer_that_does_not_show_the_push_is_not_believed() {
    let fake = Fake::new();
    let notes = fake.device().dataset("notes").unwrap();
    notes.increment("count", 1).unwrap();
    let empty = UpdateRecordsResponse {
        records: Vec::new(),
    };
    fake.fail(
        UpdateRecords,
        Fault::Instead(Response::UpdateRecords(empty)),
    );
    notes.synchronize().await.unwrap();
    assert_eq!(fake.requests(), [ListRecords, UpdateRecords, ListRecords]);
    assert!(!notes.has_unsynced());
    assert_eq!(notes.synchronize().await.unwrap().requests, 1);
}

#[tokio::test]
async fn list_of_datasets_without_an_end_is_cut_off() {
    let fake = Fake::new();
    let client = fake.device();
    for _ in 0..2_000 {
        let page = ListDatasetsResponse {
            datasets: Vec::new(),
            count: 0,
            next_token: Some("more".to_owned()),
        };
        fake.fail(
            Operation::ListDatasets,
            Fault::Instead(Response::ListDatasets(page)),
        );
    }
    let error = client.remote_datasets().await.unwrap_err();
    assert!(matches!(error, SyncError::Session(_)), "{error:?}");
}

/// Changes one character in the middle.
fn flip(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let at = bytes.len() / 2;
    bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
    String::from_utf8(bytes).unwrap()
}

/// A dataset with a base and some logs at the service, and two devices that know it.
async fn with_logs() -> (Arc<Fake>, Dataset, Dataset) {
    let fake = Fake::new();
    let (a, b) = (
        fake.device().dataset("notes").unwrap(),
        fake.device().dataset("notes").unwrap(),
    );
    // A base that outweighs the logs after it, so that they stay.
    a.put_all((0..200).map(|n| (format!("key{n}"), n.into())))
        .unwrap();
    a.synchronize().await.unwrap();
    for round in 0..3 {
        a.put("edited", round).unwrap();
        a.increment("count", 1).unwrap();
        a.synchronize().await.unwrap();
    }
    b.synchronize().await.unwrap();
    (fake, a, b)
}

async fn check_damage(key: &str, is_removed: bool) {
    let (fake, a, b) = with_logs().await;
    b.put("unsynced", true).unwrap();
    let records = fake.records("notes");
    let stands = records
        .iter()
        .find(|record| record.key.as_str() == key)
        .unwrap();
    let damaged = (!is_removed).then(|| flip(stands.value.as_ref().unwrap()));
    fake.overwrite("notes", key, damaged.as_deref());

    let report = b.synchronize().await.unwrap();
    assert!(report.repaired, "{key} removed: {is_removed}: {report:?}");
    a.synchronize().await.unwrap();
    let fresh = fake.device().dataset("notes").unwrap();
    fresh.synchronize().await.unwrap();
    assert_eq!((a.state(), fresh.state()), (b.state(), b.state()), "{key}");
    assert_eq!(
        (fresh.len(), fresh.counter("count")),
        (203, Some(3)),
        "{key}"
    );
    assert!(!fresh.synchronize().await.unwrap().repaired);
}

#[tokio::test]
async fn damaged_record_is_repaired_by_the_next_synchronization() {
    let (fake, ..) = with_logs().await;
    let records = fake.records("notes");
    assert_eq!(records.len(), 5);
    for record in records {
        check_damage(record.key.as_str(), false).await;
        check_damage(record.key.as_str(), true).await;
    }
}

#[tokio::test]
async fn head_of_a_later_version_is_refused_and_left() {
    let fake = Fake::new();
    let (a, b) = (
        fake.device().dataset("notes").unwrap(),
        fake.device().dataset("notes").unwrap(),
    );
    a.put("key", 1).unwrap();
    a.synchronize().await.unwrap();
    b.put("unsynced", 1).unwrap();
    let records = fake.records("notes");
    let head = records
        .iter()
        .find(|record| record.key.as_str() == "_driftless.head")
        .unwrap();
    let mut bytes = z85::decode(head.value.as_ref().unwrap()).unwrap();
    bytes[1] |= 0xf0;
    let covered = bytes.len() - 8;
    let checksum = blake3::hash(&bytes[..covered]);
    bytes[covered..].copy_from_slice(&checksum.as_bytes()[..8]);
    let later = z85::encode(bytes);
    fake.overwrite("notes", "_driftless.head", Some(&later));
    let before = fake.records("notes");
    for notes in [&a, &b] {
        notes.put("more", 2).unwrap();
        let error = failed(notes).await;
        let SyncError::Session(error) = error else {
            panic!("{error:?}")
        };
        assert!(matches!(*error, SessionError::Stored(_)), "{error:?}");
    }
    assert_eq!(fake.records("notes"), before);
}
