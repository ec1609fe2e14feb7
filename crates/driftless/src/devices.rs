//! What a device remembers of its registration for pushes: its id, which datasets it wants to be told of, and what is left to
//! be undone at the service.
//!
//! One row per identity, a setting of the store; a store belongs to one pool. The rule: a wish is durable before the service
//! is asked, and what the service did is written down after its answer, so that whatever lies between is asked again. That
//! does no harm: to subscribe and to unsubscribe twice is as good as once.
//!
//! The token stays with the platform. Of it only a digest is kept, which tells a new one from the known one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use driftless_merge::Durability;
use driftless_store::{CommitError, RecoverError, Store};
use driftless_wire::{DatasetName, DeviceId, IdentityId, Platform};
use serde::{Deserialize, Serialize};

use crate::setting::{self, Unreadable};

const VERSION: u32 = 1;

/// The registrations of all identities that used the client.
#[derive(Debug, Default)]
pub(crate) struct Devices {
    rows: Mutex<BTreeMap<IdentityId, Row>>,
    /// How often a registration was forgotten; it changes under the lock of the rows.
    forgotten: AtomicU64,
    /// Held by whoever speaks with the service about the device, so that answers are written down in the order of requests.
    /// Wishes are written down without it: the service may keep whoever holds it waiting.
    pub(crate) turn: tokio::sync::Mutex<()>,
    /// What sessions left to be done while another one had the turn.
    left: Mutex<BTreeSet<(IdentityId, DatasetName)>>,
}

/// What is remembered for one identity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    device: Option<Registration>,
    datasets: BTreeMap<DatasetName, Subscription>,
    /// Subscriptions that are not wanted any more and may stand at the service.
    leaving: BTreeSet<(DatasetName, DeviceId)>,
}

/// A device as the service knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Registration {
    id: DeviceId,
    digest: Digest,
}

/// What tells tokens apart without being one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest([u8; 16]);

/// How far a subscription that is wanted has come.
///
/// Closed: the service knows no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subscription {
    /// The service was not asked yet or did not answer, or it does not have the dataset: the dataset's next session asks
    /// again, once the dataset is there.
    Waiting,
    /// The service tells this device of changes that others make.
    Standing,
}

/// One thing to be done at the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Chore {
    Subscribe(DatasetName, DeviceId),
    Unsubscribe(DatasetName, DeviceId),
}

/// Why the row cannot be used or changed.
#[derive(Debug)]
pub(crate) enum RowError {
    Version(u32),
    Read(RecoverError),
    Write(CommitError),
}

impl Digest {
    pub(crate) fn of(platform: Platform, token: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(platform.name().as_bytes()).update(b"\0");
        hasher.update(token.as_bytes());
        let mut digest = [0; 16];
        hasher.finalize_xof().fill(&mut digest);
        Self(digest)
    }
}

/// It stands for a token, so it stays out of logs too.
impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest")
    }
}

impl Devices {
    /// Returns what is remembered; the first call for an identity waits for the disk.
    ///
    /// A damaged row is as good as none: the app registers and subscribes again.
    pub(crate) fn row(&self, store: &dyn Store, identity: &IdentityId) -> Result<Row, RowError> {
        self.locked(store, identity).map(|(_, row)| row)
    }

    /// Changes what is remembered, and waits for the disk if that made a difference.
    pub(crate) fn change<T>(
        &self,
        store: &dyn Store,
        identity: &IdentityId,
        change: impl FnOnce(&mut Row) -> T,
    ) -> Result<T, RowError> {
        let (mut rows, before) = self.locked(store, identity)?;
        let mut row = before.clone();
        let answer = change(&mut row);
        if row != before {
            let form = (row != Row::default()).then(|| row.form());
            let kept = setting::write(store, &name_of(identity), form.as_ref());
            kept.map_err(RowError::Write)?;
            rows.insert(identity.clone(), row);
        }
        Ok(answer)
    }

    /// Forgets the registration of an identity. What the service answers to earlier requests is void from then on.
    pub(crate) fn forget(&self, store: &dyn Store, identity: &IdentityId) -> Result<(), RowError> {
        self.change(store, identity, |row| {
            row.unregister();
            self.forgotten.fetch_add(1, Ordering::SeqCst);
        })
    }

