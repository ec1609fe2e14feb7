//! What the command line does that others can call too: recorded editing sessions for the demonstration, read and merged
//! from their graph, datasets copied from one service to another, and what is wrong
//! with a stored dataset.
//!
//! The command line itself is the binary `driftless`. What stands here is apart so that tests, fuzz targets and benchmarks
//! can call it.

pub mod checkup;
pub mod graph;
pub mod migration;
pub mod trace;
