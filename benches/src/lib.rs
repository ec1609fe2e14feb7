//! Benchmarks of Driftless.
