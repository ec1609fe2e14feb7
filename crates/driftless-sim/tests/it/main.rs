//! The simulator holds Driftless to what it promises, and itself to what it says.
#![expect(
    clippy::unwrap_used,
    reason = "a test may panic, and so may what only tests call"
)]

mod harness;
mod mutants;
mod random;
mod scenarios;
mod seeds;
