//! A process of its own that opens a store, goes on with its history, closes and opens it again, and says so.

use std::env;
use std::io::{self, BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use driftless_merge::Durability;
use driftless_store::Store;
use rand::RngExt;

use crate::samples::open;
use crate::steps::{History, random};

const DIR: &str = "DRIFTLESS_TEST_DIR";
const SEED: &str = "DRIFTLESS_TEST_SEED";
const BUFFERED: &str = "DRIFTLESS_TEST_BUFFERED";
const COUNT: &str = "DRIFTLESS_TEST_COUNT";
/// What stands before an event in a line.
const SAYS: &str = "store: ";

/// Waits until no other test starts processes or opens stores.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a committer is about to do, or did; the number is that of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Opening,
    Opened(u64),
    Begins(u64),
    Acknowledged(u64),
    Closing(u64),
    Closed(u64),
}

impl Event {
    fn say(self) {
        let (word, number) = match self {
            Self::Opening => ("opening", 0),
            Self::Opened(last) => ("opened", last),
            Self::Begins(number) => ("begins", number),
            Self::Acknowledged(number) => ("acknowledged", number),
            Self::Closing(last) => ("closing", last),
            Self::Closed(last) => ("closed", last),
        };
        let line = format!("{SAYS}{word} {number}\n");
        io::stdout().lock().write_all(line.as_bytes()).unwrap();
    }

    /// Reads an event, wherever in the line it stands: the test harness and a tracer add their own words.
    pub(crate) fn read(line: &str) -> Option<Self> {
        let (_, event) = line.split_once(SAYS)?;
        let (word, number) = event.split_once(' ')?;
        let end = number.find(|end: char| !end.is_ascii_digit());
        let number = number[..end.unwrap_or(number.len())].parse().ok()?;
        Some(match word {
            "opening" => Self::Opening,
            "opened" => Self::Opened(number),
            "begins" => Self::Begins(number),
            "acknowledged" => Self::Acknowledged(number),
            "closing" => Self::Closing(number),
            "closed" => Self::Closed(number),
            _ => return None,
        })
    }
}

/// Prepares a process that carries on with a history in `dir`, closing and opening the store now and then, until it has
/// made `count` commits.
///
/// `run` is what to run it with: nothing, or a tracer and its arguments.
pub(crate) fn committer(run: &[&str], dir: &Path, history: History, count: u64) -> Command {
    let this = env::current_exe().unwrap();
    let mut words = run.iter().map(AsRef::as_ref).chain([this.as_os_str()]);
    let mut command = Command::new(words.next().unwrap());
    command
        .args(words)
        .args([
            "--exact",
            "child::commits_and_says_so",
            "--ignored",
            "--nocapture",
        ])
        .env(DIR, dir)
        .env(SEED, history.seed.to_string())
        .env(COUNT, count.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    if history.durability == Durability::Buffered {
        command.env(BUFFERED, "");
    }
    command
}

#[test]
#[ignore = "the body of the process that other tests start"]
fn commits_and_says_so() {
    let dir = env::var_os(DIR).unwrap();
    let variable = |name| env::var(name).unwrap().parse::<u64>().unwrap();
    let durability = match env::var_os(BUFFERED) {
        Some(_) => Durability::Buffered,
        None => Durability::Disk,
    };
    let history = History {
        seed: variable(SEED),
        durability,
    };
    let mut left = variable(COUNT);
    while left > 0 {
        Event::Opening.say();
        let (store, report) = open(Path::new(&dir));
        let last = report.last_commit;
        Event::Opened(last).say();
        let mut random = random(history.seed, last);
        let more = left.min(random.random_range(1..80));
        for n in last + 1..=last + more {
            Event::Begins(n).say();
            history.perform(n, &store).unwrap();
            Event::Acknowledged(n).say();
        }
        left -= more;
        Event::Closing(last + more).say();
        if random.random() {
            store.close().unwrap();
        } else {
            drop(store);
        }
        Event::Closed(last + more).say();
    }
}

/// What a committer says, as it comes, to its end.
pub(crate) struct Events(Lines<BufReader<ChildStdout>>);

impl Events {
    pub(crate) fn of(child: &mut Child) -> Self {
        Self(BufReader::new(child.stdout.take().unwrap()).lines())
    }
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.0
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| Event::read(&line))
    }
}
