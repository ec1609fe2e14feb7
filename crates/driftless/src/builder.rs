//! Opening a client: where its data are, whose they are, how the service is reached.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use driftless_merge::{Durability, Owner};
use driftless_record::Limits;
use driftless_store::{DiskStore, RecoveryReport, Store};
use driftless_transport::{
    Clock, IdentityPool, IdentityPoolBuilder, SystemClock, Timer, TokioTimer, Transport,
};
use driftless_wire::{IdentityId, IdentityPoolId};
use tokio::sync::watch;

use crate::client::Client;
use crate::connectivity::{Connectivity, ToldConnectivity};
use crate::devices::Devices;
use crate::error::OpenError;
use crate::identity::{Became, DeviceCache, DeviceRow, Identities, IdentityChange, identity_of};
use crate::policy::{Policies, Policy};
use crate::recorder::Recorder;
use crate::seeds::Seeds;
use crate::shared::{Open, Shared};
use crate::workers::{SystemWorkers, Workers};

/// The setting of the store that names the identity pool whose data it keeps.
const POOL_SETTING: &str = "identity-pool";

/// The setting of the store that names lost commits until an app goes on without them.
const LOSS_SETTING: &str = "lost-commits";

/// Opens a [`Client`].
#[must_use]
pub struct ClientBuilder {
    place: Place,
    pool: Option<IdentityPoolId>,
    owner: Owner,
    identities: Option<(IdentityPoolBuilder, MakeTransport)>,
    transport: Option<Arc<dyn Transport>>,
    clock: Arc<dyn Clock>,
    timer: Arc<dyn Timer>,
    workers: Arc<dyn Workers>,
    connectivity: Arc<dyn Connectivity>,
    seed: Option<[u8; 32]>,
    durability: Durability,
    limits: Limits,
    policies: Policies,
    recorder: Option<Arc<dyn Recorder>>,
    accepts_loss: bool,
    accepts_long_names: bool,
}

/// Makes the transport that signs with the credentials of a pool.
type MakeTransport = Box<dyn FnOnce(Arc<IdentityPool>) -> Arc<dyn Transport> + Send>;

/// Where the store is.
pub(crate) enum Place {
    Directory(PathBuf),
    Store(Arc<dyn Store>),
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("pool", &self.pool)
            .field("owner", &self.owner)
            .finish_non_exhaustive()
    }
}

impl ClientBuilder {
    pub(crate) fn new(place: Place) -> Self {
        Self {
            place,
            pool: None,
            owner: Owner::Local,
            identities: None,
            transport: None,
            clock: Arc::new(SystemClock),
            timer: Arc::new(TokioTimer),
            workers: Arc::new(SystemWorkers),
            connectivity: Arc::new(ToldConnectivity::default()),
            seed: None,
            durability: Durability::Disk,
            limits: Limits::default(),
            policies: Policies::default(),
            recorder: None,
            accepts_loss: false,
            accepts_long_names: false,
        }
    }

    /// Names the identity pool. It must be given; a store belongs to the first one it was opened
    /// for.
    pub fn pool(self, pool: IdentityPoolId) -> Self {
        Self {
            pool: Some(pool),
            ..self
        }
    }

    /// Names the identity whose data these are. Data are kept per identity; without one they belong
    /// to whoever uses the device, and cannot be synchronized; the first identity that the store is opened with adopts them.
    ///
    /// Together with an [`identity_pool`](Self::identity_pool) it is who the device was before it had this store, in an app
    /// that is updated in place: the guest that an old client of Cognito Sync was goes on as that one, and
    /// `Client::import_local_store` takes that one's rows. It counts only in a store that never knew who the device is; in one
    /// that does, or whose person has signed out, it is passed over.
    pub fn identity(self, identity: IdentityId) -> Self {
        Self {
            owner: Owner::Identity(identity),
            ..self
        }
    }

