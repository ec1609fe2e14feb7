//! What was acknowledged is there after any death of the process, and nothing else is.

use driftless_merge::Durability;
use driftless_store::{MemoryStore, Stop, Store};

use crate::child::{acknowledged, committer};
use crate::samples::{after, copy_dir, dump, nth, open};

const KILLS: u64 = 100;

/// One store, killed a hundred times at different points: every acknowledged commit is there, at most the one in
/// flight beside them, and the sum is that of the same commits in memory. It is looked at in a copy, so that the store
/// itself is never closed.
#[test]
fn acknowledged_commits_survive_a_hundred_kills() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("store");
    let model = MemoryStore::new();
    let mut last = 0;
    for kill in 0..KILLS {
        let mut child = committer(&[], &dir, u64::MAX).spawn().unwrap();
        let mut numbers = acknowledged(&mut child);
        // Every tenth dies somewhere in its start.
        let wanted = if kill % 10 == 9 {
            0
        } else {
            kill * 7919 % 23 + 1
        };
        let seen = numbers
            .by_ref()
            .take(wanted as usize)
            .last()
            .unwrap_or(last);
        child.kill().unwrap();
        child.wait().unwrap();
        let seen = numbers.last().unwrap_or(seen);

        let copy = tempfile::tempdir().unwrap();
        copy_dir(&dir, copy.path());
        let (store, report) = open(copy.path());
        assert!(
            [seen, seen + 1].contains(&report.last_commit),
            "{report:?} after {seen}"
        );
        assert_eq!((report.stop, &report.missing), (Stop::Unclean, &None));
        for n in last + 1..=report.last_commit {
            model.commit(nth(n), Durability::Disk).unwrap();
        }
        assert_eq!(dump(&store), dump(&model));
        last = report.last_commit;
    }
    assert!(last > KILLS);
}

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
