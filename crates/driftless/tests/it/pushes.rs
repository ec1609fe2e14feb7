//! Pushes of the service: true, late, forged and broken.

use std::sync::Arc;

use driftless::{Client, PushError};
use driftless_server::PushHint;
use driftless_store::MemoryStore;
use driftless_wire::Operation::ListRecords;
use driftless_wire::{Platform, SyncCount};
use proptest::prelude::*;

use crate::fake::Fake;
use crate::service::{IDENTITY, POOL};

fn push(platform: Platform, count: u32) -> String {
    let hint = PushHint {
        device_id: "device".parse().unwrap(),
        platform,
        token: String::new(),
        identity_pool_id: POOL.parse().unwrap(),
        identity_id: IDENTITY.parse().unwrap(),
        dataset_name: "notes".parse().unwrap(),
        sync_count: SyncCount::from(count),
    };
    hint.payload()
}

/// Returns a device that has seen the first count of the dataset "notes", which stands at the second.
async fn behind() -> (Arc<Fake>, Client) {
    let fake = Fake::new();
    let (here, there) = (fake.device(), fake.device().dataset("notes").unwrap());
    let notes = here.dataset("notes").unwrap();
    notes.put("key", 1).unwrap();
    notes.synchronize().await.unwrap();
    there.put("key", 2).unwrap();
    there.synchronize().await.unwrap();
    fake.requests();
    (fake, here)
}

#[tokio::test]
async fn trap_56_push_synchronizes_what_is_behind_and_nothing_else() {
    for platform in [Platform::Gcm, Platform::Apns] {
        let (fake, here) = behind().await;
        let late = here.handle_push(&push(platform, 1)).await;
        assert!(matches!(late, Ok(None)));
        assert!(fake.requests().is_empty());
        let news = here.handle_push(&push(platform, 2)).await.unwrap();
        let (dataset, report) = news.unwrap();
        assert_eq!(dataset.name().as_str(), "notes");
        assert!(report.changed_here.iter().eq(["key"]));
        assert_eq!(fake.requests(), [ListRecords]);
        let again = here.handle_push(&push(platform, 2)).await;
        assert!(matches!(again, Ok(None)));
        assert!(fake.requests().is_empty());
    }
}

#[tokio::test]
async fn trap_56_count_of_a_forged_push_is_not_kept() {
    let (fake, here) = behind().await;
    here.handle_push(&push(Platform::Gcm, u32::MAX))
        .await
        .unwrap();
    let notes = here.dataset("notes").unwrap();
    notes.put("key", 3).unwrap();
    notes.synchronize().await.unwrap();
    let other = fake.device().dataset("notes").unwrap();
    other.synchronize().await.unwrap();
    assert_eq!(other.state(), notes.state());
}

#[tokio::test]
async fn push_for_another_identity_or_dataset_is_refused_without_a_request() {
    let (fake, here) = behind().await;
    let good = push(Platform::Gcm, 2);
    for known in [POOL, IDENTITY] {
        let other = known.replace("-0000-", "-0001-");
        let refused = here.handle_push(&good.replace(known, &other)).await;
        assert!(matches!(refused, Err(PushError::OtherIdentity)));
    }
    let refused = here.handle_push(&good.replace("notes", "unheard-of")).await;
    assert!(
        matches!(refused, Err(PushError::UnknownDataset(name)) if name.as_str() == "unheard-of")
    );
    assert_eq!(here.datasets().unwrap().len(), 1);
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn dataset_that_is_not_open_is_opened() {
    let fake = Fake::new();
    let store = Arc::new(MemoryStore::new());
    let before = fake.builder(&store).open().unwrap();
    before.dataset("notes").unwrap().put("key", 1).unwrap();
    drop(before);
    let here = fake.builder(&store).open().unwrap();
    assert!(
        here.handle_push(&push(Platform::Gcm, 1))
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn what_is_no_push_of_the_service_is_foreign() {
    let (fake, here) = behind().await;
    let good = push(Platform::Gcm, 2);
    let bad = [
        String::new(),
        "null".to_owned(),
        "[".repeat(10_000),
        good.replace("cognito-sync", "chat"),
        good.replace("syncCount", "count"),
        good.replace("\"2\"", "-1"),
        good.replace("\"2\"", "\"two\""),
        good.replace("\"2\"", "99999999999999999999"),
        good.replace("notes", "no name"),
        good.replace('}', &format!(",\"x\":\"{}\"}}", "x".repeat(16 * 1024))),
    ];
    for payload in bad {
        let refused = here.handle_push(&payload).await;
        assert!(matches!(refused, Err(PushError::Foreign)), "{payload:.80}");
    }
    assert!(fake.requests().is_empty());
    let number = good.replace("\"2\"", "2");
    assert!(here.handle_push(&number).await.unwrap().is_some());
}

proptest! {
    /// A push with any damage is refused or, at worst, a session; it never panics.
    #[test]
    fn damaged_push_is_an_error_or_a_session(at in 0..200_usize, by in any::<char>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (_fake, here) = behind().await;
            let mut damaged: Vec<char> = push(Platform::Apns, 2).chars().collect();
            let at = at % damaged.len();
            damaged[at] = by;
            let damaged = String::from_iter(damaged);
            drop(here.handle_push(&damaged).await);
            let cut: String = damaged.chars().take(at).collect();
            assert!(matches!(here.handle_push(&cut).await, Err(PushError::Foreign)));
        });
    }
}
