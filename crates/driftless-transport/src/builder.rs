//! The options of a [`HyperTransport`], each with its default.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock, Timer, TokioTimer};
use crate::connection::Connection;
use crate::courier::Courier;
use crate::credentials::CredentialsProvider;
use crate::endpoint::Endpoint;
use crate::exchange::HyperTransport;

/// Builds a [`HyperTransport`].
#[derive(Debug)]
#[must_use = "nothing happens until it is built"]
pub struct HyperTransportBuilder {
    endpoint: Endpoint,
    credentials: Arc<dyn CredentialsProvider>,
    connect_timeout: Duration,
    request_timeout: Duration,
    max_answer_bytes: usize,
    attempts: u32,
    clock: Arc<dyn Clock>,
    timer: Arc<dyn Timer>,
    jitter_seed: Option<u64>,
    courier: Option<Arc<dyn Courier>>,
}

impl HyperTransportBuilder {
    pub(crate) fn new(endpoint: Endpoint, credentials: Arc<dyn CredentialsProvider>) -> Self {
        Self {
            endpoint,
            credentials,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            max_answer_bytes: 8 * 1_024 * 1_024,
            attempts: 4,
            clock: Arc::new(SystemClock),
            timer: Arc::new(TokioTimer),
            jitter_seed: None,
            courier: None,
        }
    }

    /// How long a TCP connection may take to stand; 5 seconds.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long one request may take, from connecting to the last byte of its answer; 30 seconds.
    ///
    /// An update that takes longer has an unknown outcome, which costs a list.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// How long an answer may be, and so how much memory one takes; 8 MiB.
    ///
    /// A full dataset is listed in about 1 MB, and in up to six times that if all of it is escaped.
    pub fn max_answer_bytes(mut self, bytes: usize) -> Self {
        self.max_answer_bytes = bytes;
        self
    }

    /// How often a request is sent if it is throttled or lost on the way; 4 times, and at least
    /// once.
    ///
    /// The waits between are random and at most 0.2, 0.4, 0.8 … 10 seconds.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// The clock that requests are signed by; the operating system's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The timer that waits between two attempts; tokio's.
    pub fn timer(mut self, timer: Arc<dyn Timer>) -> Self {
        self.timer = timer;
        self
    }

    /// The seed of the random waits; by default the operating system gives one.
    pub fn jitter_seed(mut self, seed: u64) -> Self {
        self.jitter_seed = Some(seed);
        self
    }

    /// What carries each request; by default hyper does, over sockets.
    ///
    /// Another one answers for time-outs and the length of answers itself: the settings of those
    /// have no effect then.
    pub fn courier(mut self, courier: Arc<dyn Courier>) -> Self {
        self.courier = Some(courier);
        self
    }

    /// Builds the transport. It connects when something is exchanged.
    #[must_use]
    pub fn build(self) -> HyperTransport {
        // Without randomness devices may wait alike, which is no reason not to sync.
        let seed = self
            .jitter_seed
            .or_else(|| getrandom::u64().ok())
            .unwrap_or_default();
        let courier = self.courier.unwrap_or_else(|| {
            Arc::new(Connection::new(
                self.connect_timeout,
                self.request_timeout,
                self.max_answer_bytes,
            ))
        });
        HyperTransport::new(
            self.endpoint,
            self.credentials,
            courier,
            self.attempts,
            (self.clock, self.timer, seed),
        )
    }
}
