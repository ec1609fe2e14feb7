//! GetId: the identity of a login, or a new one for a guest.

use serde::{Deserialize, Serialize};

use super::Logins;
use crate::id::{IdentityId, IdentityPoolId};
use crate::request_error::RequestError;

/// Asks for an identity of a pool.
///
/// Without logins each call makes a new one, so a device keeps what it got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetIdRequest {
    /// `IdentityPoolId`.
    pub identity_pool_id: IdentityPoolId,
    /// `Logins`.
    #[serde(skip_serializing_if = "Logins::is_empty")]
    pub logins: Logins,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Form {
    identity_pool_id: Option<String>,
    logins: Option<Logins>,
}

impl GetIdRequest {
    /// `AccountId` is not read: the pool says whose it is.
    pub(super) fn read(body: &[u8]) -> Result<Self, RequestError> {
        let form: Form = serde_json::from_slice(body).map_err(RequestError::serialization)?;
        let pool = form.identity_pool_id;
        Ok(Self {
            identity_pool_id: pool
                .ok_or_else(|| RequestError::invalid("IdentityPoolId is missing"))?
                .try_into()?,
            logins: Logins::checked(form.logins)?,
        })
    }
}

/// The identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetIdResponse {
    /// `IdentityId`.
    pub identity_id: IdentityId,
}
