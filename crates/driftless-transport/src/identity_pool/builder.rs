//! The options of an [`IdentityPool`], each with its default.

use std::sync::Arc;
use std::time::Duration;

use driftless_wire::IdentityPoolId;

use super::call::Caller;
use super::{Guest, IdentityCache, IdentityPool, LoginsSource, MemoryCache};
use crate::clock::{Clock, SystemClock, Timer, TokioTimer};
use crate::connection::Connection;
use crate::courier::Courier;
use crate::endpoint::Endpoint;

/// Bytes of an answer that are read: credentials are a few thousand.
const MAX_ANSWER_BYTES: usize = 256 * 1_024;

/// Builds an [`IdentityPool`].
#[derive(Debug)]
#[must_use = "nothing happens until it is built"]
pub struct IdentityPoolBuilder {
    pool: IdentityPoolId,
    endpoint: Endpoint,
    logins: Arc<dyn LoginsSource>,
    cache: Arc<dyn IdentityCache>,
    clock: Arc<dyn Clock>,
    timer: Arc<dyn Timer>,
    courier: Option<Arc<dyn Courier>>,
    attempts: u32,
    jitter_seed: Option<u64>,
}

impl IdentityPoolBuilder {
    pub(crate) fn new(pool: IdentityPoolId, endpoint: Endpoint) -> Self {
        Self {
            pool,
            endpoint,
            logins: Arc::new(Guest),
            cache: Arc::new(MemoryCache::default()),
            clock: Arc::new(SystemClock),
            timer: Arc::new(TokioTimer),
            courier: None,
            attempts: 4,
            jitter_seed: None,
        }
    }

    /// Where logins come from; by default nobody has logged in.
    pub fn logins(mut self, logins: Arc<dyn LoginsSource>) -> Self {
        self.logins = logins;
        self
    }

    /// Where the identity is kept; by default in memory, so that a guest is another one after each
    /// start.
    pub fn cache(mut self, cache: Arc<dyn IdentityCache>) -> Self {
        self.cache = cache;
        self
    }

    /// The clock that tells, corrected by the service's own, when credentials expire; the operating
    /// system's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The timer that waits between two attempts; tokio's.
    pub fn timer(mut self, timer: Arc<dyn Timer>) -> Self {
        self.timer = timer;
        self
    }

    /// What carries each request; by default hyper does, over sockets, and gives up after 30
    /// seconds.
    pub fn courier(mut self, courier: Arc<dyn Courier>) -> Self {
        self.courier = Some(courier);
        self
    }

    /// How often a request is sent if it is throttled or lost on the way; 4 times, and at least
    /// once.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// The seed of the random waits; by default the operating system gives one.
    pub fn jitter_seed(mut self, seed: u64) -> Self {
        self.jitter_seed = Some(seed);
        self
    }

    /// Builds the provider. It asks for nothing yet.
    #[must_use]
    pub fn build(self) -> IdentityPool {
        // Without randomness devices may wait alike, which is no reason not to sync.
        let seed = self
            .jitter_seed
            .or_else(|| getrandom::u64().ok())
            .unwrap_or_default();
        let (connect, request) = (Duration::from_secs(5), Duration::from_secs(30));
        let courier = self
            .courier
            .unwrap_or_else(|| Arc::new(Connection::new(connect, request, MAX_ANSWER_BYTES)));
        let times = (self.clock, self.timer);
        let caller = Caller::new(self.endpoint, courier, times, self.attempts, seed);
        IdentityPool::new(self.pool, caller, self.logins, self.cache)
    }
}
