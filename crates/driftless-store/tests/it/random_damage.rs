//! Random damage to random files of a store: what is returned is the commits up to some point, with the loss reported,
//! or an error that names what is damaged. Nothing panics, and nothing else is ever returned.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

use driftless_merge::{DatasetKey, Durability};
use driftless_store::{
    CommitError, DiskStore, MemoryStore, OpenError, RecoverError, RecoveryReport, Stop, Store,
};
use rand::rngs::StdRng;
use rand::{Rng, RngExt};

use crate::damage::{files, flush};
use crate::samples::{copy_dir, find, open};
use crate::soak::Soak;
use crate::steps::{History, SETTINGS, all_datasets, random};

const COMMITS: u64 = 60;
/// Commits that are made once the damage was seen.
const LATER: u64 = 6;

#[test]
fn random_damage_is_noticed_or_harmless() {
    let soak = Soak::new(
        "DRIFTLESS_DAMAGES",
        80,
        "--test it -- --nocapture random_damage_is_noticed_or_harmless",
    );
    let home = tempfile::tempdir().unwrap();
    let samples = Sample::all(home.path(), soak.seed);
    let mut outcomes = BTreeMap::new();
    for case in 0..soak.cases {
        let mut random = random(!soak.seed, case);
        let sample = &samples[random.random_range(0..samples.len())];
        let copy = tempfile::tempdir().unwrap();
        copy_dir(&sample.dir, copy.path());
        let damages: Vec<_> = (0..if random.random_ratio(1, 6) { 2 } else { 1 })
            .map(|_| damage(copy.path(), &mut random))
            .collect();
        let run = AssertUnwindSafe(|| look(copy.path(), sample));
        let outcome = catch_unwind(run).unwrap_or_else(|panic| {
            eprintln!("case {case}, a {} store: {damages:?}", sample.kind);
            resume_unwind(panic)
        });
        let file = kind_of_file(&damages[0].file);
        *outcomes.entry((outcome, file)).or_insert(0_u64) += 1;
    }
    for ((outcome, file), count) in outcomes {
        eprintln!("{count:6} {file:12} {outcome:?}");
    }
}

/// A store whose files are damaged.
struct Sample {
    kind: &'static str,
    dir: PathBuf,
    history: History,
    /// The last commit.
    last: u64,
    /// Whether the mark knows the last commit, so that any loss can be told.
    is_marked: bool,
}

impl Sample {
    fn all(home: &Path, seed: u64) -> Vec<Self> {
        let kinds = [
            ("killed", Durability::Disk, [false, false, false]),
            ("buffered", Durability::Buffered, [false, false, false]),
            ("closed", Durability::Disk, [false, false, true]),
            (
                "closed buffered",
                Durability::Buffered,
                [false, false, true],
            ),
            ("flushed", Durability::Disk, [true, false, false]),
            (
                "flushed buffered",
                Durability::Buffered,
                [true, false, true],
            ),
            ("rewritten", Durability::Disk, [false, true, false]),
            (
                "rewritten buffered",
                Durability::Buffered,
                [false, true, true],
            ),
        ];
        kinds
            .into_iter()
            .map(|(kind, durability, shape)| {
                Self::make(home, kind, History { seed, durability }, shape)
            })
            .collect()
    }

    /// Makes a store whose rows stand in the journal, or some of them also, or only, in tables.
    fn make(
        home: &Path,
        kind: &'static str,
        history: History,
        [is_flushed, is_rewritten, is_closed]: [bool; 3],
    ) -> Self {
        let (dir, left) = (home.join(format!("{kind} made")), home.join(kind));
        let (store, _) = open(&dir);
        let mut last = COMMITS;
        (1..=last).for_each(|n| history.perform(n, &store).unwrap());
        if is_flushed || is_rewritten {
            store.close().unwrap();
            if is_flushed {
                flush(&dir.join("rows"));
            } else {
                last += lengthen_journal(&dir);
            }
            let (store, _) = open(&dir);
            (last + 1..=last + COMMITS).for_each(|n| history.perform(n, &store).unwrap());
            last += COMMITS;
            leave(&store, is_closed, &dir, &left);
        } else {
            leave(&store, is_closed, &dir, &left);
        }
        Self {
            kind,
            dir: left,
            history,
            last,
            is_marked: is_closed || history.durability == Durability::Disk,
        }
    }

    /// Returns what the store was when the commit of this number was its last.
    fn at(&self, last: u64) -> MemoryStore {
        let model = MemoryStore::new();
        for n in 1..=last {
            // What made a journal long in between changed nothing in the end.
            if !self.kind.starts_with("rewritten") || !LENGTHENED.contains(&n) {
                self.history.perform(n, &model).unwrap();
            }
        }
        model
    }
}

