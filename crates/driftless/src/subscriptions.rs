//! Asking the service to tell this device of changes: registering it, and subscribing it to datasets.
//!
//! Each call writes down what is wanted before it asks for it, and what the service refuses for now is asked again by the
//! dataset's next session. So an app may be offline, or end at any moment, and need not remember anything. Only one call at a
//! time speaks with the service about the device, and a wish does not wait for that: it stands on disk however long the service
//! keeps somebody else waiting.
//!
//! Whose device it is, each call asks once, and keeps to: a handle of a dataset never acts for somebody else.
//!
//! What must hold at the service: it has the dataset before anybody can subscribe to it, and a registration belongs to one
//! identity and one token ("push sync" in the developer guide). There is no way to take a registration back: a device that is
//! not registered any more is one without subscriptions.

use std::collections::BTreeMap;
use std::sync::Arc;

use driftless_merge::Owner;
use driftless_wire::{
    DatasetName, DeviceId, IdentityId, Platform, RegisterDeviceRequest, Request, Response,
    SubscribeToDatasetRequest, UnsubscribeFromDatasetRequest,
};

use crate::catalog::describe;
use crate::client::Client;
use crate::dataset::Dataset;
use crate::devices::{Chore, Digest, Row, RowError, Subscription};
use crate::error::{DeviceError, SyncError};
use crate::identity::is_other_identity;
use crate::shared::Shared;
use crate::workers::on_worker;

impl Client {
    /// Registers the device for pushes, and returns the id by which the service knows it.
    ///
    /// The token is what the platform's push service gave the app. Call this at each start and whenever the platform brings a
    /// new token: with the known one it takes no request, with another one the device is registered anew (one request) and
    /// what it had subscribed to moves along (two requests for each dataset; what of that fails waits for the dataset's next
    /// session). The registration is the identity's, on disk before this returns, and survives restarts. From then on each
    /// push tells the service which device it comes from, so that the device is not told of its own edits.
    ///
    /// The service takes this and what follows from it only with the temporary credentials of an identity, as an
    /// [`IdentityPool`](crate::transport::IdentityPool) has them. Dropping the future is safe at any time.
    ///
    /// # Errors
    ///
    /// [`DeviceError`]; without an answer the device stays registered as it was before.
    /// [`DeviceError::NotRegistered`] if it was [unregistered](Self::unregister_device) before the answer came.
    pub async fn register_device(
        &self,
        platform: Platform,
        token: &str,
    ) -> Result<DeviceId, DeviceError> {
        let digest = Digest::of(platform, token);
        let registering = async {
            let identity = self.shared.whose(None).await?;
            let turn = self.shared.devices.turn.lock().await;
            let registered = register(&self.shared, &identity, platform, token, digest).await;
            drop(turn);
            do_left(&self.shared).await;
            registered
        };
        self.shared.until_closed(registering).await
    }

    /// Ends all pushes to this device: unsubscribes it from everything (one request for each dataset) and forgets its id.
    ///
    /// The device forgets first, on disk, even while the service keeps another call waiting; what the service could not be told
    /// is told by the next session of each dataset. Call it before another person uses the device. Where there is no
    /// registration it does nothing.
    ///
    /// # Errors
    ///
    /// [`DeviceError`]; if it is [`DeviceError::Sync`], the device has forgotten and the service was not told everything yet.
    pub async fn unregister_device(&self) -> Result<(), DeviceError> {
        let leaving = async {
            let identity = self.shared.whose(None).await?;
            let of = identity.clone();
            let forget = move |shared: &Shared| shared.devices.forget(&*shared.store, &of);
            on_devices(&self.shared, forget).await?;
            carry_out(&self.shared, &identity, None).await
        };
        self.shared.until_closed(leaving).await
    }

    /// Returns the id by which the service knows this device, if it is registered. It waits for the disk, once.
    ///
    /// # Errors
    ///
    /// [`DeviceError`] if the store cannot be read or there is no identity.
    pub fn device_id(&self) -> Result<Option<DeviceId>, DeviceError> {
        Ok(self.row()?.device().cloned())
    }

    /// Returns the datasets that this device wants to be told of, and how far that has come. It waits for the disk, once.
    ///
    /// # Errors
    ///
    /// [`DeviceError`] if the store cannot be read or there is no identity.
    pub fn subscriptions(&self) -> Result<BTreeMap<DatasetName, Subscription>, DeviceError> {
        Ok(self.row()?.subscriptions().clone())
    }

