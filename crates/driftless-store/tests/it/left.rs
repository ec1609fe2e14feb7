//! How a store was left: by the death of its process, by a close, by being dropped.

use driftless_merge::Durability;
use driftless_store::{Stop, Store};

use crate::samples::{after, copy_dir, dump, nth, open};

/// The files as they are between two writes to the operating system: buffered commits survive the process too.
#[test]
fn buffered_commits_survive_the_process() {
    let home = tempfile::tempdir().unwrap();
    let (dir, copy) = (home.path().join("store"), home.path().join("copy"));
    let (store, _) = open(&dir);
    for n in 1..=9 {
        store.commit(nth(n), Durability::Buffered).unwrap();
    }
    copy_dir(&dir, &copy);
    let (found, report) = open(&copy);
    assert_eq!((report.stop, report.last_commit), (Stop::Unclean, 9));
    assert!(!report.lost_tail());
    assert_eq!(dump(&found), dump(&after(9)));
}

#[test]
fn a_store_that_was_closed_or_dropped_was_left_clean() {
    let home = tempfile::tempdir().unwrap();
    let (store, report) = open(home.path());
    assert_eq!((report.stop, report.last_commit), (Stop::New, 0));
    store.commit(nth(1), Durability::Buffered).unwrap();
    store.close().unwrap();
    let (store, report) = open(home.path());
    assert_eq!((report.stop, report.last_commit), (Stop::Clean, 1));
    store.commit(nth(2), Durability::Disk).unwrap();
    drop(store);
    let (_, report) = open(home.path());
    assert_eq!(
        (report.stop, report.last_commit, report.lost_tail()),
        (Stop::Clean, 2, false)
    );
}