const LENGTHENED: std::ops::RangeInclusive<u64> = COMMITS + 1..=COMMITS + 4;

fn leave(store: &DiskStore, is_closed: bool, dir: &Path, left: &Path) {
    if is_closed {
        store.close().unwrap();
    }
    copy_dir(dir, left);
}

/// Writes and removes a large setting until the next start finds the journal too long, and returns in how many commits.
fn lengthen_journal(dir: &Path) -> u64 {
    let (store, _) = open(dir);
    for _ in 0..3 {
        store
            .set_setting("large", Some(&vec![1; 1024 * 1024]), Durability::Buffered)
            .unwrap();
    }
    store.set_setting("large", None, Durability::Disk).unwrap();
    4
}

/// What was done to a file.
#[derive(Debug)]
#[expect(dead_code, reason = "it is shown when a case fails")]
struct Damage {
    file: PathBuf,
    what: String,
}

/// Damages a random file: a journal in half of the cases, a table, if there is one, in a quarter.
fn damage(dir: &Path, random: &mut StdRng) -> Damage {
    let wanted = ["journal", "journal", "table", ""][random.random_range(0..4)];
    let (these, others): (Vec<_>, Vec<_>) = files(dir)
        .into_iter()
        .partition(|file| kind_of_file(file) == wanted);
    let among = if these.is_empty() { &others } else { &these };
    let file = &among[random.random_range(0..among.len())];
    let mut bytes = fs::read(file).unwrap();
    let what = change(&mut bytes, random);
    if what == "removed" {
        fs::remove_file(file).unwrap();
    } else {
        File::create(file).unwrap().write_all(&bytes).unwrap();
    }
    let file = file.strip_prefix(dir).unwrap().to_owned();
    Damage { file, what }
}

/// Changes bytes in one of the ways in which disks, file systems and people do.
fn change(bytes: &mut Vec<u8>, random: &mut StdRng) -> String {
    let used = bytes
        .iter()
        .rposition(|&byte| byte != 0)
        .map_or(0, |at| at + 1);
    let length = used.max(1).min(bytes.len());
    let kind = random.random_range(0..20);
    if length == 0 || kind == 0 {
        let mut more = vec![0; random.random_range(1..100)];
        random.fill_bytes(&mut more);
        bytes.extend(&more);
        return format!("{} bytes appended", more.len());
    }
    let at = random.random_range(0..length);
    let run = random.random_range(1..=64).min(length - at);
    match kind {
        1 => "removed".to_owned(),
        2..=5 => {
            bytes.truncate(at);
            format!("cut at {at} of {length}")
        }
        6 => {
            random.fill_bytes(&mut bytes[at..at + run]);
            format!("{run} random bytes at {at} of {length}")
        }
        7 => {
            let start = at / 4096 * 4096;
            let end = (start + 4096).min(length);
            bytes[start..end].fill(0);
            format!("a page of zeros at {start} of {length}")
        }
        8 => {
            let from = random.random_range(0..=length - run);
            bytes.copy_within(from..from + run, at);
            format!("{run} bytes from {from} at {at} of {length}")
        }
        _ => {
            let count = if kind < 16 {
                1
            } else {
                random.random_range(2..9)
            };
            let bits: Vec<_> = (0..count)
                .map(|_| (random.random_range(0..length), random.random_range(0..8)))
                .collect();
            for &(at, bit) in &bits {
                bytes[at] ^= 1 << bit;
            }
            format!("bits {bits:?} of {length}")
        }
    }
}

/// What became of a damaged store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// All is there, and nothing was said.
    Whole,
    /// All is there, but it was said that something may be gone.
    WholeWithDoubt,
    /// The commits up to some point are there, and that was said.
    Prefix,
    /// Commits that were only buffered are gone between two of them, as after a loss of power.
    BufferedPrefix,
    /// Some datasets, settings or the list of datasets cannot be read, the others are as they were.
    PartlyDamaged,
    /// The store was refused.
    Refused(String),
}

fn kind_of_file(file: &Path) -> &'static str {
    let name = file.file_name().unwrap().to_str().unwrap();
    let is_under = |part: &str| file.components().any(|found| found.as_os_str() == part);
    match name {
        _ if is_under("journal-copy") => "copy",
        _ if name.ends_with(".jnl") => "journal",
        "mark" => "mark",
        "format" => "format",
        "lock" => "lock",
        "current" => "current",
        "version" => "version",
        _ if is_under("tables") => "table",
        _ if name.starts_with('v') => "list",
        _ => "other",
    }
}