    /// [Subscribes](Dataset::subscribe) to all datasets that are on this device now, one request for each that is not
    /// subscribed to yet, and returns how far each has come.
    ///
    /// # Errors
    ///
    /// [`DeviceError`], the first one; if that is the service's about one dataset, the others were asked for all the same. All
    /// wishes are kept, and the sessions of the datasets go on.
    pub async fn subscribe_all(&self) -> Result<BTreeMap<DatasetName, Subscription>, DeviceError> {
        let subscribing = async {
            let identity = self.shared.whose(None).await?;
            let (shared, of) = (Arc::clone(&self.shared), identity.clone());
            let names = on_worker(&*self.shared.workers, move || names(&shared, of)).await?;
            want(&self.shared, &identity, names?).await?;
            carry_out(&self.shared, &identity, None).await?;
            let row = row(&self.shared, &identity).await?;
            Ok(row.subscriptions().clone())
        };
        self.shared.until_closed(subscribing).await
    }

    /// [Unsubscribes](Dataset::unsubscribe) from all datasets, one request for each; the device stays registered.
    ///
    /// # Errors
    ///
    /// [`DeviceError`], the first one; if that is the service's about one dataset, the others were asked for all the same. That
    /// nothing is wanted is kept, and the sessions of the datasets go on.
    pub async fn unsubscribe_all(&self) -> Result<(), DeviceError> {
        let leave_all = |row: &mut Row| {
            let names: Vec<DatasetName> = row.subscriptions().keys().cloned().collect();
            names.iter().for_each(|name| row.leave(name));
        };
        let leaving = async {
            let identity = self.shared.whose(None).await?;
            change(&self.shared, &identity, leave_all).await?;
            carry_out(&self.shared, &identity, None).await
        };
        self.shared.until_closed(leaving).await
    }

    fn row(&self) -> Result<Row, DeviceError> {
        let identity = self.shared.identity().ok_or(SyncError::NoIdentity)?;
        Ok(self.shared.devices.row(&*self.shared.store, &identity)?)
    }
}

impl Dataset {
    /// Asks the service to tell this device when others change the dataset; the platform then brings a push for
    /// [`Client::handle_push`].
    ///
    /// It takes one request. The service must have the dataset: until this device knows that it has, the subscription
    /// [waits](Subscription::Waiting) without a request, and the session after which it stands there subscribes. The wish is
    /// on disk before the service is asked, so offline it waits too. A dataset that begins a new life is subscribed to again.
    ///
    /// # Errors
    ///
    /// [`DeviceError`]; unless the device is [not registered](DeviceError::NotRegistered) or this is a handle of
    /// [somebody else's](SyncError::OtherIdentity) dataset, the wish is kept and the next session asks again.
    pub async fn subscribe(&self) -> Result<Subscription, DeviceError> {
        let subscribing = async {
            let identity = self.shared.whose(Some(&self.slot)).await?;
            want(&self.shared, &identity, vec![self.name().clone()]).await?;
            carry_out(&self.shared, &identity, Some(self.name())).await?;
            let row = row(&self.shared, &identity).await?;
            let subscription = row.subscriptions().get(self.name());
            Ok(subscription.copied().unwrap_or(Subscription::Waiting))
        };
        self.shared.until_closed(subscribing).await
    }

    /// Asks the service to tell this device no more of changes of the dataset: one request, none if it was not subscribed to.
    ///
    /// That it is not wanted is on disk before the service is asked; pushes that come all the same are handled as any.
    ///
    /// # Errors
    ///
    /// [`DeviceError`]; unless this is a handle of [somebody else's](SyncError::OtherIdentity) dataset, the next session asks
    /// again.
    pub async fn unsubscribe(&self) -> Result<(), DeviceError> {
        let name = self.name().clone();
        let leaving = async {
            let identity = self.shared.whose(Some(&self.slot)).await?;
            change(&self.shared, &identity, move |row| row.leave(&name)).await?;
            carry_out(&self.shared, &identity, Some(self.name())).await
        };
        self.shared.until_closed(leaving).await
    }
}

