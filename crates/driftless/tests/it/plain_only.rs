//! Datasets that old clients filled, found by devices over the real server core: 400 KB fit twice; 600, 900 and 1,000 keys do
//! not, and are read and edited as plain records only until there is room.

use std::sync::Arc;

use driftless::{Client, Dataset, Outcome, PutError, RefusedEdit, Value};
use driftless_store::MemoryStore;

use crate::fake::Fake;

/// Text that does not deflate.
fn noise(mut seed: u64, len: usize) -> String {
    let mut next = || {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        char::from(b'!' + (seed >> 33) as u8 % 90)
    };
    (0..len).map(|_| next()).collect()
}

/// An old client writes so many records of a length, and a few small ones.
fn fill(count: u64, len: usize) -> Arc<Fake> {
    let fake = Fake::new();
    let large = (0..count).map(|n| (format!("k{n}"), noise(n, len)));
    let large: Vec<(String, String)> = large.collect();
    let large = large
        .iter()
        .map(|(key, text)| (key.as_str(), text.as_str()));
    let small = [("count", "5"), ("name", "Ada"), ("text", "begin end")];
    let records: Vec<(&str, &str)> = large.chain(small).collect();
    fake.begin_plain("notes", &records);
    fake
}

fn notes(client: &Client) -> Dataset {
    client.dataset("notes").unwrap()
}

fn record(fake: &Arc<Fake>, key: &str) -> Option<String> {
    let records = fake.records("notes").into_iter();
    let mut records = records.filter(|record| record.key.as_str() == key);
    records.next()?.value
}

fn has_slots(fake: &Arc<Fake>) -> bool {
    let records = fake.records("notes");
    records
        .iter()
        .any(|record| record.key.as_str().starts_with("_driftless."))
}

#[tokio::test]
async fn dataset_of_400_kb_is_adopted() {
    let fake = fill(40, 9_990);
    let client = fake.device();
    let report = notes(&client).synchronize().await.unwrap();
    assert!(!report.plain_only && !notes(&client).is_plain_only());
    assert!(has_slots(&fake));
}

#[tokio::test]
async fn larger_datasets_are_read_and_edited_as_records() {
    for (count, len) in [(60, 9_990), (90, 9_990), (1_000, 5)] {
        let fake = fill(count, len);
        let clients = [fake.device(), fake.device()];
        let [first, second] = clients.each_ref().map(notes);
        let report = first.synchronize().await.unwrap();
        assert!(report.plain_only && report.outcome == Outcome::Synced);
        assert_eq!((report.requests, first.len()), (1, count as usize + 3));
        second.synchronize().await.unwrap();
        first.increment("count", 10).unwrap();
        second.increment("count", 100).unwrap();
        second.splice_text("text", 0, 0, "> ").unwrap();
        fake.overwrite("notes", "text", Some("begin the end"));
        fake.overwrite("notes", "name", None);
        first.remove("k0").unwrap();
        first.synchronize().await.unwrap();
        let report = second.synchronize().await.unwrap();
        assert_eq!(report.changed_there.len(), 2);
        first.synchronize().await.unwrap();
        assert_eq!(first.get("count"), Some(Value::Counter(115)));
        assert_eq!(record(&fake, "count").as_deref(), Some("115"));
        assert_eq!(record(&fake, "text").as_deref(), Some("> begin the end"));
        assert!(!first.contains_key("name") && !second.contains_key("k0"));
        assert!(record(&fake, "k0").is_none() && !has_slots(&fake));
        assert!(!first.has_unsynced() && !second.has_unsynced());
        assert_eq!(first.synchronize().await.unwrap().requests, 1);
    }
}

#[tokio::test]
async fn they_are_there_after_a_restart_and_adopted_when_there_is_room() {
    let fake = fill(60, 9_990);
    let store = Arc::new(MemoryStore::new());
    let client = fake.builder(&store).open().unwrap();
    notes(&client).synchronize().await.unwrap();
    notes(&client).put("name", "Grace").unwrap();
    let client = fake.builder(&Arc::new(store.reopen())).open().unwrap();
    let first = notes(&client);
    assert!(first.is_plain_only() && first.is_changed("name"));
    let refused = first.push("list", 1).unwrap_err();
    assert!(
        matches!(refused, PutError::Refused(RefusedEdit::NoText)),
        "{refused}"
    );
    for number in 0..30 {
        first.remove(format!("k{number}")).unwrap();
    }
    let report = first.synchronize().await.unwrap();
    assert!(!report.plain_only && !first.is_plain_only() && first.is_plain());
    first.push("list", 1).unwrap();
    first.synchronize().await.unwrap();
    let other = fake.device();
    notes(&other).synchronize().await.unwrap();
    assert_eq!(notes(&other).entries(), first.entries());
    assert_eq!(record(&fake, "name").as_deref(), Some("Grace"));
}