/// Opens a damaged store, looks at all of it, goes on with it, and opens it again.
fn look(dir: &Path, sample: &Sample) -> Outcome {
    let (store, report) = match DiskStore::open(dir) {
        Ok(opened) => (opened.store, opened.report),
        Err(error) => return refused(&error),
    };
    let last = report.last_commit;
    assert!(last <= sample.last, "{report:?}");
    if last < sample.last && sample.is_marked {
        assert!(report.lost_tail(), "{report:?}");
        let is_told = report.missing == Some(last + 1..=sample.last);
        assert!(is_told || report.stop == Stop::Unknown, "{report:?}");
    }
    let model = sample.at(last);
    let damaged = compare(&store, &model);
    go_on(dir, store, sample, &model, &damaged);
    outcome(&report, sample, damaged)
}

fn refused(error: &OpenError) -> Outcome {
    let kind = match error {
        OpenError::Damaged(_) => "damaged",
        OpenError::NotAStore => "not a store",
        OpenError::Version { .. } => "version",
        error => panic!("{error:?}"),
    };
    Outcome::Refused(kind.to_owned())
}

fn outcome(report: &RecoveryReport, sample: &Sample, damaged: Damaged) -> Outcome {
    let is_whole = report.last_commit == sample.last;
    match (damaged.is_empty(), is_whole, report.lost_tail()) {
        (false, _, _) => Outcome::PartlyDamaged,
        (true, true, false) => Outcome::Whole,
        (true, true, true) => Outcome::WholeWithDoubt,
        (true, false, true) => Outcome::Prefix,
        (true, false, false) => Outcome::BufferedPrefix,
    }
}

/// What of a store cannot be read.
#[derive(Debug, Default)]
struct Damaged {
    datasets: BTreeSet<DatasetKey>,
    settings: BTreeSet<&'static str>,
    list: bool,
}

impl Damaged {
    fn is_empty(&self) -> bool {
        self.datasets.is_empty() && self.settings.is_empty() && !self.list
    }
}

/// Checks that all that can be read is what the model has, and returns what cannot.
fn compare(store: &dyn Store, model: &dyn Store) -> Damaged {
    let mut damaged = Damaged::default();
    for dataset in all_datasets() {
        match find(store, &dataset) {
            Ok(found) => assert_eq!(found, find(model, &dataset).unwrap(), "{dataset}"),
            Err(
                RecoverError::Damaged { dataset: named, .. }
                | RecoverError::Version { dataset: named, .. },
            ) => {
                assert_eq!(named, dataset);
                damaged.datasets.insert(dataset);
            }
            Err(error) => panic!("{dataset}: {error:?}"),
        }
    }
    for name in SETTINGS {
        match store.setting(name) {
            Ok(found) => assert_eq!(found, model.setting(name).unwrap(), "{name}"),
            Err(RecoverError::Setting { name: named }) => {
                assert_eq!(named, name);
                damaged.settings.insert(name);
            }
            Err(error) => panic!("{name}: {error:?}"),
        }
    }
    match store.owners() {
        Ok(owners) => assert_eq!(owners, model.owners().unwrap()),
        Err(RecoverError::List(_)) => damaged.list = true,
        Err(error) => panic!("{error:?}"),
    }
    for owner in model.owners().unwrap() {
        match store.datasets(&owner) {
            Ok(names) => assert_eq!(names, model.datasets(&owner).unwrap()),
            Err(RecoverError::List(_)) => damaged.list = true,
            Err(error) => panic!("{error:?}"),
        }
    }
    damaged
}

/// Sets aside what is damaged, makes some more commits, and finds all of them at the next start.
fn go_on(dir: &Path, store: DiskStore, sample: &Sample, model: &MemoryStore, damaged: &Damaged) {
    for dataset in &damaged.datasets {
        if is_done(store.set_aside(dataset)) {
            model.set_aside(dataset).unwrap();
        }
    }
    for n in sample.last + 1..=sample.last + LATER {
        if is_done(sample.history.perform(n, &store)) {
            sample.history.perform(n, model).unwrap();
        }
    }
    store.close().unwrap();
    drop(store);
    match DiskStore::open(dir) {
        Ok(opened) => {
            assert!(!opened.report.lost_tail(), "{:?}", opened.report);
            assert_eq!(opened.report.stop, Stop::Clean);
            let still = compare(&opened.store, model);
            assert!(still.datasets.is_subset(&damaged.datasets), "{still:?}");
        }
        Err(error) => drop(refused(&error)),
    }
}

/// Tells whether a write was made; what builds on damaged rows is refused.
fn is_done(written: Result<(), CommitError>) -> bool {
    match written {
        Ok(()) => true,
        Err(CommitError::Damaged(_)) => false,
        Err(error) => panic!("{error:?}"),
    }
}
