//! Whose data a client shows, and what becomes of data when that changes.
//!
//! Who a device is can change at any refresh of its credentials; here that takes effect *between* sessions [COGNITO trap 30].
//! Data are kept per identity, and only two ways lead from one to another: what was made before any identity was known is
//! adopted by the next one [trap 32], and what a guest has moves to the login that the service merged the guest into. Whatever
//! else changes the identity leaves the data where they are [trap 31].
//!
//! A move is one commit per dataset, on disk before the other dataset is forgotten, and changes nothing when it is repeated
//! after a crash. What is still to be moved stands in the store, written together with the new identity.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use driftless_merge::{DatasetKey, Durability, Owner};
use driftless_store::{CommitError, Store};
use driftless_transport::{BoxError, CredentialsError, Identity, IdentityPool, Origin};
use driftless_wire::{DatasetName, IdentityId};
use serde::{Deserialize, Serialize};

use crate::claims::Claims;
use crate::error::{DatasetError, MoveError, SyncError};
use crate::local_of::LocalOf;
use crate::setting::{self, Unreadable};
use crate::shared::{Open, Shared};
use crate::slot::Slot;
use crate::workers::on_worker;

mod cache;
mod changes;

pub(crate) use cache::DeviceCache;
pub use changes::IdentityChanges;

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
    /// Datasets that could not be moved, damaged ones for example. They stay in the store for this identity, no other gets
    /// them, and its next start tries again.
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
}

impl Identities {
    pub(crate) fn new(pool: Arc<IdentityPool>) -> Self {
        Self { pool }
    }

    pub(crate) fn logins_changed(&self) {
        self.pool.logins_changed();
    }
}

impl Shared {
    /// Asks who this device is and lets the client show that one's data; costs nothing while credentials last.
    ///
    /// All who ask at the same time share one answer of the pool, and one failure. Dropping the future is safe: a change that
    /// has begun is carried through.
    pub(crate) async fn identify(self: &Arc<Self>) -> Result<(), SyncError> {
        let Some(identities) = &self.identities else {
            return Ok(());
        };
        loop {
            let signed_out = self.device.sign_outs();
            let id = match identities.pool.identity().await {
                Ok(identity) => identity.id,
                // It may be the answer to a question from before.
                Err(_) if self.device.sign_outs() != signed_out => continue,
                Err(error) => return Err(unknown(error)),
            };
            if self.is_now(&id) || self.become_in_time(id, signed_out).await? {
                return Ok(());
            }
        }
    }

    fn is_now(&self, id: &IdentityId) -> bool {
        self.open().is_of(id)
    }

    /// Becomes an identity where the disk may be waited for, unless somebody signed out meanwhile, or the pool has heard of
    /// another one since; tells whether it is that one now.
    async fn become_in_time(
        self: &Arc<Self>,
        id: IdentityId,
        signed_out: u64,
    ) -> Result<bool, SyncError> {
        let shared = Arc::clone(self);
        let work = move || {
            let mut open = shared.open();
            if shared.is_closed() {
                return Err(SyncError::Closed);
            }
            if open.is_of(&id) {
                return Ok(true);
            }
            if shared.device.sign_outs() != signed_out || !shared.is_last(&id)? {
                return Ok(false);
            }
            shared.become_identity(&mut open, id).map(|()| true)
        };
        on_worker(&*self.workers, work).await?
    }

    /// Tells whether an identity is the last that the pool has heard of; if it is not, the pool is asked anew.
    ///
    /// Answers come back in any order. The pool writes down each before it gives it out, in theirs.
    fn is_last(&self, id: &IdentityId) -> Result<bool, SyncError> {
        let row = self
            .device
            .read()
            .map_err(|error| unreadable(error.into()))?;
        let is_last = row.identity.as_ref() == Some(id);
        if let (false, Some(identities)) = (is_last, &self.identities) {
            identities.logins_changed();
        }
        Ok(is_last)
    }

    /// Lets the client show the data of an identity, and moves to it what is to be moved.
    fn become_identity(&self, open: &mut Open, id: IdentityId) -> Result<(), SyncError> {
        let moves = self.moves_to(open, &id).map_err(unreadable)?;
        let before = std::mem::replace(&mut open.owner, Owner::Identity(id.clone()));
        let data = match moves.from.contains_key(&before) {
            true => Became::Moved,
            false => Became::Kept,
        };
        if data == Became::Kept {
            open.end_all();
        }
        let left = self.make(moves, open, &before);
        self.tell_identity(IdentityChange {
            before: identity_of(before),
            now: Some(id),
            data,
            left,
        });
        Ok(())
    }

