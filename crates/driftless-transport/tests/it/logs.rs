//! What is logged, and what never is.

use std::io::Write;
use std::sync::{Arc, Mutex};

use driftless_transport::{
    BoxError, BoxFuture, CredentialsProvider, Endpoint, IdentityPool, LoginsSource, Transport,
};
use driftless_wire::identity::Logins;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::server::{Reply, Server};
use crate::world::{self, list, update};

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Runs some exchanges whose every secret part begins with `hidden`, and returns all that was
/// traced, at all levels, by all crates.
fn traced() -> String {
    let captured = Captured::default();
    let writer = captured.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    tracing::subscriber::with_default(subscriber, || runtime.block_on(exchanges()));
    let text = captured.0.lock().unwrap().clone();
    String::from_utf8(text).unwrap()
}

async fn exchanges() {
    let listed = r#"{"DatasetExists":true,"DatasetSyncCount":3,"SyncSessionToken":"hidden",
        "Records":[{"Key":"hidden","Value":"hidden","SyncCount":1}]}"#;
    let conflict = Reply::Answer {
        status: 409,
        headers: vec![("x-amzn-errortype", "ResourceConflictException".to_owned())],
        body: r#"{"message":"Current SyncCount for: hidden is: 5 not: 0"}"#.to_owned(),
    };
    let server = Server::start([
        Reply::error(500, "InternalErrorException"),
        Reply::ok(listed),
        conflict,
        Reply::error(400, "hidden-code"),
        Reply::ok(r#"{"Records":"hidden"}"#),
    ])
    .await;
    let transport = world::transport(server.address);
    assert_eq!(transport.exchange(list()).await.unwrap().requests, 2);
    for _ in 0..3 {
        transport.exchange(update()).await.unwrap_err();
    }
    assert_eq!(server.asked().len(), 5);
    identities().await;
}

#[derive(Debug)]
struct Hidden;

impl LoginsSource for Hidden {
    fn logins(&self) -> BoxFuture<'_, Result<Logins, BoxError>> {
        Box::pin(async { Ok(Logins::none().with("login.example", "hidden")) })
    }
}

/// Gets credentials, and is refused others twice.
async fn identities() {
    let id = r#"{"IdentityId":"us-east-1:0"}"#;
    let credentials = r#"{"IdentityId":"us-east-1:0","Credentials":{"AccessKeyId":"hidden",
        "SecretKey":"hidden","SessionToken":"hidden","Expiration":4900000000}}"#;
    let refused = Reply::Answer {
        status: 400,
        headers: Vec::new(),
        body: r#"{"__type":"NotAuthorizedException","message":"hidden"}"#.to_owned(),
    };
    let replies = [
        Reply::ok(id),
        Reply::ok(credentials),
        refused.clone(),
        refused,
    ];
    let server = Server::start(replies).await;
    let endpoint = Endpoint::url(&format!("http://{}", server.address), "us-east-1").unwrap();
    let provider = IdentityPool::builder(world::POOL.parse().unwrap(), endpoint)
        .logins(Arc::new(Hidden))
        .build();
    let given = provider.credentials().await.unwrap();
    for _ in 0..2 {
        provider.renew(&given).await.unwrap_err();
    }
    assert_eq!(server.asked().len(), 4);
}

#[test]
fn no_secret_is_in_any_span_or_event() {
    let text = traced();
    let leak = text.lines().find(|line| line.contains("hidden"));
    assert_eq!(leak, None);
    // Bytes may be shown as numbers, and a query encoded; `hidd` in decimals.
    assert!(!text.contains("104, 105, 100, 100"));
    assert!(!text.contains("lastSyncCount"));
}

#[test]
fn span_has_what_is_documented() {
    let text = traced();
    for field in [
        "operation=\"ListRecords\"",
        "operation=\"UpdateRecords\"",
        "operation=\"GetCredentialsForIdentity\"",
        "code=\"NotAuthorizedException\"",
        "dataset=\"notes\"",
        "attempt=2",
        "status=409",
        "code=\"ResourceConflictException\"",
        "code=\"Unknown\"",
        "bytes_up=",
        "bytes_down=",
        "wait_ms=",
    ] {
        assert!(text.contains(field), "{field} is missing in\n{text}");
    }
}
