//! The client: one store of one identity pool, one identity, and the datasets in it.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use driftless_merge::{DatasetKey, Durability, Owner, Replica};
use driftless_record::Limits;
use driftless_store::{DiskStore, RecoverError, Store};
use driftless_transport::{Clock, SystemClock, Timer, TokioTimer, Transport};
use driftless_wire::{
    Dataset as RemoteDataset, DatasetName, IdentityId, IdentityPoolId, ListDatasetsRequest,
    Request, Response,
};

use crate::dataset::Dataset;
use crate::error::{CloseError, DatasetError, OpenError, SyncError};
use crate::recorder::Recorder;
use crate::seeds::Seeds;
use crate::slot::Slot;

/// The data of one person on this device.
///
/// A clone is another handle of the same client. Datasets keep it open; [`close`](Self::close) closes it for all.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) shared: Arc<Shared>,
}

/// What all datasets of a client use.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) transport: Option<Arc<dyn Transport>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) timer: Arc<dyn Timer>,
    pub(crate) seeds: Seeds,
    pub(crate) durability: Durability,
    pub(crate) recorder: Option<Arc<dyn Recorder>>,
    pool: IdentityPoolId,
    owner: Owner,
    limits: Limits,
    /// The store lost its tail, so that every dataset needs a new author.
    lost_tail: bool,
    slots: Mutex<HashMap<DatasetName, Arc<Slot>>>,
    closed: AtomicBool,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("pool", &self.pool)
            .field("owner", &self.owner)
            .finish_non_exhaustive()
    }
}

/// Opens a [`Client`].
#[must_use]
pub struct ClientBuilder {
    place: Place,
    pool: Option<IdentityPoolId>,
    owner: Owner,
    transport: Option<Arc<dyn Transport>>,
    clock: Arc<dyn Clock>,
    timer: Arc<dyn Timer>,
    seed: Option<[u8; 32]>,
    durability: Durability,
    limits: Limits,
    recorder: Option<Arc<dyn Recorder>>,
}

enum Place {
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
    fn new(place: Place) -> Self {
        Self {
            place,
            pool: None,
            owner: Owner::Local,
            transport: None,
            clock: Arc::new(SystemClock),
            timer: Arc::new(TokioTimer),
            seed: None,
            durability: Durability::Disk,
            limits: Limits::default(),
            recorder: None,
        }
    }

    /// Names the identity pool. It must be given, and be the same each time a store is opened.
    pub fn pool(self, pool: IdentityPoolId) -> Self {
        Self {
            pool: Some(pool),
            ..self
        }
    }

    /// Names the identity whose data these are. Data are kept per identity; without one they belong to whoever uses the
    /// device, and cannot be synchronized.
    pub fn identity(self, identity: IdentityId) -> Self {
        Self {
            owner: Owner::Identity(identity),
            ..self
        }
    }

    /// Sets how the service is reached; without a transport everything but [`Dataset::synchronize`] works.
    pub fn transport(self, transport: Arc<dyn Transport>) -> Self {
        Self {
            transport: Some(transport),
            ..self
        }
    }

    /// Sets what an acknowledged edit survives.
    ///
    /// The default, [`Durability::Disk`], waits for the disk at each edit, some 0.1 to 10 ms; it survives a loss of power.
    /// [`Durability::Buffered`] takes microseconds and survives the end of the process, but not of the system.
    pub fn durability(self, durability: Durability) -> Self {
        Self { durability, ..self }
    }

    /// Sets what a dataset may hold; the default is the strict reading of Cognito's "1 MB".
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Sets the clock, which is only shown to people and never decides anything.
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// Sets how time-outs and pauses between attempts are waited for.
    pub fn timer(self, timer: Arc<dyn Timer>) -> Self {
        Self { timer, ..self }
    }

    /// Sets the seed of all random choices. It must never be used twice with real data: op ids would collide.
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

    /// Opens the store, which waits for the disk.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; a store that another process uses is not touched.
    pub fn open(self) -> Result<Client, OpenError> {
        let pool = self.pool.ok_or(OpenError::NoPool)?;
        let seed = match self.seed {
            Some(seed) => seed,
            None => {
                let mut seed = [0; 32];
                getrandom::fill(&mut seed).map_err(|_| OpenError::NoRandomness)?;
                seed
            }
        };
        let (store, lost_tail): (Arc<dyn Store>, bool) = match self.place {
            Place::Store(store) => (store, false),
            Place::Directory(path) => {
                let opened = DiskStore::open(path)?;
                (Arc::new(opened.store), opened.report.lost_tail())
            }
        };
        let shared = Shared {
            store,
            transport: self.transport,
            clock: self.clock,
            timer: self.timer,
            seeds: Seeds::new(seed),
            durability: self.durability,
            recorder: self.recorder,
            pool,
            owner: self.owner,
            limits: self.limits,
            lost_tail,
            slots: Mutex::default(),
            closed: AtomicBool::new(false),
        };
        Ok(Client {
            shared: Arc::new(shared),
        })
    }
}

impl Client {
    /// Returns a builder for a client whose store is a directory, made where it is missing.
    pub fn builder(path: impl Into<PathBuf>) -> ClientBuilder {
        ClientBuilder::new(Place::Directory(path.into()))
    }

