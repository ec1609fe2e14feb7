//! What earlier versions wrote is read, continued and merged.

use std::path::{Path, PathBuf};

use driftless::store::{DiskStore, MemoryStore, Store};
use driftless_merge::{Commit, DatasetKey, Durability, Snapshot};
use driftless_sim::Story;

use super::Stage;

fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Reads records as they are kept: a line each, key, space, value.
fn records(path: &Path) -> Vec<(String, Option<String>)> {
    let lines = std::fs::read_to_string(path).unwrap();
    let records = lines.lines().map(|line| {
        let (key, value) = line.split_once(' ').unwrap();
        (key.to_owned(), Some(value.to_owned()))
    });
    records.collect()
}

/// The device of version 1 is one whose store is gone; its records are those that
/// `driftless-record` keeps.
#[test]
fn records_of_version_1_are_gone_on_with() {
    let mut stage = Stage::new(2, Story::Ends);
    let records = records(&data("../driftless-record/tests/data/v1/records.txt"));
    stage.put(0, "new", 1);
    stage.0.write(records);
    stage.sync(0);
    stage.sync(1);
    assert_eq!(stage.number(0, "number"), Some(65));
    stage.increment(0, "counter", 10);
    stage.increment(1, "counter", 100);
    stage.write(1, "text", "still ");
    stage.put(0, "number", 66);
    stage.settle(&[
        "bytes", "counter", "greeting", "half", "new", "nothing", "number", "text", "then", "yes",
    ]);
    assert_eq!(stage.counter(0, "counter"), Some(117));
    assert_eq!(stage.text(0, "text").as_deref(), Some("still some text"));
    assert_eq!(stage.number(1, "number"), Some(66));
}

/// Copies all rows of a store.
fn copy(from: &dyn Store, to: &dyn Store) {
    for owner in from.owners().unwrap() {
        for name in from.datasets(&owner).unwrap() {
            let key = DatasetKey::new(owner.clone(), name);
            let rows = from.recover(&key).unwrap().unwrap();
            let mut commit = Commit::new(key.clone());
            commit.snapshot = rows.state.map(|state| Snapshot {
                state,
                document: from.document(&key).unwrap(),
            });
            commit.deltas = rows.deltas;
            let records = rows.records.into_iter();
            commit.records = records.map(|(key, record)| (key, Some(record))).collect();
            commit.sync = rows.sync;
            to.commit(commit, Durability::Disk).unwrap();
        }
    }
    let pool = from.setting(POOL).unwrap();
    to.set_setting(POOL, pool.as_deref(), Durability::Disk)
        .unwrap();
}

/// The setting in which a client keeps whose data a store has.
const POOL: &str = "identity-pool";

/// What the device of version 1 did before it was kept; what it did last it never synchronized.
fn live_with_version_1() -> Stage {
    let mut stage = Stage::new(2, Story::Ends);
    stage.put(0, "greeting", 1);
    stage.increment(0, "count", 5);
    stage.write(0, "text", "world");
    stage.sync(0);
    stage.sync(1);
    // So long that the device's log becomes a snapshot with a document beside it.
    for number in 0..700 {
        stage.edit(1, |dataset| {
            dataset.put("padding", "long ".repeat(40 + number % 3))
        });
        stage.put(1, "number", number as i64);
    }
    stage.0.wait(1_000).unwrap();
    stage.sync(1);
    stage.put(1, "unsynced", 7);
    stage.increment(1, "count", 10);
    stage.write(1, "text", "hello ");
    stage
}

const V1: &str = "tests/data/v1";

/// `tests/data/v1/README.md` tells how the store and the records were made.
#[test]
fn store_of_version_1_is_gone_on_with_and_synchronized() {
    let home = tempfile::tempdir().unwrap();
    copy_dir(&data(V1).join("store"), home.path());
    // git keeps no empty directories.
    for keyspace in 0..2 {
        let tables = home
            .path()
            .join(format!("rows/keyspaces/{keyspace}/tables"));
        std::fs::create_dir_all(tables).unwrap();
    }
    let opened = DiskStore::open(home.path()).unwrap();
    assert!(!opened.report.lost_tail());
    let memory = MemoryStore::new();
    copy(&opened.store, &memory);

    let mut stage = Stage::new(1, Story::Ends);
    stage.0.write(records(&data(V1).join("records.txt")));
    let old = stage.0.join(memory).unwrap();
    assert_eq!(stage.number(old, "unsynced"), Some(7));
    stage.increment(old, "count", 100);
    stage.put(0, "mine", 1);
    stage.increment(0, "count", 1_000);
    let report = stage.sync(old);
    assert!(!report.began_anew && !report.repaired, "{report:?}");
    stage.settle(&[
        "count", "greeting", "mine", "number", "padding", "text", "unsynced",
    ]);
    assert_eq!(stage.counter(0, "count"), Some(1_115));
    assert_eq!(stage.number(0, "number"), Some(699));
    assert_eq!(stage.text(0, "text").as_deref(), Some("hello world"));
}

#[test]
#[ignore = "writes what the test above reads; only for a new version of a format"]
fn write_store_of_this_version() {
    let stage = live_with_version_1();
    let kept = PathBuf::from(std::env::var_os("DRIFTLESS_TEST_DIR").unwrap());
    let home = tempfile::tempdir().unwrap();
    let opened = DiskStore::open(home.path()).unwrap();
    copy(&stage.0.store(1), &opened.store);
    opened.store.close().unwrap();
    copy_dir(home.path(), &kept.join("store"));
    let records = stage.0.records().into_iter();
    let lines = records.filter_map(|record| Some(format!("{} {}\n", record.key, record.value?)));
    std::fs::write(kept.join("records.txt"), lines.collect::<String>()).unwrap();
}

/// Copies the directory of a closed store, without the zeros that its journal has ahead.
fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &to);
            continue;
        }
        let mut bytes = std::fs::read(entry.path()).unwrap();
        let is_journal = entry.path().extension().is_some_and(|name| name == "jnl");
        while is_journal && bytes.last() == Some(&0) {
            bytes.pop();
        }
        std::fs::write(to, bytes).unwrap();
    }
}