    /// Asks an identity pool whose data these are: a guest's, or those of whoever has logged in. `transport` makes the way to the service, signed with the pool's credentials.
    ///
    /// The identity is kept in the store, so that a guest stays the same one. Before the first one is known, data can be
    /// edited offline; it adopts them. A guest that logs in keeps the data: if the service merges the guest into an
    /// identity that exists, they move there. Anybody else who logs in sees their own data and nothing else. See
    /// [`IdentityChange`](crate::IdentityChange) and [`Client::sign_out`].
    pub fn identity_pool(
        self,
        pool: IdentityPoolBuilder,
        transport: impl FnOnce(Arc<IdentityPool>) -> Arc<dyn Transport> + Send + 'static,
    ) -> Self {
        Self {
            identities: Some((pool, Box::new(transport))),
            ..self
        }
    }

    /// Accepts names of datasets that are so long that a merge of identities may not find a name for what it leaves.
    ///
    /// With an identity pool they are refused otherwise, see [`DatasetError::LongName`](crate::DatasetError::LongName).
    pub fn accept_long_names(self) -> Self {
        Self {
            accepts_long_names: true,
            ..self
        }
    }

    /// Sets how the service is reached; without a transport everything but
    /// [`Dataset::synchronize`](crate::Dataset::synchronize) works.
    pub fn transport(self, transport: Arc<dyn Transport>) -> Self {
        Self {
            transport: Some(transport),
            ..self
        }
    }

    /// Sets what an acknowledged edit survives.
    ///
    /// The default, [`Durability::Disk`], waits for the disk at each edit, some 0.1 to 10 ms; it
    /// survives a loss of power. [`Durability::Buffered`] takes microseconds and survives the end
    /// of the process, but not of the system.
    pub fn durability(self, durability: Durability) -> Self {
        Self { durability, ..self }
    }

    /// Sets what a dataset may hold; the default is the strict reading of Cognito's "1 MB".
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Sets how conflicts are read at the keys that begin with a prefix; of several prefixes the longest counts.
    ///
    /// Without one it is [`Policy::Latest`]. A policy changes nothing that is stored, so it may differ from device to device
    /// and from one version of an app to the next.
    pub fn policy(mut self, prefix: impl Into<String>, policy: Policy) -> Self {
        self.policies.set(prefix.into(), policy);
        self
    }

    /// Sets the clock, which is only shown to people and never decides anything.
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// Sets how time-outs and pauses between attempts are waited for.
    pub fn timer(self, timer: Arc<dyn Timer>) -> Self {
        Self { timer, ..self }
    }

    /// Sets where work is done that waits for the disk; by default on threads of tokio and of the
    /// system.
    pub fn workers(self, workers: Arc<dyn Workers>) -> Self {
        Self { workers, ..self }
    }

    /// Sets who knows what the network is like, for what is
    /// [synchronized by itself](crate::Client::auto_sync). By default there is a network, until a
    /// request fails.
    pub fn connectivity(self, connectivity: Arc<dyn Connectivity>) -> Self {
        Self {
            connectivity,
            ..self
        }
    }

    /// Sets the seed of all random choices. It must never be used twice with real data: op ids
    /// would collide.
    pub fn seed(self, seed: [u8; 32]) -> Self {
        Self {
            seed: Some(seed),
            ..self
        }
    }

    /// Sets who sees every edit.
    pub fn recorder(self, recorder: Arc<dyn Recorder>) -> Self {
        Self {
            recorder: Some(recorder),
            ..self
        }
    }

    /// Goes on with what is left of a store that lost acknowledged edits, see [`OpenError::Lost`].
    pub fn accept_loss(self) -> Self {
        Self {
            accepts_loss: true,
            ..self
        }
    }

