//! Two devices edit offline and agree after they synchronized.

use driftless::{Outcome, Scalar, Value, Wrote};

use crate::service::Service;

#[tokio::test(flavor = "multi_thread")]
async fn offline_edits_of_two_devices_are_on_both() {
    let service = Service::start().await;
    let home = tempfile::tempdir().unwrap();
    let (phone, tablet) = (
        service.device(&home.path().join("a")),
        service.device(&home.path().join("b")),
    );
    let (a, b) = (
        phone.dataset("notes").unwrap(),
        tablet.dataset("notes").unwrap(),
    );
    a.put("theme", "dark").unwrap();
    a.increment("visits", 2).unwrap();
    a.splice_text("title", 0, 0, "hello ").unwrap();
    b.put("theme", "light").unwrap();
    b.increment("visits", 3).unwrap();
    b.splice_text("title", 0, 0, "world").unwrap();
    b.put("lonely", true).unwrap();

    let report = a.synchronize().await.unwrap();
    assert_eq!((report.requests, report.wrote), (2, Some(Wrote::Base)));
    let report = b.synchronize().await.unwrap();
    assert_eq!((report.requests, report.outcome), (2, Outcome::Synced));
    let report = a.synchronize().await.unwrap();
    assert_eq!((report.requests, report.wrote), (1, None));
    assert_eq!(a.synchronize().await.unwrap().requests, 1);
    assert_eq!(b.synchronize().await.unwrap().requests, 1);

    assert_eq!(a.entries(), b.entries());
    assert_eq!(a.state(), b.state());
    assert_eq!(a.counter("visits"), Some(5));
    let title = a.text("title").unwrap();
    assert!(title == "hello world" || title == "worldhello ", "{title}");
    assert_eq!(a.conflicts("theme").len(), 2);
    assert_eq!(a.get("lonely"), Some(Value::Scalar(Scalar::Bool(true))));
    assert!(!a.has_unsynced() && !b.has_unsynced());

    a.put("theme", "blue").unwrap();
    b.remove("lonely").unwrap();
    assert!(a.has_unsynced());
    assert_eq!(a.synchronize().await.unwrap().requests, 2);
    assert_eq!(b.synchronize().await.unwrap().requests, 2);
    assert_eq!(a.synchronize().await.unwrap().requests, 1);
    assert_eq!(a.state(), b.state());
    assert_eq!(a.conflicts("theme").len(), 1);
    assert_eq!(a.get("lonely"), None);
    phone.close().unwrap();

    let again = service.device(&home.path().join("a"));
    let a = again.dataset("notes").unwrap();
    assert_eq!(a.state(), b.state());
    a.splice_text("title", 0, 1, "H").unwrap();
    assert_eq!(a.synchronize().await.unwrap().requests, 2);
    b.synchronize().await.unwrap();
    assert_eq!(a.state(), b.state());
    assert!(b.text("title").unwrap().contains('H'));
}
