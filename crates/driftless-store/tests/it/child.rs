//! A process of its own that commits and says so: this test binary, started again.

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use driftless_merge::Durability;
use driftless_store::Store;

use crate::samples::{nth, open};

const DIR: &str = "DRIFTLESS_TEST_DIR";
const COUNT: &str = "DRIFTLESS_TEST_COUNT";
const ACKNOWLEDGED: &str = "acknowledged ";

/// Prepares a process that carries on with the commits of the store in `dir`, `count` of them, on disk.
///
/// `run` is what to run it with: nothing, or a tracer and its arguments.
pub(crate) fn committer(run: &[&str], dir: &Path, count: u64) -> Command {
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
        .env(COUNT, count.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

#[test]
#[ignore = "the body of the process that other tests start"]
fn commits_and_says_so() {
    let (store, report) = open(Path::new(&env::var_os(DIR).unwrap()));
    let count: u64 = env::var(COUNT).unwrap().parse().unwrap();
    for n in (report.last_commit + 1..).take(count as usize) {
        store.commit(nth(n), Durability::Disk).unwrap();
        let line = format!("{ACKNOWLEDGED}{n}\n");
        io::stdout().lock().write_all(line.as_bytes()).unwrap();
    }
}

/// The numbers that a committer has acknowledged, as they come.
pub(crate) fn acknowledged(child: &mut Child) -> impl Iterator<Item = u64> + use<> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines
        .map_while(Result::ok)
        .filter_map(|line: String| number(&line))
}

/// The number in an acknowledgement, wherever in the line that stands: the test harness and a tracer add their own words.
pub(crate) fn number(line: &str) -> Option<u64> {
    let (_, number) = line.split_once(ACKNOWLEDGED)?;
    let end = number
        .find(|end: char| !end.is_ascii_digit())
        .unwrap_or(number.len());
    number[..end].parse().ok()
}
