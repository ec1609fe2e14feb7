//! What `put` acknowledged at `Durability::Disk` is there after any death of the process, and its
//! bytes were synced before it was acknowledged.
//!
//! The process that dies is this test binary, started again. It is not the one of the other tests,
//! and its tests run one after the other: a process that is being started holds, for a moment, the
//! locks of all stores that its parent has open, also of those that the parent then closes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::HashMap;
use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use driftless::{Client, Value};

const POOL: &str = "us-east-1:00000000-0000-0000-0000-000000000001";
const DIR: &str = "DRIFTLESS_TEST_DIR";
const COUNT: &str = "DRIFTLESS_TEST_COUNT";
const ACKNOWLEDGED: &str = "acknowledged ";
const KEYS: i64 = 40;
const KILLS: i64 = 100;

/// Held by the test that starts processes.
static ALONE: Mutex<()> = Mutex::new(());

fn open(dir: &Path) -> Client {
    Client::builder(dir)
        .pool(POOL.parse().unwrap())
        .open()
        .unwrap()
}

fn key(number: i64) -> String {
    format!("key{}", number % KEYS)
}

/// Prepares a process that goes on with the puts in `dir`, `count` of them.
///
/// `run` is what to run it with: nothing, or a tracer and its arguments.
fn putter(run: &[&str], dir: &Path, count: i64) -> Command {
    let this = env::current_exe().unwrap();
    let mut words = run.iter().map(AsRef::as_ref).chain([this.as_os_str()]);
    let mut command = Command::new(words.next().unwrap());
    command
        .args(words)
        .args(["--exact", "puts_and_says_so", "--ignored", "--nocapture"])
        .env(DIR, dir)
        .env(COUNT, count.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

#[test]
#[ignore = "the body of the process that other tests start"]
fn puts_and_says_so() {
    let client = open(Path::new(&env::var_os(DIR).unwrap()));
    let notes = client.dataset("notes").unwrap();
    let first = notes.counter("last").unwrap_or(0) + 1;
    let count: i64 = env::var(COUNT).unwrap().parse().unwrap();
    for number in first..first + count {
        // Every third is a transaction, which is there as a whole or not.
        if number % 3 == 0 {
            let both = notes.transaction::<_, driftless::PutError>(|transaction| {
                transaction.put(&key(number), number)?;
                transaction.increment("last", 1)
            });
            both.unwrap();
        } else {
            notes.put(&key(number), number).unwrap();
            notes.increment("last", 1).unwrap();
        }
        let line = format!("{ACKNOWLEDGED}{number}\n");
        io::stdout().lock().write_all(line.as_bytes()).unwrap();
    }
}

/// The numbers that a process has acknowledged, as they come.
fn acknowledged(child: &mut Child) -> impl Iterator<Item = i64> + use<> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines
        .map_while(Result::ok)
        .filter_map(|line: String| number(&line))
}

/// The number in an acknowledgement, wherever in the line that stands: the test harness and a
/// tracer add their own words.
fn number(line: &str) -> Option<i64> {
    let (_, number) = line.split_once(ACKNOWLEDGED)?;
    let end = number
        .find(|end: char| !end.is_ascii_digit())
        .unwrap_or(number.len());
    number[..end].parse().ok()
}

#[test]
fn acknowledged_puts_survive_a_hundred_kills() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let home = tempfile::tempdir().unwrap();
    let mut last = 0;
    for kill in 0..KILLS {
        let mut child = putter(&[], home.path(), i64::MAX / 2).spawn().unwrap();
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
        last = numbers.last().unwrap_or(seen);

        let client = open(home.path());
        let notes = client.dataset("notes").unwrap();
        let found = notes.counter("last").unwrap_or(0);
        assert!(
            [last, last + 1].contains(&found),
            "{found} of {last} after kill {kill}"
        );
        for number in (found - KEYS + 1).max(1)..=found {
            let value = notes.get(&key(number));
            let newer = number + KEYS;
            let expected = [number, newer].map(|number| Some(Value::Scalar(number.into())));
            // The put in flight may be there without its count.
            let is_there = value == expected[0] || newer == found + 1 && value == expected[1];
            assert!(is_there, "{number} of {found} after kill {kill}: {value:?}");
        }
        last = found;
        client.close().unwrap();
    }
    assert!(last > KILLS);
}

/// Between two acknowledgements there is a write to the journal, and after the last of them a
/// finished sync of it.
#[test]
fn acknowledgements_follow_the_sync_of_their_bytes() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let home = tempfile::tempdir().unwrap();
    let (dir, log) = (home.path().join("store"), home.path().join("trace"));
    let calls = "trace=write,writev,pwrite64,fsync,fdatasync";
    let log_path = log.to_str().unwrap();
    let strace = [
        "strace", "-f", "-y", "-s", "256", "-e", calls, "-o", log_path,
    ];
    let Ok(mut child) = putter(&strace, &dir, 20).spawn() else {
        assert!(
            env::var_os("DRIFTLESS_NO_SKIP").is_none(),
            "strace is missing"
        );
        eprintln!("skipped: strace is missing");
        return;
    };
    assert_eq!(acknowledged(&mut child).last(), Some(20));
    child.wait().unwrap();
    assert_eq!(check(&fs::read_to_string(log).unwrap()), 20);
}

/// Goes through a trace and returns how many acknowledgements there are, all of them after their
/// sync.
fn check(trace: &str) -> i64 {
    let mut acknowledged = 0;
    let (mut written, mut synced) = (false, false);
    let mut unfinished = HashMap::new();
    for line in trace.lines() {
        let (thread, call) = line.split_once(' ').unwrap();
        let call = call.trim_start();
        let is_resumed = call.starts_with("<...");
        let resumed = is_resumed.then(|| unfinished.remove(thread)).flatten();
        if call.ends_with("<unfinished ...>") {
            unfinished.insert(thread, call);
        }
        let is_finished = call.ends_with("= 0") || !call.contains("sync");
        let call = resumed.unwrap_or(call);
        if let Some(number) = number(call).filter(|_| call.starts_with("write(1")) {
            acknowledged += 1;
            assert_eq!(number, acknowledged);
            assert!(
                written && synced,
                "acknowledgement {number} came before its sync"
            );
            (written, synced) = (false, false);
        } else if call.contains(".jnl>") {
            if call.contains("sync(") {
                synced |= is_finished;
            } else {
                (written, synced) = (true, false);
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
