//! Two devices edit offline, synchronize through a service, and agree.
use std::{error::Error, sync::Arc};

use driftless::transport::{Credentials, Endpoint, HyperTransport, StaticCredentials};
use driftless::{Client, Dataset};
use driftless_server::{DataDir, Server};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let home = tempfile::tempdir()?;
    // A service of our own on a free port; Amazon's is `Endpoint::region("eu-central-1")`.
    let service = DataDir::open(&home.path().join("service"))?;
    let credentials = StaticCredentials::new(Credentials {
        access_key_id: service.key_pair().access_key_id().into(),
        secret_access_key: service.key_pair().secret_access_key().into(),
        session_token: None,
        expires_at: None,
    });
    let server = Server::bind("127.0.0.1:0".parse()?, service.into_config()).await?;
    let endpoint = Endpoint::url(&format!("http://{}", server.local_addr()), "us-east-1")?;
    tokio::spawn(server.run(std::future::pending()));
    let transport = Arc::new(HyperTransport::builder(endpoint, Arc::new(credentials)).build());

    // Two devices of one person, each with a store of its own.
    let open = |device: &str| -> Result<Dataset, Box<dyn Error>> {
        let client = Client::builder(home.path().join(device))
            .pool("us-east-1:00000000-0000-0000-0000-000000000001".parse()?)
            .identity("us-east-1:00000000-0000-0000-0000-00000000000a".parse()?)
            .transport(transport.clone());
        Ok(client.open()?.dataset("trip")?)
    };
    let (phone, tablet) = (open("phone")?, open("tablet")?);
    phone.increment("nights", 2)?;
    tablet.increment("nights", 1)?;
    for device in [&phone, &tablet, &phone] {
        device.synchronize().await?;
    }
    assert_eq!(
        [phone.counter("nights"), tablet.counter("nights")],
        [Some(3), Some(3)]
    );
    Ok(())
}
