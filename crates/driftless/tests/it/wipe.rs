//! Removing data from a device.

use driftless::{PutError, Scope, SyncError, Unsynced, WipeError};

use crate::identities::Cloud;

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
        let Err(WipeError::Unsynced { datasets }) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(datasets[0].name().as_str(), "notes");
        assert_eq!(device.notes().len(), 2);
    }
    notes.synchronize().await.unwrap();
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
