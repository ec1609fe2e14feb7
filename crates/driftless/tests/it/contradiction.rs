//! Two histories that give one op id to two operations, which no honest devices write.

use std::sync::Arc;

use driftless::{Client, SessionError, SyncError, Value};
use driftless_store::MemoryStore;

use crate::fake::Fake;

/// A device whose authors and lineages are those of every other one with this seed.
fn twin(service: &Arc<Fake>) -> Client {
    let store = Arc::new(MemoryStore::new());
    service.builder(&store).seed([3; 32]).open().unwrap()
}

#[tokio::test]
async fn contradicting_history_is_refused_and_nothing_is_joined() {
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
    let known = notes.state();
    device.close().unwrap();

    let device = other.builder(&Arc::new(store.reopen())).open().unwrap();
    let notes = device.dataset("notes").unwrap();
    let error = notes.synchronize().await.unwrap_err();
    assert!(
        matches!(&error, SyncError::Session(error) if matches!(**error, SessionError::Contradiction(_))),
        "{error:?}"
    );
    assert_eq!(notes.state(), known);
    assert_eq!(notes.get("key"), Some(Value::from(1)));
}
