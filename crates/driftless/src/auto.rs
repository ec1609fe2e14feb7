//! Synchronizing by itself: after edits, on hints, at the start and when a network comes back.
//!
//! One task looks for datasets, and one for each of them [follows](follower) it. Nothing polls: an
//! app that is idle makes no requests [COGNITO trap 57]. What is to be done is not remembered but
//! derived from what is durable: the edits that the service is not known to have [trap 53].
//! Whose turn it is, `turns.rs` says, as for any other call [trap 52].

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Weak};

use driftless_wire::DatasetName;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use crate::client::Client;
use crate::connectivity::{Networks, Reception};
use crate::dataset::Dataset;
use crate::error::SyncError;
use crate::identity::IdentityChange;
use crate::report::Report;
use crate::shared::Shared;
use crate::slot::Slot;
use crate::workers::on_worker;

mod follower;
mod schedule;

use follower::Follower;
pub use schedule::{Reconnect, Schedule};

type Outcomes = BTreeMap<DatasetName, Ended>;

/// How the last session of a dataset ended.
#[derive(Debug)]
struct Ended {
    /// How many sessions of the dataset have ended.
    number: u64,
    result: Result<Report, SyncError>,
}

/// A client that synchronizes by itself, until this is dropped.
///
/// It does not keep the client open, and ends with it. Dropping it in the middle of a session is as
/// safe as dropping the future of [`Dataset::synchronize`].
#[derive(Debug)]
pub struct AutoSync {
    outcomes: watch::Receiver<Outcomes>,
    /// Which session of each dataset was told last by `ended`.
    told: BTreeMap<DatasetName, u64>,
    task: AbortHandle,
}

impl AutoSync {
    /// Waits until a session has ended since the last call, and tells whether one did: `false` says
    /// that the client is closed.
    ///
    /// It needs no particular runtime. Dropping the future loses nothing.
    pub async fn changed(&mut self) -> bool {
        self.outcomes.changed().await.is_ok()
    }

    /// Returns how the last session of each dataset ended that this began; of several since the
    /// last call, only the newest is kept.
    #[must_use]
    pub fn outcomes(&self) -> BTreeMap<DatasetName, Result<Report, SyncError>> {
        let outcomes = self.outcomes.borrow();
        let outcome = |(name, ended): (&DatasetName, &Ended)| (name.clone(), ended.result.clone());
        outcomes.iter().map(outcome).collect()
    }

    /// Waits until a session has ended that this did not tell yet, and returns how: of each dataset with such a session, the
    /// newest. `None` says that the client is closed.
    ///
    /// Each is told once, whatever [`changed`](Self::changed) and [`outcomes`](Self::outcomes) told. It needs no particular
    /// runtime. Dropping the future loses nothing.
    pub async fn ended(&mut self) -> Option<BTreeMap<DatasetName, Result<Report, SyncError>>> {
        loop {
            let news = self.untold();
            if !news.is_empty() {
                return Some(news);
            }
            self.outcomes.changed().await.ok()?;
        }
    }

    fn untold(&mut self) -> BTreeMap<DatasetName, Result<Report, SyncError>> {
        let mut news = BTreeMap::new();
        for (name, ended) in &*self.outcomes.borrow_and_update() {
            if self.told.get(name) != Some(&ended.number) {
                self.told.insert(name.clone(), ended.number);
                news.insert(name.clone(), ended.result.clone());
            }
        }
        news
    }
}

impl Drop for AutoSync {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Client {
    /// Synchronizes by itself from now on: what is edited here a moment later, everything at the
    /// start and when a network comes back, with pauses after failures, as the schedule says.
    ///
    /// Datasets that are opened later are in it, and so are those that are not open and have edits
    /// that wait from an earlier run: they are opened. What others write comes with each session,
    /// with [pushes](Self::handle_push) and with [hints](Dataset::hint); an app that is idle makes no
    /// requests. The network is what
    /// [`ClientBuilder::connectivity`](crate::ClientBuilder::connectivity) says. Its tasks run on the
    /// tokio runtime that this is called in, and read the store on its blocking threads.
    ///
    /// An error that stands until something changes (refused, [full](crate::Outcome::Full)) is not
    /// tried again before the next edit, hint, network or [login](Self::logins_changed).
    ///
    /// # Errors
    ///
    /// [`SyncError::NoRuntime`], [`SyncError::NoTransport`] or [`SyncError::Closed`]; what goes
    /// wrong later is in the [outcomes](AutoSync::outcomes).
    pub fn auto_sync(&self, schedule: Schedule) -> Result<AutoSync, SyncError> {
        self.shared.transport()?;
        let runtime = Handle::try_current().map_err(|_| SyncError::NoRuntime)?;
        let (sender, outcomes) = watch::channel(Outcomes::new());
        let finder = Finder {
            shared: Arc::downgrade(&self.shared),
            schedule,
            outcomes: Arc::new(sender),
            followed: BTreeMap::new(),
            followers: JoinSet::new(),
        };
        let hears = Hears {
            opened: self.shared.opened.subscribe(),
            identity: self.shared.changed_identity.subscribe(),
            logins: self.shared.logins.subscribe(),
            closed: self.shared.closed.subscribe(),
        };
        let task = runtime.spawn(finder.run(hears)).abort_handle();
        Ok(AutoSync {
            outcomes,
            told: BTreeMap::new(),
            task,
        })
    }
}

impl Dataset {
    /// Tells that there may be news at the service, as a push does: whatever
    /// [synchronizes by itself](Client::auto_sync) does so once the dataset was left alone for a
    /// while. It costs a request at least; several before that are one.
    ///
    /// It waits for nothing and is not remembered by the store.
    pub fn hint(&self) {
        self.slot.wish();
    }

