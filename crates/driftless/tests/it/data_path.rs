//! The bytes in `docs/data-path.md` are the bytes that one small value really takes.

use std::sync::{Arc, Mutex};

use driftless::document::State;
use driftless::transport::{BoxFuture, Clock, ExchangeError, Exchanged, Transport};
use driftless::{Client, Durability};
use driftless_merge::{DatasetKey, Owner};
use driftless_server::{Caller, MemoryStorage, Service};
use driftless_store::{MemoryStore, Store};
use driftless_wire::{Request, Timestamp};

use crate::service::{IDENTITY, POOL};

const NOW: Timestamp = Timestamp::from_millis(1_795_478_400_000);

#[derive(Debug)]
struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        NOW
    }
}

/// Answers from the server core, and keeps the requests.
struct Direct {
    core: Service,
    seen: Mutex<Vec<Request>>,
}

impl Transport for Direct {
    fn exchange(&self, request: Request) -> BoxFuture<'_, Result<Exchanged, ExchangeError>> {
        self.seen.lock().unwrap().push(request.clone());
        let answer = self.core.handle(request, &Caller::Operator, NOW);
        Box::pin(async move {
            let response = answer.map_err(ExchangeError::Api)?;
            Ok(Exchanged {
                response,
                bytes_up: 0,
                bytes_down: 0,
                requests: 1,
            })
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn documented_bytes_are_the_real_ones() {
    let store = Arc::new(MemoryStore::new());
    let core = Service::new(Arc::new(MemoryStorage::new()), [1; 32], [2; 32]);
    let transport = Arc::new(Direct {
        core,
        seen: Mutex::default(),
    });
    let client = Client::with_store(Arc::clone(&store) as Arc<dyn Store>)
        .pool(POOL.parse().unwrap())
        .identity(IDENTITY.parse().unwrap())
        .transport(Arc::clone(&transport) as Arc<dyn Transport>)
        .clock(Arc::new(Noon))
        .seed([3; 32])
        .durability(Durability::Disk)
        .open()
        .unwrap();
    let settings = client.dataset("settings").unwrap();
    settings.put("language", "en").unwrap();
    settings.synchronize().await.unwrap();
    let before: State = settings.state();
    settings.put("theme", "dark").unwrap();

    let mut facts = vec![format!("{}", settings.conflicts("theme")[0].id)];
    let key = DatasetKey::new(
        Owner::Identity(IDENTITY.parse().unwrap()),
        "settings".parse().unwrap(),
    );
    let row = store.recover(&key).unwrap().unwrap().deltas.pop().unwrap();
    facts.push(hex(&row));
    let delta = settings.state().diff(&before);
    assert_eq!(driftless_record::encode(&delta, before.clock()), row);

    assert_eq!(settings.synchronize().await.unwrap().requests, 2);
    let request = transport.seen.lock().unwrap().pop().unwrap();
    let Request::UpdateRecords(mut update) = request else {
        panic!("the last request is the push")
    };
    update.sync_session_token = "TOKEN".to_owned().into();
    let http = Request::UpdateRecords(update.clone()).to_http();
    for patch in &update.record_patches {
        facts.push(format!("{} = {}", patch.key, patch.value.as_ref().unwrap()));
    }
    facts.push(format!("{} {}", http.method.as_str(), http.path));
    facts.push(String::from_utf8(http.body).unwrap());

    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/data-path.md");
    let text = std::fs::read_to_string(path).unwrap();
    for fact in &facts {
        assert!(
            text.contains(fact),
            "docs/data-path.md must say\n{}",
            facts.join("\n\n")
        );
    }
}
