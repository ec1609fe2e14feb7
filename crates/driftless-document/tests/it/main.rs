//! The document through its public API.

mod counters;
mod devices;
mod keys;
mod random;
mod refusals;
mod restarts;
mod texts;
