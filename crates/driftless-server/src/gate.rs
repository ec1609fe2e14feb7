//! The service behind its signatures, still without IO: an HTTP request and a time in, an answer out.
//!
//! In order: who is it, is it true (signature), what is asked, the service. Nothing is parsed that
//! is not signed. The HTTP shell asks the first question before it reads a body, so that a stranger
//! costs a head.

use bytes::Bytes;
use driftless_wire::{ApiError, ERROR_TYPE_HEADER, Operation, Request, Timestamp};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::request::Parts;
use tracing::Span;

use crate::http::Moment;
use crate::key_pair::KeyPair;
use crate::service::{Caller, Service};
use crate::sigv4::{Claimed, Head};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A service for callers who hold a key pair.
///
/// It is what [`Server`](crate::Server) has behind its connections; a simulator or a test asks it
/// directly. The limits on time and length are the shell's.
#[derive(Debug)]
pub struct Gate {
    pub(crate) service: Service,
    key_pair: KeyPair,
}

impl Gate {
    /// Returns the service as holders of `key_pair` reach it.
    #[must_use]
    pub const fn new(service: Service, key_pair: KeyPair) -> Self {
        Self { service, key_pair }
    }

    /// Answers a request that was received and is carried out at `now`; errors are answers too.
    /// What it changed is durable before this returns.
    #[must_use]
    pub fn answer(&self, request: http::Request<Bytes>, now: Timestamp) -> http::Response<Bytes> {
        let (parts, body) = request.into_parts();
        let performed = self.perform(&parts, &body, now, now, |_, _| Ok::<_, ApiError>(()));
        performed.map_or_else(|error| refusal(&error), answer)
    }

    /// Checks what the head tells of the caller.
    pub(crate) fn check(&self, parts: &Parts, now: Timestamp) -> Result<(), ApiError> {
        Claimed::check(head(parts), &self.key_pair, now)?;
        Ok(())
    }

    /// Returns the body of the answer to a request received at one time and carried out at another.
    ///
    /// `strike` may make it fail on purpose, before and after it is carried out.
    pub(crate) fn perform<E: From<ApiError>>(
        &self,
        parts: &Parts,
        body: &[u8],
        received: Timestamp,
        now: Timestamp,
        strike: impl Fn(Operation, Moment) -> Result<(), E>,
    ) -> Result<Vec<u8>, E> {
        let claimed =
            Claimed::check(head(parts), &self.key_pair, received).map_err(ApiError::from)?;
        claimed
            .verify(&self.key_pair, body)
            .map_err(ApiError::from)?;
        let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
        let request = Request::from_http(parts.method.as_str(), path, query, body);
        let request = request.map_err(ApiError::from)?;

        let operation = request.operation();
        Span::current().record("operation", operation.name());
        if let Some(dataset) = request.dataset_name() {
            Span::current().record("dataset", dataset.as_str());
        }
        strike(operation, Moment::Before)?;
        let response = self.service.handle(request, &Caller::Operator, now)?;
        strike(operation, Moment::After)?;
        Ok(response.to_body())
    }
}

fn head(parts: &Parts) -> Head<'_> {
    let target = parts
        .uri
        .path_and_query()
        .map_or("/", |target| target.as_str());
    Head {
        method: parts.method.as_str(),
        target,
        headers: &parts.headers,
    }
}

/// Returns an answer of success.
pub(crate) fn answer(body: Vec<u8>) -> http::Response<Bytes> {
    let mut response = http::Response::new(Bytes::from(body));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// Returns the answer that an error is.
pub(crate) fn refusal(error: &ApiError) -> http::Response<Bytes> {
    let mut response = answer(error.to_body());
    *response.status_mut() =
        http::StatusCode::from_u16(error.status).unwrap_or(http::StatusCode::BAD_REQUEST);
    if let Ok(code) = HeaderValue::from_str(error.code.name()) {
        let name = HeaderName::from_bytes(ERROR_TYPE_HEADER.as_bytes());
        response
            .headers_mut()
            .insert(name.expect("the name is a header's"), code);
    }
    response
}
