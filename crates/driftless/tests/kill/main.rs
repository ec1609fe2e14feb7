//! What `put` acknowledged is there after any death of the process, and at `Durability::Disk` its
//! bytes were synced before it was acknowledged.
//!
//! `DRIFTLESS_KILLS` and `DRIFTLESS_SEED` draw more and other kills.
//!
//! The process that dies is this test binary, started again. It is not the one of the other tests,
//! and its tests run one after the other: a process that is being started holds, for a moment, the
//! locks of all stores that its parent has open, also of those that the parent then closes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, HashMap};
use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use driftless::{Client, Dataset, Durability, PutError, Scalar, Value};

const POOL: &str = "us-east-1:00000000-0000-0000-0000-000000000001";
const DIR: &str = "DRIFTLESS_TEST_DIR";
const COUNT: &str = "DRIFTLESS_TEST_COUNT";
const ACKNOWLEDGED: &str = "acknowledged ";
const BUFFERED: &str = "DRIFTLESS_TEST_BUFFERED";
const KEYS: i64 = 40;

/// Held by the test that starts processes.
static ALONE: Mutex<()> = Mutex::new(());

fn open(dir: &Path, durability: Durability) -> Client {
    Client::builder(dir)
        .pool(POOL.parse().unwrap())
        .durability(durability)
        .open()
        .unwrap()
}

/// The puts of one number, and the count that ends them.
fn puts(number: i64) -> Vec<(String, Scalar)> {
    let mut puts = vec![(format!("key{}", number % KEYS), number.into())];
    if number % 5 == 0 {
        // Enough for the log to be folded again and again.
        let large = number.to_string().repeat(6_000 / number.to_string().len());
        puts.push(("large".to_owned(), large.into()));
    }
    puts
}

/// Every third is a transaction, which is there as a whole or not.
const fn is_transaction(number: i64) -> bool {
    number % 3 == 0
}

fn perform(notes: &Dataset, number: i64) -> Result<(), PutError> {
    if is_transaction(number) {
        return notes.transaction(|transaction| {
            for (key, value) in puts(number) {
                transaction.put(&key, value)?;
            }
            transaction.increment("last", 1)
        });
    }
    for (key, value) in puts(number) {
        notes.put(&key, value)?;
    }
    notes.increment("last", 1)
}

/// What may be there when the last count is `last`: all up to it, and perhaps puts of the next.
fn possible(last: i64) -> Vec<BTreeMap<String, Value>> {
    let value = |(key, scalar)| (key, Value::Scalar(scalar));
    // Each key was put once in so many numbers.
    let recent = (last - 10 * KEYS).max(1)..=last;
    let mut entries: BTreeMap<_, _> = recent.flat_map(puts).map(value).collect();
    if last > 0 {
        entries.insert("last".to_owned(), Value::Counter(last));
    }
    let mut possible = vec![entries.clone()];
    if !is_transaction(last + 1) {
        for put in puts(last + 1) {
            entries.extend([value(put)]);
            possible.push(entries.clone());
        }
    }
    possible
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
    let dir = env::var_os(DIR).unwrap();
    let durability = match env::var_os(BUFFERED) {
        Some(_) => Durability::Buffered,
        None => Durability::Disk,
    };
    let mut left: i64 = env::var(COUNT).unwrap().parse().unwrap();
    while left > 0 {
        let client = open(Path::new(&dir), durability);
        let notes = client.dataset("notes").unwrap();
        let first = notes.counter("last").unwrap_or(0) + 1;
        let more = left.min(first * 31 % 47 + 20);
        for number in first..first + more {
            perform(&notes, number).unwrap();
            let line = format!("{ACKNOWLEDGED}{number}\n");
            io::stdout().lock().write_all(line.as_bytes()).unwrap();
        }
        client.close().unwrap();
        left -= more;
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
fn puts_on_disk_survive_kills() {
    kill_and_look(Durability::Disk, "puts_on_disk_survive_kills");
}

#[test]
fn buffered_puts_survive_kills() {
    kill_and_look(Durability::Buffered, "buffered_puts_survive_kills");
}

fn variable(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Kills one process after the other on one directory: after some acknowledgements, or while it
/// starts, and anywhere in what follows.
fn kill_and_look(durability: Durability, test: &str) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let seed = variable("DRIFTLESS_SEED", 1);
    let kills = variable("DRIFTLESS_KILLS", 15);
    let again = format!(
        "DRIFTLESS_SEED={seed} DRIFTLESS_KILLS={kills} cargo test -p driftless --test kill {test}"
    );
    let home = tempfile::tempdir().unwrap();
    let mut last = 0;
    for kill in 0..kills {
        let random = blake3::hash(&[seed.to_le_bytes(), kill.to_le_bytes()].concat());
        let random = random.as_bytes();
        let mut child = putter(&[], home.path(), i64::MAX / 2);
        if durability == Durability::Buffered {
            child.env(BUFFERED, "");
        }
        let mut child = child.spawn().unwrap();
        let mut numbers = acknowledged(&mut child);
        let is_starting = random[0] < 50;
        let wanted = if is_starting {
            0
        } else {
            usize::from(random[1] % 90) + 1
        };
        let seen = numbers.by_ref().take(wanted).last().unwrap_or(last);
        let wait = u64::from(u16::from_le_bytes([random[2], random[3]]));
        sleep(Duration::from_micros(if is_starting {
            wait
        } else {
            wait / 20
        }));
        child.kill().unwrap();
        child.wait().unwrap();
        let seen = numbers.last().unwrap_or(seen);

        let client = open(home.path(), durability);
        let notes = client.dataset("notes").unwrap();
        last = notes.counter("last").unwrap_or(0);
        assert!(
            [seen, seen + 1].contains(&last),
            "{last} of {seen} after kill {kill}: {again}"
        );
        let entries = notes.entries().into_iter().collect();
        assert!(
            possible(last).contains(&entries),
            "after kill {kill}: {again}"
        );
        client.close().unwrap();
    }
    assert!(
        last.unsigned_abs() >= kills,
        "the processes came to nothing: {again}"
    );
    eprintln!("{durability:?}: {kills} kills, {last} numbers");
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
