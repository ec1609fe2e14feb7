//! Recorded editing sessions for the command line's demonstration: read, and merged from their graph.
//!
//! The command line itself is the binary `driftless`. What stands here is apart so that a fuzz target
//! and benchmarks can call it.

pub mod graph;
pub mod trace;