    /// Opens the store, which waits for the disk. It needs no runtime.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; a store that another process uses, or that belongs to another pool, keeps all
    /// that is in it.
    pub fn open(self) -> Result<Client, OpenError> {
        let pool = self.pool.ok_or(OpenError::NoPool)?;
        let seed = self.seed.map_or_else(random_seed, Ok)?;
        let (store, report): (Arc<dyn Store>, _) = match self.place {
            Place::Store(store) => (store, None),
            Place::Directory(path) => {
                let opened = DiskStore::open(path)?;
                (Arc::new(opened.store), Some(opened.report))
            }
        };
        let is_claimed = is_claimed(&*store, &pool)?;
        if let Some(report) = &report {
            // The first commit: from then on the store itself does not tell again what is missing.
            note_loss(&*store, report)?;
        }
        if !is_claimed {
            let value = pool.as_str().as_bytes();
            store.set_setting(POOL_SETTING, Some(value), Durability::Disk)?;
        }
        let device = Arc::new(DeviceRow::new(Arc::clone(&store)));
        let (owner, identities, transport) = match self.identities {
            None => (self.owner, None, self.transport),
            Some((builder, make_transport)) => {
                let before = identity_of(self.owner);
                let owner = device.owner(before).map_err(OpenError::Identity)?;
                let cache = DeviceCache::new(device.clone(), self.workers.clone());
                let pool = Arc::new(builder.cache(Arc::new(cache)).build());
                let transport = make_transport(Arc::clone(&pool));
                (owner, Some(Identities::new(pool)), Some(transport))
            }
        };
        let shared = Shared {
            store,
            transport,
            clock: self.clock,
            timer: self.timer,
            workers: self.workers,
            connectivity: self.connectivity,
            seeds: Seeds::new(seed),
            durability: self.durability,
            recorder: self.recorder,
            pool,
            device,
            identities,
            changed_identity: watch::Sender::new(None),
            accepts_long_names: self.accepts_long_names,
            limits: self.limits,
            policies: self.policies,
            open: Mutex::new(Open::new(owner)),
            devices: Devices::default(),
            opened: watch::Sender::new(()),
            logins: watch::Sender::new(()),
            closed: watch::Sender::new(false),
        };
        if let Some(report) = report {
            if report.lost_tail() {
                shared.reincarnate()?;
            }
            check_loss(&*shared.store, self.accepts_loss)?;
        }
        adopt(&shared)?;
        Ok(Client {
            shared: Arc::new(shared),
        })
    }
}

/// Moves to the identity whose data are shown what was made before it was known, and what a crash left of a move.
fn adopt(shared: &Shared) -> Result<(), OpenError> {
    let mut open = shared.open();
    let Some(id) = identity_of(open.owner.clone()) else {
        return Ok(());
    };
    let moves = shared.moves_to(&open, &id).map_err(OpenError::Identity)?;
    let has_more = moves.has_local();
    let left = shared.make(moves, &mut open, &Owner::Local);
    if has_more {
        shared.tell_identity(IdentityChange {
            before: None,
            now: Some(id),
            data: Became::Moved,
            left,
        });
    }
    Ok(())
}

fn random_seed() -> Result<[u8; 32], OpenError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|_| OpenError::NoRandomness)?;
    Ok(seed)
}

/// Tells whether the store belongs to the pool, or to none yet; one of another pool is refused.
fn is_claimed(store: &dyn Store, pool: &IdentityPoolId) -> Result<bool, OpenError> {
    match store.setting(POOL_SETTING)? {
        Some(found) if found == pool.as_str().as_bytes() => Ok(true),
        Some(found) => Err(OpenError::OtherPool {
            found: String::from_utf8_lossy(&found).into_owned(),
        }),
        None => Ok(false),
    }
}

/// Writes down that acknowledged commits are missing.
fn note_loss(store: &dyn Store, report: &RecoveryReport) -> Result<(), OpenError> {
    let Some(missing) = &report.missing else {
        return Ok(());
    };
    let copy = report
        .journal_copy
        .as_ref()
        .map(|path| path.display().to_string());
    let what = format!(
        "commits {} to {}; the journal as it was: {}",
        missing.start(),
        missing.end(),
        copy.as_deref().unwrap_or("not kept")
    );
    Ok(store.set_setting(LOSS_SETTING, Some(what.as_bytes()), Durability::Disk)?)
}

/// Refuses a store that lost acknowledged commits, at every start until the app goes on without them.
fn check_loss(store: &dyn Store, accepts: bool) -> Result<(), OpenError> {
    match store.setting(LOSS_SETTING)? {
        None => Ok(()),
        Some(_) if accepts => Ok(store.set_setting(LOSS_SETTING, None, Durability::Disk)?),
        Some(what) => {
            store.close()?;
            Err(OpenError::Lost {
                what: String::from_utf8_lossy(&what).into_owned(),
            })
        }
    }
}
