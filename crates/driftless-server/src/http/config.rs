//! What a server is made of and what it allows.

use std::sync::Arc;
use std::time::Duration;

use driftless_wire::IdentityPoolId;

use super::fault::Fault;
use crate::gate::Gate;
use crate::key_pair::KeyPair;
use crate::pool::Pool;
use crate::push_sink::PushSink;
use crate::service::{Limits, Service};

/// What a [`Server`](crate::Server) is made of: a service, who may call it, and limits.
#[derive(Debug)]
pub struct Config {
    pub(super) gate: Gate,
    pub(super) fault: Option<Arc<dyn Fault>>,
    pub(super) max_body_bytes: usize,
    pub(super) max_head_bytes: usize,
    pub(super) max_headers: usize,
    pub(super) max_connections: usize,
    pub(super) max_in_storage: u32,
    pub(super) header_timeout: Duration,
    pub(super) request_timeout: Duration,
    pub(super) connection_age: Duration,
    pub(super) stop_timeout: Duration,
}

impl Config {
    /// Returns a configuration with `key_pair` for the operator, and limits that suit the
    /// service's quotas.
    #[must_use]
    pub fn new(service: Service, key_pair: KeyPair) -> Self {
        Self {
            gate: Gate::new(service, key_pair),
            fault: None,
            // A dataset of 1 MiB is up to six times as long in JSON, if all of it is escaped.
            max_body_bytes: 8 * 1024 * 1024,
            max_head_bytes: 64 * 1024,
            max_headers: 64,
            max_connections: 256,
            max_in_storage: 32,
            header_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            connection_age: Duration::from_secs(600),
            stop_timeout: Duration::from_secs(10),
        }
    }

    /// Sets what datasets and identities may hold; the service's quotas by default.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.gate.service = self.gate.service.with_limits(limits);
        self
    }

    /// Gives identities of a pool to whom `pool` lets in; by default there is none that does.
    #[must_use]
    pub fn with_pool(mut self, id: IdentityPoolId, pool: Pool) -> Self {
        self.gate.service = self.gate.service.with_pool(id, pool);
        self
    }

    /// Sets what carries hints of pushes to devices; by default nothing does.
    #[must_use]
    pub fn with_push_sink(mut self, sink: Arc<dyn PushSink>) -> Self {
        self.gate.service = self.gate.service.with_push_sink(sink);
        self
    }

    /// Sets how long a body may be; 8 MiB by default. It is held in memory, once for each
    /// connection at worst.
    #[must_use]
    pub fn with_max_body_bytes(mut self, bytes: usize) -> Self {
        self.max_body_bytes = bytes;
        self
    }

    /// Sets how many connections are served at once; 256 by default. Others wait to be accepted.
    #[must_use]
    pub fn with_max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// Sets how long a head may take, from when the connection is idle; 10 seconds by default.
    /// So it is also how long an idle connection is kept.
    #[must_use]
    pub fn with_header_timeout(mut self, timeout: Duration) -> Self {
        self.header_timeout = timeout;
        self
    }

    /// Sets how long a request may take from its head to its answer; 30 seconds by default. A
    /// write that is under way then happens nevertheless, as after any lost answer.
    #[must_use]
    pub fn with_request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// Sets how long begun requests have when the server stops; 10 seconds by default.
    #[must_use]
    pub fn with_stop_timeout(mut self, timeout: Duration) -> Self {
        self.stop_timeout = timeout;
        self
    }

    /// Makes requests fail as `fault` says, for tests of clients.
    #[must_use]
    pub fn with_fault(mut self, fault: Arc<dyn Fault>) -> Self {
        self.fault = Some(fault);
        self
    }
}
