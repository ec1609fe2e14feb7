//! A device: a disk, the process that runs on it, and the app in that process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use driftless::transport::{
    BoxFuture, Credentials, CredentialsError, CredentialsProvider, Endpoint, HyperTransport,
};
use driftless::{
    Change, Changes, Client, Dataset, DatasetError, Durability, IdentityId, Limits, Value,
    document::State,
};
use driftless_document::Edit;
use driftless_store::MemoryStore;

use crate::agenda::{Agenda, Life, Outside};
use crate::cloud;
use crate::disk::Disk;
use crate::draw::Draw;
use crate::ledger::Notes;

/// What does not change from one run of a process to the next.
#[derive(Clone, Debug)]
pub(crate) struct Make {
    pub(crate) agenda: Arc<Agenda>,
    pub(crate) limits: Limits,
    pub(crate) durability: Durability,
    /// Whose data the process opens.
    pub(crate) identity: Option<IdentityId>,
    pub(crate) skew: i64,
}

/// A device while its process runs.
#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) make: Make,
    pub(crate) disk: Arc<Disk>,
    pub(crate) life: Life,
    pub(crate) client: Client,
    pub(crate) dataset: Dataset,
    pub(crate) notes: Arc<Notes>,
    /// Edits that are not known to be on disk, by commit.
    pub(crate) buffered: Vec<(u64, Edit)>,
    pub(crate) is_online: bool,
    /// Whether the death that waits for it takes the power too.
    pub(crate) dies_without_power: bool,
    /// Whether a session of it has ended well in the present life of the dataset.
    pub(crate) has_synced: bool,
    pub(crate) backup: Option<MemoryStore>,
    changes: Changes,
    /// What a consumer makes of the changes that it was told.
    view: BTreeMap<String, Value>,
}

/// How a device starts.
pub(crate) struct Start {
    pub(crate) store: MemoryStore,
    /// How many commits are in it, and how many of them on disk.
    pub(crate) commits: (u64, u64),
    pub(crate) life: Life,
    /// Its rows are found damaged.
    pub(crate) is_rotten: bool,
}

impl Device {
    pub(crate) fn start(make: Make, start: Start, draw: &mut Draw) -> Result<Self, String> {
        let Start {
            store,
            commits,
            life,
            is_rotten,
        } = start;
        let disk = Disk::open(store, commits, is_rotten);
        let outside = Arc::new(Outside {
            agenda: Arc::clone(&make.agenda),
            life,
            skew: make.skew,
            taken: AtomicU64::new(0),
        });
        let notes = Arc::new(Notes::default());
        let transport = transport(&outside, draw)?;
        let builder = Client::with_store(Arc::clone(&disk) as Arc<_>).pool(cloud::pool());
        let builder = match &make.identity {
            Some(identity) => builder.identity(identity.clone()),
            None => builder,
        };
        let client = builder
            .transport(Arc::new(transport))
            .clock(Arc::clone(&outside) as Arc<_>)
            .timer(Arc::clone(&outside) as Arc<_>)
            .workers(outside)
            .seed(draw.seed())
            .durability(make.durability)
            .limits(make.limits)
            .recorder(Arc::clone(&notes) as Arc<_>)
            .open()
            .map_err(|error| format!("a client does not open: {error:?}"))?;
        let dataset =
            open_dataset(&client).map_err(|error| format!("a dataset does not open: {error:?}"))?;
        let changes = dataset.changes();
        let view = dataset.entries().into_iter().collect();
        Ok(Self {
            make,
            disk,
            life,
            client,
            dataset,
            notes,
            buffered: Vec::new(),
            is_online: true,
            dies_without_power: false,
            has_synced: false,
            backup: None,
            changes,
            view,
        })
    }

    pub(crate) fn state(&self) -> State {
        self.dataset.state()
    }

    /// Lets the consumer take what it was told; says what contradicts what it was told before.
    pub(crate) fn consume(&mut self) -> Result<(), String> {
        while let Some(Change { key, old, new, .. }) = self.changes.try_next() {
            if self.view.get(&key) != old.as_ref() {
                return Err(format!(
                    "a change of {key} begins at {old:?}, where {:?} was told before",
                    self.view.get(&key)
                ));
            }
            match new {
                Some(value) => self.view.insert(key, value),
                None => self.view.remove(&key),
            };
        }
        Ok(())
    }

    /// Returns what the consumer was told until now, all of it.
    pub(crate) fn told(&mut self) -> BTreeMap<String, Value> {
        // What contradicts itself is said elsewhere.
        drop(self.consume());
        self.view.clone()
    }

    /// Says what the consumer was not told.
    pub(crate) fn check_view(&mut self) -> Result<(), String> {
        self.consume()?;
        let entries: BTreeMap<String, Value> = self.dataset.entries().into_iter().collect();
        if entries == self.view {
            return Ok(());
        }
        Err(format!(
            "device {} shows {entries:?}, its consumer was told {:?}",
            self.life.device, self.view
        ))
    }
}

fn open_dataset(client: &Client) -> Result<Dataset, DatasetError> {
    match client.dataset(cloud::DATASET) {
        Err(DatasetError::Store(_)) => {
            client.set_aside(cloud::DATASET)?;
            client.dataset(cloud::DATASET)
        }
        opened => opened,
    }
}

fn transport(outside: &Arc<Outside>, draw: &mut Draw) -> Result<HyperTransport, String> {
    let endpoint = Endpoint::url("http://service.test", "us-east-1");
    let endpoint = endpoint.map_err(|error| error.to_string())?;
    let jitter = draw.below(usize::MAX) as u64;
    Ok(HyperTransport::builder(endpoint, Arc::new(Issuer))
        .clock(Arc::clone(outside) as Arc<_>)
        .timer(Arc::clone(outside) as Arc<_>)
        .courier(Arc::clone(outside) as Arc<_>)
        .jitter_seed(jitter)
        .build())
}

/// Issues credentials that differ from those that have expired.
#[derive(Debug)]
struct Issuer;

impl CredentialsProvider for Issuer {
    fn credentials(&self) -> BoxFuture<'_, Result<Credentials, CredentialsError>> {
        Box::pin(std::future::ready(Ok(credentials("first"))))
    }

    fn renew<'a>(
        &'a self,
        refused: &'a Credentials,
    ) -> BoxFuture<'a, Result<Credentials, CredentialsError>> {
        let is_first = refused.session_token.as_deref() == Some("first");
        let session = if is_first { "second" } else { "first" };
        Box::pin(std::future::ready(Ok(credentials(session))))
    }
}

fn credentials(session: &str) -> Credentials {
    let pair = cloud::key_pair();
    Credentials {
        access_key_id: pair.access_key_id().to_owned(),
        secret_access_key: pair.secret_access_key().to_owned(),
        session_token: Some(session.to_owned()),
        expires_at: None,
    }
}
