//! Whose data a client shows, and what becomes of data when that changes.
//!
//! Who a device is can change at any refresh of its credentials; here that takes effect *between* sessions [COGNITO trap 30].
//! Data are kept per identity, and only two ways lead from one to another: what was made before any identity was known is
//! adopted by the next one [trap 32], and what a guest has moves to the login that the service merged the guest into. Whatever
//! else changes the identity leaves the data where they are [trap 31].
//!
//! A move is one commit per dataset, on disk before the other dataset is forgotten, and changes nothing when it is repeated
//! after a crash. What is still to be moved stands in the store, written together with the new identity.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use driftless_merge::{DatasetKey, Durability, Owner, Replica};
use driftless_store::Store;
use driftless_transport::{
    BoxError, BoxFuture, CredentialsError, Identity, IdentityCache, IdentityPool, Origin,
};
use driftless_wire::{DatasetName, IdentityId, IdentityPoolId};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, oneshot};

use crate::error::{DatasetError, MoveError, SyncError};
use crate::shared::{Open, Shared};
use crate::slot::Slot;

/// The setting of the store that tells who the device is.
const IDENTITY_SETTING: &str = "identity";

/// A change of the identity whose data a client shows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IdentityChange {
    /// Whose data they were; `None` if nobody was known.
    pub before: Option<IdentityId>,
    /// Whose data they are; `None` after [`Client::sign_out`](crate::Client::sign_out).
    pub now: Option<IdentityId>,
    /// What became of the data and of open handles.
    pub data: Became,
    /// Datasets that could not be moved, damaged ones for example. They stay in the store, and the next start tries again.
    pub left: BTreeSet<DatasetName>,
}

/// What became of the data of the identity before, and of open [`Dataset`](crate::Dataset)s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Became {
    /// They are joined into the data of the new identity; open handles go on with those.
    Moved,
    /// They stay with the identity before. Open handles can still be read; edits and synchronizations say
    /// that they belong to somebody else. [`Client::dataset`](crate::Client::dataset) gives the new identity's.
    Kept,
}

/// Who a device is, asked of an identity pool.
pub(crate) struct Identities {
    pool: Arc<IdentityPool>,
    /// One asks at a time, so that of two answers the later one counts.
    asking: Mutex<()>,
    /// Counts the times that somebody signed out: answers to questions from before are void.
    signed_out: AtomicU64,
}

impl Identities {
    pub(crate) fn new(pool: Arc<IdentityPool>) -> Self {
        Self {
            pool,
            asking: Mutex::default(),
            signed_out: AtomicU64::new(0),
        }
    }

    pub(crate) fn logins_changed(&self) {
        self.pool.logins_changed();
    }
}

impl Shared {
    /// Asks who this device is and lets the client show that one's data; costs nothing while credentials last.
    ///
    /// Dropping the future is safe: a change that has begun is carried through.
    pub(crate) async fn identify(self: &Arc<Self>) -> Result<(), SyncError> {
        let Some(identities) = &self.identities else {
            return Ok(());
        };
        let asking = identities.asking.lock().await;
        loop {
            let signed_out = identities.signed_out.load(Ordering::SeqCst);
            let identity = identities.pool.identity().await;
            let id = identity
                .map_err(|error| SyncError::Identity(Arc::new(error)))?
                .id;
            if self.is_now(&id) || self.become_in_time(id, signed_out).await? {
                break;
            }
        }
        drop(asking);
        Ok(())
    }

    fn is_now(&self, id: &IdentityId) -> bool {
        matches!(&self.open().owner, Owner::Identity(owner) if owner == id)
    }

    /// Becomes an identity where the disk may be waited for, unless somebody signed out meanwhile.
    async fn become_in_time(
        self: &Arc<Self>,
        id: IdentityId,
        signed_out: u64,
    ) -> Result<bool, SyncError> {
        let shared = Arc::clone(self);
        let (done, made) = oneshot::channel();
        let work = move || {
            let mut open = shared.open();
            let identities = shared.identities.as_ref();
            let is_void =
                identities.is_some_and(|all| all.signed_out.load(Ordering::SeqCst) != signed_out);
            let result = match shared.is_closed() {
                true => Err(SyncError::Closed),
                false if is_void => Ok(false),
                false => shared.become_identity(&mut open, id).map(|()| true),
            };
            // Whoever waited may have gone.
            drop(done.send(result));
        };
        if !self.workers.step(Box::new(work)) {
            return Err(SyncError::NoRuntime);
        }
        made.await.unwrap_or(Err(SyncError::NoRuntime))
    }

