//! Why there is no answer, and what is known about the request that has none.

use std::error::Error;
use std::time::Duration;

use driftless_wire::{AnswerError, ApiError, ErrorCode};
use thiserror::Error;

use crate::credentials::CredentialsError;
use crate::endpoint::EndpointError;

/// The cause of an error, of a library that may change.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Why an exchange has no answer.
///
/// No text of it holds a value, a record's key, a token or a credential, save the message of an
/// [`ApiError`], which is the service's and is not part of any `Display`.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// The service refused the request or failed. Ask the error's code what to do.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// No connection: offline, wrong address, refused, or TLS failed. Nothing was sent.
    #[error("cannot connect to the service")]
    Connect(#[source] BoxError),
    /// No whole answer in time. The request may have been carried out.
    #[error("no answer within {after:?}")]
    TimedOut {
        /// How long one request was given.
        after: Duration,
    },
    /// The connection was lost in the middle. The request may have been carried out.
    #[error("connection lost before the answer was complete")]
    Interrupted(#[source] BoxError),
    /// The answer is longer than is read. The request may have been carried out.
    #[error("answer is longer than {limit} bytes")]
    AnswerTooLarge {
        /// How many bytes of an answer are read.
        limit: usize,
    },
    /// The answer says success and is not the service's: often a proxy or a captive portal. The
    /// request may have been carried out.
    #[error(transparent)]
    BadAnswer(#[from] AnswerError),
    /// There are no credentials to sign with. Nothing was sent.
    #[error("cannot sign the request")]
    Credentials(#[from] CredentialsError),
    /// The future was polled outside a tokio runtime. Nothing was sent. Run it inside one that has
    /// its network and time drivers enabled.
    #[error("called outside a tokio runtime")]
    NoRuntime,
    /// The request has no address at this end point. Nothing was sent.
    #[error("cannot address the service")]
    Endpoint(#[from] EndpointError),
}

/// What a caller that wants the same thing can do.
///
/// Closed: there is nothing between doing it again and not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The same request may succeed later, by itself. After an unknown outcome of an update, list
    /// first.
    Later,
    /// The same request will fail again until the request, the credentials or the set-up change.
    Never,
}

impl ExchangeError {
    /// Returns whether the service may have carried the request out although there is no good
    /// answer.
    ///
    /// After an UpdateRecords the caller must list before it sends anything that builds on the
    /// counts; sent again, the patch would conflict with itself.
    #[must_use]
    pub fn outcome_unknown(&self) -> bool {
        match self {
            Self::Api(error) => error.is_server_fault() && !error.is_throttling(),
            Self::TimedOut { .. }
            | Self::Interrupted(_)
            | Self::AnswerTooLarge { .. }
            | Self::BadAnswer(_) => true,
            Self::Connect(_) | Self::Credentials(_) | Self::NoRuntime | Self::Endpoint(_) => false,
        }
    }

    /// Returns the service's own error, if it gave one.
    #[must_use]
    pub fn api(&self) -> Option<&ApiError> {
        match self {
            Self::Api(error) => Some(error),
            _ => None,
        }
    }

    /// Returns whether the service has not what the request names: a dataset, an identity, a device
    /// (`ResourceNotFoundException`).
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.has_code(&ErrorCode::ResourceNotFound)
    }

    /// Returns whether the identity pool is not set up for what the request asks, such as pushes to
    /// devices (`InvalidConfigurationException`).
    #[must_use]
    pub fn is_unconfigured(&self) -> bool {
        self.has_code(&ErrorCode::InvalidConfiguration)
    }

    fn has_code(&self, code: &ErrorCode) -> bool {
        self.api().is_some_and(|api| api.code == *code)
    }

    /// Returns whether the same request may succeed later.
    #[must_use]
    pub fn retry(&self) -> Retry {
        let later = match self {
            Self::Api(error) => error.is_throttling() || error.is_server_fault(),
            Self::Connect(_) | Self::TimedOut { .. } | Self::Interrupted(_) => true,
            Self::BadAnswer(_) => true,
            Self::Credentials(error) => matches!(error, CredentialsError::Unavailable(_)),
            Self::AnswerTooLarge { .. } | Self::NoRuntime | Self::Endpoint(_) => false,
        };
        if later { Retry::Later } else { Retry::Never }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(error: impl Into<ExchangeError>, outcome_unknown: bool, retry: Retry) {
        let error = error.into();
        assert_eq!(
            (error.outcome_unknown(), error.retry()),
            (outcome_unknown, retry),
            "{error}"
        );
    }

    fn api(code: ErrorCode) -> ApiError {
        ApiError::new(code, "")
    }

    #[test]
    fn only_a_failing_service_leaves_the_outcome_open() {
        check(api(ErrorCode::InternalError), true, Retry::Later);
        check(api(ErrorCode::TooManyRequests), false, Retry::Later);
        check(api(ErrorCode::LambdaThrottled), false, Retry::Later);
        check(api(ErrorCode::ResourceConflict), false, Retry::Never);
        check(api(ErrorCode::LimitExceeded), false, Retry::Never);
    }

    #[test]
    fn code_of_the_service_tells_what_is_not_there_from_what_is_not_set_up() {
        let tells = |error: ExchangeError| (error.is_not_found(), error.is_unconfigured());
        let of = |code| tells(api(code).into());
        assert_eq!(of(ErrorCode::ResourceNotFound), (true, false));
        assert_eq!(of(ErrorCode::InvalidConfiguration), (false, true));
        assert_eq!(of(ErrorCode::NotAuthorized), (false, false));
        assert_eq!(tells(ExchangeError::NoRuntime), (false, false));
    }

    #[test]
    fn lost_answer_leaves_the_outcome_open_and_a_lost_connect_does_not() {
        check(
            ExchangeError::Connect("refused".into()),
            false,
            Retry::Later,
        );
        check(
            ExchangeError::Interrupted("reset".into()),
            true,
            Retry::Later,
        );
        check(
            ExchangeError::TimedOut {
                after: Duration::from_secs(1),
            },
            true,
            Retry::Later,
        );
        check(
            ExchangeError::AnswerTooLarge { limit: 1 },
            true,
            Retry::Never,
        );
        check(ExchangeError::NoRuntime, false, Retry::Never);
    }
}
