//! GetCognitoEvents and SetCognitoEvents: the Lambda that a pool runs on each sync.
//!
//! `GET` and `POST` of `/identitypools/{IdentityPoolId}/events`. The only event in use is
//! `SyncTrigger`; an empty value takes the function away. Both can "only be called with developer
//! credentials".

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::http::{HttpParts, Method};
use crate::id::IdentityPoolId;
use crate::json::null_as_default;
use crate::request_error::RequestError;
use crate::uri::{Path, QueryWriter};

/// Asks which Lambda functions a pool runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetCognitoEventsRequest {
    /// `IdentityPoolId`.
    pub identity_pool_id: IdentityPoolId,
}

impl GetCognitoEventsRequest {
    pub(crate) fn to_http(&self) -> HttpParts {
        let path = Path::pool(&self.identity_pool_id).then("events");
        HttpParts::without_body(Method::Get, path, QueryWriter::default())
    }

    pub(crate) fn read(pool: &str) -> Result<Self, RequestError> {
        Ok(Self {
            identity_pool_id: pool.parse()?,
        })
    }
}

/// The Lambda functions of a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetCognitoEventsResponse {
    /// `Events`: the ARN of a function by the name of its event.
    #[serde(default, deserialize_with = "null_as_default")]
    pub events: BTreeMap<String, String>,
}

/// Asks to set the Lambda functions of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetCognitoEventsRequest {
    /// `IdentityPoolId`.
    pub identity_pool_id: IdentityPoolId,
    /// `Events`: at most one, the ARN of a function by the name of its event.
    pub events: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Body<'a> {
    events: &'a BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BodyForm {
    events: Option<BTreeMap<String, String>>,
}

impl SetCognitoEventsRequest {
    pub(crate) fn to_http(&self) -> HttpParts {
        let path = Path::pool(&self.identity_pool_id).then("events");
        let body = crate::json::to_vec(&Body {
            events: &self.events,
        });
        HttpParts::with_body(Method::Post, path, body)
    }

    pub(crate) fn read(pool: &str, body: &[u8]) -> Result<Self, RequestError> {
        let form: BodyForm = serde_json::from_slice(body).map_err(RequestError::serialization)?;
        let events = form.events;
        let events = events.ok_or_else(|| RequestError::invalid("Events is missing"))?;
        if events.len() > 1 {
            return Err(RequestError::invalid("Events has more than one member"));
        }
        Ok(Self {
            identity_pool_id: pool.parse()?,
            events,
        })
    }
}

/// An answer without members; the model has no shape for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetCognitoEventsResponse {}
