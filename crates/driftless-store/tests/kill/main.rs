//! What survives the death of a process.
//!
//! The process that dies is this test binary, started again. It is not the one of the other tests: a process that is
//! being started holds, for a moment, the locks of all stores that its parent has open, also of those that the parent
//! then closes and opens again.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod child;

mod full;
#[cfg(unix)]
mod kills;
#[cfg(unix)]
mod read_only;
#[path = "../it/samples.rs"]
mod samples;
#[path = "../it/soak.rs"]
mod soak;
#[path = "../it/steps.rs"]
mod steps;
mod sync_order;
