//! The simulator holds Driftless to what it promises, and itself to what it says.

mod harness;
mod random;
mod seeds;
