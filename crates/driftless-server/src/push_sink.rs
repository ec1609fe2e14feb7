//! Hints that a dataset has changed, for the devices that asked to be told.
//!
//! The service decides who is told what; carrying it there is a [`PushSink`]'s. None here reaches
//! Apple's, Google's or Amazon's networks: the real service hands them to SNS, and an embedding
//! program may do so, or use a socket of its own. A hint is only a hint: one that is lost costs a
//! device nothing but time.

use std::fmt;
use std::sync::Mutex;

use driftless_wire::{DatasetName, DeviceId, IdentityId, IdentityPoolId, Platform, SyncCount};
use serde_json::json;

/// Carries hints to devices.
pub trait PushSink: fmt::Debug + Send + Sync {
    /// Takes a hint and returns at once; a slow network must not hold up the push that it tells
    /// of.
    fn send(&self, hint: PushHint);
}

/// Tells one device that a dataset stands at a new count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushHint {
    /// The device.
    pub device_id: DeviceId,
    /// Its push service.
    pub platform: Platform,
    /// What that knows it by.
    pub token: String,
    /// The pool.
    pub identity_pool_id: IdentityPoolId,
    /// Whose dataset.
    pub identity_id: IdentityId,
    /// The dataset.
    pub dataset_name: DatasetName,
    /// The count that the push made.
    pub sync_count: SyncCount,
}

impl PushHint {
    /// Returns the message as the old clients read it: a JSON object of strings, which stand under
    /// `data` for Apple's platforms.
    #[must_use]
    pub fn payload(&self) -> String {
        let members = json!({
            "source": "cognito-sync",
            "identityPoolId": self.identity_pool_id.as_str(),
            "identityId": self.identity_id.as_str(),
            "datasetName": self.dataset_name.as_str(),
            "syncCount": self.sync_count.to_string(),
        });
        match self.platform {
            Platform::Apns | Platform::ApnsSandbox => {
                json!({"aps": {"content-available": 1}, "data": members}).to_string()
            }
            _ => members.to_string(),
        }
    }
}

/// Drops hints; the log tells of each, without its token.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogSink;

impl PushSink for LogSink {
    fn send(&self, hint: PushHint) {
        let (platform, dataset) = (hint.platform.name(), hint.dataset_name.as_str());
        tracing::debug!(
            platform,
            dataset,
            count = hint.sync_count.get(),
            "hint not sent"
        );
    }
}

/// Keeps hints until they are taken, for tests.
#[derive(Debug, Default)]
pub struct MemorySink(Mutex<Vec<PushHint>>);

impl MemorySink {
    /// Returns the hints since the last call, in order.
    pub fn take(&self) -> Vec<PushHint> {
        std::mem::take(
            &mut self
                .0
                .lock()
                .expect("no call panics while it holds the lock"),
        )
    }
}

impl PushSink for MemorySink {
    fn send(&self, hint: PushHint) {
        let mut hints = self
            .0
            .lock()
            .expect("no call panics while it holds the lock");
        hints.push(hint);
    }
}