    /// Finds what is to be moved to an identity: what was made before any was known, and what its guests have. A crash may
    /// have left some of it. What was claimed of old clients for those is the identity's from here on, and so is what cannot be
    /// moved.
    pub(crate) fn moves_to(&self, open: &Open, to: &IdentityId) -> Result<Moves, BoxError> {
        let guests = self.device.guests_of(to)?;
        let local_of = LocalOf::read(&*self.store)?;
        let is_others = |name: &DatasetName| {
            let whose = local_of.whose(name);
            whose.is_some_and(|whose| whose != to && !guests.contains(whose))
        };
        let guests = guests.iter().cloned().map(Owner::Identity);
        let mut from = BTreeMap::new();
        for owner in std::iter::once(Owner::Local).chain(guests) {
            let mut names = BTreeSet::from_iter(self.store.datasets(&owner)?);
            if owner == open.owner {
                names.extend(open.datasets.keys().cloned());
            }
            if owner == Owner::Local {
                names.retain(|name| !is_others(name));
            }
            from.insert(owner, names);
        }
        Claims::pass(&*self.store, &from, to)?;
        local_of.give(&*self.store, &from[&Owner::Local], to)?;
        let to = to.clone();
        Ok(Moves { to, from })
    }

    /// Moves datasets to the identity whose data are shown now; returns what could not be moved.
    ///
    /// `before` is whose data were shown: open datasets of it go on with what they became.
    pub(crate) fn make(
        &self,
        moves: Moves,
        open: &mut Open,
        before: &Owner,
    ) -> BTreeSet<DatasetName> {
        let mut left = BTreeSet::new();
        for (from, names) in moves.from {
            let here = self.move_from(open, &from, names, from == *before);
            // What stays noted is moved again at the next start, if it is there.
            if from == Owner::Local
                && let Err(error) = LocalOf::strike_out(&*self.store, &moves.to, &here)
            {
                tracing::warn!(%error, "what was adopted cannot be struck out");
            }
            left.extend(here);
        }
        // What is moved already is moved again at the next start, which changes nothing.
        if left.is_empty()
            && let Err(error) = self.device.strike_out(&moves.to)
        {
            tracing::warn!(%error, "a finished move cannot be struck out");
        }
        left
    }

    /// Moves the datasets of an owner to the one whose data are shown; open ones of it go on with what they became.
    fn move_from(
        &self,
        open: &mut Open,
        from: &Owner,
        names: BTreeSet<DatasetName>,
        is_open: bool,
    ) -> BTreeSet<DatasetName> {
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
        if let (Some(mut inner), Some(slot)) = (inner, slot) {
            inner.go_on_with(self, replica);
            drop(inner);
            // What was moved is not at the service yet, and what is there is not here.
            slot.wish();
        }
        Ok(())
    }

    /// Forgets who the device is: data that are made from now on belong to whoever comes next.
    pub(crate) fn sign_out(&self) -> Result<(), DatasetError> {
        let mut open = self.open();
        if self.is_closed() {
            return Err(DatasetError::Closed);
        }
        self.device.sign_out()?;
        self.become_nobody(&mut open);
        Ok(())
    }

    /// Lets the client show nobody's data, once it is kept that the device is nobody's.
    pub(crate) fn become_nobody(&self, open: &mut Open) {
        if let Some(identities) = &self.identities {
            identities.logins_changed();
        }
        let before = std::mem::replace(&mut open.owner, Owner::Local);
        if before == Owner::Local {
            return;
        }
        open.end_all();
        self.tell_identity(IdentityChange {
            before: identity_of(before),
            now: None,
            data: Became::Kept,
            left: BTreeSet::new(),
        });
    }

    pub(crate) fn tell_identity(&self, change: IdentityChange) {
        self.changed_identity.send_replace(Some(change));
    }
}

/// Returns why nobody knows who the device is: the row cannot be read, or the pool cannot be asked.
fn unknown(error: CredentialsError) -> SyncError {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(found) = cause {
        if found.is::<Unreadable>() {
            return SyncError::IdentityRow(Arc::new(error));
        }
        cause = found.source();
    }
    SyncError::Identity(Arc::new(error))
}

