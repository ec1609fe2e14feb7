//! The service behind its signatures, still without IO: an HTTP request and a time in, an answer out.
//!
//! In order: who is it, is it true (signature), what is asked, the service. Nothing is parsed that
//! is not signed. The HTTP shell asks the first question before it reads a body, so that a stranger
//! costs a head.
//!
//! The one exception is Cognito Identity, which speaks through the same door in its own protocol:
//! a `POST /` with an `X-Amz-Target`. Who asks for credentials has none to sign with, and is heard
//! with a short body.

use bytes::Bytes;
use driftless_wire::identity::{self, IdentityRequest};
use driftless_wire::{ApiError, ERROR_TYPE_HEADER, Operation, Request, Timestamp};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::request::Parts;
use tracing::Span;

use crate::http::Moment;
use crate::key_pair::KeyPair;
use crate::service::{Caller, Service};
use crate::sigv4::{Claimed, Head, Keys, SignatureError, Signer};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const IDENTITY_JSON: HeaderValue = HeaderValue::from_static(identity::CONTENT_TYPE);

/// Bytes of a body that nobody signed: ten logins of the longest tokens in use.
const UNSIGNED_BYTES: usize = 256 * 1_024;

/// Which of the two services is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Cognito Sync.
    Sync,
    /// Cognito Identity.
    Identity,
}

impl Protocol {
    pub(crate) fn of(parts: &Parts) -> Self {
        let has_target = parts.headers.contains_key(identity::TARGET_HEADER);
        if has_target && parts.method == http::Method::POST && parts.uri.path() == "/" {
            Self::Identity
        } else {
            Self::Sync
        }
    }

    /// Returns how many bytes of a body are read, where a signed one may have `limit`.
    pub(crate) fn body_bytes(self, limit: usize) -> usize {
        match self {
            Self::Sync => limit,
            Self::Identity => limit.min(UNSIGNED_BYTES),
        }
    }

    /// Returns an answer of success.
    pub(crate) fn answer(self, body: Vec<u8>) -> http::Response<Bytes> {
        let mut response = http::Response::new(Bytes::from(body));
        let content_type = match self {
            Self::Sync => JSON,
            Self::Identity => IDENTITY_JSON,
        };
        response.headers_mut().insert(CONTENT_TYPE, content_type);
        response
    }

    /// Returns the answer that an error is.
    pub(crate) fn refusal(self, error: ApiError) -> http::Response<Bytes> {
        let (error, body) = match self {
            Self::Sync => {
                let body = error.to_body();
                (error, body)
            }
            Self::Identity => {
                let error = error.of_identity();
                let body = error.to_identity_body();
                (error, body)
            }
        };
        let mut response = self.answer(body);
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
}

/// A service for callers who hold a key pair, or temporary credentials that the service gave out.
///
/// It is what [`Server`](crate::Server) has behind its connections; a simulator or a test asks it
/// directly. The limits on time and length are the shell's.
#[derive(Debug)]
pub struct Gate {
    pub(crate) service: Service,
    key_pair: KeyPair,
}

impl Gate {
    /// Returns the service, with `key_pair` for its operator.
    #[must_use]
    pub const fn new(service: Service, key_pair: KeyPair) -> Self {
        Self { service, key_pair }
    }

    /// Answers a request that was received and is carried out at `now`; errors are answers too.
    /// What it changed is durable before this returns.
    #[must_use]
    pub fn answer(&self, request: http::Request<Bytes>, now: Timestamp) -> http::Response<Bytes> {
        let (parts, body) = request.into_parts();
        let protocol = Protocol::of(&parts);
        let performed = self.perform(&parts, &body, now, now, |_, _| Ok::<_, ApiError>(()));
        performed.map_or_else(
            |error| protocol.refusal(error),
            |body| protocol.answer(body),
        )
    }

    /// Checks what the head tells of the caller.
    pub(crate) fn check(&self, parts: &Parts, now: Timestamp) -> Result<(), ApiError> {
        if Protocol::of(parts) == Protocol::Sync {
            Claimed::check(head(parts), self, now)?;
        }
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
        if Protocol::of(parts) == Protocol::Identity {
            return Ok(self.identify(parts, body, now)?);
        }
        let claimed = Claimed::check(head(parts), self, received).map_err(ApiError::from)?;
        let caller = claimed.verify(body).map_err(ApiError::from)?;
        let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
        let request = Request::from_http(parts.method.as_str(), path, query, body);
        let request = request.map_err(ApiError::from)?;

        let operation = request.operation();
        Span::current().record("operation", operation.name());
        if let Some(dataset) = request.dataset_name() {
            Span::current().record("dataset", dataset.as_str());
        }
        strike(operation, Moment::Before)?;
        let response = self.service.handle(request, &caller, now)?;
        strike(operation, Moment::After)?;
        Ok(response.to_body())
    }

    fn identify(&self, parts: &Parts, body: &[u8], now: Timestamp) -> Result<Vec<u8>, ApiError> {
        let target = parts.headers.get(identity::TARGET_HEADER);
        let target = target.and_then(|target| target.to_str().ok());
        let request = IdentityRequest::from_http(target.unwrap_or_default(), body)?;
        Span::current().record("operation", request.operation().name());
        Ok(self.service.identify(request, now)?.to_body())
    }
}

impl Keys for Gate {
    fn find(
        &self,
        access_key_id: &str,
        session_token: Option<&str>,
        now: Timestamp,
    ) -> Result<Signer, SignatureError> {
        if access_key_id == self.key_pair.access_key_id() {
            return Ok(Signer {
                key_pair: self.key_pair.clone(),
                caller: Caller::Operator,
            });
        }
        let issued = session_token.and_then(|token| self.service.mint().open(token));
        let issued = issued.filter(|issued| issued.key_pair.access_key_id() == access_key_id);
        let issued = issued.ok_or(SignatureError::UnknownKey)?;
        if issued.expires <= now {
            return Err(SignatureError::ExpiredToken);
        }
        Ok(Signer {
            key_pair: issued.key_pair,
            caller: Caller::Identity(issued.owner),
        })
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
