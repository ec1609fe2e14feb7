//! Where the identity of a device is kept, and how it came to be.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use driftless_wire::{IdentityId, IdentityPoolId};

use crate::error::BoxError;
use crate::transport::BoxFuture;

/// Who a device is, and what made it so.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// The id.
    pub id: IdentityId,
    /// What made it so.
    pub origin: Origin,
}

impl Identity {
    pub(crate) fn cached(id: IdentityId) -> Self {
        Self {
            id,
            origin: Origin::Cached,
        }
    }
}

/// How an identity came to be that of this device, since the provider was made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// It was in the cache and still holds.
    Cached,
    /// There was none before.
    New,
    /// The service has just merged that guest into it, or by a request with the same logins whose
    /// answer never came: the guest's data are this one's now, its datasets reported as merged.
    Merged(IdentityId),
    /// The service had disabled that one. Most likely it was merged, and the answer that said so
    /// was lost on the way to an earlier process or to other logins: into whom is not known.
    Disabled(IdentityId),
    /// The service knows that one no more.
    Lost(IdentityId),
    /// The logins do not open that one: somebody else has logged in, or the owner out. Its data
    /// stay its own.
    Refused(IdentityId),
}

/// Keeps the identity of a device for each pool, durably.
///
/// For guests that is all that leads back to their data: GetId makes a new one each time.
pub trait IdentityCache: Send + Sync + fmt::Debug {
    /// Returns the identity that was set last.
    fn get<'a>(
        &'a self,
        pool: &'a IdentityPoolId,
    ) -> BoxFuture<'a, Result<Option<IdentityId>, BoxError>>;

    /// Sets the identity, in the place of another that the origin may name.
    ///
    /// Nothing is signed for it before this is done. What is to become of the data of the one
    /// before can be made durable together with it.
    fn set<'a>(
        &'a self,
        pool: &'a IdentityPoolId,
        identity: &'a Identity,
    ) -> BoxFuture<'a, Result<(), BoxError>>;
}

/// Forgets identities when it is dropped, and guests their data with them.
#[derive(Debug, Default)]
pub struct MemoryCache(Mutex<BTreeMap<IdentityPoolId, IdentityId>>);

impl IdentityCache for MemoryCache {
    fn get<'a>(
        &'a self,
        pool: &'a IdentityPoolId,
    ) -> BoxFuture<'a, Result<Option<IdentityId>, BoxError>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let identity = kept.get(pool).cloned();
        Box::pin(async { Ok(identity) })
    }

    fn set<'a>(
        &'a self,
        pool: &'a IdentityPoolId,
        identity: &'a Identity,
    ) -> BoxFuture<'a, Result<(), BoxError>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(pool.clone(), identity.id.clone());
        Box::pin(async { Ok(()) })
    }
}
