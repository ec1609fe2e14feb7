//! The store through its public API: one module per behaviour.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod contract;
mod damage;
mod directory;
mod left;
mod model;
mod past;
mod rewrite;
mod samples;
