//! The watcher of the operating system's networks, on the system that runs the tests.

use std::sync::Arc;

use driftless::{Connectivity, Network, Schedule, WatchedConnectivity};
use driftless_store::MemoryStore;

use crate::fake::Fake;

#[tokio::test]
async fn system_answers_what_the_network_is_like() {
    let metered = WatchedConnectivity::metered().unwrap();
    let unmetered = WatchedConnectivity::unmetered().unwrap();
    let seen = [&metered, &unmetered].map(|watched| *watched.watch().borrow());
    let online = [Network::Metered, Network::Unmetered];
    assert!(seen == online || seen == [Network::Offline; 2], "{seen:?}");
}

#[tokio::test]
async fn client_synchronizes_by_itself_if_the_system_has_a_network() {
    let watched = Arc::new(WatchedConnectivity::unmetered().unwrap());
    let fake = Fake::new();
    let builder = fake.builder(&Arc::new(MemoryStore::new()));
    let client = builder.connectivity(watched.clone()).open().unwrap();
    let mut auto = client.auto_sync(Schedule::default()).unwrap();
    let notes = client.dataset("notes").unwrap();
    notes.put("key", 1).unwrap();
    let network = *watched.watch().borrow();
    if network == Network::Offline {
        // Then it waits for one.
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        assert!(fake.requests().is_empty() && notes.has_unsynced());
    } else {
        assert!(auto.changed().await);
        assert!(!notes.has_unsynced());
    }
}
