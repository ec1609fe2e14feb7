//! What to do about an error whose variant leaves that to its cause: the last part of its text.
//!
//! Texts of errors that people meet have three parts: what happened, what is still safe, what to do now.

use driftless_store::CommitError;
use driftless_transport::{CredentialsError, ExchangeError, Retry};
use driftless_wire::ErrorCode;

/// What to do about a request that failed for good.
pub(crate) fn of_request(error: &ExchangeError) -> &'static str {
    match error {
        ExchangeError::Connect(_) => {
            "synchronize again once the service can be reached at its address"
        }
        ExchangeError::Credentials(error) => of_credentials(error),
        ExchangeError::Api(error) => of_code(&error.code),
        ExchangeError::AnswerTooLarge { .. } => "let the transport read longer answers",
        ExchangeError::NoRuntime => "call it inside of a tokio runtime",
        ExchangeError::Endpoint(_) => "correct the address of the service",
        error => of_retry(error.retry()),
    }
}

/// What to do where there are no credentials.
pub(crate) fn of_credentials(error: &CredentialsError) -> &'static str {
    match error {
        CredentialsError::Missing(_) | CredentialsError::Unusable(_) => "correct the credentials",
        CredentialsError::Refused(_) => "log in anew, or correct the identity pool",
        CredentialsError::OtherIdentity { .. } => {
            "synchronize the dataset of the identity that it is now"
        }
        _ => of_retry(Retry::Later),
    }
}

/// What to do about a commit whose outcome is unknown.
pub(crate) fn of_commit(error: &CommitError) -> &'static str {
    match error {
        CommitError::Full(_) => "make room on the disk, close the client and open it again",
        _ => "close the client and open it again",
    }
}

fn of_code(code: &ErrorCode) -> &'static str {
    match code {
        code if code.is_throttling() || code.is_server_fault() => of_retry(Retry::Later),
        ErrorCode::ExpiredToken | ErrorCode::UnrecognizedClient => "renew the credentials",
        ErrorCode::InvalidSignature
        | ErrorCode::IncompleteSignature
        | ErrorCode::RequestTimeTooSkewed => "check the secret key, the region and the clock",
        ErrorCode::NotAuthorized | ErrorCode::AccessDenied => "check what the credentials may do",
        ErrorCode::LimitExceeded => {
            "delete a dataset that is not needed, or have the quota of the service raised"
        }
        _ => of_retry(Retry::Never),
    }
}

fn of_retry(retry: Retry) -> &'static str {
    match retry {
        Retry::Later => "synchronize again later",
        Retry::Never => "the same request will fail again",
    }
}
