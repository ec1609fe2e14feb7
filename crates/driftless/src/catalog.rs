//! Which datasets there are, here and at the service, and what they take of the service's quotas.
//!
//! What the service told last is kept in the store, so that an app shows its list offline too; it says when that was.

use std::collections::BTreeMap;
use std::sync::Arc;

use driftless_merge::{DatasetKey, KeySize, Owner, Size, Synced};
use driftless_store::CommitError;
use driftless_wire::{
    Dataset as RemoteDataset, DatasetName, DescribeDatasetRequest, IdentityId, Request, Response,
    Timestamp, limits,
};
use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::dataset::Dataset;
use crate::error::{DatasetError, SyncError};
use crate::setting::{self, Unreadable};
use crate::shared::{Shared, Slots};
use crate::subscriptions::ask;
use crate::workers::on_worker;

const VERSION: u32 = 1;

/// The datasets of an identity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Catalog {
    /// All that are here or were at the service, by name.
    pub datasets: BTreeMap<DatasetName, Entry>,
    /// When the service was asked last, by this device's clock; `None` if it never was.
    pub refreshed: Option<Timestamp>,
}

/// One dataset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Whether it is on this device: open, or in the store.
    pub is_here: bool,
    /// What the service told of it, if it had it when it was asked last.
    pub there: Option<RemoteDataset>,
}

