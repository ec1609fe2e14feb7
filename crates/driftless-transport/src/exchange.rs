//! One exchange: sign, send, read, and again if it may be.
//!
//! It keeps two rules. A request whose outcome is unknown is sent again only if twice is as good as
//! once; and what an exchange learns about the clock holds for those after it.
//!
//! Each request has a span named `request` at level info with these fields and no others:
//! `operation`, `dataset`, `attempt` (from 1), `bytes_up` and `bytes_down` (of the bodies),
//! `status`, and `code` (of an error; one that is not in the API's list shows as `Unknown`, for it
//! is foreign text). A wait is an event at level debug with `operation`, `attempt` and `wait_ms`.
//! Values, record keys, tokens, credentials and queries are in no span and no event.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use driftless_wire::Timestamp;
use driftless_wire::{
    ApiError, DatasetName, ERROR_TYPE_HEADER, ErrorCode, HttpParts, IdentityId, Operation, Request,
    Response,
};
use http::header::DATE;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tracing::field::Empty;
use tracing::{Instrument, Span, debug, info_span};

use crate::builder::HyperTransportBuilder;
use crate::clock::{Clock, Timer, to_timestamp};
use crate::courier::Courier;
use crate::credentials::{Credentials, CredentialsError, CredentialsProvider};
use crate::endpoint::Endpoint;
use crate::error::ExchangeError;
use crate::retry::{Retries, Step};
use crate::sign::signed;
use crate::transport::{BoxFuture, Exchanged, Transport};

/// Exchanges requests and answers with a service over HTTP/1.1, signed with SigV4.
///
/// It keeps its connections for the next exchange, is shared by reference, and needs a tokio
/// runtime with its network and time drivers.
pub struct HyperTransport {
    endpoint: Endpoint,
    credentials: Arc<dyn CredentialsProvider>,
    courier: Arc<dyn Courier>,
    attempts: u32,
    clock: Arc<dyn Clock>,
    timer: Arc<dyn Timer>,
    jitter: Mutex<StdRng>,
    /// How many milliseconds the service's clock is ahead of ours.
    ahead: AtomicI64,
}

impl HyperTransport {
    /// Begins a transport to this end point.
    pub fn builder(
        endpoint: Endpoint,
        credentials: Arc<dyn CredentialsProvider>,
    ) -> HyperTransportBuilder {
        HyperTransportBuilder::new(endpoint, credentials)
    }

    pub(crate) fn new(
        endpoint: Endpoint,
        credentials: Arc<dyn CredentialsProvider>,
        courier: Arc<dyn Courier>,
        attempts: u32,
        (clock, timer, seed): (Arc<dyn Clock>, Arc<dyn Timer>, u64),
    ) -> Self {
        Self {
            endpoint,
            credentials,
            courier,
            attempts,
            clock,
            timer,
            jitter: Mutex::new(StdRng::seed_from_u64(seed)),
            ahead: AtomicI64::new(0),
        }
    }

    async fn run(&self, request: Request) -> Result<Exchanged, ExchangeError> {
        let mut course = Course::new(&request, self.attempts);
        loop {
            match self.next(&mut course).await {
                Ok(Some(response)) => return Ok(course.finish(response)),
                Ok(None) => {}
                Err(error) => return Err(course.conclude(error)),
            }
        }
    }

    /// Sends the request once, and prepares for once more if there is no answer and that makes
    /// sense.
    async fn next(&self, course: &mut Course) -> Result<Option<Response>, ExchangeError> {
        let credentials = match course.renewed.take() {
            Some(credentials) => credentials,
            None => self.valid_credentials(course.identity.as_ref()).await?,
        };
        let offset = self.ahead.load(Ordering::Relaxed);
        let now = self.at(offset);
        let span = course.begin();
        let sent = self
            .send(course, &credentials, now)
            .instrument(span.clone())
            .await;
        let (result, date) = match sent {
            Ok(answer) => {
                course.bytes_down += answer.body().len() as u64;
                (read(course.operation, &answer, &span), date(&answer))
            }
            Err(error) => (Err(error), None),
        };
        let error = match result {
            Ok(response) => return Ok(Some(response)),
            Err(error) => error,
        };
        match course.retries.after(&error, now, date) {
            Step::GiveUp => return Err(error),
            Step::CorrectClock(ahead) => {
                // Not added to what stands now: another exchange may have corrected it meanwhile.
                self.ahead
                    .store(offset.saturating_add(ahead), Ordering::Relaxed);
            }
            Step::Renew => {
                let identity = course.identity.as_ref();
                let others = self.credentials.renew_for(identity, &credentials).await?;
                if others == credentials {
                    return Err(error);
                }
                course.renewed = Some(others);
            }
            Step::Wait(longest) => {
                let wait = self.part_of(longest);
                let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                debug!(
                    operation = course.operation.name(),
                    attempt = course.requests,
                    wait_ms
                );
                course.unsettled(error);
                self.timer.sleep(wait).await;
            }
        }
        Ok(None)
    }

