//! The document through its public API.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod counters;
mod devices;
mod keys;
mod lists;
mod maps;
mod meeting;
mod random;
mod refusals;
mod restarts;
mod texts;
