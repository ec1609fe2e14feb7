//! One request to Cognito Identity and its answer, and again if there is none.
//!
//! Requests are unsigned. All may be sent again: one that was carried out and not heard of costs at
//! most a guest's identity that nobody uses, or shows as a disabled identity. Tokens and credentials
//! are in no span and no event; spans have the fields of `exchange.rs`.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use driftless_wire::identity::{
    CONTENT_TYPE, GetCredentialsForIdentityRequest, GetCredentialsForIdentityResponse,
    GetIdRequest, IdentityRequest, IdentityResponse, Logins, TARGET_HEADER,
};
use driftless_wire::{ApiError, ERROR_TYPE_HEADER, IdentityId, IdentityPoolId, Timestamp};
use http::header::{self, HeaderName, HeaderValue, USER_AGENT};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tracing::field::Empty;
use tracing::{Instrument, info_span};

use crate::clock::{Clock, Timer};
use crate::courier::Courier;
use crate::credentials::CredentialsError;
use crate::endpoint::Endpoint;
use crate::error::ExchangeError;
use crate::exchange::{date, record_code};
use crate::retry::{Retries, Step};
use crate::sign::AGENT;

/// Asks Cognito Identity.
pub(crate) struct Caller {
    endpoint: Endpoint,
    courier: Arc<dyn Courier>,
    clock: Arc<dyn Clock>,
    timer: Arc<dyn Timer>,
    attempts: u32,
    jitter: Mutex<StdRng>,
    /// How many milliseconds the service's clock is ahead of ours, by its last answer.
    ahead: AtomicI64,
}

impl Caller {
    pub(crate) fn new(
        endpoint: Endpoint,
        courier: Arc<dyn Courier>,
        (clock, timer): (Arc<dyn Clock>, Arc<dyn Timer>),
        attempts: u32,
        seed: u64,
    ) -> Self {
        Self {
            endpoint,
            courier,
            clock,
            timer,
            attempts,
            jitter: Mutex::new(StdRng::seed_from_u64(seed)),
            ahead: AtomicI64::new(0),
        }
    }

    /// Returns the time by the service's clock, which is the one that credentials expire by.
    pub(crate) fn now(&self) -> Timestamp {
        let ahead = self.ahead.load(Ordering::Relaxed);
        Timestamp::from_millis(self.clock.now().as_millis().saturating_add(ahead))
    }

    pub(crate) async fn id(
        &self,
        pool: &IdentityPoolId,
        logins: &Logins,
    ) -> Result<IdentityId, CredentialsError> {
        let request = IdentityRequest::GetId(GetIdRequest {
            identity_pool_id: pool.clone(),
            logins: logins.clone(),
        });
        match self.ask(&request).await.0? {
            IdentityResponse::GetId(response) => Ok(response.identity_id),
            _ => unreachable!("an answer is that of the operation asked for"),
        }
    }

    /// Returns the answer, and whether the service may have carried out a request before it of which no answer came.
    pub(crate) async fn credentials(
        &self,
        identity: &IdentityId,
        logins: &Logins,
    ) -> (
        Result<GetCredentialsForIdentityResponse, CredentialsError>,
        bool,
    ) {
        let request = GetCredentialsForIdentityRequest {
            identity_id: identity.clone(),
            logins: logins.clone(),
        };
        let request = IdentityRequest::GetCredentialsForIdentity(request);
        let (answer, is_in_doubt) = self.ask(&request).await;
        let answer = answer.map(|answer| match answer {
            IdentityResponse::GetCredentialsForIdentity(response) => response,
            _ => unreachable!("an answer is that of the operation asked for"),
        });
        (answer, is_in_doubt)
    }

    /// Returns the answer, and whether the service may have carried out a request before it of which no answer came.
    async fn ask(
        &self,
        request: &IdentityRequest,
    ) -> (Result<IdentityResponse, CredentialsError>, bool) {
        let mut is_in_doubt = false;
        let answer = self.try_to_ask(request, &mut is_in_doubt).await;
        (answer, is_in_doubt)
    }

    async fn try_to_ask(
        &self,
        request: &IdentityRequest,
        is_in_doubt: &mut bool,
    ) -> Result<IdentityResponse, CredentialsError> {
        let mut retries = Retries::of_identity(self.attempts);
        let body = Bytes::from(request.to_body());
        let mut attempt = 0_u32;
        loop {
            attempt += 1;
            let error = match self.send(request, &body, attempt).await {
                Ok(answer) => {
                    let read = IdentityResponse::from_body(request.operation(), answer.body());
                    *is_in_doubt |= read.is_err();
                    return read.map_err(|error| CredentialsError::Unavailable(error.into()));
                }
                Err(error) => error,
            };
            *is_in_doubt |= error.outcome_unknown();
            match (retries.after(&error, self.now(), None), error) {
                (Step::Wait(longest), _) => self.timer.sleep(self.part_of(longest)).await,
                (_, ExchangeError::Api(error)) if !may_pass(&error) => {
                    return Err(CredentialsError::Refused(error));
                }
                (_, error) => return Err(CredentialsError::Unavailable(error.into())),
            }
        }
    }

    /// Sends a request once, and returns its answer if that is success.
    async fn send(
        &self,
        request: &IdentityRequest,
        body: &Bytes,
        attempt: u32,
    ) -> Result<http::Response<Bytes>, ExchangeError> {
        let operation = request.operation();
        let bytes_up = body.len() as u64;
        let span = info_span!(
            "request",
            operation = operation.name(),
            attempt,
            bytes_up,
            bytes_down = Empty,
            status = Empty,
            code = Empty,
        );
        let mut message = http::Request::new(body.clone());
        *message.method_mut() = http::Method::POST;
        *message.uri_mut() = self.endpoint.address("/", "")?;
        let target = HeaderValue::from_str(&operation.target()).expect("a name is ASCII");
        let headers = message.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        headers.insert(HeaderName::from_static(TARGET_HEADER), target);
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        let answer = self.courier.carry(message).instrument(span.clone()).await?;
        if let Some(date) = date(&answer) {
            self.learn(date);
        }
        let status = answer.status();
        span.record("status", status.as_u16());
        span.record("bytes_down", answer.body().len() as u64);
        if status.is_success() {
            return Ok(answer);
        }
        let error_type = answer.headers().get(ERROR_TYPE_HEADER);
        let error_type = error_type.and_then(|text| text.to_str().ok());
        let error = ApiError::from_http(status.as_u16(), error_type, answer.body());
        record_code(&span, &error);
        Err(error.into())
    }

    /// A date has whole seconds; it came on its way, so the service's clock is no earlier.
    fn learn(&self, date: Timestamp) {
        let ahead = date
            .as_millis()
            .saturating_sub(self.clock.now().as_millis());
        self.ahead.store(ahead, Ordering::Relaxed);
    }

    fn part_of(&self, longest: Duration) -> Duration {
        let mut jitter = self.jitter.lock().unwrap_or_else(PoisonError::into_inner);
        jitter.random_range(Duration::ZERO..=longest)
    }
}

/// Whether the same request may succeed later.
fn may_pass(error: &ApiError) -> bool {
    let of_provider = error.code == driftless_wire::ErrorCode::ExternalService;
    error.is_throttling() || error.is_server_fault() || of_provider
}
