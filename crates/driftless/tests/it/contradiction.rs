//! Two histories that give one op id to two operations, which no honest devices write.

use std::sync::Arc;

use driftless::{Client, Value};
use driftless_store::MemoryStore;

use crate::fake::Fake;

/// A device whose authors and lineages are those of every other one with this seed.
fn twin(service: &Arc<Fake>) -> Client {
    let store = Arc::new(MemoryStore::new());
    service.builder(&store).seed([3; 32]).open().unwrap()
}

#[tokio::test]
async fn contradicting_history_is_taken_and_what_it_lacks_written_again() {
    let (service, other) = (Fake::new(), Fake::new());
    let (first, second) = (twin(&service), twin(&other));
    first.dataset("notes").unwrap().put("key", 1).unwrap();
    first.dataset("notes").unwrap().synchronize().await.unwrap();
    let notes = second.dataset("notes").unwrap();
    for (key, value) in [("key", 2), ("other", 3)] {
        notes.put(key, value).unwrap();
        notes.synchronize().await.unwrap();
    }

    let store = Arc::new(MemoryStore::new());
    let device = service.builder(&store).open().unwrap();
    let notes = device.dataset("notes").unwrap();
    notes.synchronize().await.unwrap();
    notes.put("mine", 4).unwrap();
    device.close().unwrap();

    let device = other.builder(&Arc::new(store.reopen())).open().unwrap();
    let notes = device.dataset("notes").unwrap();
    notes.synchronize().await.unwrap();
    let fresh = other.device();
    let fresh = fresh.dataset("notes").unwrap();
    fresh.synchronize().await.unwrap();
    for dataset in [&notes, &fresh] {
        let found = ["key", "other", "mine"].map(|key| dataset.get(key));
        assert_eq!(found, [2, 3, 4].map(|value| Some(Value::from(value))));
    }
}