    /// Lets the client show the data of an identity, and moves to it what is to be moved.
    fn become_identity(&self, open: &mut Open, id: IdentityId) -> Result<(), SyncError> {
        let before = std::mem::replace(&mut open.owner, Owner::Identity(id.clone()));
        let moves = self.is_moving(&before, &id);
        if !moves {
            open.end_all();
        }
        let left = self.move_to(open, &before, &id);
        self.tell_identity(IdentityChange {
            before: identity_of(before),
            now: Some(id),
            data: if moves { Became::Moved } else { Became::Kept },
            left,
        });
        Ok(())
    }

    /// Tells whether an owner's data are to be moved to an identity.
    fn is_moving(&self, from: &Owner, to: &IdentityId) -> bool {
        match from {
            Owner::Local => true,
            Owner::Identity(from) => read_row(&*self.store)
                .is_ok_and(|row| row.moves.iter().any(|(of, into)| of == from && into == to)),
        }
    }

    /// Moves all that is to be moved to the identity that the client shows the data of; returns what could not be moved.
    ///
    /// It is also called at each start, for what a crash left.
    pub(crate) fn move_to(
        &self,
        open: &mut Open,
        before: &Owner,
        to: &IdentityId,
    ) -> BTreeSet<DatasetName> {
        let row = read_row(&*self.store).unwrap_or_default();
        let guests = row.moves.iter().filter(|(_, into)| into == to);
        let guests = guests.map(|(of, _)| Owner::Identity(of.clone()));
        let mut left = BTreeSet::new();
        for from in std::iter::once(Owner::Local).chain(guests) {
            let is_open = from == *before;
            left.extend(self.move_from(open, &from, is_open));
        }
        if left.is_empty() && row.moves.iter().any(|(_, into)| into == to) {
            let row = IdentityRow {
                moves: row
                    .moves
                    .into_iter()
                    .filter(|(_, into)| into != to)
                    .collect(),
                ..row
            };
            // What is moved already is moved again at the next start, which changes nothing.
            if let Err(error) = write_row(&*self.store, &row) {
                tracing::warn!(%error, "a finished move cannot be struck out");
            }
        }
        left
    }

    /// Moves the datasets of an owner to the one whose data are shown; open ones of it go on with what they became.
    fn move_from(&self, open: &mut Open, from: &Owner, is_open: bool) -> BTreeSet<DatasetName> {
        let kept = self.store.datasets(from).unwrap_or_default();
        let shown = open.datasets.keys().filter(|_| is_open).cloned();
        let names: BTreeSet<DatasetName> = kept.into_iter().chain(shown).collect();
        let mut left = BTreeSet::new();
        for name in names {
            let slot = open.datasets.get(&name).cloned();
            if let Err(error) = self.move_dataset(from, &open.owner, &name, slot.as_deref()) {
                tracing::warn!(dataset = %name, %error, "a dataset cannot be moved to the new identity");
                if is_open && let Some(slot) = open.datasets.remove(&name) {
                    slot.leave();
                }
                left.insert(name);
            }
        }
        left
    }

    fn move_dataset(
        &self,
        from: &Owner,
        to: &Owner,
        name: &DatasetName,
        slot: Option<&Slot>,
    ) -> Result<(), MoveError> {
        // No edit comes in between: it would be made in what is forgotten.
        let inner = slot.map(Slot::lock);
        let source = DatasetKey::new(from.clone(), name.clone());
        let mut replica = self.replica(DatasetKey::new(to.clone(), name.clone()))?;
        if let Some(arriving) = self.kept(source.clone())? {
            let met = replica
                .meet(&arriving, self.clock.now())
                .ok_or(MoveError::Contradicts)?;
            self.store.commit(met.commit, Durability::Disk)?;
            self.store.forget(&source, Durability::Disk)?;
        }
        if let Some(mut inner) = inner {
            inner.go_on_with(self, replica);
        }
        Ok(())
    }

    /// Returns a dataset if the store has it.
    fn kept(&self, key: DatasetKey) -> Result<Option<Replica>, DatasetError> {
        let Some(recovered) = self.store.recover(&key)? else {
            return Ok(None);
        };
        let replica = Replica::recover(key, self.pool.clone(), self.limits, recovered)?;
        Ok(Some(replica))
    }

