//! RegisterDevice: a device that wants to be told of changes.
//!
//! `POST /identitypools/{IdentityPoolId}/identity/{IdentityId}/device`, with `identity` in the
//! singular, unlike every other operation. It can "only be called with temporary credentials
//! provided by Cognito Identity".

use serde::{Deserialize, Serialize};

use crate::http::{HttpParts, Method};
use crate::id::{DeviceId, IdentityId, IdentityPoolId};
use crate::request_error::RequestError;
use crate::uri::Path;

/// The push service of a device (`Platform`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Platform {
    /// Apple's.
    Apns,
    /// Apple's, for development.
    ApnsSandbox,
    /// Google's.
    Gcm,
    /// Amazon's.
    Adm,
}

impl Platform {
    /// Every platform of the model.
    pub const ALL: [Self; 4] = [Self::Apns, Self::ApnsSandbox, Self::Gcm, Self::Adm];

    /// Returns the name in the API's spelling, which is also SNS's.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Apns => "APNS",
            Self::ApnsSandbox => "APNS_SANDBOX",
            Self::Gcm => "GCM",
            Self::Adm => "ADM",
        }
    }

    /// Returns the platform of that name, if it is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|platform| platform.name() == name)
    }
}

/// Asks to register a device for push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterDeviceRequest {
    /// `IdentityPoolId`.
    pub identity_pool_id: IdentityPoolId,
    /// `IdentityId`.
    pub identity_id: IdentityId,
    /// `Platform`.
    pub platform: Platform,
    /// `Token`: what the platform's push service knows the device by.
    pub token: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Body<'a> {
    platform: &'static str,
    token: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BodyForm {
    platform: Option<String>,
    token: Option<String>,
}

impl RegisterDeviceRequest {
    pub(crate) fn to_http(&self) -> HttpParts {
        let path = Path::pool(&self.identity_pool_id)
            .then("identity")
            .then(self.identity_id.as_str())
            .then("device");
        let body = crate::json::to_vec(&Body {
            platform: self.platform.name(),
            token: &self.token,
        });
        HttpParts::with_body(Method::Post, path, body)
    }

    pub(crate) fn read(names: [&str; 2], body: &[u8]) -> Result<Self, RequestError> {
        let form: BodyForm = serde_json::from_slice(body).map_err(RequestError::serialization)?;
        let platform = form.platform.ok_or_else(|| missing("Platform"))?;
        Ok(Self {
            identity_pool_id: names[0].parse()?,
            identity_id: names[1].parse()?,
            platform: Platform::from_name(&platform)
                .ok_or_else(|| RequestError::invalid("Platform is none of the model"))?,
            token: form.token.ok_or_else(|| missing("Token"))?,
        })
    }
}

fn missing(member: &str) -> RequestError {
    RequestError::invalid(format!("{member} is missing"))
}

/// The id that the device has from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RegisterDeviceResponse {
    /// `DeviceId`: belongs to this identity and platform.
    pub device_id: DeviceId,
}