    /// Waits for a network that may be used, and [synchronizes](Self::synchronize) then.
    ///
    /// If the network goes while the session runs, it waits again; with one it ends like any other
    /// call, well or not. A call that was waiting when the app ended is gone, but not the need for
    /// it: [`Client::auto_sync`] finds the edits that wait. Dropping the future is safe at any time.
    ///
    /// # Errors
    ///
    /// [`SyncError`]; nothing is lost, whatever it says.
    pub async fn synchronize_on_connectivity(
        &self,
        networks: Networks,
    ) -> Result<Report, SyncError> {
        self.shared.transport()?;
        let mut reception = Reception::new(&*self.shared.connectivity, networks);
        loop {
            let usable = async {
                reception.until_usable().await;
                Ok::<_, SyncError>(())
            };
            self.shared.until_closed(usable).await?;
            match self.synchronize().await {
                Err(error) if error.may_pass() && !reception.is_usable() => {}
                result => return result,
            }
        }
    }
}

/// What may change which datasets there are to be followed.
struct Hears {
    opened: watch::Receiver<()>,
    identity: watch::Receiver<Option<IdentityChange>>,
    logins: watch::Receiver<()>,
    closed: watch::Receiver<bool>,
}

/// What was heard.
enum News {
    /// Other datasets are open, or one is followed no more.
    Datasets,
    Identity,
    Logins,
}

/// Finds the datasets to be followed.
struct Finder {
    shared: Weak<Shared>,
    schedule: Schedule,
    outcomes: Arc<watch::Sender<Outcomes>>,
    followed: BTreeMap<DatasetName, Weak<Slot>>,
    followers: JoinSet<Option<Infallible>>,
}

impl Finder {
    async fn run(mut self, mut hears: Hears) {
        hears.identity.mark_unchanged();
        self.open_unsynced().await;
        loop {
            hears.opened.mark_unchanged();
            if self.follow_open().is_none() {
                return;
            }
            let news = tokio::select! {
                _ = hears.closed.wait_for(|closed| *closed) => return,
                changed = hears.opened.changed() => changed.map(|()| News::Datasets),
                changed = hears.identity.changed() => changed.map(|()| News::Identity),
                changed = hears.logins.changed() => changed.map(|()| News::Logins),
                Some(_) = self.followers.join_next() => Ok(News::Datasets),
            };
            match news {
                Ok(News::Datasets) => {}
                // Edits that wait may be those of the one whose data are shown now.
                Ok(News::Identity) => self.open_unsynced().await,
                Ok(News::Logins) => self.identify(),
                Err(_) => return,
            }
        }
    }

    /// Asks who has logged in: edits of that one may wait, in datasets that are not open. If it fails, the next session asks.
    fn identify(&mut self) {
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        if Reception::new(&*shared.connectivity, self.schedule.networks).is_usable() {
            self.followers.spawn(async move {
                drop(shared.until_closed(shared.identify()).await);
                None
            });
        }
    }

    /// Opens what has edits that wait. What cannot be read is left to whoever opens it.
    async fn open_unsynced(&self) {
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        let workers = Arc::clone(&shared.workers);
        // Without it, what an app opens is followed all the same.
        drop(on_worker(&*workers, move || open_unsynced(shared)).await);
    }

    /// Begins to follow what is open and not followed; `None` if the client is gone.
    fn follow_open(&mut self) -> Option<()> {
        let shared = self.shared.upgrade()?;
        let open = shared.open();
        self.followed
            .retain(|name, _| open.datasets.contains_key(name));
        for (name, slot) in &open.datasets {
            let known = self.followed.get(name);
            if known.is_some_and(|known| std::ptr::eq(known.as_ptr(), Arc::as_ptr(slot))) {
                continue;
            }
            self.followed.insert(name.clone(), Arc::downgrade(slot));
            let follower = Follower::new(&shared, slot, &self.schedule, &self.outcomes);
            self.followers.spawn(follower.follow());
        }
        Some(())
    }
}

fn open_unsynced(shared: Arc<Shared>) {
    let owner = shared.open().owner.clone();
    let names = shared.names(&owner).unwrap_or_default();
    let client = Client { shared };
    for name in names {
        let mut open = client.shared.open();
        if open.owner != owner {
            return;
        }
        let waits =
            |key| matches!(client.shared.replica(key), Ok(replica) if replica.has_unsynced());
        if !open.datasets.contains_key(&name) && waits(open.key(&name)) {
            drop(client.dataset_in(&mut open, name));
        }
    }
}