    /// Removes settings of these from the store, and what is remembered of them. What the service answers to earlier requests
    /// is void from then on.
    pub(crate) fn wipe(&self, store: &dyn Store, settings: &[String]) -> Result<(), CommitError> {
        let mut rows = self.lock();
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        rows.clear();
        self.clear_left();
        let mut settings = settings.iter();
        settings.try_for_each(|name| store.set_setting(name, None, Durability::Disk))
    }

    /// Returns what an answer to a request that is made now must come [after](Self::note).
    pub(crate) fn forgotten(&self) -> u64 {
        self.forgotten.load(Ordering::SeqCst)
    }

    /// Changes what is remembered as the service answered, unless a registration was forgotten since it was asked; tells
    /// whether it was done.
    pub(crate) fn note(
        &self,
        store: &dyn Store,
        identity: &IdentityId,
        forgotten: u64,
        change: impl FnOnce(&mut Row),
    ) -> Result<bool, RowError> {
        self.change(store, identity, |row| {
            let counts = self.forgotten() == forgotten;
            if counts {
                change(row);
            }
            counts
        })
    }

    /// Leaves a dataset to whoever has the turn, or takes it next.
    pub(crate) fn leave(&self, identity: IdentityId, name: DatasetName) {
        self.locked_left().insert((identity, name));
    }

    /// Takes one of the datasets that were left.
    pub(crate) fn take_left(&self) -> Option<(IdentityId, DatasetName)> {
        self.locked_left().pop_first()
    }

    /// Leaves what was left to the next sessions.
    pub(crate) fn clear_left(&self) {
        self.locked_left().clear();
    }

    pub(crate) fn has_left(&self) -> bool {
        !self.locked_left().is_empty()
    }

    fn lock(&self) -> Rows<'_> {
        // A row is replaced whole, so a panic leaves none half changed.
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn locked_left(&self) -> MutexGuard<'_, BTreeSet<(IdentityId, DatasetName)>> {
        // One insertion or removal at a time, so a panic leaves none half done.
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn locked(
        &self,
        store: &dyn Store,
        identity: &IdentityId,
    ) -> Result<(Rows<'_>, Row), RowError> {
        let mut rows = self.lock();
        if let Some(row) = rows.get(identity) {
            let row = row.clone();
            return Ok((rows, row));
        }
        let form = setting::read(store, &name_of(identity), VERSION);
        let row = Row::of(form)?;
        rows.insert(identity.clone(), row.clone());
        Ok((rows, row))
    }
}

type Rows<'a> = MutexGuard<'a, BTreeMap<IdentityId, Row>>;

/// What the names of the settings begin with; the identity follows.
pub(crate) const SETTINGS: &str = "device/";

fn name_of(identity: &IdentityId) -> String {
    format!("{SETTINGS}{identity}")
}

fn damaged() -> Row {
    tracing::warn!("the device's registration for pushes is damaged and must be made again");
    Row::default()
}

impl Row {
    /// Returns the id under which the service knows the device.
    pub(crate) fn device(&self) -> Option<&DeviceId> {
        self.device.as_ref().map(|device| &device.id)
    }

    /// Returns the id if the device is registered with this token.
    pub(crate) fn registered_as(&self, digest: Digest) -> Option<&DeviceId> {
        let device = self.device.as_ref();
        device
            .filter(|device| device.digest == digest)
            .map(|device| &device.id)
    }

    pub(crate) const fn subscriptions(&self) -> &BTreeMap<DatasetName, Subscription> {
        &self.datasets
    }

    /// Takes a registration in place of an earlier one; what was wanted is wanted of the new one.
    pub(crate) fn register(&mut self, id: DeviceId, digest: Digest) {
        self.leave_all();
        self.leaving.retain(|(_, device)| *device != id);
        let registration = Registration { id, digest };
        self.device = Some(registration);
    }

    /// Forgets the device and all that it wanted.
    fn unregister(&mut self) {
        self.leave_all();
        self.datasets.clear();
        self.device = None;
    }

