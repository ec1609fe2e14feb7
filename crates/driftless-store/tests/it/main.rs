//! The store through its public API: one module per behaviour.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod child;
mod contract;
mod crash;
mod damage;
mod directory;
mod full;
mod model;
mod past;
mod rewrite;
mod samples;
mod sync_order;
