//! A write that the disk refuses: the store takes no more, and what was acknowledged before is there afterwards.

use std::env;
use std::path::Path;
use std::process::Command;

use driftless_merge::{Commit, Durability};
use driftless_store::{CommitError, Store};

use crate::child::alone;
use crate::samples::{after, dump, local, nth, open};

const DIR: &str = "DRIFTLESS_TEST_DIR";
const ROW: usize = 40 * 1024 * 1024;

/// The journal may not grow beyond its first 64 MiB here, which is how a full disk looks to the process.
#[cfg(unix)]
#[test]
fn a_full_disk_poisons_the_store_and_loses_nothing() {
    let _alone = alone();
    let home = tempfile::tempdir().unwrap();
    let this = env::current_exe().unwrap();
    let limited = "trap '' XFSZ; ulimit -f $((64 * 1024 * 1024 / $1)); shift; exec \"$@\"";
    // The unit of the limit is 512 bytes in some shells and 1,024 in others.
    let unit = if is_bash() { "1024" } else { "512" };
    let status = Command::new("sh")
        .args(["-c", limited, "sh", unit])
        .arg(this)
        .args(["--exact", "full::fills_the_disk", "--ignored"])
        .env(DIR, home.path())
        .output()
        .unwrap();
    assert!(
        status.status.success(),
        "{}",
        String::from_utf8_lossy(&status.stdout)
    );
    let (store, report) = open(home.path());
    assert_eq!((report.last_commit, &report.missing), (3, &None));
    assert!(report.cut_bytes > 0, "{report:?}");
    assert_eq!(dump(&store), dump(&after(3)));
}

fn is_bash() -> bool {
    let script = "test -n \"$BASH_VERSION\" && test \"${POSIXLY_CORRECT+set}\" != set";
    Command::new("sh")
        .args(["-c", script])
        .status()
        .unwrap()
        .success()
}

#[test]
#[ignore = "the body of the process that another test starts"]
fn fills_the_disk() {
    let (store, _) = open(Path::new(&env::var_os(DIR).unwrap()));
    for n in 1..=3 {
        store.commit(nth(n), Durability::Disk).unwrap();
    }
    let mut commit = Commit::new(local("notes"));
    commit.deltas = vec![vec![1; ROW], vec![2; ROW]];
    let error = store.commit(commit, Durability::Disk).unwrap_err();
    assert!(matches!(error, CommitError::Full(_)), "{error:?}");
    assert!(matches!(
        store.commit(nth(4), Durability::Disk),
        Err(CommitError::Poisoned)
    ));
    assert_eq!(dump(&store), dump(&after(3)));
    store.close().unwrap();
}

#[test]
fn a_row_over_the_limit_is_refused_and_nothing_is_written() {
    let _alone = alone();
    let home = tempfile::tempdir().unwrap();
    let (store, _) = open(home.path());
    let mut commit = nth(1);
    commit.deltas.push(vec![0; 64 * 1024 * 1024 + 1]);
    let error = store.commit(commit, Durability::Disk).unwrap_err();
    assert!(matches!(error, CommitError::TooLarge { .. }), "{error:?}");
    store.commit(nth(1), Durability::Disk).unwrap();
    assert_eq!(dump(&store), dump(&after(1)));
}
