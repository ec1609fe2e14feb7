//! The configuration of pools: push is kept; streams and Lambda functions are not to be had here.

use std::collections::BTreeMap;

use driftless_wire::{
    ApiError, BulkPublishRequest, BulkPublishStatus, CognitoStreams, ErrorCode,
    GetBulkPublishDetailsRequest, GetBulkPublishDetailsResponse, GetCognitoEventsResponse,
    GetIdentityPoolConfigurationRequest, GetIdentityPoolConfigurationResponse, IdentityPoolId,
    Platform, PushSync, SetCognitoEventsRequest, SetCognitoEventsResponse,
    SetIdentityPoolConfigurationRequest, SetIdentityPoolConfigurationResponse,
};

use super::notes::Note;
use super::{Service, invalid};
use crate::storage::Swap;

/// Characters of an ARN: the model's limit for a role's.
const ARN_CHARS: usize = 2_048;

/// Applications of a pool: one for each platform, twice.
const APPLICATIONS: usize = 8;

impl Service {
    pub(super) fn pool_configuration(
        &self,
        request: GetIdentityPoolConfigurationRequest,
    ) -> Result<GetIdentityPoolConfigurationResponse, ApiError> {
        Ok(GetIdentityPoolConfigurationResponse {
            push_sync: self.push_sync(&request.identity_pool_id)?.value,
            identity_pool_id: request.identity_pool_id,
            cognito_streams: None,
        })
    }

    pub(super) fn configure_pool(
        &self,
        request: SetIdentityPoolConfigurationRequest,
    ) -> Result<SetIdentityPoolConfigurationResponse, ApiError> {
        let SetIdentityPoolConfigurationRequest {
            identity_pool_id,
            push_sync,
            cognito_streams,
        } = request;
        check_streams(cognito_streams.as_ref())?;
        let note = self.push_sync(&identity_pool_id)?;
        if let Some(push_sync) = &push_sync {
            check_applications(push_sync)?;
            if self.swap_notes(&[note.set(push_sync)])? == Swap::Moved {
                return Err(ApiError::new(
                    ErrorCode::ConcurrentModification,
                    "the pool's configuration was changed meanwhile",
                ));
            }
        }
        Ok(SetIdentityPoolConfigurationResponse {
            identity_pool_id,
            push_sync: push_sync.or(note.value),
            cognito_streams: None,
        })
    }

    /// Refuses a pool without push, or without an application for this platform.
    pub(super) fn check_push(
        &self,
        pool: &IdentityPoolId,
        platform: Option<Platform>,
    ) -> Result<(), ApiError> {
        let applications = self
            .push_sync(pool)?
            .value
            .unwrap_or_default()
            .application_arns;
        let fits =
            |arn: &String| platform.is_none_or(|platform| platform_of(arn) == Some(platform));
        if applications.iter().any(fits) {
            return Ok(());
        }
        Err(ApiError::new(
            ErrorCode::InvalidConfiguration,
            "Identity pool isn't set up for SNS",
        ))
    }

    fn push_sync(&self, pool: &IdentityPoolId) -> Result<Note<PushSync>, ApiError> {
        self.note(format!("configuration/{pool}"))
    }
}

pub(super) fn events() -> GetCognitoEventsResponse {
    GetCognitoEventsResponse {
        events: BTreeMap::new(),
    }
}

/// Taking away a function that nobody has set is done; setting one is refused.
pub(super) fn set_events(
    request: &SetCognitoEventsRequest,
) -> Result<SetCognitoEventsResponse, ApiError> {
    if request.events.values().all(String::is_empty) {
        return Ok(SetCognitoEventsResponse {});
    }
    Err(invalid("Lambda functions are not available on this server"))
}

pub(super) fn bulk_publish(request: &BulkPublishRequest) -> ApiError {
    let pool = &request.identity_pool_id;
    invalid(format!(
        "Identity pool {pool} has no stream: streams are not available on this server"
    ))
}

pub(super) fn bulk_publish_details(
    request: GetBulkPublishDetailsRequest,
) -> GetBulkPublishDetailsResponse {
    GetBulkPublishDetailsResponse {
        identity_pool_id: request.identity_pool_id,
        bulk_publish_start_time: None,
        bulk_publish_complete_time: None,
        bulk_publish_status: BulkPublishStatus::NotStarted,
        failure_message: None,
    }
}

fn check_streams(streams: Option<&CognitoStreams>) -> Result<(), ApiError> {
    let off = |streams: &CognitoStreams| streams.streaming_status.as_deref() == Some("DISABLED");
    if streams.is_none_or(off) {
        return Ok(());
    }
    Err(invalid("Streams are not available on this server"))
}

fn check_applications(push_sync: &PushSync) -> Result<(), ApiError> {
    let PushSync {
        application_arns,
        role_arn,
    } = push_sync;
    if application_arns.len() > APPLICATIONS
        || application_arns
            .iter()
            .any(|arn| platform_of(arn).is_none())
    {
        return Err(invalid(
            "ApplicationArns are not of SNS platform applications",
        ));
    }
    // The role would let AWS in; there is nothing that takes it here.
    if role_arn.as_ref().is_some_and(|arn| arn.len() > ARN_CHARS) {
        return Err(invalid("RoleArn is too long"));
    }
    Ok(())
}

/// Returns the platform of `arn:aws:sns:REGION:ACCOUNT:app/PLATFORM/NAME`.
fn platform_of(arn: &str) -> Option<Platform> {
    let parts: Vec<_> = arn.splitn(6, ':').collect();
    let ["arn", "aws", "sns", _region, _account, application] = parts[..] else {
        return None;
    };
    let (platform, name) = application.strip_prefix("app/")?.split_once('/')?;
    let of_model = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    let is_name = !name.is_empty() && arn.len() <= ARN_CHARS && name.bytes().all(of_model);
    Platform::from_name(platform).filter(|_| is_name)
}
