//! A server on a loopback port, and devices that speak to it over real HTTP with real signatures.

use std::path::Path;
use std::sync::Arc;

use driftless::transport::{Credentials, Endpoint, HyperTransport, StaticCredentials};
use driftless::{Client, ClientBuilder};
use driftless_server::{Config, KeyPair, MemoryStorage, Server, Service as Core};
use tokio::sync::oneshot;

pub(crate) const POOL: &str = "us-east-1:00000000-0000-0000-0000-000000000001";
pub(crate) const IDENTITY: &str = "us-east-1:00000000-0000-0000-0000-00000000000a";
pub(crate) const SECRET: &str = "a-secret-that-only-tests-know";

/// A running server, which stops when it is dropped.
pub(crate) struct Service {
    pub(crate) url: String,
    stop: Option<oneshot::Sender<()>>,
}

impl Service {
    pub(crate) async fn start() -> Self {
        Self::start_with(SECRET).await
    }

    pub(crate) async fn start_with(secret: &str) -> Self {
        let core = Core::new(Arc::new(MemoryStorage::new()), [7; 32], [8; 32]);
        let config = Config::new(core, KeyPair::new("AKIDTEST", secret));
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), config)
            .await
            .unwrap();
        let url = format!("http://{}", server.local_addr());
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        Self {
            url,
            stop: Some(stop),
        }
    }

    pub(crate) fn device(&self, path: &Path) -> Client {
        self.builder(path, SECRET).open().unwrap()
    }

    pub(crate) fn builder(&self, path: &Path, secret: &str) -> ClientBuilder {
        let credentials = Credentials {
            access_key_id: "AKIDTEST".to_owned(),
            secret_access_key: secret.to_owned(),
            session_token: None,
            expires_at: None,
        };
        let endpoint = Endpoint::url(&self.url, "us-east-1").unwrap();
        let transport =
            HyperTransport::builder(endpoint, Arc::new(StaticCredentials::new(credentials)))
                .build();
        Client::builder(path)
            .pool(POOL.parse().unwrap())
            .identity(IDENTITY.parse().unwrap())
            .transport(Arc::new(transport))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }
}
