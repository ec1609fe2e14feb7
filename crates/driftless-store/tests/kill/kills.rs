//! What was acknowledged is there after any death of the process, and nothing else is.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use driftless_merge::Durability;
use driftless_store::{MemoryStore, Stop, Store};
use rand::rngs::StdRng;
use rand::{Rng, RngExt};

use crate::child::{Event, Events, alone, committer};
use crate::samples::{copy_dir, dump, open};
use crate::soak::Soak;
use crate::steps::{History, SETTINGS, Step, random};

const SIGKILL: i32 = 9;

#[test]
fn commits_on_disk_survive_kills() {
    kill_and_look(
        Durability::Disk,
        "--test kill -- --nocapture commits_on_disk_survive_kills",
    );
}

#[test]
fn buffered_commits_survive_kills() {
    kill_and_look(
        Durability::Buffered,
        "--test kill -- --nocapture buffered_commits_survive_kills",
    );
}

/// Kills one process after the other on one directory: each goes on where the one before was killed.
fn kill_and_look(durability: Durability, test: &'static str) {
    let _alone = alone();
    let soak = Soak::new("DRIFTLESS_KILLS", 15, test);
    let home = tempfile::tempdir().unwrap();
    let history = History {
        seed: soak.seed,
        durability,
    };
    let mut store = Killed::new(history);
    let mut moments = BTreeMap::new();
    for kill in 0..soak.cases {
        let mut random = random(!soak.seed, kill);
        let moment = Moment::draw(&mut random);
        let events = kill_at(moment, &history, home.path(), &mut random);
        *moments
            .entry(format!("{:?} {:?}", moment, events.last()))
            .or_insert(0) += 1;
        store.look(home.path(), &events);
    }
    assert!(store.last >= soak.cases, "the processes came to nothing");
    eprintln!(
        "{durability:?}: {} kills, {} commits",
        soak.cases, store.last
    );
}

/// When a process is killed: after which event, and by which of those.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// While it starts, and perhaps opens.
    Started,
    Opening(u64),
    /// After so many acknowledgements.
    Acknowledged(u64),
    /// In the first large commit after so many, a snapshot or one that removes a dataset.
    InLarge(u64),
    Closing(u64),
}

impl Moment {
    fn draw(random: &mut StdRng) -> Self {
        match random.random_range(0..20) {
            0..=1 => Self::Started,
            2..=4 => Self::Opening(random.random_range(1..=2)),
            5..=7 => Self::Closing(random.random_range(1..=2)),
            8..=12 => Self::InLarge(random.random_range(0..40)),
            13 => Self::Acknowledged(random.random_range(1..300)),
            _ => Self::Acknowledged(random.random_range(1..40)),
        }
    }

    /// Counts down, and returns whether the moment has come with this event.
    fn comes(&mut self, event: Event, history: &History) -> bool {
        let left = match (self, event) {
            (Self::Opening(left), Event::Opening)
            | (Self::Closing(left), Event::Closing(_))
            | (Self::Acknowledged(left), Event::Acknowledged(_)) => left,
            (Self::InLarge(left), Event::Begins(n)) if *left > 0 || is_large(&history.step(n)) => {
                if *left == 0 {
                    return true;
                }
                *left -= 1;
                return false;
            }
            _ => return false,
        };
        *left -= 1;
        *left == 0
    }

    /// The longest that it is waited after the event, so that the end falls anywhere in what follows.
    fn longest_wait(self) -> Duration {
        Duration::from_micros(match self {
            Self::Started | Self::Opening(_) => 40_000,
            Self::Acknowledged(_) => 1_500,
            Self::InLarge(_) => 4_000,
            Self::Closing(_) => 15_000,
        })
    }
}

fn is_large(step: &Step) -> bool {
    match step {
        Step::Commit(commit) => commit.snapshot.is_some(),
        Step::Forget(_) | Step::SetAside(_) => true,
        Step::Setting(..) => false,
    }
}

