//! A service on a loopback port, and devices that use it, each with a store of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use driftless::document::{Edit, Reference};
use driftless::transport::{Credentials, Endpoint, HyperTransport, StaticCredentials};
use driftless::{
    Client, Dataset, DatasetName, Durability, IdentityId, IdentityPoolId, Outcome, Recorder, Report,
};
use driftless_server::{DataDir, KeyPair, ServeError, Server};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::commands::sync::runtime;
use crate::exit::{Exit, Failure};

const REGION: &str = "us-east-1";
const POOL: &str = "us-east-1:00000000-0000-0000-0000-000000000001";
const IDENTITY: &str = "us-east-1:00000000-0000-0000-0000-000000000002";
const DATASET: &str = "demo";

/// How a world is made.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) seed: u64,
    pub(crate) durability: Durability,
    /// Whether every edit is kept, to compare with automerge.
    pub(crate) record: bool,
    /// Where the stores stay; else they are removed at the end.
    pub(crate) keep: Option<PathBuf>,
}

/// The service, the devices, and a record of every edit.
pub(crate) struct World {
    options: Options,
    place: Place,
    runtime: Runtime,
    serving: Serving,
    endpoint: Endpoint,
    key_pair: KeyPair,
    tape: Arc<Tape>,
    pub(crate) devices: Vec<Device>,
}

/// The service at work; it stops when `stop` is dropped.
struct Serving {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), ServeError>>,
}

enum Place {
    Kept(PathBuf),
    Temporary(TempDir),
}

impl Place {
    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(directory) => directory.path(),
        }
    }
}

/// One device, and what it did so far.
pub(crate) struct Device {
    pub(crate) name: String,
    pub(crate) dataset: Dataset,
    pub(crate) totals: Totals,
    client: Client,
}

/// Sums over the syncs of a device.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) edits: usize,
    pub(crate) syncs: u32,
    pub(crate) requests: u64,
    pub(crate) bytes_up: u64,
    pub(crate) bytes_down: u64,
    /// Keys that came changed by other devices.
    pub(crate) merged: usize,
    /// Pushes that another device had overtaken.
    pub(crate) overtaken: u32,
}

/// The edits of all devices, in the order in which they were made.
#[derive(Debug, Default)]
struct Tape(Mutex<Edit>);

impl Recorder for Tape {
    fn record(&self, _: &DatasetName, edit: &Edit) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .append(edit.clone());
    }
}

impl World {
    /// Starts the service and so many devices.
    pub(crate) fn start(devices: usize, options: Options) -> Result<Self, Failure> {
        let place = match &options.keep {
            Some(path) => Place::Kept(empty_directory(path)?),
            None => Place::Temporary(TempDir::with_prefix("driftless-demo-")?),
        };
        let runtime = runtime()?;
        let data = DataDir::open(&place.path().join("service"))?;
        let key_pair = data.key_pair().clone();
        let (stop, stopped) = oneshot::channel();
        let listen = ([127, 0, 0, 1], 0).into();
        let server = runtime.block_on(Server::bind(listen, data.into_config()))?;
        let endpoint = Endpoint::url(&format!("http://{}", server.local_addr()), REGION)?;
        let task = runtime.spawn(server.run(async move {
            // It ends with an error, since nothing is ever sent.
            drop(stopped.await);
        }));
        let mut world = Self {
            options,
            place,
            runtime,
            serving: Serving { stop, task },
            endpoint,
            key_pair,
            tape: Arc::default(),
            devices: Vec::new(),
        };
        for _ in 0..devices {
            world.add_device()?;
        }
        Ok(world)
    }

