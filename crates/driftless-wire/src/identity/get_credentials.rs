//! GetCredentialsForIdentity: what an identity signs its requests with for a while.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Logins;
use crate::id::IdentityId;
use crate::request_error::RequestError;
use crate::timestamp::Timestamp;

/// Asks for credentials of an identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetCredentialsForIdentityRequest {
    /// `IdentityId`.
    pub identity_id: IdentityId,
    /// `Logins`: none for a guest, else one that is linked to the identity, or a first one that
    /// will be.
    #[serde(skip_serializing_if = "Logins::is_empty")]
    pub logins: Logins,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Form {
    identity_id: Option<String>,
    logins: Option<Logins>,
}

impl GetCredentialsForIdentityRequest {
    /// `CustomRoleArn` is not read: a role is something of IAM.
    pub(super) fn read(body: &[u8]) -> Result<Self, RequestError> {
        let form: Form = serde_json::from_slice(body).map_err(RequestError::serialization)?;
        let identity = form.identity_id;
        Ok(Self {
            identity_id: identity
                .ok_or_else(|| RequestError::invalid("IdentityId is missing"))?
                .try_into()?,
            logins: Logins::checked(form.logins)?,
        })
    }
}

/// Credentials, and whose they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetCredentialsForIdentityResponse {
    /// `IdentityId`: another than was asked for if that one was merged into it just now.
    pub identity_id: IdentityId,
    /// `Credentials`.
    pub credentials: IdentityCredentials,
}

/// Temporary credentials (`Credentials` of Cognito Identity).
///
/// The secret is `SecretKey` here, where other services say `SecretAccessKey`. `Debug` shows
/// nothing that is secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct IdentityCredentials {
    /// `AccessKeyId`.
    pub access_key_id: String,
    /// `SecretKey`.
    pub secret_key: String,
    /// `SessionToken`.
    pub session_token: String,
    /// `Expiration`: a number of seconds since the epoch.
    pub expiration: Timestamp,
}

impl fmt::Debug for IdentityCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityCredentials")
            .field("expiration", &self.expiration)
            .finish_non_exhaustive()
    }
}
