//! One HTTP request out, one answer back, once.

use std::fmt;

use bytes::Bytes;

use crate::error::ExchangeError;
use crate::transport::BoxFuture;

/// Carries a signed HTTP request to its end point, once, and its answer back.
///
/// What is sent and sent again is decided above it, by [`HyperTransport`](crate::HyperTransport). hyper
/// does this over sockets unless the builder is given another one; a simulator has no sockets.
pub trait Courier: Send + Sync + fmt::Debug {
    /// Sends a request whose target is an absolute URI, and waits for the whole answer, but not for
    /// ever.
    ///
    /// The future may be dropped at any time.
    ///
    /// # Errors
    ///
    /// [`ExchangeError::Connect`] and [`ExchangeError::NoRuntime`] if nothing was sent;
    /// [`ExchangeError::TimedOut`], [`ExchangeError::Interrupted`] and
    /// [`ExchangeError::AnswerTooLarge`] if it may have been carried out.
    fn carry(
        &self,
        request: http::Request<Bytes>,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, ExchangeError>>;
}
