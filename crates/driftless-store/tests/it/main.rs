//! The store through its public API: one module per behaviour.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod contract;
mod damage;
mod directory;
mod left;
mod model;
mod past;
mod random_damage;
mod rewrite;
mod samples;
mod soak;
mod steps;
