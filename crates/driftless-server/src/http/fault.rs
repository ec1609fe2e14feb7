//! Failures on purpose, so that clients can be tested against a server that fails.

use std::fmt;

use driftless_wire::{ApiError, Operation};

/// Decides which requests fail. Without one, none does.
pub trait Fault: fmt::Debug + Send + Sync {
    /// Is asked twice for each request that the service takes: before it, and after it if it
    /// succeeded.
    fn strike(&self, operation: Operation, moment: Moment) -> Option<Failure>;
}

/// When a failure happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Nothing has been done.
    Before,
    /// What the request asks for is done and durable.
    After,
}

/// What the client sees.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// This error.
    Answer(ApiError),
    /// The connection closes without an answer.
    Silence,
}
