//! Deleting a dataset: it goes everywhere, and unsynced edits of others begin a new life of it.

use std::sync::Arc;

use driftless::transport::ExchangeError;
use driftless_store::MemoryStore;
use driftless_wire::Operation::{DeleteDataset, UpdateRecords};

use crate::fake::{Fake, Fault};

#[tokio::test]
async fn deletion_reaches_other_devices() {
    let fake = Fake::new();
    let (phone, tablet) = (fake.device(), fake.device());
    let (a, b) = (
        phone.dataset("notes").unwrap(),
        tablet.dataset("notes").unwrap(),
    );
    a.put("key", 1).unwrap();
    a.splice_text("text", 0, 0, "hello").unwrap();
    a.synchronize().await.unwrap();
    b.synchronize().await.unwrap();
    assert_eq!(phone.remote_datasets().await.unwrap().len(), 1);
    a.delete().unwrap();
    assert!(a.is_empty() && a.has_unsynced());
    assert!(a.synchronize().await.unwrap().deleted);
    assert_eq!(phone.remote_datasets().await.unwrap(), []);
    assert!(!a.has_unsynced());
    let report = b.synchronize().await.unwrap();
    assert!(report.began_anew && report.changed_here.len() == 2 && report.wrote.is_none());
    assert!(b.is_empty() && !b.has_unsynced());
    assert_eq!(phone.remote_datasets().await.unwrap(), []);
}

#[tokio::test]
async fn unsynced_edits_of_another_device_create_it_anew() {
    let fake = Fake::new();
    let (a, b) = (
        fake.device().dataset("notes").unwrap(),
        fake.device().dataset("notes").unwrap(),
    );
    a.put("synced", 1).unwrap();
    a.increment("count", 10).unwrap();
    a.synchronize().await.unwrap();
    b.synchronize().await.unwrap();
    b.put("unsynced", 2).unwrap();
    b.increment("count", 1).unwrap();
    a.delete().unwrap();
    a.synchronize().await.unwrap();
    assert!(b.synchronize().await.unwrap().began_anew);
    a.synchronize().await.unwrap();
    assert_eq!(a.state(), b.state());
    assert_eq!(a.keys(), ["count", "unsynced"]);
    assert_eq!(a.counter("count"), Some(1));
}

#[tokio::test]
async fn pending_deletion_survives_a_restart_and_a_lost_answer() {
    let (fake, store) = (Fake::new(), Arc::new(MemoryStore::new()));
    let client = fake.builder(&store).open().unwrap();
    let notes = client.dataset("notes").unwrap();
    notes.put("old", 1).unwrap();
    notes.synchronize().await.unwrap();
    notes.delete().unwrap();
    notes.put("new", 2).unwrap();
    client.close().unwrap();
    let client = fake.builder(&Arc::new(store.reopen())).open().unwrap();
    let notes = client.dataset("notes").unwrap();
    fake.fail(
        DeleteDataset,
        Fault::After(ExchangeError::Interrupted("lost".into())),
    );
    notes.synchronize().await.unwrap_err();
    notes.synchronize().await.unwrap();
    assert_eq!(notes.keys(), ["new"]);
    let other = fake.device().dataset("notes").unwrap();
    other.synchronize().await.unwrap();
    assert_eq!(other.state(), notes.state());
}

/// The first push was carried out and nobody here knows; the deletion means that life too.
#[tokio::test]
async fn deletion_after_a_first_push_of_unknown_outcome_deletes_what_it_wrote() {
    let fake = Fake::new();
    let notes = fake.device().dataset("notes").unwrap();
    notes.put("key", 1).unwrap();
    fake.hold(Some(UpdateRecords));
    let mut session = Box::pin(notes.synchronize());
    tokio::select! {
        biased;
        _ = &mut session => panic!("it is held back"),
        () = fake.arrived(2) => {}
    }
    // The request is on its way, and is carried out although its answer reaches nobody.
    let request = fake.kept().unwrap();
    drop(session);
    fake.handle(request).unwrap();
    fake.hold(None);
    notes.delete().unwrap();
    assert!(notes.synchronize().await.unwrap().deleted);
    assert!(notes.is_empty());
    let other = fake.device().dataset("notes").unwrap();
    other.synchronize().await.unwrap();
    assert!(other.is_empty());
}
