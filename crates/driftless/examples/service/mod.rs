//! What the examples share: a service in this process, and devices that reach it. An app has neither: it names a region.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use driftless::transport::{Credentials, Endpoint, HyperTransport, StaticCredentials, Transport};
use driftless::{Client, ClientBuilder};
use driftless_server::{DataDir, Server};
use tempfile::TempDir;

pub(crate) type Failure = Box<dyn Error>;

/// A service on a loopback port, and the directory in which it and the devices keep their data while this lives.
pub(crate) struct Service {
    home: TempDir,
    transport: Arc<dyn Transport>,
}

impl Service {
    pub(crate) async fn start() -> Result<Self, Failure> {
        let home = tempfile::tempdir()?;
        let data = DataDir::open(&home.path().join("service"))?;
        let credentials = StaticCredentials::new(Credentials {
            access_key_id: data.key_pair().access_key_id().into(),
            secret_access_key: data.key_pair().secret_access_key().into(),
            session_token: None,
            expires_at: None,
        });
        let server = Server::bind("127.0.0.1:0".parse()?, data.into_config()).await?;
        let endpoint = Endpoint::url(&format!("http://{}", server.local_addr()), "us-east-1")?;
        tokio::spawn(server.run(std::future::pending()));
        let transport = HyperTransport::builder(endpoint, Arc::new(credentials)).build();
        Ok(Self {
            home,
            transport: Arc::new(transport),
        })
    }

    /// Returns what opens a device of the one person that there is.
    pub(crate) fn device(&self, name: &str) -> Result<ClientBuilder, Failure> {
        let store: PathBuf = self.home.path().join(name);
        Ok(Client::builder(store)
            .pool("us-east-1:00000000-0000-0000-0000-000000000001".parse()?)
            .identity("us-east-1:00000000-0000-0000-0000-00000000000a".parse()?)
            .transport(Arc::clone(&self.transport)))
    }
}
