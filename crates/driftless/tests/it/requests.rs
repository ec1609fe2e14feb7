//! How many requests a synchronization takes, counted on both sides of the transport.

use driftless::{Outcome, Report};
use driftless_wire::Operation::{self, ListRecords, UpdateRecords};

use crate::fake::Fake;

fn check(fake: &Fake, report: &Report, expected: &[Operation]) {
    assert_eq!(fake.requests(), expected);
    let count = expected.len() as u32;
    assert_eq!(report.requests, count);
    assert_eq!(
        (report.bytes_up, report.bytes_down),
        (count.into(), (2 * count).into())
    );
    assert_eq!((report.conflicts, report.outcome), (0, Outcome::Synced));
}

#[tokio::test]
async fn nothing_to_push_takes_one_request_and_a_push_two() {
    let fake = Fake::new();
    let (a, b) = (
        fake.device().dataset("notes").unwrap(),
        fake.device().dataset("notes").unwrap(),
    );
    check(&fake, &a.synchronize().await.unwrap(), &[ListRecords]);
    for round in 0..100 {
        a.put("key", round).unwrap();
        a.increment("count", 1).unwrap();
        let pushed = a.synchronize().await.unwrap();
        check(&fake, &pushed, &[ListRecords, UpdateRecords]);
        assert_eq!(pushed.changed_there.len(), 2);
        assert!(pushed.changed_here.is_empty());
        let pulled = b.synchronize().await.unwrap();
        check(&fake, &pulled, &[ListRecords]);
        assert_eq!(pulled.changed_here, pushed.changed_there);
        assert!(pulled.changed_there.is_empty());
    }
    check(&fake, &a.synchronize().await.unwrap(), &[ListRecords]);
    assert_eq!(a.state(), b.state());
}

#[tokio::test]
async fn both_sides_changed_still_takes_two_requests() {
    let fake = Fake::new();
    let (a, b) = (
        fake.device().dataset("notes").unwrap(),
        fake.device().dataset("notes").unwrap(),
    );
    a.put("a", 1).unwrap();
    b.put("b", 2).unwrap();
    check(
        &fake,
        &a.synchronize().await.unwrap(),
        &[ListRecords, UpdateRecords],
    );
    let report = b.synchronize().await.unwrap();
    check(&fake, &report, &[ListRecords, UpdateRecords]);
    assert!(report.changed_here.iter().eq(["a"]) && report.changed_there.iter().eq(["b"]));
}

#[tokio::test]
async fn edit_of_an_equal_value_is_nothing_to_push() {
    let fake = Fake::new();
    let a = fake.device().dataset("notes").unwrap();
    a.put("a", 1).unwrap();
    a.synchronize().await.unwrap();
    fake.requests();
    a.put("a", 1).unwrap();
    assert!(!a.has_unsynced());
    check(&fake, &a.synchronize().await.unwrap(), &[ListRecords]);
}
