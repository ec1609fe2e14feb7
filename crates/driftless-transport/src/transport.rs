//! The door through which a client reaches a service, whatever is behind it.

use std::pin::Pin;

use driftless_wire::{Request, Response};

use crate::error::ExchangeError;

/// A future that a trait object gives out.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Carries one request to a service and its answer back.
///
/// [`HyperTransport`](crate::HyperTransport) goes over the network; a simulator or a service in the
/// same process has its own.
pub trait Transport: Send + Sync {
    /// Sends a request until it is answered, refused, or may not be sent again.
    ///
    /// The future may be dropped at any time; whether the service then carries the request out is
    /// unknown, as after an error with
    /// [`outcome_unknown`](crate::ExchangeError::outcome_unknown).
    fn exchange(&self, request: Request) -> BoxFuture<'_, Result<Exchanged, ExchangeError>>;
}

/// An answer, and what it cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchanged {
    /// The answer.
    pub response: Response,
    /// Bytes of all bodies sent.
    pub bytes_up: u64,
    /// Bytes of all bodies received.
    pub bytes_down: u64,
    /// Requests sent, the answered one included.
    pub requests: u32,
}
