//! Why a request cannot be read, in the service's own three words for it.

use thiserror::Error;

use crate::error::{ApiError, ErrorCode};
use crate::id::IdError;
use crate::json;
use crate::record::PatchError;

/// A request that a server refuses before it knows what it is about.
///
/// The texts say which member is wrong and never quote its value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// A member breaks a constraint of the model: InvalidParameterException.
    #[error("{0}")]
    InvalidParameter(String),
    /// The body is not JSON of the right types: SerializationException.
    #[error("{0}")]
    Serialization(String),
    /// Method and path name no operation that is known here: UnknownOperationException.
    #[error("no such operation")]
    UnknownOperation,
}

impl RequestError {
    pub(crate) fn invalid(message: impl ToString) -> Self {
        Self::InvalidParameter(message.to_string())
    }

    pub(crate) fn serialization(error: serde_json::Error) -> Self {
        Self::Serialization(json::fault(&error))
    }
}

impl From<IdError> for RequestError {
    fn from(error: IdError) -> Self {
        Self::invalid(error)
    }
}

impl From<PatchError> for RequestError {
    fn from(error: PatchError) -> Self {
        Self::invalid(error)
    }
}

impl From<RequestError> for ApiError {
    fn from(error: RequestError) -> Self {
        let code = match &error {
            RequestError::InvalidParameter(_) => ErrorCode::InvalidParameter,
            RequestError::Serialization(_) => ErrorCode::Serialization,
            RequestError::UnknownOperation => ErrorCode::UnknownOperation,
        };
        Self::new(code, error.to_string())
    }
}
