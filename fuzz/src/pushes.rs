//! Pushes of the service, which anybody may forge.

use std::pin::pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Waker};

use driftless::{Client, PushError, SyncError, Work, Workers};
use driftless_store::MemoryStore;
use serde_json::Value;

const POOL: &str = "us-east-1:00000000-0000-0000-0000-000000000001";
const IDENTITY: &str = "us-east-1:00000000-0000-0000-0000-00000000000a";

/// The datasets that the device has, before and after.
const DATASETS: [&str; 1] = ["notes"];

/// A device without a way to the service, so that a push that is believed ends where it would be asked.
static DEVICE: LazyLock<Client> = LazyLock::new(|| {
    let store: Arc<dyn driftless_store::Store> = Arc::new(MemoryStore::new());
    let builder = Client::with_store(store)
        .workers(Arc::new(OnTheSpot))
        .seed([7; 32]);
    let builder = builder.pool(POOL.parse().expect("it is a pool"));
    let builder = builder.identity(IDENTITY.parse().expect("it is an identity"));
    let client = builder.open().expect("memory can be opened");
    for name in DATASETS {
        let dataset = client.dataset(name).expect("it is a name");
        dataset.put("key", 1).expect("there is room");
    }
    client
});

/// Hands a push to a device: it is refused, or believed only if it says that it is the service's, for this identity and a
/// dataset that is there. Nothing of it stays.
pub fn push_payload(bytes: &[u8]) {
    let Ok(payload) = std::str::from_utf8(bytes) else {
        return;
    };
    let handled = pin!(DEVICE.handle_push(payload));
    let Poll::Ready(handled) = handled.poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("there is nothing to wait for")
    };
    match handled {
        Err(PushError::Foreign) => {}
        Err(PushError::OtherIdentity | PushError::UnknownDataset(_)) => {
            assert!(payload.contains("cognito-sync") || payload.contains('\\'));
        }
        // Believed: the device is behind, or it is not.
        Err(PushError::Sync(SyncError::NoTransport)) | Ok(None) => check_believed(payload),
        other => panic!("{other:?}"),
    }
    let names = DEVICE.datasets().expect("memory can be read");
    assert!(names.iter().map(|name| name.as_str()).eq(DATASETS));
}

fn check_believed(payload: &str) {
    let value: Value = serde_json::from_str(payload).expect("what is believed is JSON");
    let is_meant = is_for_us(&value) || value.get("data").is_some_and(is_for_us);
    assert!(is_meant, "{payload}");
}

fn is_for_us(message: &Value) -> bool {
    let says = |member: &str, text: &str| message.get(member).is_some_and(|found| found == text);
    let count = message.get("syncCount");
    says("source", "cognito-sync")
        && says("identityPoolId", POOL)
        && says("identityId", IDENTITY)
        && says("datasetName", DATASETS[0])
        && count.is_some_and(|count| count.is_string() || count.is_i64())
}

/// Does work on the spot, so that there is no runtime to wait for.
#[derive(Debug)]
struct OnTheSpot;

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