    /// Takes note that the service does not know a device, and so no subscription of it.
    pub(crate) fn lose(&mut self, id: &DeviceId) {
        self.leaving.retain(|(_, device)| device != id);
        if self.device() == Some(id) {
            self.device = None;
            self.wait_all();
        }
    }

    /// Wants to be told of a dataset.
    pub(crate) fn want(&mut self, name: DatasetName) {
        if let Some(device) = self.device.as_ref().map(|device| device.id.clone()) {
            self.leaving.remove(&(name.clone(), device));
        }
        self.datasets.entry(name).or_insert(Subscription::Waiting);
    }

    /// Wants to be told of a dataset no more. The service may have heard of it even if it did not answer.
    pub(crate) fn leave(&mut self, name: &DatasetName) {
        if self.datasets.remove(name).is_some()
            && let Some(device) = self.device()
        {
            self.leaving.insert((name.clone(), device.clone()));
        }
    }

    /// Takes note that the service began a new life of a dataset, or has none: it may know no subscription of it.
    pub(crate) fn begin_anew(&mut self, name: &DatasetName) {
        if let Some(subscription) = self.datasets.get_mut(name) {
            *subscription = Subscription::Waiting;
        }
    }

    /// Takes note that something was done.
    pub(crate) fn done(&mut self, chore: &Chore) {
        match chore {
            Chore::Unsubscribe(name, device) => {
                _ = self.leaving.remove(&(name.clone(), device.clone()))
            }
            Chore::Subscribe(name, device) => match self.datasets.get_mut(name) {
                Some(subscription)
                    if self
                        .device
                        .as_ref()
                        .is_some_and(|known| known.id == *device) =>
                {
                    *subscription = Subscription::Standing;
                }
                // Meanwhile it is wanted no more.
                _ => _ = self.leaving.insert((name.clone(), device.clone())),
            },
        }
    }

    /// Returns what is to be done at the service, or only for one dataset.
    pub(crate) fn chores(&self, of: Option<&DatasetName>) -> Vec<Chore> {
        let is_meant = |name: &DatasetName| of.is_none_or(|of| of == name);
        let leaving = self.leaving.iter().filter(|(name, _)| is_meant(name));
        let leaving =
            leaving.map(|(name, device)| Chore::Unsubscribe(name.clone(), device.clone()));
        let waiting = self.datasets.iter().filter(|(name, subscription)| {
            is_meant(name) && **subscription == Subscription::Waiting
        });
        let device = self.device();
        let waiting =
            waiting.filter_map(|(name, _)| Some(Chore::Subscribe(name.clone(), device?.clone())));
        leaving.chain(waiting).collect()
    }

    fn leave_all(&mut self) {
        if let Some(device) = self.device.as_ref().map(|device| device.id.clone()) {
            let all = self
                .datasets
                .keys()
                .map(|name| (name.clone(), device.clone()));
            self.leaving.extend(all);
        }
        self.wait_all();
    }

    fn wait_all(&mut self) {
        self.datasets
            .values_mut()
            .for_each(|subscription| *subscription = Subscription::Waiting);
    }

    fn form(&self) -> Form {
        Form {
            version: VERSION,
            device: self.device.as_ref().map(|device| DeviceForm {
                id: device.id.clone(),
                digest: format!("{:032x}", u128::from_be_bytes(device.digest.0)),
            }),
            datasets: self
                .datasets
                .iter()
                .map(|(name, way)| (name.clone(), (*way).into()))
                .collect(),
            leaving: self.leaving.iter().cloned().collect(),
        }
    }

    /// Takes what was read. What is damaged is as good as none: the app registers and subscribes again.
    fn of(form: Result<Option<Form>, Unreadable>) -> Result<Self, RowError> {
        match form {
            Ok(None) => Ok(Self::default()),
            Ok(Some(form)) => Ok(Self::from_form(form).unwrap_or_else(damaged)),
            Err(Unreadable::Later(version)) => Err(RowError::Version(version)),
            Err(Unreadable::Damaged(_)) => Ok(damaged()),
            Err(Unreadable::Store(error)) => Err(RowError::Read(error)),
        }
    }

