//! What is logged, and what never is: secrets stand in keys, values, texts, credentials and tokens
//! here, and in no span and no event.

use std::io::Write;
use std::sync::{Arc, Mutex};

use driftless::transport::{Credentials, Endpoint, HyperTransport, StaticCredentials};
use driftless::{Client, Dataset};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::service::{IDENTITY, POOL, Service};

/// Every secret has this in it.
const HIDDEN: &str = "hidden";
const SECRET: &str = "hidden-secret-key";

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

/// Returns all that was traced by `run`, at all levels, by all crates, on all threads of a runtime.
fn traced(run: impl Future<Output = ()>) -> String {
    let captured = Captured::default();
    let writer = captured.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let dispatch = tracing::Dispatch::new(subscriber);
    let for_threads = dispatch.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .on_thread_start(move || {
            // For as long as the thread lives.
            std::mem::forget(tracing::dispatcher::set_default(&for_threads));
        })
        .build()
        .unwrap();
    tracing::dispatcher::with_default(&dispatch, || runtime.block_on(run));
    drop(runtime);
    let text = captured.0.lock().unwrap().clone();
    String::from_utf8(text).unwrap()
}

fn edit(notes: &Dataset, number: i64) {
    notes
        .put(
            format!("hidden key {number}"),
            format!("hidden value {number}"),
        )
        .unwrap();
    notes.put("bytes", b"hidden bytes".as_slice()).unwrap();
    notes
        .splice_text("hidden text", 0, 0, "hidden words")
        .unwrap();
    notes.increment("hidden count", number).unwrap();
    notes.put("", HIDDEN).unwrap_err();
}

fn device(service: &Service, secret: &str) -> Client {
    let credentials = StaticCredentials::new(Credentials {
        access_key_id: "AKIDTEST".to_owned(),
        secret_access_key: secret.to_owned(),
        session_token: Some("hidden-session-token".to_owned()),
        expires_at: None,
    });
    let endpoint = Endpoint::url(&service.url, "us-east-1").unwrap();
    let transport = HyperTransport::builder(endpoint, Arc::new(credentials)).build();
    Client::with_store(Arc::new(driftless_store::MemoryStore::new()))
        .pool(POOL.parse().unwrap())
        .identity(IDENTITY.parse().unwrap())
        .transport(Arc::new(transport))
        .open()
        .unwrap()
}

async fn life(service: &Service) {
    let (phone, tablet) = (device(service, SECRET), device(service, SECRET));
    let (a, b) = (
        phone.dataset("notes").unwrap(),
        tablet.dataset("notes").unwrap(),
    );
    let mut changes = a.changes();
    for number in 0..3 {
        edit(&a, number);
        edit(&b, number);
        a.synchronize().await.unwrap();
        b.synchronize().await.unwrap();
        a.synchronize().await.unwrap();
    }
    assert_eq!(a.state(), b.state());
    while changes.try_next().is_some() {}
    // Two at once, so that there is a conflict; then a deletion, and a wrong secret.
    edit(&a, 8);
    edit(&b, 9);
    let (first, second) = tokio::join!(a.synchronize(), b.synchronize());
    first.unwrap();
    second.unwrap();
    phone.remote_datasets().await.unwrap();
    a.delete().unwrap();
    a.synchronize().await.unwrap();
    b.synchronize().await.unwrap();
    let stranger = device(service, "hidden-other-key")
        .dataset("notes")
        .unwrap();
    edit(&stranger, 1);
    stranger.synchronize().await.unwrap_err();
    phone.close().unwrap();
}

#[test]
fn no_secret_is_in_any_span_or_event() {
    // The service has a runtime of its own: this is about what a device logs.
    let elsewhere = tokio::runtime::Runtime::new().unwrap();
    let service = elsewhere.block_on(Service::start_with(SECRET));
    let text = traced(life(&service));
    assert_eq!(text.lines().find(|line| line.contains(HIDDEN)), None);
    // Bytes may be shown as numbers, `hidd` in decimals, and keys in a path are encoded.
    assert!(!text.contains("104, 105, 100, 100"));
    assert!(!text.contains("_driftless."));
    for field in [
        "synchronize{dataset=notes",
        "request{operation=",
        "requests=2",
        "bytes_up=",
        "bytes_down=",
        "changed_here=",
        "changed_there=",
        "conflicts=",
        "outcome=\"synced\"",
        "outcome=\"failed\"",
        "error=a request to the service failed",
    ] {
        assert!(text.contains(field), "{field} is missing in\n{text}");
    }
}