fn unreadable(error: BoxError) -> SyncError {
    SyncError::IdentityRow(error.into())
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

/// What is to be moved to an identity, and whose it is.
#[derive(Debug)]
pub(crate) struct Moves {
    to: IdentityId,
    from: BTreeMap<Owner, BTreeSet<DatasetName>>,
}

impl Moves {
    /// Tells whether anything of nobody's is moved.
    pub(crate) fn has_local(&self) -> bool {
        let local = self.from.get(&Owner::Local);
        local.is_some_and(|names| !names.is_empty())
    }
}

/// Who the device is, in the client's store: a store belongs to one pool.
///
/// It changes under one lock, so that of two who write neither undoes what the other wrote. An identity that was asked for
/// before somebody signed out is not kept.
pub(crate) struct DeviceRow {
    store: Arc<dyn Store>,
    sign_outs: Mutex<SignOuts>,
}

/// How often somebody signed out.
#[derive(Clone, Copy, Debug, Default)]
struct SignOuts {
    /// Since the client was opened.
    made: u64,
    /// Before the pool last asked who the device is.
    asked: u64,
}

impl DeviceRow {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            sign_outs: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, SignOuts> {
        // Two numbers, each written whole.
        self.sign_outs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn sign_outs(&self) -> u64 {
        self.lock().made
    }

    /// Returns the owner whose data are shown first: the identity that the device had when it stopped, and in a store that never
    /// knew one, who it was before it had this store.
    pub(crate) fn owner(&self, before: Option<IdentityId>) -> Result<Owner, BoxError> {
        let lock = self.lock();
        if before.is_some() && self.store.setting(IDENTITY_SETTING)?.is_none() {
            let identity = before;
            self.write(Row {
                identity,
                ..Row::default()
            })?;
        }
        let row = self.read()?;
        drop(lock);
        Ok(row.identity.map_or(Owner::Local, Owner::Identity))
    }

    /// Returns the guests whose data are to be moved to an identity.
    fn guests_of(&self, login: &IdentityId) -> Result<Vec<IdentityId>, BoxError> {
        let moves = self.read()?.moves.into_iter();
        // A row that somebody wrote by hand must not let data move onto themselves, and be forgotten.
        let guests = moves.filter(|(guest, into)| into == login && guest != login);
        Ok(guests.map(|(guest, _)| guest).collect())
    }

    /// Takes note that all is moved to an identity.
    fn strike_out(&self, login: &IdentityId) -> Result<(), BoxError> {
        let lock = self.lock();
        let mut row = self.read()?;
        let all = row.moves.len();
        row.moves.retain(|(_, into)| into != login);
        if row.moves.len() < all {
            self.write(row)?;
        }
        drop(lock);
        Ok(())
    }

    /// Forgets the identity; what is still to be moved stays known.
    fn sign_out(&self) -> Result<(), DatasetError> {
        let mut lock = self.lock();
        let row = self.read();
        let row = row.map_err(|error| DatasetError::Identity(error.into()))?;
        let row = Row {
            identity: None,
            ..row
        };
        self.write(row).map_err(DatasetError::Write)?;
        lock.made += 1;
        Ok(())
    }

    /// Forgets all, even what cannot be read. That somebody was known once stays, so that who the device was before it had this
    /// store does not count again.
    pub(crate) fn wipe(&self) -> Result<(), CommitError> {
        let mut lock = self.lock();
        self.write(Row::default())?;
        lock.made += 1;
        Ok(())
    }

    /// Keeps an identity, together with the move that it entails.
    fn keep(&self, identity: &Identity) -> Result<(), BoxError> {
        let lock = self.lock();
        if lock.asked != lock.made {
            return Err("somebody signed out meanwhile".into());
        }
        let mut row = self.read()?;
        row.identity = Some(identity.id.clone());
        if let Origin::Merged(guest) = &identity.origin {
            row.moves.push((guest.clone(), identity.id.clone()));
        }
        self.write(row)?;
        drop(lock);
        Ok(())
    }

    fn asked(&self) -> Result<Option<IdentityId>, BoxError> {
        let mut lock = self.lock();
        lock.asked = lock.made;
        Ok(self.read()?.identity)
    }

    /// A session tells this error, whatever passes it on, from a pool that cannot be asked.
    fn read(&self) -> Result<Row, Unreadable> {
        let row = setting::read(&*self.store, IDENTITY_SETTING, VERSION)?;
        Ok(row.unwrap_or_default())
    }

    fn write(&self, row: Row) -> Result<(), CommitError> {
        let row = Row {
            version: VERSION,
            ..row
        };
        setting::write(&*self.store, IDENTITY_SETTING, Some(&row))
    }
}

/// What the store keeps of identities.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Row {
    version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    identity: Option<IdentityId>,
    /// Guests whose data are to be moved, and the login that each was merged into.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    moves: Vec<(IdentityId, IdentityId)>,
}

/// The version of the row; a later one is refused.
const VERSION: u32 = 1;

impl fmt::Debug for DeviceRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceRow").finish_non_exhaustive()
    }
}