    /// Forgets who the device is: data that are made from now on belong to whoever comes next.
    pub(crate) fn sign_out(&self) -> Result<(), DatasetError> {
        let mut open = self.open();
        if self.is_closed() {
            return Err(DatasetError::Closed);
        }
        let row = IdentityRow {
            identity: None,
            ..read_row(&*self.store).unwrap_or_default()
        };
        write_row(&*self.store, &row).map_err(DatasetError::Write)?;
        if let Some(identities) = &self.identities {
            identities.signed_out.fetch_add(1, Ordering::SeqCst);
            identities.logins_changed();
        }
        let before = std::mem::replace(&mut open.owner, Owner::Local);
        if before == Owner::Local {
            return Ok(());
        }
        open.end_all();
        self.tell_identity(IdentityChange {
            before: identity_of(before),
            now: None,
            data: Became::Kept,
            left: BTreeSet::new(),
        });
        Ok(())
    }

    pub(crate) fn tell_identity(&self, change: IdentityChange) {
        self.changed_identity.send_replace(Some(change));
    }
}

/// Tells whether a failure says that the credentials are another identity's by now.
pub(crate) fn is_other_identity(error: &SyncError) -> bool {
    use driftless_transport::ExchangeError::Credentials;
    matches!(error, SyncError::Request(error)
        if matches!(&**error, Credentials(CredentialsError::OtherIdentity { .. })))
}

pub(crate) fn identity_of(owner: Owner) -> Option<IdentityId> {
    match owner {
        Owner::Local => None,
        Owner::Identity(id) => Some(id),
    }
}

/// Returns the owner whose data are shown first: the identity that the device had when it stopped.
pub(crate) fn known_owner(store: &dyn Store) -> Result<Owner, BoxError> {
    let row = read_row(store)?;
    Ok(row.identity.map_or(Owner::Local, Owner::Identity))
}

/// What the store keeps of identities.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct IdentityRow {
    version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    identity: Option<IdentityId>,
    /// Guests whose data are to be moved, and the login that each was merged into.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    moves: Vec<(IdentityId, IdentityId)>,
}

/// The version of the row; a later one is refused.
const VERSION: u32 = 1;

fn read_row(store: &dyn Store) -> Result<IdentityRow, BoxError> {
    let Some(bytes) = store.setting(IDENTITY_SETTING)? else {
        return Ok(IdentityRow::default());
    };
    let row: IdentityRow = serde_json::from_slice(&bytes)?;
    if row.version > VERSION {
        return Err(format!("the identity row has version {}", row.version).into());
    }
    Ok(row)
}

fn write_row(store: &dyn Store, row: &IdentityRow) -> Result<(), driftless_store::CommitError> {
    let row = IdentityRow {
        version: VERSION,
        ..row.clone()
    };
    let bytes = serde_json::to_vec(&row).expect("a row of texts is JSON");
    store.set_setting(IDENTITY_SETTING, Some(&bytes), Durability::Disk)
}

pub(crate) fn forget_identity(store: &dyn Store) -> Result<(), driftless_store::CommitError> {
    store.set_setting(IDENTITY_SETTING, None, Durability::Disk)
}

/// The identity of the device, in the client's store: a store belongs to one pool.
#[derive(Clone)]
pub(crate) struct StoreCache(pub(crate) Arc<dyn Store>);

impl StoreCache {
    /// Keeps an identity, together with the move that it entails.
    fn keep(&self, identity: &Identity) -> Result<(), BoxError> {
        let mut row = read_row(&*self.0)?;
        row.identity = Some(identity.id.clone());
        if let Origin::Merged(guest) = &identity.origin {
            row.moves.push((guest.clone(), identity.id.clone()));
        }
        Ok(write_row(&*self.0, &row)?)
    }
}

impl IdentityCache for StoreCache {
    fn get<'a>(
        &'a self,
        _pool: &'a IdentityPoolId,
    ) -> BoxFuture<'a, Result<Option<IdentityId>, BoxError>> {
        Box::pin(async { Ok(read_row(&*self.0)?.identity) })
    }

    fn set<'a>(
        &'a self,
        _pool: &'a IdentityPoolId,
        identity: &'a Identity,
    ) -> BoxFuture<'a, Result<(), BoxError>> {
        Box::pin(async { self.keep(identity) })
    }
}

impl fmt::Debug for StoreCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreCache").finish_non_exhaustive()
    }
}
