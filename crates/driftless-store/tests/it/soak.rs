//! How many random cases a test draws, and how a failed one is drawn again.

use std::env;
use std::fmt;
use std::thread;

const SEED: &str = "DRIFTLESS_SEED";

/// The random cases of one test. A failure prints the command that draws them again.
#[derive(Clone, Debug)]
pub(crate) struct Soak {
    pub(crate) seed: u64,
    pub(crate) cases: u64,
    variable: &'static str,
    test: &'static str,
}

impl Soak {
    /// Reads how many cases are wanted from the variable of that name, and their seed from `DRIFTLESS_SEED`.
    ///
    /// `test` is what `cargo test` is told to run this one alone.
    pub(crate) fn new(variable: &'static str, default: u64, test: &'static str) -> Self {
        Self {
            seed: number(SEED).unwrap_or(1),
            cases: number(variable).unwrap_or(default),
            variable,
            test,
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().expect("the variable is a number"))
}

impl fmt::Display for Soak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed,
            cases,
            variable,
            test,
        } = self;
        write!(
            f,
            "{SEED}={seed} {variable}={cases} cargo test -p driftless-store {test}"
        )
    }
}

impl Drop for Soak {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("again: {self}");
        }
    }
}
