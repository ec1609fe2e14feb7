//! RegisterDevice, SubscribeToDataset, UnsubscribeFromDataset, and the hints that follow a push.
//!
//! A device belongs to an identity. Its id is derived from identity, platform and token, so a
//! device that registers again is the same one. Devices whose token has changed are left behind;
//! the one that registered longest ago goes when there are too many.

use driftless_wire::{
    ApiError, DeviceId, ErrorCode, Platform, RegisterDeviceRequest, RegisterDeviceResponse,
    SubscribeToDatasetRequest, SubscribeToDatasetResponse, SyncCount, Timestamp,
    UnsubscribeFromDatasetRequest, UnsubscribeFromDatasetResponse,
};
use serde::{Deserialize, Serialize};

use super::identities::uuid;
use super::notes::Note;
use super::{ATTEMPTS, Service, address, owner, storage_failed, too_many_writers};
use crate::push_sink::PushHint;
use crate::storage::{Address, NoteChange, Owner, Selection, Swap};

/// Devices of an identity that are remembered.
const DEVICES: usize = 64;

/// Characters of a token that are kept: those of the platforms have at most a few hundred.
const TOKEN_CHARS: usize = 4_096;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct DeviceRow {
    platform: String,
    token: String,
    registered: i64,
}

/// That it stands there says all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SubscriptionRow {}

impl Service {
    pub(super) fn register_device(
        &self,
        request: RegisterDeviceRequest,
        now: Timestamp,
    ) -> Result<RegisterDeviceResponse, ApiError> {
        let owner = owner(&request.identity_pool_id, &request.identity_id);
        self.check_push(&owner.pool, Some(request.platform))?;
        if request.token.chars().count() > TOKEN_CHARS {
            let message = format!("Token has more than {TOKEN_CHARS} characters");
            return Err(super::invalid(message));
        }
        let device_id = self.device_id(&owner, request.platform, &request.token);
        let row = DeviceRow {
            platform: request.platform.name().to_owned(),
            token: request.token,
            registered: now.as_millis(),
        };
        for _ in 0..ATTEMPTS {
            let note = self.device(&owner, &device_id)?;
            let mut changes = self.oldest_if_full(&owner, note.key())?;
            changes.push(note.set(&row));
            if self.swap_notes(&changes)? == Swap::Done {
                return Ok(RegisterDeviceResponse { device_id });
            }
        }
        Err(too_many_writers())
    }

    pub(super) fn subscribe(
        &self,
        request: &SubscribeToDatasetRequest,
    ) -> Result<SubscribeToDatasetResponse, ApiError> {
        let address = address(
            &request.identity_pool_id,
            &request.identity_id,
            &request.dataset_name,
        );
        let device = self.known(&address, &request.device_id)?;
        let note = self.subscription(&address, &request.device_id)?;
        // A device that goes at this moment takes its subscriptions along.
        let changes = [device.keep(), note.set(&SubscriptionRow {})];
        match self.swap_notes(&changes)? {
            Swap::Done => Ok(SubscribeToDatasetResponse {}),
            Swap::Moved => Err(too_many_writers()),
        }
    }

    pub(super) fn unsubscribe(
        &self,
        request: &UnsubscribeFromDatasetRequest,
    ) -> Result<UnsubscribeFromDatasetResponse, ApiError> {
        let address = address(
            &request.identity_pool_id,
            &request.identity_id,
            &request.dataset_name,
        );
        self.known(&address, &request.device_id)?;
        let note = self.subscription(&address, &request.device_id)?;
        match self.swap_notes(&[note.remove()])? {
            Swap::Done => Ok(UnsubscribeFromDatasetResponse {}),
            Swap::Moved => Err(too_many_writers()),
        }
    }

    /// Tells the other devices that asked for it of a push. What fails here is only logged: the
    /// push stands.
    pub(super) fn hint(&self, address: &Address, writer: Option<&DeviceId>, count: SyncCount) {
        match self.hints(address, writer, count) {
            Ok(hints) => hints.into_iter().for_each(|hint| self.sink.send(hint)),
            Err(error) => tracing::warn!(code = error.code.name(), "cannot tell devices of a push"),
        }
    }

