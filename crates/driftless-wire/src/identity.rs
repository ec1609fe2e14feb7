//! Amazon Cognito Identity: the two operations that a device gets its credentials by.
//!
//! It is another service with another protocol, JSON 1.1: every request is a `POST /` whose
//! operation stands in the header [`TARGET_HEADER`]. Both operations are unsigned; who asks has
//! no credentials yet. Errors have status 400 (500 for the service's own) and their type in the
//! body. `GetOpenIdToken` is not here: its token is for STS, which the enhanced flow of the old
//! JavaScript and Android clients does without.

mod get_credentials;
mod get_id;

use std::collections::BTreeMap;
use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use self::get_credentials::{
    GetCredentialsForIdentityRequest, GetCredentialsForIdentityResponse, IdentityCredentials,
};
pub use self::get_id::{GetIdRequest, GetIdResponse};
use crate::json;
use crate::limits;
use crate::request_error::RequestError;

/// The header that names the operation.
pub const TARGET_HEADER: &str = "x-amz-target";

/// The content type of requests and answers.
pub const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

/// What stands before the operation's name in [`TARGET_HEADER`].
const TARGET_PREFIX: &str = "AWSCognitoIdentityService.";

/// The name of an operation of Cognito Identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IdentityOperation {
    /// GetId.
    GetId,
    /// GetCredentialsForIdentity.
    GetCredentialsForIdentity,
}

impl IdentityOperation {
    /// Every operation that is known here.
    pub const ALL: [Self; 2] = [Self::GetId, Self::GetCredentialsForIdentity];

    /// Returns the name in the API's spelling.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::GetId => "GetId",
            Self::GetCredentialsForIdentity => "GetCredentialsForIdentity",
        }
    }

    /// Returns what stands in [`TARGET_HEADER`].
    #[must_use]
    pub fn target(self) -> String {
        format!("{TARGET_PREFIX}{}", self.name())
    }

    fn from_target(target: &str) -> Option<Self> {
        let name = target.strip_prefix(TARGET_PREFIX)?;
        Self::ALL
            .into_iter()
            .find(|operation| operation.name() == name)
    }
}

impl fmt::Display for IdentityOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A request for either operation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentityRequest {
    /// GetId.
    GetId(GetIdRequest),
    /// GetCredentialsForIdentity.
    GetCredentialsForIdentity(GetCredentialsForIdentityRequest),
}

impl IdentityRequest {
    /// Returns the operation that is asked for.
    #[must_use]
    pub fn operation(&self) -> IdentityOperation {
        match self {
            Self::GetId(_) => IdentityOperation::GetId,
            Self::GetCredentialsForIdentity(_) => IdentityOperation::GetCredentialsForIdentity,
        }
    }

    /// Returns the JSON body of the `POST /`.
    #[must_use]
    pub fn to_body(&self) -> Vec<u8> {
        match self {
            Self::GetId(request) => json::to_vec(request),
            Self::GetCredentialsForIdentity(request) => json::to_vec(request),
        }
    }

    /// Reads the body of a `POST /` with that [`TARGET_HEADER`].
    ///
    /// The caller bounds the body.
    ///
    /// # Errors
    ///
    /// [`RequestError`]; unlike elsewhere, its answer has status 400 always.
    pub fn from_http(target: &str, body: &[u8]) -> Result<Self, RequestError> {
        match IdentityOperation::from_target(target).ok_or(RequestError::UnknownOperation)? {
            IdentityOperation::GetId => GetIdRequest::read(body).map(Self::GetId),
            IdentityOperation::GetCredentialsForIdentity => {
                GetCredentialsForIdentityRequest::read(body).map(Self::GetCredentialsForIdentity)
            }
        }
    }
}

/// The answer of either operation, status 200.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentityResponse {
    /// GetId.
    GetId(GetIdResponse),
    /// GetCredentialsForIdentity.
    GetCredentialsForIdentity(GetCredentialsForIdentityResponse),
}

impl IdentityResponse {
    /// Returns the JSON body.
    #[must_use]
    pub fn to_body(&self) -> Vec<u8> {
        match self {
            Self::GetId(response) => json::to_vec(response),
            Self::GetCredentialsForIdentity(response) => json::to_vec(response),
        }
    }

    /// Reads the body of an answer with status 200.
    ///
    /// # Errors
    ///
    /// [`IdentityAnswerError`] if the body is not the JSON of that operation's answer.
    pub fn from_body(
        operation: IdentityOperation,
        body: &[u8],
    ) -> Result<Self, IdentityAnswerError> {
        match operation {
            IdentityOperation::GetId => read(operation, body).map(Self::GetId),
            IdentityOperation::GetCredentialsForIdentity => {
                read(operation, body).map(Self::GetCredentialsForIdentity)
            }
        }
    }
}

fn read<T: DeserializeOwned>(
    operation: IdentityOperation,
    body: &[u8],
) -> Result<T, IdentityAnswerError> {
    serde_json::from_slice(body).map_err(|error| IdentityAnswerError {
        operation,
        fault: json::fault(&error),
    })
}

/// An answer with status 200 that is not the operation's JSON.
///
/// The usual causes are a proxy or a captive portal in between. It quotes nothing of the body,
/// which may hold credentials.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("answer to {operation} cannot be read: {fault}")]
pub struct IdentityAnswerError {
    operation: IdentityOperation,
    fault: String,
}

/// Tokens that prove who somebody is, by the name of the provider that gave each (`Logins`).
///
/// `Debug` shows the providers and no token.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Logins(BTreeMap<String, String>);

impl Logins {
    /// Returns no logins: a guest's.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds a provider's token, in the place of one that it gave before.
    #[must_use]
    pub fn with(mut self, provider: impl Into<String>, token: impl Into<String>) -> Self {
        self.0.insert(provider.into(), token.into());
        self
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns providers and tokens, by provider.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(provider, token)| (provider.as_str(), token.as_str()))
    }

    /// Checks the model's constraints: "Logins", at most 10, keys of 1 to 128, values of 1 to
    /// 50000.
    fn checked(logins: Option<Self>) -> Result<Self, RequestError> {
        let logins = logins.unwrap_or_default();
        let of_model = |text: &str, limit| (1..=limit).contains(&text.chars().count());
        let fits = logins.iter().all(|(provider, token)| {
            of_model(provider, limits::LOGIN_PROVIDER_CHARS)
                && of_model(token, limits::LOGIN_TOKEN_CHARS)
        });
        if fits && logins.0.len() <= limits::LOGINS {
            return Ok(logins);
        }
        Err(RequestError::invalid(
            "Logins break a constraint of the model",
        ))
    }
}

impl fmt::Debug for Logins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
