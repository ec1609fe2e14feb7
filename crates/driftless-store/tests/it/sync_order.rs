//! A commit on disk is acknowledged after its bytes were synced, as the operating system saw it.

use std::collections::HashMap;
use std::fs;

use crate::child::{acknowledged, committer, number};

/// Between two acknowledgements there is a write to the journal, and after the last of them a finished sync of it.
#[test]
fn acknowledgements_follow_the_sync_of_their_bytes() {
    let home = tempfile::tempdir().unwrap();
    let (dir, log) = (home.path().join("store"), home.path().join("trace"));
    let calls = "trace=write,writev,pwrite64,fsync,fdatasync";
    let strace = [
        "strace",
        "-f",
        "-y",
        "-s",
        "256",
        "-e",
        calls,
        "-o",
        log.to_str().unwrap(),
    ];
    let Ok(mut child) = committer(&strace, &dir, 20).spawn() else {
        assert!(
            std::env::var_os("DRIFTLESS_NO_SKIP").is_none(),
            "strace is missing"
        );
        eprintln!("skipped: strace is missing");
        return;
    };
    assert_eq!(acknowledged(&mut child).last(), Some(20));
    child.wait().unwrap();
    assert_eq!(check(&fs::read_to_string(log).unwrap()), 20);
}

/// Goes through a trace and returns how many acknowledgements there are, all of them after their sync.
fn check(trace: &str) -> u64 {
    let mut acknowledged = 0;
    let (mut written, mut synced) = (false, false);
    let mut unfinished = HashMap::new();
    for line in trace.lines() {
        let (thread, call) = line.split_once(' ').unwrap();
        let call = call.trim_start();
        let resumed = call
            .starts_with("<...")
            .then(|| unfinished.remove(thread))
            .flatten();
        if call.ends_with("<unfinished ...>") {
            unfinished.insert(thread, call);
        }
        let is_finished = call.ends_with("= 0") || !call.contains("sync");
        let call = resumed.unwrap_or(call);
        if let Some(n) = number(call).filter(|_| call.starts_with("write(1")) {
            acknowledged += 1;
            assert_eq!(n, acknowledged);
            assert!(
                written && synced,
                "acknowledgement {n} came before its sync"
            );
            (written, synced) = (false, false);
        } else if call.contains(".jnl>") {
            match call.contains("sync(") {
                true => synced |= is_finished,
                false => (written, synced) = (true, false),
            }
        }
    }
    acknowledged
}

#[test]
#[should_panic(expected = "came before its sync")]
fn an_acknowledgement_before_the_sync_is_noticed() {
    check(
        "7 write(5</store/0.jnl>, \"x\", 1) = 1\n\
         7 write(1</dev/null>, \"acknowledged 1\\n\", 15) = 15\n\
         7 fdatasync(5</store/0.jnl>) = 0\n",
    );
}