    /// Opens one more device with an empty store, and returns its number.
    pub(crate) fn add_device(&mut self) -> Result<usize, Failure> {
        let number = self.devices.len();
        let name = format!("device {}", number + 1);
        let credentials = StaticCredentials::new(Credentials {
            access_key_id: self.key_pair.access_key_id().to_owned(),
            secret_access_key: self.key_pair.secret_access_key().to_owned(),
            session_token: None,
            expires_at: None,
        });
        let transport = HyperTransport::builder(self.endpoint.clone(), Arc::new(credentials));
        let store = self.place.path().join(format!("device-{}", number + 1));
        let builder = Client::builder(store)
            .pool(constant::<IdentityPoolId>(POOL))
            .identity(constant::<IdentityId>(IDENTITY))
            .durability(self.options.durability)
            .seed(seed(self.options.seed, number as u64))
            .transport(Arc::new(transport.build()));
        let client = if self.options.record {
            builder
                .recorder(Arc::clone(&self.tape) as Arc<dyn Recorder>)
                .open()?
        } else {
            builder.open()?
        };
        let dataset = client.dataset(DATASET)?;
        self.devices.push(Device {
            name,
            dataset,
            totals: Totals::default(),
            client,
        });
        Ok(number)
    }

    /// Synchronizes a device.
    pub(crate) fn sync(&mut self, device: usize) -> Result<Report, Failure> {
        let device = &mut self.devices[device];
        let report = self.runtime.block_on(device.dataset.synchronize())?;
        if let Outcome::Full(size) = report.outcome {
            let message = format!(
                "the data take {} of {} characters",
                size.live, size.refused_above
            );
            return Err(Failure::new(Exit::Full, message));
        }
        let totals = &mut device.totals;
        totals.syncs += 1;
        totals.requests += u64::from(report.requests);
        totals.bytes_up += report.bytes_up;
        totals.bytes_down += report.bytes_down;
        totals.merged += report.changed_here.len();
        totals.overtaken += report.conflicts;
        Ok(report)
    }

    /// Synchronizes all devices until none has anything new, each time in an order that `order` gives.
    pub(crate) fn sync_until_quiet(
        &mut self,
        mut order: impl FnMut(&mut Vec<usize>),
    ) -> Result<(), Failure> {
        // One round brings everything there, the next one back, the third finds nothing.
        const MAX_ROUNDS: usize = 6;
        let mut devices: Vec<usize> = (0..self.devices.len()).collect();
        for _ in 0..MAX_ROUNDS {
            order(&mut devices);
            let mut quiet = true;
            for device in &devices {
                let report = self.sync(*device)?;
                quiet &= report.changed_here.is_empty() && report.wrote.is_none();
            }
            if quiet {
                return Ok(());
            }
        }
        let message = format!("devices still send each other news after {MAX_ROUNDS} rounds");
        Err(Failure::new(Exit::Disagree, message))
    }

    /// Returns one automerge document that got every edit of all devices; they must have been recorded.
    pub(crate) fn reference(&self) -> Reference {
        let mut reference = Reference::new();
        reference.record(&self.tape.0.lock().unwrap_or_else(PoisonError::into_inner));
        reference
    }

    /// Closes the devices, stops the service, and removes what is not kept.
    pub(crate) fn stop(mut self) -> Result<(), Failure> {
        for device in self.devices.drain(..) {
            device.client.close()?;
        }
        drop(self.serving.stop);
        let served = self.runtime.block_on(self.serving.task);
        served.map_err(|error| Failure::new(Exit::Internal, error))??;
        drop(self.runtime);
        if let Place::Temporary(directory) = self.place {
            directory.close()?;
        }
        Ok(())
    }
}

fn empty_directory(path: &Path) -> Result<PathBuf, Failure> {
    fs::create_dir_all(path)?;
    if fs::read_dir(path)?.next().is_some() {
        return Err(Failure::usage(format!("{} is not empty", path.display())));
    }
    Ok(path.to_owned())
}

fn constant<T: for<'a> TryFrom<&'a str>>(text: &'static str) -> T {
    T::try_from(text).unwrap_or_else(|_| unreachable!("{text} is well-formed"))
}

/// Returns the seed of one device's randomness, from which its author id comes.
fn seed(seed: u64, device: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&device.to_le_bytes());
    bytes
}
