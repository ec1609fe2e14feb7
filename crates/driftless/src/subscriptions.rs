//! Asking the service to tell this device of changes: registering it, and subscribing it to datasets.
//!
//! Each call writes down what is wanted before it asks for it, and what the service refuses for now is asked again by the
//! dataset's next session. So an app may be offline, or end at any moment, and need not remember anything.
//!
//! What must hold at the service: it has the dataset before anybody can subscribe to it, and a registration belongs to one
//! identity and one token ("push sync" in the developer guide). There is no way to take a registration back: a device that is
//! not registered any more is one without subscriptions.

use std::collections::BTreeMap;
use std::sync::Arc;

use driftless_wire::{
    DatasetName, DeviceId, ErrorCode, IdentityId, Platform, RegisterDeviceRequest, Request,
    Response, SubscribeToDatasetRequest, UnsubscribeFromDatasetRequest,
};

use crate::catalog::describe;
use crate::client::Client;
use crate::dataset::Dataset;
use crate::devices::{Chore, Digest, Row, Subscription};
use crate::error::{DeviceError, SyncError, is_unconfigured};
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
    pub async fn register_device(
        &self,
        platform: Platform,
        token: &str,
    ) -> Result<DeviceId, DeviceError> {
        let digest = Digest::of(platform, token);
        let identity = self.shared.known_identity().await?;
        let registering = async {
            let turn = self.shared.devices.turn.lock().await;
            let row = row(&self.shared, &identity).await?;
            if let Some(device) = row.registered_as(digest) {
                return Ok(device.clone());
            }
            let request = RegisterDeviceRequest {
                identity_pool_id: self.shared.pool.clone(),
                identity_id: identity.clone(),
                platform,
                token: token.to_owned(),
            };
            let Response::RegisterDevice(answer) =
                ask(&self.shared, Request::RegisterDevice(request)).await?
            else {
                return Err(SyncError::WrongAnswer.into());
            };
            let id = answer.device_id.clone();
            change(&self.shared, &identity, move |row| row.register(id, digest)).await?;
            if let Err(error) = do_chores(&self.shared, &identity, None).await {
                tracing::warn!(%error, "subscriptions of the device wait for the next session");
            }
            drop(turn);
            Ok(answer.device_id)
        };
        self.shared.until_closed(registering).await
    }

    /// Ends all pushes to this device: unsubscribes it from everything (one request for each dataset) and forgets its id.
    ///
    /// The device forgets first, on disk; what the service could not be told is told by the next session of each dataset. Call
    /// it before another person uses the device. Where there is no registration it does nothing.
    ///
    /// # Errors
    ///
    /// [`DeviceError`]; if it is [`DeviceError::Sync`], the device has forgotten and the service was not told everything yet.
    pub async fn unregister_device(&self) -> Result<(), DeviceError> {
        self.with_wish(Row::unregister, None).await
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
    /// [`DeviceError`]; the first one ends it. All wishes are kept, and the sessions of the datasets go on.
    pub async fn subscribe_all(&self) -> Result<BTreeMap<DatasetName, Subscription>, DeviceError> {
        self.check_registered().await?;
        let client = self.clone();
        let names = on_worker(&*self.shared.workers, move || client.names()).await?;
        let names = names?;
        let want = move |row: &mut Row| names.into_iter().for_each(|name| row.want(name));
        self.with_wish(want, None).await?;
        self.subscriptions()
    }

    /// [Unsubscribes](Dataset::unsubscribe) from all datasets, one request for each; the device stays registered.
    ///
    /// # Errors
    ///
    /// [`DeviceError`]; the first one ends it. That nothing is wanted is kept, and the sessions of the datasets go on.
    pub async fn unsubscribe_all(&self) -> Result<(), DeviceError> {
        let leave = |row: &mut Row| {
            let names: Vec<DatasetName> = row.subscriptions().keys().cloned().collect();
            names.iter().for_each(|name| row.leave(name));
        };
        self.with_wish(leave, None).await
    }

    /// Returns the names of the datasets that are open or in the store.
    fn names(&self) -> Result<Vec<DatasetName>, DeviceError> {
        let (owner, mut names): (_, Vec<DatasetName>) = {
            let open = self.shared.open();
            (open.owner.clone(), open.datasets.keys().cloned().collect())
        };
        let stored = self.shared.store.datasets(&owner);
        names.extend(stored.map_err(DeviceError::Read)?);
        Ok(names)
    }

    fn row(&self) -> Result<Row, DeviceError> {
        let identity = self.shared.identity().ok_or(SyncError::NoIdentity)?;
        Ok(self.shared.devices.row(&*self.shared.store, &identity)?)
    }

    async fn check_registered(&self) -> Result<(), DeviceError> {
        let row = row(&self.shared, &self.shared.known_identity().await?).await?;
        row.device().map(drop).ok_or(DeviceError::NotRegistered)
    }

    /// Makes a wish durable, and does what follows from it at the service.
    async fn with_wish(
        &self,
        wish: impl FnOnce(&mut Row) + Send + 'static,
        of: Option<&DatasetName>,
    ) -> Result<(), DeviceError> {
        let identity = self.shared.known_identity().await?;
        let wishing = async {
            let turn = self.shared.devices.turn.lock().await;
            change(&self.shared, &identity, wish).await?;
            do_chores(&self.shared, &identity, of).await?;
            drop(turn);
            Ok(())
        };
        self.shared.until_closed(wishing).await
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
    /// [`DeviceError`]; unless the device is [not registered](DeviceError::NotRegistered), the wish is kept and the next
    /// session asks again.
    pub async fn subscribe(&self) -> Result<Subscription, DeviceError> {
        let client = self.client();
        client.check_registered().await?;
        let name = self.name().clone();
        client
            .with_wish(|row| row.want(name), Some(self.name()))
            .await?;
        let row = row(&self.shared, &self.shared.known_identity().await?).await?;
        let subscription = row.subscriptions().get(self.name());
        Ok(subscription.copied().unwrap_or(Subscription::Waiting))
    }

    /// Asks the service to tell this device no more of changes of the dataset: one request, none if it was not subscribed to.
    ///
    /// That it is not wanted is on disk before the service is asked; pushes that come all the same are handled as any.
    ///
    /// # Errors
    ///
    /// [`DeviceError`]; the next session asks again.
    pub async fn unsubscribe(&self) -> Result<(), DeviceError> {
        let name = self.name().clone();
        let leave = move |row: &mut Row| row.leave(&name);
        self.client().with_wish(leave, Some(self.name())).await
    }

    fn client(&self) -> Client {
        let shared = Arc::clone(&self.shared);
        Client { shared }
    }
}

/// Does what a session of a dataset left to be done, and returns how many requests that took. A failure is no failure of the
/// session: the next one tries again.
pub(crate) async fn follow(shared: &Arc<Shared>, identity: &IdentityId, name: &DatasetName) -> u32 {
    let turn = shared.devices.turn.lock().await;
    let done = do_chores(shared, identity, Some(name)).await;
    drop(turn);
    done.unwrap_or_else(|error| {
        tracing::warn!(%error, "the subscription waits for the next session");
        1
    })
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

/// Does what is to be done at the service, in order, until something fails; the caller has the turn.
async fn do_chores(
    shared: &Arc<Shared>,
    identity: &IdentityId,
    of: Option<&DatasetName>,
) -> Result<u32, DeviceError> {
    let mut requests = 0;
    for chore in row(shared, identity).await?.chores(of) {
        if matches!(&chore, Chore::Subscribe(name, _) if !may_exist(shared, name)) {
            continue;
        }
        requests += 1;
        let answer = ask(shared, chore.request(shared, identity)).await;
        match (answer, &chore) {
            // What is not there is not subscribed to, and a pool that has no pushes any more sends none.
            (Err(error), Chore::Unsubscribe(..)) if is_moot(&error) => {}
            (Err(error), Chore::Subscribe(name, device)) if is_not_found(&error) => {
                requests += 1;
                if describe(shared, identity, name).await?.is_some() {
                    lose(shared, identity, device.clone()).await?;
                    return Err(DeviceError::Unknown);
                }
                continue;
            }
            (answer, _) => drop(answer?),
        }
        change(shared, identity, move |row| row.done(&chore)).await?;
    }
    Ok(requests)
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
fn may_exist(shared: &Shared, name: &DatasetName) -> bool {
    let slot = shared.open().datasets.get(name).map(Arc::clone);
    slot.is_none_or(|slot| slot.lock().replica.is_known_to_exist())
}

/// Makes one request.
pub(crate) async fn ask(shared: &Shared, request: Request) -> Result<Response, SyncError> {
    let answer = shared.transport()?.exchange(request).await;
    let answer = answer.map_err(|error| SyncError::Request(Arc::new(error)))?;
    Ok(answer.response)
}

fn is_moot(error: &SyncError) -> bool {
    is_not_found(error) || matches!(error, SyncError::Request(error) if is_unconfigured(error))
}

pub(crate) fn is_not_found(error: &SyncError) -> bool {
    matches!(error, SyncError::Request(error)
        if error.api().is_some_and(|api| api.code == ErrorCode::ResourceNotFound))
}

/// Returns what is remembered, read where the disk may be waited for.
async fn row(shared: &Arc<Shared>, identity: &IdentityId) -> Result<Row, DeviceError> {
    change(shared, identity, |row| row.clone()).await
}

/// Changes what is remembered, where the disk may be waited for; it is done to its end even if the future is dropped.
async fn change<T: Send + 'static>(
    shared: &Arc<Shared>,
    identity: &IdentityId,
    change: impl FnOnce(&mut Row) -> T + Send + 'static,
) -> Result<T, DeviceError> {
    let (workers, shared, identity) = (
        Arc::clone(&shared.workers),
        Arc::clone(shared),
        identity.clone(),
    );
    let changing = move || shared.devices.change(&*shared.store, &identity, change);
    Ok(on_worker(&*workers, changing).await??)
}
