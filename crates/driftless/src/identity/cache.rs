//! The way of the identity pool to what the store keeps of who the device is.
//!
//! The rule: it leads through the threads that wait for the disk. The pool reads and writes in the middle of a request for
//! credentials, on whatever thread that runs.

use std::sync::Arc;

use driftless_transport::{BoxError, BoxFuture, Identity, IdentityCache};
use driftless_wire::{IdentityId, IdentityPoolId};

use super::DeviceRow;
use crate::workers::{Workers, on_worker};

/// Who the device is, for the pool. A store belongs to one pool, so there is one row.
#[derive(Debug)]
pub(crate) struct DeviceCache {
    device: Arc<DeviceRow>,
    workers: Arc<dyn Workers>,
}

impl DeviceCache {
    pub(crate) fn new(device: Arc<DeviceRow>, workers: Arc<dyn Workers>) -> Self {
        Self { device, workers }
    }
}

impl IdentityCache for DeviceCache {
    fn get<'a>(
        &'a self,
        _pool: &'a IdentityPoolId,
    ) -> BoxFuture<'a, Result<Option<IdentityId>, BoxError>> {
        let device = Arc::clone(&self.device);
        Box::pin(async { on_worker(&*self.workers, move || device.asked()).await? })
    }

    fn set<'a>(
        &'a self,
        _pool: &'a IdentityPoolId,
        identity: &'a Identity,
    ) -> BoxFuture<'a, Result<(), BoxError>> {
        let (device, identity) = (Arc::clone(&self.device), identity.clone());
        Box::pin(async { on_worker(&*self.workers, move || device.keep(&identity)).await? })
    }
}
