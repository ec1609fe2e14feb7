//! Pushes of the service: what they say, and whether it is news.
//!
//! A push is a hint and its content is nobody's word [COGNITO trap 56]: at worst a forged one costs a
//! request. It opens no dataset that this device does not have, and its count is compared, never
//! kept. How it comes to the device is the platform's and the app's affair.

use driftless_merge::Owner;
use driftless_wire::{DatasetName, IdentityId, IdentityPoolId, SyncCount};
use serde::Deserialize;

use crate::client::Client;
use crate::dataset::Dataset;
use crate::error::{DatasetError, SyncError};
use crate::report::Report;
use crate::workers::on_worker;

/// What `source` says in a push of Cognito Sync.
const SOURCE: &str = "cognito-sync";

/// The longest payload that is read: push networks carry 4 KiB to 5 KiB.
const MAX_PAYLOAD: usize = 16 * 1024;

/// Why nothing came of a push.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// It is no push of Cognito Sync, but the app's own or a stranger's.
    #[error("it is no push of Cognito Sync")]
    Foreign,
    /// It is for another identity pool, or for another identity than the one whose data the client shows: of whoever used
    /// the device before, perhaps.
    #[error("the push is for another identity")]
    OtherIdentity,
    /// This device does not have the dataset, neither open nor in its store. An app that knows the
    /// name opens the dataset and synchronizes it.
    #[error("the push is for the dataset {0}, which is not on this device")]
    UnknownDataset(DatasetName),
    /// The dataset cannot be opened.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The synchronization failed. The next session brings the same news; [`Client::auto_sync`] begins one when it can.
    #[error(transparent)]
    Sync(#[from] SyncError),
}

impl Client {
    /// Reads a push of the service and synchronizes the dataset that it tells of, if that is behind;
    /// returns the dataset and what the session did, or `None` if it is not behind, which takes no
    /// request.
    ///
    /// The payload is JSON: the message itself, or one with the message under `data`, as Apple's
    /// platforms have it. On Android the app writes the strings that came along as an object. It waits
    /// for the disk on another thread. Dropping the future is safe at any time.
    ///
    /// If the synchronization fails, or the future is dropped before it has ended, [`auto_sync`](Self::auto_sync) takes over
    /// as after a [hint](Dataset::hint).
    ///
    /// # Errors
    ///
    /// [`PushError`]; whatever the payload is, nothing is lost and nothing of it is kept.
    pub async fn handle_push(&self, payload: &str) -> Result<Option<(Dataset, Report)>, PushError> {
        let push = Push::parse(payload).ok_or(PushError::Foreign)?;
        let client = self.clone();
        let behind = on_worker(&*self.shared.workers, move || client.behind(push));
        match behind.await?? {
            Some(dataset) => {
                let unread = Unread(Some(&dataset));
                let report = dataset.synchronize().await?;
                unread.read();
                Ok(Some((dataset, report)))
            }
            None => Ok(None),
        }
    }

    /// Returns the dataset that a push tells of, if news of it may be at the service.
    fn behind(&self, push: Push) -> Result<Option<Dataset>, PushError> {
        let owner = Owner::Identity(push.identity);
        if self.shared.pool != push.pool {
            return Err(PushError::OtherIdentity);
        }
        // Held until the dataset is open, so that it is that identity's.
        let mut open = self.shared.open();
        if open.owner != owner {
            return Err(PushError::OtherIdentity);
        }
        let is_open = open.datasets.contains_key(&push.dataset);
        let store = &self.shared.store;
        let is_kept = || Ok::<_, DatasetError>(store.datasets(&owner)?.contains(&push.dataset));
        if !is_open && !is_kept()? {
            return Err(PushError::UnknownDataset(push.dataset));
        }
        let dataset = self.dataset_in(&mut open, push.dataset)?;
        drop(open);
        let count = dataset.slot.lock().replica.count();
        Ok((count < push.count).then_some(dataset))
    }
}

/// News that are not here yet: unless they come, whatever synchronizes by itself goes on.
struct Unread<'a>(Option<&'a Dataset>);

impl Unread<'_> {
    fn read(mut self) {
        self.0 = None;
    }
}

impl Drop for Unread<'_> {
    fn drop(&mut self) {
        self.0.into_iter().for_each(Dataset::hint);
    }
}

/// What a push says.
struct Push {
    pool: IdentityPoolId,
    identity: IdentityId,
    dataset: DatasetName,
    count: SyncCount,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Payload {
    Under { data: Message },
    Bare(Message),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    source: String,
    identity_pool_id: String,
    identity_id: String,
    dataset_name: String,
    sync_count: Count,
}

/// A number, or a string as Android has it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Count {
    Number(i64),
    Text(String),
}

impl Push {
    fn parse(payload: &str) -> Option<Self> {
        if payload.len() > MAX_PAYLOAD {
            return None;
        }
        let (Payload::Under { data: message } | Payload::Bare(message)) =
            serde_json::from_str(payload).ok()?;
        let count = match message.sync_count {
            Count::Number(number) => number,
            Count::Text(text) => text.parse().ok()?,
        };
        (message.source == SOURCE).then_some(())?;
        Some(Self {
            pool: message.identity_pool_id.parse().ok()?,
            identity: message.identity_id.parse().ok()?,
            dataset: message.dataset_name.parse().ok()?,
            count: SyncCount::try_from(count).ok()?,
        })
    }
}