    /// Returns a builder for a client with a store of its own kind; the simulator brings one.
    pub fn with_store(store: Arc<dyn Store>) -> ClientBuilder {
        ClientBuilder::new(Place::Store(store))
    }

    /// Opens a dataset, which comes into being with its first edit. It waits for the disk the first time.
    ///
    /// # Errors
    ///
    /// [`DatasetError`]; other datasets stay usable.
    pub fn dataset(&self, name: &str) -> Result<Dataset, DatasetError> {
        self.shared
            .check_open()
            .map_err(|()| DatasetError::Closed)?;
        let name: DatasetName = name.parse()?;
        let mut slots = self.shared.slots();
        let slot = match slots.get(&name) {
            Some(slot) => Arc::clone(slot),
            None => {
                let slot = Arc::new(Slot::new(name.clone(), self.shared.replica(&name)?));
                slots.insert(name, Arc::clone(&slot));
                slot
            }
        };
        drop(slots);
        Ok(Dataset {
            shared: Arc::clone(&self.shared),
            slot,
        })
    }

    /// Returns the names of the datasets in the store, damaged ones too, in order. It waits for the disk.
    ///
    /// # Errors
    ///
    /// [`DatasetError`] if the store cannot be read.
    pub fn datasets(&self) -> Result<Vec<DatasetName>, DatasetError> {
        Ok(self.shared.store.datasets(&self.shared.owner)?)
    }

    /// Returns the datasets of the identity at the service, all pages.
    ///
    /// # Errors
    ///
    /// [`SyncError`] if the service cannot be asked.
    pub async fn remote_datasets(&self) -> Result<Vec<RemoteDataset>, SyncError> {
        let Owner::Identity(identity) = &self.shared.owner else {
            return Err(SyncError::NoIdentity);
        };
        let transport = self.shared.transport()?;
        let mut found = Vec::new();
        let mut next_token = None;
        loop {
            let request = Request::ListDatasets(ListDatasetsRequest {
                identity_pool_id: self.shared.pool.clone(),
                identity_id: identity.clone(),
                next_token: next_token.take(),
                max_results: Some(driftless_wire::limits::DATASETS_PER_PAGE),
            });
            let exchanged = transport
                .exchange(request)
                .await
                .map_err(|error| SyncError::Request(Arc::new(error)))?;
            let Response::ListDatasets(page) = exchanged.response else {
                return Err(SyncError::WrongAnswer);
            };
            let is_empty = page.datasets.is_empty();
            found.extend(page.datasets);
            match page.next_token {
                Some(token) if !is_empty => next_token = Some(token),
                _ => return Ok(found),
            }
        }
    }

    /// Takes a damaged dataset out of the way, so that opening it anew gets it from the service. Its rows are kept.
    ///
    /// Edits in it that were not synchronized do not come back by themselves.
    ///
    /// # Errors
    ///
    /// [`DatasetError`] if the store cannot move it, or the name is none.
    pub fn set_aside(&self, name: &str) -> Result<(), DatasetError> {
        let name: DatasetName = name.parse()?;
        let mut slots = self.shared.slots();
        if let Some(slot) = slots.remove(&name) {
            slot.break_off();
        }
        Ok(self.shared.store.set_aside(&self.shared.key(&name))?)
    }

    /// Closes the client: sessions end, consumers of changes are told, the store is put on disk and given free.
    ///
    /// Every later call of any handle says that it is closed; reads go on showing what they showed.
    ///
    /// # Errors
    ///
    /// [`CloseError`] if buffered edits may not have reached the disk.
    pub fn close(&self) -> Result<(), CloseError> {
        if self.shared.closed.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        let slots: Vec<Arc<Slot>> = self.shared.slots().drain().map(|(_, slot)| slot).collect();
        slots.iter().for_each(|slot| slot.close(&self.shared));
        Ok(self.shared.store.close()?)
    }
}

impl Shared {
    pub(crate) fn check_open(&self) -> Result<(), ()> {
        if self.closed.load(Ordering::SeqCst) {
            Err(())
        } else {
            Ok(())
        }
    }

    pub(crate) fn transport(&self) -> Result<&Arc<dyn Transport>, SyncError> {
        self.check_open().map_err(|()| SyncError::Closed)?;
        self.transport.as_ref().ok_or(SyncError::NoTransport)
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<DatasetName, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn key(&self, name: &DatasetName) -> DatasetKey {
        DatasetKey::new(self.owner.clone(), name.clone())
    }

    fn replica(&self, name: &DatasetName) -> Result<Replica, DatasetError> {
        let (key, pool) = (self.key(name), self.pool.clone());
        let Some(recovered) = self.store.recover(&key).map_err(DatasetError::Store)? else {
            return Ok(Replica::new(key, pool, self.limits, self.seeds.actor()));
        };
        let mut replica = Replica::recover(key, pool, self.limits, recovered)?;
        if self.lost_tail {
            let commit = replica.reincarnate(self.seeds.actor());
            self.store.commit(commit, Durability::Disk)?;
        }
        Ok(replica)
    }

    /// Returns the saved document of a dataset; one that cannot be read is built anew from the state.
    pub(crate) fn document(&self, key: &DatasetKey) -> Option<Vec<u8>> {
        let found: Result<_, RecoverError> = self.store.document(key);
        found.ok().flatten()
    }
}