    fn from_form(form: Form) -> Option<Self> {
        let device = match form.device {
            Some(device) => Some(Registration {
                id: device.id,
                digest: Digest(u128::from_str_radix(&device.digest, 16).ok()?.to_be_bytes()),
            }),
            None => None,
        };
        Some(Self {
            device,
            datasets: form
                .datasets
                .into_iter()
                .map(|(name, way)| (name, way.into()))
                .collect(),
            leaving: form.leaving.into_iter().collect(),
        })
    }
}

#[derive(Serialize, Deserialize)]
struct Form {
    version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device: Option<DeviceForm>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    datasets: BTreeMap<DatasetName, SubscriptionForm>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    leaving: Vec<(DatasetName, DeviceId)>,
}

#[derive(Serialize, Deserialize)]
struct DeviceForm {
    id: DeviceId,
    digest: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SubscriptionForm {
    Waiting,
    Standing,
}

impl From<Subscription> for SubscriptionForm {
    fn from(subscription: Subscription) -> Self {
        match subscription {
            Subscription::Waiting => Self::Waiting,
            Subscription::Standing => Self::Standing,
        }
    }
}

impl From<SubscriptionForm> for Subscription {
    fn from(form: SubscriptionForm) -> Self {
        match form {
            SubscriptionForm::Waiting => Self::Waiting,
            SubscriptionForm::Standing => Self::Standing,
        }
    }
}

impl From<RowError> for crate::error::DeviceError {
    fn from(error: RowError) -> Self {
        match error {
            RowError::Version(version) => Self::Version(version),
            RowError::Read(RecoverError::Closed) | RowError::Write(CommitError::Closed) => {
                crate::error::SyncError::Closed.into()
            }
            RowError::Read(error) => Self::Read(error),
            RowError::Write(error) => Self::Write(Arc::new(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> DatasetName {
        name.parse().unwrap()
    }

    fn row() -> Row {
        let mut row = Row::default();
        row.register("old".parse().unwrap(), Digest::of(Platform::Gcm, "old"));
        row.want(name("a"));
        row.want(name("b"));
        let [chore, _] = row.chores(None).try_into().unwrap();
        row.done(&chore);
        row
    }

    #[test]
    fn row_reads_back() {
        let mut row = row();
        row.leave(&name("b"));
        assert_eq!(Row::from_form(row.form()), Some(row));
    }

    #[test]
    fn token_is_not_in_the_row() {
        let mut row = Row::default();
        row.register("id".parse().unwrap(), Digest::of(Platform::Gcm, "a-token"));
        let text = serde_json::to_string(&row.form()).unwrap();
        assert!(!text.contains("a-token"));
    }

    #[test]
    fn damaged_row_is_none_and_a_later_one_is_refused() {
        let read = |bytes: &str| Row::of(setting::parse(bytes.as_bytes(), VERSION).map(Some));
        for damaged in [
            "{",
            r#"{"version":1,"device":7}"#,
            r#"{"version":1,"device":{"id":"id","digest":"no"}}"#,
        ] {
            assert_eq!(read(damaged).unwrap(), Row::default());
        }
        let later = read(r#"{"version":2,"device":7}"#);
        assert!(matches!(later, Err(RowError::Version(2))));
    }

    #[test]
    fn new_token_takes_the_wishes_along_and_leaves_the_old_device() {
        let mut row = row();
        row.register("new".parse().unwrap(), Digest::of(Platform::Gcm, "new"));
        let [old, new] = ["old", "new"].map(|id| id.parse::<DeviceId>().unwrap());
        let chores = [
            Chore::Unsubscribe(name("a"), old.clone()),
            Chore::Unsubscribe(name("b"), old),
            Chore::Subscribe(name("a"), new.clone()),
            Chore::Subscribe(name("b"), new),
        ];
        assert_eq!(row.chores(None), chores);
        assert_eq!(
            row.chores(Some(&name("b"))),
            [chores[1].clone(), chores[3].clone()]
        );
    }

    #[test]
    fn answer_that_comes_late_subscribes_nobody() {
        let mut row = row();
        let chores = row.chores(None);
        row.leave(&name("b"));
        let leaving = row.chores(None);
        row.done(&leaving[0]);
        assert_eq!(row.chores(None), []);
        row.done(&chores[0]);
        assert_eq!(row.chores(None), leaving);
    }
}