/// Why the datasets were not listed anew.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// The service could not be asked; what it told before is still there: [`Client::catalog`].
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// The store cannot be read.
    #[error(transparent)]
    Read(#[from] DatasetError),
    /// The store could not keep the answer: close the client and open it again.
    #[error("the store could not keep the list of datasets")]
    Write(#[source] CommitError),
}

impl Catalog {
    /// Returns how many datasets the service has of the 20 that an identity may have there (a quota of Cognito that Amazon
    /// may raise for an account).
    ///
    /// The next dataset's first push is refused once they are all taken.
    #[must_use]
    pub fn taken(&self) -> (usize, usize) {
        (self.there().count(), limits::DATASETS_PER_IDENTITY)
    }

    /// Returns how many bytes all datasets take at the service together, tombstones and other clients' records included.
    ///
    /// Each may take 1 MB; [`Dataset::size`] tells how much of that is needed.
    #[must_use]
    pub fn storage(&self) -> u64 {
        let bytes = self.there().map(|dataset| dataset.data_storage);
        bytes
            .filter_map(|bytes| u64::try_from(bytes).ok())
            .fold(0, u64::saturating_add)
    }

    fn there(&self) -> impl Iterator<Item = &RemoteDataset> {
        self.datasets
            .values()
            .filter_map(|entry| entry.there.as_ref())
    }
}

impl Client {
    /// Returns the datasets that are here, and those that the service had when it was [asked last](Self::refresh).
    ///
    /// It takes no request and waits for the disk. Without an identity there are only those that are here.
    ///
    /// # Errors
    ///
    /// [`DatasetError`] if the store cannot be read. A damaged answer of the service is as good as none.
    pub fn catalog(&self) -> Result<Catalog, DatasetError> {
        let (owner, slots) = self.shared.shown();
        let kept = match &owner {
            Owner::Identity(identity) => Kept::read(&self.shared, identity)?,
            Owner::Local => Kept::default(),
        };
        kept.catalog(&self.shared, &owner, &slots)
    }

    /// Asks the service which datasets it has, keeps the answer on disk and returns it with what is here.
    ///
    /// It takes one request for each 64 datasets there (ListDatasets), synchronizes nothing and opens nothing. It is about the
    /// identity that was asked for, even if the client shows somebody else's data by the time of the answer, which is not kept
    /// then. Dropping the future is safe at any time.
    ///
    /// # Errors
    ///
    /// [`CatalogError`]; offline, what was told before stays.
    pub async fn refresh(&self) -> Result<Catalog, CatalogError> {
        let listing = self.list_datasets();
        let (identity, datasets) = self.shared.until_closed(listing).await?;
        let shared = Arc::clone(&self.shared);
        let keeping = move || {
            let at = Some(shared.clock.now().as_millis());
            let kept = Kept {
                version: VERSION,
                at,
                datasets,
            };
            let slots = kept.write_if_shown(&shared, &identity)?;
            let owner = Owner::Identity(identity);
            Ok(kept.catalog(&shared, &owner, &slots)?)
        };
        on_worker(&*self.shared.workers, keeping).await?
    }

    /// Returns what each dataset on this device takes of its limit, whether it is open or not; one that cannot be read says so.
    ///
    /// It opens nothing, takes no request and waits for the disk: some milliseconds for each 1,000 keys.
    ///
    /// # Errors
    ///
    /// [`DatasetError`] if the names of the datasets cannot be read.
    pub fn sizes(&self) -> Result<BTreeMap<DatasetName, Result<Size, DatasetError>>, DatasetError> {
        let (owner, slots) = self.shared.shown();
        let size = |name: &DatasetName| {
            let key = DatasetKey::new(owner.clone(), name.clone());
            Ok(self.shared.replica(key)?.size())
        };
        let stored = self.shared.names(&owner)?.into_iter();
        let mut sizes: BTreeMap<_, _> = stored
            .filter(|name| !slots.contains_key(name))
            .map(|name| {
                let size = size(&name);
                (name, size)
            })
            .collect();
        let open = slots
            .iter()
            .map(|(name, slot)| (name.clone(), Ok(slot.lock().replica.size())));
        sizes.extend(open);
        Ok(sizes)
    }
}

impl Dataset {
    /// Returns what a key takes of the dataset's limit, or `None` if nothing stands there; four times as long as
    /// [`size`](Self::size) takes.
    #[must_use]
    pub fn size_of(&self, key: &str) -> Option<KeySize> {
        self.slot.lock().replica.size_of(key)
    }

    /// Returns the keys that were changed here, removed ones too, and that the service is not known to have as they are here.
    ///
    /// It survives restarts, takes no request, and is linear in the dataset: below a millisecond for 1,000 keys.
    #[must_use]
    pub fn unsynced_keys(&self) -> std::collections::BTreeSet<String> {
        self.slot.lock().replica.unsynced_keys()
    }

    /// Tells whether a key is among the [`unsynced_keys`](Self::unsynced_keys).
    #[must_use]
    pub fn is_changed(&self, key: &str) -> bool {
        self.unsynced_keys().contains(key)
    }

    /// Returns when the dataset was last synchronized, by this device's clock, and at which count of the service: `None` if it
    /// never was, or was deleted here since.
    ///
    /// A session that failed, or found the dataset [full](crate::Outcome::Full), does not count. It is in the store and
    /// survives restarts; a loss of power may take the last moments. A dataset that has nothing in it and never had is not in
    /// the store.
    #[must_use]
    pub fn last_sync(&self) -> Option<Synced> {
        self.slot.lock().replica.last_sync()
    }

    /// Asks the service what it has of the dataset: one request (DescribeDataset); `None` if it has none.
    ///
    /// Like a session it asks first who the device is, which costs nothing while credentials last. Dropping the future is safe
    /// at any time.
    ///
    /// # Errors
    ///
    /// [`SyncError`] if the service cannot be asked, [`SyncError::OtherIdentity`] if this is a handle of somebody else's
    /// dataset.
    pub async fn describe(&self) -> Result<Option<RemoteDataset>, SyncError> {
        let describing = async {
            // Of somebody else's nobody is asked, not even who the device is.
            self.slot.owner()?;
            self.shared.identify().await?;
            let identity = self.shared.whose(Some(&self.slot)).await?;
            describe(&self.shared, &identity, self.name()).await
        };
        self.shared.until_closed(describing).await
    }
}

/// Asks the service what it has of a dataset.
pub(crate) async fn describe(
    shared: &Shared,
    identity: &IdentityId,
    name: &DatasetName,
) -> Result<Option<RemoteDataset>, SyncError> {
    let request = DescribeDatasetRequest {
        identity_pool_id: shared.pool.clone(),
        identity_id: identity.clone(),
        dataset_name: name.clone(),
    };
    match ask(shared, Request::DescribeDataset(request)).await {
        Ok(Response::DescribeDataset(answer)) => Ok(Some(answer.dataset)),
        Ok(_) => Err(SyncError::WrongAnswer),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// What the service told last, as the store keeps it.
#[derive(Default, Serialize, Deserialize)]
struct Kept {
    version: u32,
    /// Milliseconds since 1970.
    at: Option<i64>,
    datasets: Vec<RemoteDataset>,
}

impl Kept {
    /// Returns what is kept. It can be asked for again at any time, so what cannot be read is as good as nothing.
    fn read(shared: &Arc<Shared>, identity: &IdentityId) -> Result<Self, DatasetError> {
        match setting::read(&*shared.store, &name_of(identity), VERSION) {
            Ok(kept) => Ok(kept.unwrap_or_default()),
            Err(Unreadable::Store(error)) => Err(error.into()),
            Err(_) => Ok(Self::default()),
        }
    }

    /// Lists what is kept together with what is here of the same owner.
    fn catalog(
        self,
        shared: &Shared,
        owner: &Owner,
        slots: &Slots,
    ) -> Result<Catalog, DatasetError> {
        let mut datasets = BTreeMap::<DatasetName, Entry>::new();
        for there in self.datasets {
            let name = there.dataset_name.clone();
            datasets.entry(name).or_default().there = Some(there);
        }
        let stored = shared.names(owner)?.into_iter();
        for name in stored.chain(slots.keys().cloned()) {
            datasets.entry(name).or_default().is_here = true;
        }
        Ok(Catalog {
            datasets,
            refreshed: self.at.map(Timestamp::from_millis),
        })
    }

    /// Keeps it while the identity's data are shown, and returns that one's open datasets.
    fn write_if_shown(
        &self,
        shared: &Shared,
        identity: &IdentityId,
    ) -> Result<Slots, CatalogError> {
        // Held meanwhile, so that what a wipe removes does not come back.
        let open = shared.open();
        if !open.is_of(identity) {
            return Ok(Slots::new());
        }
        self.write(shared, identity)?;
        Ok(open.datasets.clone())
    }

    fn write(&self, shared: &Shared, identity: &IdentityId) -> Result<(), CatalogError> {
        let kept = setting::write(&*shared.store, &name_of(identity), Some(self));
        kept.map_err(|error| match error {
            CommitError::Closed => SyncError::Closed.into(),
            error => CatalogError::Write(error),
        })
    }
}

/// What the names of the settings begin with; the identity follows.
pub(crate) const SETTINGS: &str = "catalog/";

fn name_of(identity: &IdentityId) -> String {
    format!("{SETTINGS}{identity}")
}
