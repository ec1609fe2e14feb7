//! Old clients, consoles and Lambdas write records beside ours, and into them.

use driftless::store::MemoryStore;
use driftless::wire::Operation;
use driftless_sim::{Stop, Story};

use super::Stage;

/// All records, as an old client keeps them that knows no difference between them.
fn all_records(stage: &Stage) -> Vec<(String, Option<String>)> {
    let records = stage.0.records().into_iter();
    records
        .map(|record| (record.key.to_string(), record.value))
        .collect()
}

/// All records removed, as by an old client that calls `clear`.
fn nothing(stage: &Stage) -> Vec<(String, Option<String>)> {
    let records = all_records(stage).into_iter();
    records
        .filter(|(_, value)| value.is_some())
        .map(|(key, _)| (key, None))
        .collect()
}

/// The record becomes no value of the dataset yet: plain records are not imported.
#[test]
fn record_that_an_old_client_puts_between_a_list_and_a_push_stays_beside_it() {
    let mut stage = Stage::two(Story::Plain);
    stage.put(0, "mine", 2);
    stage.sync_until_stopped(0, Operation::UpdateRecords, Stop::Request);
    stage
        .0
        .write([("plain".to_owned(), Some("old".to_owned()))]);
    stage.let_go(0);
    assert!(!stage.dataset(0).has_unsynced());
    stage.settle(&["count", "mine", "shared"]);
    assert_eq!(stage.record("plain").as_deref(), Some("old"));
}

#[test]
fn records_that_an_old_client_writes_back_between_a_list_and_a_push_take_nothing_back() {
    let mut stage = Stage::two(Story::Plain);
    let read = all_records(&stage);
    stage.put(1, "later", 2);
    stage.sync(1);
    stage.put(0, "mine", 3);
    stage.sync_until_stopped(0, Operation::UpdateRecords, Stop::Request);
    stage.0.write(read);
    stage.let_go(0);
    assert!(!stage.dataset(0).has_unsynced());
    stage.settle(&["count", "later", "mine", "shared"]);
    assert_eq!(stage.counter(0, "count"), Some(5));
}

#[test]
fn old_client_that_clears_everything_removes_only_its_own() {
    let mut stage = Stage::two(Story::Plain);
    stage
        .0
        .write([("plain".to_owned(), Some("old".to_owned()))]);
    stage.increment(1, "count", 2);
    let cleared = nothing(&stage);
    assert!(cleared.len() > 2, "head, base and the plain one");
    stage.0.write(cleared);
    assert!(stage.sync(1).repaired);
    let fresh = stage.0.join(MemoryStore::new()).unwrap();
    stage.sync(fresh);
    assert_eq!(stage.counter(fresh, "count"), Some(7));
    stage.settle(&["count", "shared"]);
    assert_eq!(stage.record("plain"), None);
}

#[test]
fn old_client_that_clears_everything_between_a_list_and_a_push_is_repaired_by_that_sync() {
    let mut stage = Stage::two(Story::Plain);
    stage.put(0, "mine", 2);
    stage.sync_until_stopped(0, Operation::UpdateRecords, Stop::Request);
    let cleared = nothing(&stage);
    stage.0.write(cleared);
    stage.let_go(0);
    assert!(!stage.dataset(0).has_unsynced());
    assert!(!stage.sync(1).began_anew);
    stage.settle(&["count", "mine", "shared"]);
}

/// Nothing tells it that there was a life of the dataset before: `docs/compatibility.md` says so.
#[test]
fn first_to_come_after_a_clear_begins_a_new_life_if_it_never_synchronized() {
    let mut stage = Stage::two(Story::Ends);
    stage.put(0, "unsynced", 2);
    let cleared = nothing(&stage);
    stage.0.write(cleared);
    let fresh = stage.0.join(MemoryStore::new()).unwrap();
    stage.put(fresh, "fresh", 3);
    stage.sync(fresh);
    assert!(stage.sync(0).began_anew);
    stage.settle(&["fresh", "unsynced"]);
}
