//! hyper: one HTTP request out, one bounded answer back, in a bounded time.
//!
//! No other file names a type of hyper.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::courier::Courier;
use crate::error::ExchangeError;
use crate::transport::BoxFuture;

/// A pool of connections.
#[derive(Debug)]
pub(crate) struct Connection {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    request_timeout: Duration,
    max_answer_bytes: usize,
}

impl Connection {
    pub(crate) fn new(connect: Duration, request: Duration, max_answer_bytes: usize) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(connect));
        // Named, not taken from the process: an app may have two providers of cryptography linked
        // in.
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())
            .expect("ring has cipher suites for the default protocol versions")
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .build(connector);
        Self {
            client,
            request_timeout: request,
            max_answer_bytes,
        }
    }

    async fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, ExchangeError> {
        if Handle::try_current().is_err() {
            return Err(ExchangeError::NoRuntime);
        }
        match timeout(self.request_timeout, self.answer(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(ExchangeError::TimedOut {
                after: self.request_timeout,
            }),
        }
    }

    async fn answer(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, ExchangeError> {
        let (head, body) = match self.client.request(request.map(Full::new)).await {
            Ok(response) => response.into_parts(),
            Err(error) if error.is_connect() => return Err(ExchangeError::Connect(error.into())),
            Err(error) => return Err(ExchangeError::Interrupted(error.into())),
        };
        let body = Limited::new(body, self.max_answer_bytes).collect().await;
        let body = body.map_err(|error| self.broken(error))?.to_bytes();
        Ok(http::Response::from_parts(head, body))
    }

    fn broken(&self, error: Box<dyn Error + Send + Sync>) -> ExchangeError {
        if error.is::<LengthLimitError>() {
            return ExchangeError::AnswerTooLarge {
                limit: self.max_answer_bytes,
            };
        }
        ExchangeError::Interrupted(error)
    }
}

/// The pool sends a request anew over another connection only if the first one was found closed
/// before a byte of it was written.
impl Courier for Connection {
    fn carry(
        &self,
        request: http::Request<Bytes>,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, ExchangeError>> {
        Box::pin(self.send(request))
    }
}
