//! One request and its answer: reading it, the time it may take, and what the log tells of it.
//!
//! What it is answered is decided behind the [`Gate`](crate::Gate).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use driftless_wire::{ApiError, ErrorCode, Timestamp};
use http::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use http::request::Parts;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::Response;
use hyper::body::Incoming;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument, Span, field};

use super::config::Config;
use super::fault::Failure;
use crate::gate::Protocol;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// Answers requests.
#[derive(Debug)]
pub(super) struct Exchange {
    config: Config,
    in_storage: Arc<Semaphore>,
    answered: AtomicU64,
}

/// A request that gets no answer: its connection closes.
#[derive(Debug)]
pub(super) struct Silence;

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no answer, on purpose")
    }
}

impl std::error::Error for Silence {}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self::Answer(error)
    }
}

impl Exchange {
    pub(super) fn new(config: Config) -> Self {
        let in_storage = Arc::new(Semaphore::new(config.max_in_storage as usize));
        Self {
            config,
            in_storage,
            answered: AtomicU64::new(0),
        }
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// Is ready when no request is in the storage.
    pub(super) async fn storage_idle(&self) {
        let all = self.in_storage.acquire_many(self.config.max_in_storage);
        drop(all.await.expect("nobody closes the semaphore"));
    }

    pub(super) async fn answer(
        self: Arc<Self>,
        request: hyper::Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Silence> {
        let started = Instant::now();
        let number = self.answered.fetch_add(1, Ordering::Relaxed);
        let span = tracing::info_span!(
            "request",
            number,
            operation = field::Empty,
            dataset = field::Empty,
            status = field::Empty,
            micros = field::Empty,
        );
        let (parts, body) = request.into_parts();
        let protocol = Protocol::of(&parts);
        let outcome = Arc::clone(&self)
            .process(parts, body, started)
            .instrument(span.clone())
            .await;
        let _entered = span.enter();
        let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        span.record("micros", micros);
        let response = match outcome {
            Ok(body) => protocol.answer(body),
            Err(Failure::Answer(error)) => {
                tracing::debug!(code = error.code.name(), "refused");
                protocol.refusal(error)
            }
            Err(Failure::Silence) => return Err(Silence),
        };
        span.record("status", response.status().as_u16());
        tracing::debug!("answered");
        Ok(with_id(response, number).map(Full::new))
    }

    async fn process(
        self: Arc<Self>,
        parts: Parts,
        body: Incoming,
        started: Instant,
    ) -> Result<Vec<u8>, Failure> {
        let deadline = started + self.config.request_timeout;
        let now = clock();
        self.config.gate.check(&parts, now)?;
        let limit = Protocol::of(&parts).body_bytes(self.config.max_body_bytes);
        let body = timeout_at(deadline, read(&parts, body, limit))
            .await
            .map_err(|_| too_slow())??;
        let permit = Arc::clone(&self.in_storage).acquire_owned();
        let permit = timeout_at(deadline, permit)
            .await
            .map_err(|_| overloaded())?;
        let permit = permit.expect("nobody closes the semaphore");
        let span = Span::current();
        let job = spawn_blocking(move || {
            let _entered = span.entered();
            let Config { gate, fault, .. } = &self.config;
            let strike = |operation, moment| {
                let fault = fault.as_ref();
                fault
                    .and_then(|fault| fault.strike(operation, moment))
                    .map_or(Ok(()), Err)
            };
            let body = gate.perform(&parts, &body, now, clock(), strike);
            drop(permit);
            body
        });
        // A panic was reported where it happened; the client learns that the outcome is unknown.
        timeout_at(deadline, job)
            .await
            .map_err(|_| overloaded())?
            .map_err(|_| failed())?
    }
}

async fn read(parts: &Parts, body: Incoming, limit: usize) -> Result<Bytes, ApiError> {
    let declared = parts
        .headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok());
    if declared
        .and_then(|text| text.parse().ok())
        .is_some_and(|length: usize| length > limit)
    {
        return Err(too_large(limit));
    }
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large(limit)),
        Err(_) => Err(ApiError::new(
            ErrorCode::Serialization,
            "the body broke off",
        )),
    }
}

fn with_id(mut response: Response<Bytes>, number: u64) -> Response<Bytes> {
    response
        .headers_mut()
        .insert(REQUEST_ID, HeaderValue::from(number));
    response
}

fn clock() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn too_large(limit: usize) -> ApiError {
    let message = format!("the body is longer than {limit} bytes");
    ApiError::new(ErrorCode::RequestEntityTooLarge, message)
}

fn too_slow() -> ApiError {
    let code = ErrorCode::Unknown("RequestTimeoutException".to_owned());
    ApiError {
        status: 408,
        code,
        message: "the body did not come in time".to_owned(),
    }
}

fn overloaded() -> ApiError {
    ApiError::new(
        ErrorCode::ServiceUnavailable,
        "the request was not done in time",
    )
}

fn failed() -> ApiError {
    ApiError::new(ErrorCode::InternalError, "the service failed")
}