/// Starts a process, kills it, and returns all that it said.
fn kill_at(moment: Moment, history: &History, dir: &Path, random: &mut StdRng) -> Vec<Event> {
    let mut child = committer(&[], dir, *history, u64::MAX).spawn().unwrap();
    let mut events = Events::of(&mut child);
    let mut said = Vec::new();
    let mut left = moment;
    if !matches!(moment, Moment::Started) {
        for event in events.by_ref() {
            said.push(event);
            if left.comes(event, history) {
                break;
            }
        }
    }
    sleep(
        moment
            .longest_wait()
            .mul_f64(f64::from(random.next_u32()) / f64::from(u32::MAX)),
    );
    child.kill().unwrap();
    said.extend(events);
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(SIGKILL), "{said:?}");
    said
}

/// A store whose process was killed again and again, and what it must hold.
struct Killed {
    history: History,
    /// The commits that are there.
    model: MemoryStore,
    last: u64,
    /// The last start found a torn commit.
    was_torn: bool,
}

impl Killed {
    fn new(history: History) -> Self {
        Self {
            history,
            model: MemoryStore::new(),
            last: 0,
            was_torn: false,
        }
    }

    /// Checks in a copy of `dir`, so that the store itself is never closed by anyone but its processes, that all that was
    /// acknowledged is there, at most the commit in flight beside it, and the sum is that of the same commits in memory.
    fn look(&mut self, dir: &Path, events: &[Event]) {
        let (seen, in_flight) = self.expected(events);
        let copy = tempfile::tempdir().unwrap();
        copy_dir(dir, copy.path());
        let (store, report) = open(copy.path());
        let last = report.last_commit;
        assert!(
            last == seen || Some(last) == in_flight,
            "{report:?} with {seen} acknowledged and {in_flight:?} in flight"
        );
        assert_eq!(report.missing, None);
        let may_be_torn = in_flight.is_some() || self.was_torn;
        assert!(
            may_be_torn || !report.lost_tail(),
            "{report:?} after {events:?}"
        );
        match events.last() {
            Some(Event::Closed(_)) => assert_eq!(report.stop, Stop::Clean),
            Some(Event::Opened(_) | Event::Begins(_) | Event::Acknowledged(_)) => {
                assert_ne!(report.stop, Stop::Clean);
            }
            _ => {}
        }
        assert_ne!(report.stop, Stop::Unknown);
        for n in self.last + 1..=last {
            self.history.perform(n, &self.model).unwrap();
        }
        self.compare(&store);
        (self.last, self.was_torn) = (last, report.lost_tail());

        // What is found can be gone on with, and found again.
        let next = self.history.perform(last + 1, &store);
        next.unwrap();
        store.close().unwrap();
        let (_, report) = open(copy.path());
        assert_eq!((report.last_commit, report.stop), (last + 1, Stop::Clean));
        assert!(!report.lost_tail());
    }

    /// Follows what the process said: what it found, what it acknowledged, and the commit that it was in.
    fn expected(&mut self, events: &[Event]) -> (u64, Option<u64>) {
        let (mut seen, mut in_flight) = (self.last, None);
        for event in events {
            match *event {
                Event::Opening => {}
                Event::Opened(last) => assert_eq!(last, seen, "{events:?}"),
                Event::Begins(number) => {
                    assert_eq!(number, seen + 1);
                    in_flight = Some(number);
                }
                Event::Acknowledged(number) => (seen, in_flight) = (number, None),
                Event::Closing(last) => assert_eq!(last, seen),
                Event::Closed(last) => {
                    assert_eq!(last, seen);
                    self.was_torn = false;
                }
            }
        }
        (seen, in_flight)
    }

    fn compare(&self, store: &dyn Store) {
        assert_eq!(dump(store), dump(&self.model));
        for name in SETTINGS {
            assert_eq!(
                store.setting(name).unwrap(),
                self.model.setting(name).unwrap(),
                "{name}"
            );
        }
    }
}