    async fn send(
        &self,
        course: &Course,
        credentials: &Credentials,
        now: Timestamp,
    ) -> Result<http::Response<Bytes>, ExchangeError> {
        let signed = signed(
            &self.endpoint,
            &course.parts,
            &course.body,
            credentials,
            now,
        )?;
        self.courier.carry(signed).await
    }

    /// Returns credentials that have not expired by the service's clock, if there are any.
    async fn valid_credentials(
        &self,
        identity: Option<&IdentityId>,
    ) -> Result<Credentials, CredentialsError> {
        let credentials = self.credentials.credentials_for(identity).await?;
        let now = self.at(self.ahead.load(Ordering::Relaxed));
        if credentials.expires_at.is_some_and(|at| at <= now) {
            return self.credentials.renew_for(identity, &credentials).await;
        }
        Ok(credentials)
    }

    fn at(&self, offset: i64) -> Timestamp {
        Timestamp::from_millis(self.clock.now().as_millis().saturating_add(offset))
    }

    /// Full jitter: anything from nothing to the longest.
    fn part_of(&self, longest: Duration) -> Duration {
        let mut jitter = self.jitter.lock().unwrap_or_else(PoisonError::into_inner);
        jitter.random_range(Duration::ZERO..=longest)
    }
}

impl Transport for HyperTransport {
    fn exchange(&self, request: Request) -> BoxFuture<'_, Result<Exchanged, ExchangeError>> {
        Box::pin(self.run(request))
    }
}

impl fmt::Debug for HyperTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HyperTransport")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// One exchange on its way.
struct Course {
    operation: Operation,
    identity: Option<IdentityId>,
    dataset: Option<DatasetName>,
    parts: HttpParts,
    body: Bytes,
    retries: Retries,
    renewed: Option<Credentials>,
    unsettled: Option<ExchangeError>,
    requests: u32,
    bytes_up: u64,
    bytes_down: u64,
}

impl Course {
    fn new(request: &Request, attempts: u32) -> Self {
        let operation = request.operation();
        let mut parts = request.to_http();
        Self {
            operation,
            identity: request.identity_id().cloned(),
            dataset: request.dataset_name().cloned(),
            body: std::mem::take(&mut parts.body).into(),
            parts,
            retries: Retries::new(operation, attempts),
            renewed: None,
            unsettled: None,
            requests: 0,
            bytes_up: 0,
            bytes_down: 0,
        }
    }

    fn begin(&mut self) -> Span {
        let bytes_up = self.body.len() as u64;
        self.requests += 1;
        self.bytes_up += bytes_up;
        info_span!(
            "request",
            operation = self.operation.name(),
            dataset = self.dataset.as_ref().map(DatasetName::as_str),
            attempt = self.requests,
            bytes_up,
            bytes_down = Empty,
            status = Empty,
            code = Empty,
        )
    }

    /// Remembers that the request may have been carried out.
    fn unsettled(&mut self, error: ExchangeError) {
        if error.outcome_unknown() {
            self.unsettled = Some(error);
        }
    }

    fn finish(self, response: Response) -> Exchanged {
        Exchanged {
            response,
            bytes_up: self.bytes_up,
            bytes_down: self.bytes_down,
            requests: self.requests,
        }
    }

    /// The error to report: that nothing was sent at last does not settle what was sent before.
    fn conclude(self, last: ExchangeError) -> ExchangeError {
        if last.outcome_unknown() || last.api().is_some() {
            return last;
        }
        self.unsettled.unwrap_or(last)
    }
}

fn read(
    operation: Operation,
    answer: &http::Response<Bytes>,
    span: &Span,
) -> Result<Response, ExchangeError> {
    let (status, body) = (answer.status(), answer.body());
    span.record("status", status.as_u16());
    span.record("bytes_down", body.len() as u64);
    if status.is_success() {
        return Ok(Response::from_body(operation, body)?);
    }
    let error_type = answer.headers().get(ERROR_TYPE_HEADER);
    let error_type = error_type.and_then(|text| text.to_str().ok());
    let error = ApiError::from_http(status.as_u16(), error_type, body);
    record_code(span, &error);
    Err(error.into())
}

pub(crate) fn record_code(span: &Span, error: &ApiError) {
    span.record(
        "code",
        match &error.code {
            ErrorCode::Unknown(_) => "Unknown",
            known => known.name(),
        },
    );
}

pub(crate) fn date(answer: &http::Response<Bytes>) -> Option<Timestamp> {
    let text = answer.headers().get(DATE)?.to_str().ok()?;
    httpdate::parse_http_date(text).ok().map(to_timestamp)
}
