//! A commit on disk is acknowledged after its bytes were synced, as the operating system saw it.

use std::collections::HashMap;
use std::fs;

use driftless_merge::Durability;

use crate::child::{Event, Events, alone, committer};
use crate::steps::History;

/// Between two acknowledgements there is a write to the journal, and after the last of them a finished sync of it.
#[test]
fn acknowledgements_follow_the_sync_of_their_bytes() {
    let _alone = alone();
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
    let history = History {
        seed: 1,
        durability: Durability::Disk,
    };
    let Ok(mut child) = committer(&strace, &dir, history, 20).spawn() else {
        assert!(
            std::env::var_os("DRIFTLESS_NO_SKIP").is_none(),
            "strace is missing"
        );
        eprintln!("skipped: strace is missing");
        return;
    };
    assert_eq!(Events::of(&mut child).last(), Some(Event::Closed(20)));
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
        let event = Event::read(call).filter(|_| call.starts_with("write(1"));
        if let Some(Event::Acknowledged(n)) = event {
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
         7 write(1</dev/null>, \"store: acknowledged 1\\n\", 22) = 22\n\
         7 fdatasync(5</store/0.jnl>) = 0\n",
    );
}
