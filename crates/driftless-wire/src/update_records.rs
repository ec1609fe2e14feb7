//! UpdateRecords: patches of records, under compare-and-swap of their counts.
//!
//! `POST /identitypools/{IdentityPoolId}/identities/{IdentityId}/datasets/{DatasetName}`: to the
//! dataset, not to its records. The header `x-amz-Client-Context` of the model is "not yet
//! implemented" by the service and never sent.

use serde::{Deserialize, Serialize};

use crate::http::{HttpParts, Method};
use crate::id::{DatasetName, DeviceId, IdentityId, IdentityPoolId, SyncSessionToken};
use crate::json::null_as_default;
use crate::record::{PatchForm, Record, RecordPatch};
use crate::request_error::RequestError;
use crate::uri::Path;

/// Asks to change records, all of them or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateRecordsRequest {
    /// `IdentityPoolId`.
    pub identity_pool_id: IdentityPoolId,
    /// `IdentityId`.
    pub identity_id: IdentityId,
    /// `DatasetName`.
    pub dataset_name: DatasetName,
    /// `SyncSessionToken` of a list of this dataset and identity: "used by the server to identify
    /// the session".
    pub sync_session_token: SyncSessionToken,
    /// `DeviceId`: the device that a push notification about this change leaves out.
    pub device_id: Option<DeviceId>,
    /// `RecordPatches`.
    pub record_patches: Vec<RecordPatch>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Body<'a> {
    sync_session_token: &'a SyncSessionToken,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_id: Option<&'a DeviceId>,
    record_patches: &'a [RecordPatch],
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BodyForm {
    sync_session_token: Option<SyncSessionToken>,
    device_id: Option<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    record_patches: Vec<PatchForm>,
}

impl UpdateRecordsRequest {
    pub(crate) fn to_http(&self) -> HttpParts {
        let path = Path::dataset(
            &self.identity_pool_id,
            &self.identity_id,
            &self.dataset_name,
        );
        let body = crate::json::to_vec(&Body {
            sync_session_token: &self.sync_session_token,
            device_id: self.device_id.as_ref(),
            record_patches: &self.record_patches,
        });
        HttpParts::with_body(Method::Post, path, body)
    }

    pub(crate) fn read(names: [&str; 3], body: &[u8]) -> Result<Self, RequestError> {
        let form: BodyForm = serde_json::from_slice(body).map_err(RequestError::serialization)?;
        let patches = form.record_patches.into_iter().map(RecordPatch::try_from);
        Ok(Self {
            identity_pool_id: names[0].parse()?,
            identity_id: names[1].parse()?,
            dataset_name: names[2].parse()?,
            sync_session_token: form
                .sync_session_token
                .ok_or_else(|| RequestError::invalid("SyncSessionToken is missing"))?,
            device_id: form.device_id.map(DeviceId::try_from).transpose()?,
            record_patches: patches.collect::<Result<_, _>>()?,
        })
    }
}

/// The records as they stand after the update.
///
/// It names what the patches changed and may name more, and the values may be others than were
/// sent: a Lambda of the pool can change both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct UpdateRecordsResponse {
    /// `Records`, with their new counts.
    #[serde(default, deserialize_with = "null_as_default")]
    pub records: Vec<Record>,
}
