//! Removing data from a device.

use std::sync::Arc;

use driftless::store::{MemoryStore, Store};
use driftless::{
    Client, Durability, IdentityId, Platform, PutError, Scope, Subscription, SyncError, Unsynced,
    WipeError,
};
use driftless_wire::Operation::SubscribeToDataset;

use crate::auto::settle;
use crate::fake::Fake;
use crate::identities::Cloud;
use crate::service::IDENTITY;
use crate::subscriptions::service;

#[tokio::test]
async fn trap_55_wipe_refuses_while_edits_are_unsynced_and_names_the_datasets() {
    let cloud = Cloud::start().await;
    let device = cloud.device();
    let notes = device.notes();
    notes.put("key", 1).unwrap();
    notes.synchronize().await.unwrap();
    notes.put("more", 2).unwrap();
    for scope in [Scope::Identity, Scope::Device] {
        let refused = device.client.wipe(scope, Unsynced::Keep);
        let told = refused.as_ref().unwrap_err().to_string();
        assert!(told.contains("nothing was removed; synchronize them first"));
        let Err(WipeError::Unsynced { datasets }) = refused else {
            panic!("{refused:?}")
        };
        let going = device.client.would_wipe(scope).unwrap();
        assert_eq!((&going[0].key, going[0].has_unsynced), (&datasets[0], true));
        assert_eq!(datasets[0].name().as_str(), "notes");
        assert_eq!(device.notes().len(), 2);
    }
    notes.synchronize().await.unwrap();
    let going = device.client.would_wipe(Scope::Identity).unwrap();
    assert!(going.len() == 1 && !going[0].has_unsynced);
    device.client.wipe(Scope::Identity, Unsynced::Keep).unwrap();
    assert!(matches!(notes.put("key", 2), Err(PutError::Closed)));
    assert!(device.notes().is_empty() && device.client.datasets().unwrap().is_empty());
    device.notes().synchronize().await.unwrap();
    assert_eq!(
        device.notes().keys(),
        ["key", "more"],
        "it was not deleted at the service"
    );
}

#[tokio::test]
async fn wiped_device_is_another_guest() {
    let cloud = Cloud::start().await;
    let device = cloud.device();
    device.notes().put("key", 1).unwrap();
    device.notes().synchronize().await.unwrap();
    device.notes().put("unsynced", 1).unwrap();
    let guest = device.client.identity();
    device.client.wipe(Scope::Device, Unsynced::Lose).unwrap();
    assert_eq!(device.client.identity(), None);
    device.notes().synchronize().await.unwrap();
    assert_ne!(device.client.identity(), guest);
    assert!(device.notes().is_empty());
}

/// Handles and the identity from before are gone together: no session of the guest begins after the wipe.
#[tokio::test]
async fn wiped_device_runs_no_session_of_who_it_was() {
    let cloud = Cloud::start().await;
    let device = cloud.device();
    let notes = device.notes();
    notes.put("key", 1).unwrap();
    notes.synchronize().await.unwrap();
    let changes = device.client.identity_changes();
    device.client.wipe(Scope::Device, Unsynced::Keep).unwrap();
    let change = changes.last().unwrap();
    assert!(change.before.is_some() && change.now.is_none());
    let refused = notes.synchronize().await;
    assert!(matches!(refused, Err(SyncError::Closed)));
    let remote = device.client.remote_datasets().await.unwrap();
    assert!(remote.is_empty(), "it is another guest's: {remote:?}");
}

/// A device that is registered for pushes and knows which datasets there are, with what another identity left behind.
async fn registered(fake: &Arc<Fake>) -> (Arc<MemoryStore>, Client) {
    let store = Arc::new(MemoryStore::new());
    let client = fake.builder(&store).open().unwrap();
    client.register_device(Platform::Gcm, "here").await.unwrap();
    let notes = client.dataset("notes").unwrap();
    notes.put("key", 1).unwrap();
    notes.synchronize().await.unwrap();
    notes.subscribe().await.unwrap();
    client.refresh().await.unwrap();
    for name in ["catalog", "device"] {
        let name = format!("{name}/{}", other());
        let set = store.set_setting(&name, Some(br#"{"version":1}"#), Durability::Disk);
        set.unwrap();
    }
    (store, client)
}

/// An identity that has no dataset on the device any more.
fn other() -> IdentityId {
    IDENTITY.replace("-0000-", "-0001-").parse().unwrap()
}

fn personal(store: &MemoryStore) -> Vec<String> {
    let settings = ["catalog/", "device/"].map(|prefix| store.settings(prefix).unwrap());
    settings.concat()
}

#[tokio::test]
async fn trap_55_wipe_of_the_identity_leaves_neither_its_list_nor_its_registration() {
    let fake = service();
    let (store, client) = registered(&fake).await;
    client.wipe(Scope::Identity, Unsynced::Keep).unwrap();
    let left = ["catalog", "device"].map(|name| format!("{name}/{}", other()));
    assert_eq!(personal(&store), left);
    assert_eq!(client.device_id().unwrap(), None);
    assert!(client.subscriptions().unwrap().is_empty());
    assert!(client.catalog().unwrap().datasets.is_empty());
    // It may be registered again.
    client.register_device(Platform::Gcm, "here").await.unwrap();
    let notes = client.dataset("notes").unwrap();
    notes.synchronize().await.unwrap();
    assert_eq!(notes.subscribe().await.unwrap(), Subscription::Standing);
}

#[tokio::test]
async fn trap_55_wipe_of_the_device_leaves_nothing_of_anybody_even_if_the_service_answers_later() {
    let fake = service();
    let (store, client) = registered(&fake).await;
    let more = client.dataset("more").unwrap();
    more.put("key", 1).unwrap();
    more.synchronize().await.unwrap();
    fake.hold(Some(SubscribeToDataset));
    let arrived = fake.count() + 1;
    let subscribing = tokio::spawn(async move { more.subscribe().await });
    fake.arrived(arrived).await;
    client.wipe(Scope::Device, Unsynced::Keep).unwrap();
    assert_eq!(personal(&store), [""; 0]);
    fake.hold(None);
    subscribing.await.unwrap().ok();
    settle().await;
    assert_eq!(personal(&store), [""; 0]);
}
