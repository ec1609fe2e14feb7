//! A device whose engine is stepped by hand, against a service in the same process.
//!
//! No network and no thread lies between, so that what is timed is the local work of a synchronization and nothing else:
//! the engine's inputs and outputs, and the commits to a store on disk that they ask for.

use std::sync::Arc;
use std::time::Duration;

use driftless_document::Actor;
use driftless_merge::{DatasetKey, Durability, Input, Operation, Output, Owner, Replica};
use driftless_record::{Limits, Wrote};
use driftless_server::{Caller, MemoryStorage, Service};
use driftless_store::{DiskStore, Store};
use driftless_wire::{Request, Response, Timestamp};
use tempfile::TempDir;

use crate::loopback::{IDENTITY, POOL};
use crate::samples::Random;
use crate::times::timed;

/// Returns a service that forgets everything when it is dropped.
#[must_use]
pub fn service() -> Service {
    Service::new(Arc::new(MemoryStorage::new()), [7; 32], [8; 32])
}

/// One dataset on one device.
#[derive(Debug)]
pub struct Device {
    replica: Replica,
    store: DiskStore,
    random: Random,
    now: i64,
    _home: TempDir,
}

/// What one synchronization did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Synced {
    /// How long the device worked, commits included.
    pub work: Duration,
    /// How long of that it waited for its commits to be on the disk.
    pub disk: Duration,
    /// How many requests it sent.
    pub requests: usize,
    /// The characters of records that it sent, keys included.
    pub characters: usize,
    /// What was written.
    pub wrote: Option<Wrote>,
}

impl Device {
    /// Returns a device that has seen nothing; its number decides all that is random about it.
    #[must_use]
    pub fn new(number: u64) -> Self {
        let home = tempfile::tempdir().expect("there is room for a temporary directory");
        let store = DiskStore::open(home.path())
            .expect("the directory is empty")
            .store;
        let owner = Owner::Identity(IDENTITY.parse().expect("the identity is well-formed"));
        let key = DatasetKey::new(owner, "notes".parse().expect("the name is well-formed"));
        let pool = POOL.parse().expect("the pool is well-formed");
        let actor = Actor::random(number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
        let replica = Replica::new(key, pool, Limits::default(), actor);
        Self {
            replica,
            store,
            random: Random::new(number),
            now: 1_790_000_000_000,
            _home: home,
        }
    }

    /// Returns the engine.
    #[must_use]
    pub const fn replica(&self) -> &Replica {
        &self.replica
    }

    /// Returns the engine alone; the store is gone.
    #[must_use]
    pub fn into_replica(self) -> Replica {
        self.replica
    }

    /// Returns the device's clock, in milliseconds.
    #[must_use]
    pub const fn clock(&self) -> i64 {
        self.now
    }

    /// Sets the device's clock.
    pub const fn set_clock(&mut self, millis: i64) {
        self.now = millis;
    }

    /// Makes an edit durable, some seconds after the one before, and returns how long that took.
    ///
    /// A log that has grown long is folded after that, as the client does on a thread of its own.
    ///
    /// # Panics
    ///
    /// If the edit is refused.
    pub fn edit(&mut self, operation: Operation, durability: Durability) -> Duration {
        self.now += self.random.below(40_000) as i64;
        let now = Timestamp::from_millis(self.now);
        let (work, ()) = timed(|| {
            let made = self.replica.edit(operation, now).expect("a sample fits");
            if let Some(made) = made {
                self.store
                    .commit(made.commit, durability)
                    .expect("the disk takes it");
            }
        });
        if self.replica.wants_fold() {
            let commit = self.replica.fold().expect("a snapshot reads back");
            self.store
                .commit(commit, Durability::Buffered)
                .expect("the disk takes it");
        }
        work
    }

    /// Puts one value without waiting for the disk.
    pub fn put(&mut self, key: String, value: String) {
        self.edit(
            Operation::Put([(key, value.into())].into()),
            Durability::Buffered,
        );
    }

    /// Inserts characters into the text "text" without waiting for the disk.
    pub fn insert(&mut self, at: usize, characters: &str) {
        self.splice(at, characters, Durability::Buffered);
    }

    /// Inserts characters into the text "text", and returns how long that took.
    pub fn splice(&mut self, at: usize, characters: &str, durability: Durability) -> Duration {
        let (path, insert) = ("text".into(), characters.to_owned());
        self.edit(
            Operation::SpliceText {
                path,
                at,
                delete: 0,
                insert,
            },
            durability,
        )
    }

    /// Runs one session to its end, with commits that wait for the disk.
    ///
    /// # Panics
    ///
    /// If the session fails.
    pub fn synchronize(&mut self, service: &Service) -> Synced {
        let mut synced = Synced::default();
        let seed = std::array::from_fn(|_| self.random.below(256) as u8);
        let mut input = Input::Begin(seed);
        loop {
            let (work, next) = timed(|| self.step(input, &mut synced.disk));
            synced.work += work;
            input = match next {
                Output::List(request) => {
                    synced.requests += 1;
                    Input::Listed(Ok(match self.ask(service, Request::ListRecords(request)) {
                        Response::ListRecords(page) => page,
                        other => panic!("an answer to something else: {other:?}"),
                    }))
                }
                Output::Update(request) => {
                    synced.requests += 1;
                    let patches = request.record_patches.iter();
                    synced.characters += patches
                        .map(|patch| {
                            patch.key.as_str().len() + patch.value.as_ref().map_or(0, String::len)
                        })
                        .sum::<usize>();
                    Input::Updated(Ok(
                        match self.ask(service, Request::UpdateRecords(request)) {
                            Response::UpdateRecords(done) => done,
                            other => panic!("an answer to something else: {other:?}"),
                        },
                    ))
                }
                Output::Done(done) => {
                    synced.wrote = done.expect("nothing disturbs the session").wrote;
                    return synced;
                }
                other => panic!("nothing should make the session ask for {other:?}"),
            };
        }
    }

    /// Gives one input to the engine, keeps its commits, and returns what is to be done outside.
    fn step(&mut self, input: Input, disk: &mut Duration) -> Output {
        self.replica.handle(Timestamp::from_millis(self.now), input);
        loop {
            match self
                .replica
                .poll()
                .expect("a session asks for something or is done")
            {
                Output::Commit(commit, _) => {
                    let keep = || {
                        self.store
                            .commit(commit, Durability::Disk)
                            .expect("the disk takes it")
                    };
                    *disk += timed(keep).0;
                }
                Output::Changed(_) | Output::Rewrote(_) => {}
                next => return next,
            }
        }
    }

    fn ask(&self, service: &Service, request: Request) -> Response {
        let now = Timestamp::from_millis(self.now);
        service
            .handle(request, &Caller::Operator, now)
            .expect("the service takes it")
    }
}
