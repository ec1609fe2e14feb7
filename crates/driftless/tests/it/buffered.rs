//! Edits that only the system's buffers hold, and a loss of power.

use std::sync::Arc;

use driftless::Durability;
use driftless_store::MemoryStore;

use crate::fake::Fake;

#[tokio::test]
async fn what_was_pushed_survives_a_loss_of_power_also_where_edits_are_only_buffered() {
    let service = Fake::new();
    let store = Arc::new(MemoryStore::new());
    let device = service
        .builder(&store)
        .durability(Durability::Buffered)
        .open()
        .unwrap();
    let notes = device.dataset("notes").unwrap();
    notes.put("pushed", 1).unwrap();
    notes.synchronize().await.unwrap();
    notes.put("pushed", 2).unwrap();
    notes.synchronize().await.unwrap();
    let pushed = notes.state();
    notes.put("lost", 1).unwrap();

    store.crash();
    let device = service.builder(&Arc::new(store.reopen())).open().unwrap();
    let notes = device.dataset("notes").unwrap();
    assert_eq!(
        notes.state(),
        pushed,
        "op ids that were sent would be given out again"
    );
    assert_eq!(notes.get("lost"), None);

    notes.put("later", 1).unwrap();
    notes.synchronize().await.unwrap();
    let other = service.device();
    let others = other.dataset("notes").unwrap();
    others.synchronize().await.unwrap();
    assert_eq!(others.state(), notes.state());
}