/// Registers the device with the service, unless it is known by this token; the caller has the turn.
async fn register(
    shared: &Arc<Shared>,
    identity: &IdentityId,
    platform: Platform,
    token: &str,
    digest: Digest,
) -> Result<DeviceId, DeviceError> {
    let forgotten = shared.devices.forgotten();
    if let Some(device) = row(shared, identity).await?.registered_as(digest) {
        return Ok(device.clone());
    }
    let request = RegisterDeviceRequest {
        identity_pool_id: shared.pool.clone(),
        identity_id: identity.clone(),
        platform,
        token: token.to_owned(),
    };
    let Response::RegisterDevice(answer) = ask(shared, Request::RegisterDevice(request)).await?
    else {
        return Err(SyncError::WrongAnswer.into());
    };
    let id = answer.device_id.clone();
    let registering = move |row: &mut Row| row.register(id, digest);
    if !note(shared, identity, forgotten, registering).await? {
        return Err(DeviceError::NotRegistered);
    }
    if let Err(error) = do_chores(shared, identity, None, &mut 0).await {
        tracing::warn!(%error, "subscriptions of the device wait for the next session");
    }
    Ok(answer.device_id)
}

/// Does what a session of a dataset left to be done, and returns how many requests that took. A failure is no failure of the
/// session: the next one tries again.
///
/// It waits for nobody: while another call has the turn, that one does it, once it is done with its own.
pub(crate) async fn follow(shared: &Arc<Shared>, identity: &IdentityId, name: &DatasetName) -> u32 {
    shared.devices.leave(identity.clone(), name.clone());
    do_left(shared).await
}

/// Does what sessions left to be done, unless somebody else has the turn; to be called by whoever gave the turn back, too.
/// Returns how many requests that took.
async fn do_left(shared: &Arc<Shared>) -> u32 {
    let mut requests = 0;
    while shared.devices.has_left()
        && let Ok(turn) = shared.devices.turn.try_lock()
    {
        while let Some((identity, name)) = shared.devices.take_left() {
            let done = do_chores(shared, &identity, Some(&name), &mut requests).await;
            if let Err(error) = done {
                tracing::warn!(%error, "the subscription waits for the next session");
                // What all would meet is met once.
                if !is_of_one_dataset(&error) {
                    shared.devices.clear_left();
                }
            }
        }
        drop(turn);
    }
    requests
}

/// Takes note that the service does not know the device any more.
pub(crate) async fn lose(
    shared: &Arc<Shared>,
    identity: &IdentityId,
    device: DeviceId,
) -> Result<(), DeviceError> {
    tracing::warn!("the service does not know this device, it must be registered again");
    change(shared, identity, move |row| row.lose(&device)).await
}

/// Writes down that the device wants to be told of datasets, if it is registered.
async fn want(
    shared: &Arc<Shared>,
    identity: &IdentityId,
    names: Vec<DatasetName>,
) -> Result<(), DeviceError> {
    let wishing = move |row: &mut Row| {
        row.device().ok_or(DeviceError::NotRegistered)?;
        names.into_iter().for_each(|name| row.want(name));
        Ok(())
    };
    change(shared, identity, wishing).await?
}

/// Returns the names of an identity's datasets that are open or in the store.
fn names(shared: &Shared, identity: IdentityId) -> Result<Vec<DatasetName>, DeviceError> {
    let owner = Owner::Identity(identity);
    let mut names = shared.store.datasets(&owner).map_err(DeviceError::Read)?;
    let (shown, slots) = shared.shown();
    if shown == owner {
        names.extend(slots.into_keys());
    }
    Ok(names)
}

/// Does at the service what follows from a wish that is written down, once nobody else speaks with it about the device.
async fn carry_out(
    shared: &Arc<Shared>,
    identity: &IdentityId,
    of: Option<&DatasetName>,
) -> Result<(), DeviceError> {
    let turn = shared.devices.turn.lock().await;
    let done = do_chores(shared, identity, of, &mut 0).await;
    drop(turn);
    do_left(shared).await;
    done
}

/// Does what is to be done at the service, in order, and counts the requests; the caller has the turn.
///
/// What the service says to one dataset does not keep it from the others, and the first such error is returned. What all
/// would meet, such as a network that is gone, ends it. So does a registration that is forgotten meanwhile.
async fn do_chores(
    shared: &Arc<Shared>,
    identity: &IdentityId,
    of: Option<&DatasetName>,
    requests: &mut u32,
) -> Result<(), DeviceError> {
    let forgotten = shared.devices.forgotten();
    let mut first = Ok(());
    for chore in row(shared, identity).await?.chores(of) {
        if forgotten != shared.devices.forgotten() {
            break;
        }
        if matches!(&chore, Chore::Subscribe(name, _) if !may_exist(shared, identity, name)) {
            continue;
        }
        let done = do_chore(shared, identity, chore, forgotten, requests).await;
        let is_end = matches!(&done, Err(error) if !is_of_one_dataset(error));
        first = first.and(done);
        if is_end {
            break;
        }
    }
    first
}

