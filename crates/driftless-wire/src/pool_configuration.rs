//! GetIdentityPoolConfiguration and SetIdentityPoolConfiguration: push and streams of a pool.
//!
//! `GET` and `POST` of `/identitypools/{IdentityPoolId}/configuration`. Both can "only be called
//! with developer credentials". ARNs are kept as texts: what they name is their owner's.

use serde::{Deserialize, Serialize};

use crate::http::{HttpParts, Method};
use crate::id::IdentityPoolId;
use crate::json::null_as_default;
use crate::request_error::RequestError;
use crate::uri::{Path, QueryWriter};

/// How devices of a pool are told of changes (`PushSync`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PushSync {
    /// `ApplicationArns`: "List of SNS platform application ARNs that could be used by clients."
    #[serde(default, deserialize_with = "null_as_default")]
    pub application_arns: Vec<String>,
    /// `RoleArn`: "A role configured to allow Cognito to call SNS on behalf of the developer."
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
}

/// Where a pool's changes are streamed to (`CognitoStreams`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CognitoStreams {
    /// `StreamName`, of a Kinesis stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_name: Option<String>,
    /// `RoleArn`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
    /// `StreamingStatus`: `ENABLED` or `DISABLED`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streaming_status: Option<String>,
}

/// Asks how a pool is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetIdentityPoolConfigurationRequest {
    /// `IdentityPoolId`.
    pub identity_pool_id: IdentityPoolId,
}

impl GetIdentityPoolConfigurationRequest {
    pub(crate) fn to_http(&self) -> HttpParts {
        HttpParts::without_body(
            Method::Get,
            path(&self.identity_pool_id),
            QueryWriter::default(),
        )
    }

    pub(crate) fn read(pool: &str) -> Result<Self, RequestError> {
        Ok(Self {
            identity_pool_id: pool.parse()?,
        })
    }
}

/// Asks to configure a pool; what is absent stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetIdentityPoolConfigurationRequest {
    /// `IdentityPoolId`.
    pub identity_pool_id: IdentityPoolId,
    /// `PushSync`.
    pub push_sync: Option<PushSync>,
    /// `CognitoStreams`.
    pub cognito_streams: Option<CognitoStreams>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    push_sync: Option<&'a PushSync>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cognito_streams: Option<&'a CognitoStreams>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BodyForm {
    push_sync: Option<PushSync>,
    cognito_streams: Option<CognitoStreams>,
}

impl SetIdentityPoolConfigurationRequest {
    pub(crate) fn to_http(&self) -> HttpParts {
        let body = crate::json::to_vec(&Body {
            push_sync: self.push_sync.as_ref(),
            cognito_streams: self.cognito_streams.as_ref(),
        });
        HttpParts::with_body(Method::Post, path(&self.identity_pool_id), body)
    }

    pub(crate) fn read(pool: &str, body: &[u8]) -> Result<Self, RequestError> {
        let form: BodyForm = serde_json::from_slice(body).map_err(RequestError::serialization)?;
        Ok(Self {
            identity_pool_id: pool.parse()?,
            push_sync: form.push_sync,
            cognito_streams: form.cognito_streams,
        })
    }
}

fn path(pool: &IdentityPoolId) -> Path {
    Path::pool(pool).then("configuration")
}

macro_rules! configuration {
    ($(#[$doc:meta])* $response:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "PascalCase")]
        pub struct $response {
            /// `IdentityPoolId`.
            pub identity_pool_id: IdentityPoolId,
            /// `PushSync`; null where there is none.
            #[serde(default)]
            pub push_sync: Option<PushSync>,
            /// `CognitoStreams`; null where there are none.
            #[serde(default)]
            pub cognito_streams: Option<CognitoStreams>,
        }
    };
}

configuration! {
    /// How a pool is configured.
    GetIdentityPoolConfigurationResponse
}

configuration! {
    /// How a pool is configured from now on.
    SetIdentityPoolConfigurationResponse
}
