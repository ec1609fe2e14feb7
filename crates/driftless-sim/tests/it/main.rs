//! The simulator holds Driftless to what it promises, and itself to what it says.

mod harness;
mod mutants;
mod random;
mod seeds;
