//! A long journal is left behind by the next start.

use std::fs;

use driftless_merge::Durability;
use driftless_store::Store;

use crate::samples::{after, copy_dir, dump, nth, open};

#[test]
fn a_long_journal_is_rewritten_and_nothing_changes() {
    let home = tempfile::tempdir().unwrap();
    let (dir, left) = (home.path().join("store"), home.path().join("left"));
    let (store, _) = open(&dir);
    for n in 1..=20 {
        store.commit(nth(n), Durability::Disk).unwrap();
    }
    for _ in 0..3 {
        store
            .set_setting("large", Some(&vec![1; 1024 * 1024]), Durability::Buffered)
            .unwrap();
    }
    store.set_setting("large", None, Durability::Disk).unwrap();
    // As after a crash, so that the rewritten store is the same one.
    copy_dir(&dir, &left);
    let journal_bytes = || fs::metadata(left.join("rows/0.jnl")).unwrap().len();
    assert!(journal_bytes() > 3 * 1024 * 1024);

    for round in 0..3 {
        let (store, report) = open(&left);
        assert_eq!(
            (report.last_commit, report.lost_tail()),
            (24 + round, false)
        );
        assert_eq!(dump(&store), dump(&after(20 + round)));
        store.commit(nth(21 + round), Durability::Disk).unwrap();
        assert_eq!(dump(&store), dump(&after(21 + round)));
        store.close().unwrap();
    }
    assert!(journal_bytes() < 1024 * 1024);
    assert!(!left.join("discarded").exists());
}
