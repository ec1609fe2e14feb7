//! hyper: one HTTP request out, one bounded answer back, in a bounded time.
//!
//! No other file names a type of hyper.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use driftless_wire::{ERROR_TYPE_HEADER, Timestamp};
use http::header::{DATE, HeaderMap};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::clock::to_timestamp;
use crate::error::ExchangeError;

/// A pool of connections.
#[derive(Debug)]
pub(crate) struct Connection {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    request_timeout: Duration,
    max_answer_bytes: usize,
}

/// What is looked at of an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) error_type: Option<String>,
    pub(crate) date: Option<Timestamp>,
    pub(crate) body: Bytes,
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

    /// Sends a request once.
    ///
    /// The pool sends it anew over another connection only if the first one was found closed before
    /// a byte of it was written.
    pub(crate) async fn send(
        &self,
        request: http::Request<Full<Bytes>>,
    ) -> Result<Answer, ExchangeError> {
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

    async fn answer(&self, request: http::Request<Full<Bytes>>) -> Result<Answer, ExchangeError> {
        let (head, body) = match self.client.request(request).await {
            Ok(response) => response.into_parts(),
            Err(error) if error.is_connect() => return Err(ExchangeError::Connect(error.into())),
            Err(error) => return Err(ExchangeError::Interrupted(error.into())),
        };
        let body = Limited::new(body, self.max_answer_bytes).collect().await;
        let text = |name| head.headers.get(name)?.to_str().ok();
        Ok(Answer {
            status: head.status.as_u16(),
            error_type: text(ERROR_TYPE_HEADER).map(str::to_owned),
            date: date(&head.headers),
            body: body.map_err(|error| self.broken(error))?.to_bytes(),
        })
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

fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(DATE)?.to_str().ok()?;
    httpdate::parse_http_date(text).ok().map(to_timestamp)
}
