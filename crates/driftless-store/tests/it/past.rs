//! Stores written by released versions load for ever.

use std::env;
use std::fs;
use std::path::Path;

use driftless_merge::Durability;
use driftless_store::{Stop, Store};

use crate::samples::{after, copy_dir, dump, nth, open};

const COMMITS: u64 = 12;

/// `tests/data/v1/README.md` tells how they were made.
#[test]
fn trap_54_stores_of_version_1_load() {
    for (name, last_commit) in [("journal", 13), ("tables", 17)] {
        let home = tempfile::tempdir().unwrap();
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/v1");
        copy_dir(&data.join(name), home.path());
        // git keeps no empty directories.
        fs::create_dir_all(home.path().join("rows/keyspaces/1/tables")).unwrap();
        let (store, report) = open(home.path());
        assert_eq!(
            (report.stop, report.last_commit),
            (Stop::Clean, last_commit)
        );
        assert!(!report.lost_tail());
        assert_eq!(dump(&store), dump(&after(COMMITS)));
        let identity = store.setting("identity").unwrap();
        assert_eq!(identity.as_deref(), Some(b"us-east-1:0a".as_slice()));
    }
}

#[test]
#[ignore = "writes the stores for the test above, to be kept when the format gets a new version"]
fn write_stores_of_this_version() {
    let data = env::var_os("DRIFTLESS_TEST_DIR").unwrap();
    let home = tempfile::tempdir().unwrap();
    let (store, _) = open(home.path());
    for n in 1..=COMMITS {
        store.commit(nth(n), Durability::Disk).unwrap();
    }
    store
        .set_setting("identity", Some(b"us-east-1:0a"), Durability::Disk)
        .unwrap();
    store.close().unwrap();
    copy_dir(home.path(), &Path::new(&data).join("journal"));

    let (store, _) = open(home.path());
    for _ in 0..3 {
        store
            .set_setting("large", Some(&vec![1; 1024 * 1024]), Durability::Disk)
            .unwrap();
    }
    store.set_setting("large", None, Durability::Disk).unwrap();
    store.close().unwrap();
    open(home.path()).0.close().unwrap();
    copy_dir(home.path(), &Path::new(&data).join("tables"));
}
