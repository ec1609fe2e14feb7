//! A server on a loopback port, and clients that speak to it over real HTTP with real signatures.

use std::path::Path;
use std::sync::Arc;

use driftless::transport::{Credentials, Endpoint, HyperTransport, StaticCredentials};
use driftless::{Client, ClientBuilder};
use driftless_server::{Config, KeyPair, Server};
use tokio::runtime::Runtime;

use crate::device::service;

/// The pool of all benchmarks.
pub const POOL: &str = "us-east-1:00000000-0000-0000-0000-000000000001";

/// The identity of all benchmarks.
pub const IDENTITY: &str = "us-east-1:00000000-0000-0000-0000-00000000000a";

const KEY_ID: &str = "AKIDBENCH";
const SECRET: &str = "a-secret-of-the-benchmarks";

/// A server with its runtime; it ends with the value.
#[derive(Debug)]
pub struct Loopback {
    runtime: Runtime,
    url: String,
}

impl Loopback {
    /// Starts a server that keeps everything in memory.
    ///
    /// # Panics
    ///
    /// If the system gives no thread or port.
    #[must_use]
    pub fn start() -> Self {
        let runtime = Runtime::new().expect("the system gives threads");
        let config = Config::new(service(), KeyPair::new(KEY_ID, SECRET));
        let any_port = "127.0.0.1:0".parse().expect("the address is well-formed");
        let server = runtime
            .block_on(Server::bind(any_port, config))
            .expect("a loopback port is free");
        let url = format!("http://{}", server.local_addr());
        runtime.spawn(server.run(std::future::pending()));
        Self { runtime, url }
    }

    /// Returns the runtime, for clients.
    #[must_use]
    pub const fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Opens a client in a directory.
    ///
    /// # Panics
    ///
    /// If it cannot be opened.
    #[must_use]
    pub fn client(&self, path: &Path, set: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Client {
        let credentials = Credentials {
            access_key_id: KEY_ID.to_owned(),
            secret_access_key: SECRET.to_owned(),
            session_token: None,
            expires_at: None,
        };
        let endpoint = Endpoint::url(&self.url, "us-east-1").expect("the endpoint is well-formed");
        let transport =
            HyperTransport::builder(endpoint, Arc::new(StaticCredentials::new(credentials)))
                .build();
        let builder = Client::builder(path)
            .pool(POOL.parse().expect("the pool is well-formed"))
            .identity(IDENTITY.parse().expect("the identity is well-formed"))
            .transport(Arc::new(transport));
        set(builder).open().expect("the directory is ours")
    }
}