async fn do_chore(
    shared: &Arc<Shared>,
    identity: &IdentityId,
    chore: Chore,
    forgotten: u64,
    requests: &mut u32,
) -> Result<(), DeviceError> {
    *requests += 1;
    let answer = ask(shared, chore.request(shared, identity)).await;
    match (answer, &chore) {
        // What is not there is not subscribed to, and a pool that has no pushes any more sends none.
        (Err(error), Chore::Unsubscribe(..)) if is_moot(&error) => {}
        (Err(error), Chore::Subscribe(name, device)) if error.is_not_found() => {
            *requests += 1;
            if describe(shared, identity, name).await?.is_some() {
                lose(shared, identity, device.clone()).await?;
                return Err(DeviceError::Unknown);
            }
            return Ok(());
        }
        (answer, _) => drop(answer?),
    }
    note(shared, identity, forgotten, move |row| row.done(&chore)).await?;
    Ok(())
}

/// Tells whether the service said something about one dataset, so that others may fare better.
fn is_of_one_dataset(error: &DeviceError) -> bool {
    matches!(error, DeviceError::Sync(SyncError::Request(error))
        if error.api().is_some_and(|api| !api.is_throttling()))
}

impl Chore {
    fn request(&self, shared: &Shared, identity: &IdentityId) -> Request {
        let (pool, identity) = (shared.pool.clone(), identity.clone());
        match self.clone() {
            Self::Subscribe(dataset_name, device_id) => {
                Request::SubscribeToDataset(SubscribeToDatasetRequest {
                    identity_pool_id: pool,
                    identity_id: identity,
                    dataset_name,
                    device_id,
                })
            }
            Self::Unsubscribe(dataset_name, device_id) => {
                Request::UnsubscribeFromDataset(UnsubscribeFromDatasetRequest {
                    identity_pool_id: pool,
                    identity_id: identity,
                    dataset_name,
                    device_id,
                })
            }
        }
    }
}

/// Tells whether the service may have a dataset: one that is open was listed, or was never.
fn may_exist(shared: &Shared, identity: &IdentityId, name: &DatasetName) -> bool {
    let slot = shared.open().datasets.get(name).map(Arc::clone);
    slot.is_none_or(|slot| {
        let inner = slot.lock();
        let is_meant = matches!(inner.replica.key().owner(), Owner::Identity(of) if of == identity);
        !is_meant || inner.replica.is_known_to_exist()
    })
}

/// Makes one request.
pub(crate) async fn ask(shared: &Shared, request: Request) -> Result<Response, SyncError> {
    let answer = shared.transport()?.exchange(request).await;
    let answer = answer.map_err(|error| match SyncError::Request(Arc::new(error)) {
        error if is_other_identity(&error) => SyncError::OtherIdentity,
        error => error,
    });
    Ok(answer?.response)
}

fn is_moot(error: &SyncError) -> bool {
    matches!(error, SyncError::Request(error) if error.is_not_found() || error.is_unconfigured())
}

/// Returns what is remembered, read where the disk may be waited for.
async fn row(shared: &Arc<Shared>, identity: &IdentityId) -> Result<Row, DeviceError> {
    change(shared, identity, |row| row.clone()).await
}

/// Changes what is remembered, where the disk may be waited for.
async fn change<T: Send + 'static>(
    shared: &Arc<Shared>,
    identity: &IdentityId,
    change: impl FnOnce(&mut Row) -> T + Send + 'static,
) -> Result<T, DeviceError> {
    let of = identity.clone();
    let changing = move |shared: &Shared| shared.devices.change(&*shared.store, &of, change);
    on_devices(shared, changing).await
}

/// Changes what is remembered as the service answered, see [`Devices::note`](crate::devices::Devices::note).
async fn note(
    shared: &Arc<Shared>,
    identity: &IdentityId,
    forgotten: u64,
    change: impl FnOnce(&mut Row) + Send + 'static,
) -> Result<bool, DeviceError> {
    let of = identity.clone();
    let noting = move |shared: &Shared| shared.devices.note(&*shared.store, &of, forgotten, change);
    on_devices(shared, noting).await
}

/// Does something with what is remembered, where the disk may be waited for; it is done to its end even if the future is
/// dropped.
async fn on_devices<T: Send + 'static>(
    shared: &Arc<Shared>,
    work: impl FnOnce(&Shared) -> Result<T, RowError> + Send + 'static,
) -> Result<T, DeviceError> {
    let (workers, shared) = (Arc::clone(&shared.workers), Arc::clone(shared));
    Ok(on_worker(&*workers, move || work(&shared)).await??)
}