    fn hints(
        &self,
        address: &Address,
        writer: Option<&DeviceId>,
        count: SyncCount,
    ) -> Result<Vec<PushHint>, ApiError> {
        let prefix = subscription_prefix(address);
        let notes: Vec<Note<SubscriptionRow>> = self.notes(&prefix)?;
        let devices = notes
            .iter()
            .filter_map(|note| note.key()[prefix.len()..].parse().ok());
        let others = devices.filter(|device| Some(device) != writer);
        let hint = |device_id: DeviceId| {
            let device = self.device(&address.owner, &device_id)?.value;
            Ok(device.and_then(|device| {
                Some(PushHint {
                    device_id,
                    platform: Platform::from_name(&device.platform)?,
                    token: device.token,
                    identity_pool_id: address.owner.pool.clone(),
                    identity_id: address.owner.identity.clone(),
                    dataset_name: address.dataset.clone(),
                    sync_count: count,
                })
            }))
        };
        others
            .filter_map(|device| hint(device).transpose())
            .collect()
    }

    /// Removes the devices and subscriptions of an identity.
    pub(super) fn forget_devices(&self, owner: &Owner) -> Result<(), ApiError> {
        let devices: Vec<Note<DeviceRow>> = self.notes(&device_prefix(owner))?;
        let subscriptions: Vec<Note<SubscriptionRow>> = self.notes(&subscriptions_prefix(owner))?;
        let devices = devices.iter().map(Note::remove);
        for change in devices.chain(subscriptions.iter().map(Note::remove)) {
            // Another call that forgets them at the same time is as good.
            if self.swap_notes(&[change])? == Swap::Moved {
                tracing::debug!("a device was forgotten meanwhile");
            }
        }
        Ok(())
    }

    fn oldest_if_full(&self, owner: &Owner, but: &str) -> Result<Vec<NoteChange>, ApiError> {
        let mut devices: Vec<Note<DeviceRow>> = self.notes(&device_prefix(owner))?;
        devices.retain(|device| device.key() != but);
        if devices.len() < DEVICES {
            return Ok(Vec::new());
        }
        let age = |device: &&Note<DeviceRow>| device.value.as_ref().map(|row| row.registered);
        let oldest = devices.iter().min_by_key(age);
        let Some(oldest) = oldest else {
            return Ok(Vec::new());
        };
        let device = &oldest.key()[device_prefix(owner).len()..];
        let all: Vec<Note<SubscriptionRow>> = self.notes(&subscriptions_prefix(owner))?;
        let of_device = all
            .iter()
            .filter(|note| note.key().rsplit('/').next() == Some(device));
        let mut changes: Vec<_> = of_device.map(Note::remove).collect();
        changes.push(oldest.remove());
        Ok(changes)
    }

    /// Returns the device, if both it and the dataset are there and the pool has push.
    fn known(&self, address: &Address, device: &DeviceId) -> Result<Note<DeviceRow>, ApiError> {
        self.check_push(&address.owner.pool, None)?;
        let view = self
            .storage
            .read(address, Selection::Head)
            .map_err(storage_failed)?;
        if view.head.live.is_none() {
            return Err(super::datasets::not_found(&address.dataset));
        }
        let note = self.device(&address.owner, device)?;
        if note.value.is_none() {
            return Err(ApiError::new(
                ErrorCode::ResourceNotFound,
                "Device does not exist",
            ));
        }
        Ok(note)
    }

    fn device(&self, owner: &Owner, device: &DeviceId) -> Result<Note<DeviceRow>, ApiError> {
        self.note(device_prefix(owner) + device.as_str())
    }

    fn subscription(
        &self,
        address: &Address,
        device: &DeviceId,
    ) -> Result<Note<SubscriptionRow>, ApiError> {
        self.note(subscription_prefix(address) + device.as_str())
    }

    fn device_id(&self, owner: &Owner, platform: Platform, token: &str) -> DeviceId {
        let mut hasher = blake3::Hasher::new_keyed(&self.device_key);
        let Owner { pool, identity } = owner;
        for part in [pool.as_str(), identity.as_str(), platform.name(), token] {
            hasher
                .update(&(part.len() as u64).to_be_bytes())
                .update(part.as_bytes());
        }
        let hash = hasher.finalize();
        let (bytes, _) = hash
            .as_bytes()
            .split_first_chunk()
            .expect("a hash has 32 bytes");
        DeviceId::try_from(uuid(*bytes)).expect("a UUID is a device id")
    }
}

fn device_prefix(owner: &Owner) -> String {
    format!("device/{}/{}/", owner.pool, owner.identity)
}

fn subscriptions_prefix(owner: &Owner) -> String {
    format!("subscription/{}/{}/", owner.pool, owner.identity)
}

fn subscription_prefix(address: &Address) -> String {
    format!(
        "{}{}/",
        subscriptions_prefix(&address.owner),
        address.dataset
    )
}
