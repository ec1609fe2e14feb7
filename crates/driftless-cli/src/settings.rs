//! From flags and variables to an open client.

mod logins;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use driftless::store::MemoryStore;
use driftless::transport::{
    Endpoint, EndpointError, EnvironmentCredentials, HyperTransport, Transport,
};
use driftless::{
    Client, ClientBuilder, Dataset, DatasetName, IdentityId, IdentityPoolId, OpenError,
};

use crate::exit::{Exit, Failure};
use crate::settings::logins::LoginSettings;

/// Signed for where a service has an address of its own and no region was given.
pub(crate) const DEFAULT_REGION: &str = "us-east-1";

/// The flags and the variables that name a service.
const NO_SERVICE: (&str, &str) = ("--endpoint or --region", "DRIFTLESS_ENDPOINT or AWS_REGION");

/// The variable that stands for `--dataset`.
const DATASET: &str = "DRIFTLESS_DATASET";

/// Where data are and whose they are.
#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// The directory of this device's store, made where it is missing
    #[arg(long, global = true, env = "DRIFTLESS_STORE", value_name = "DIR")]
    store: Option<PathBuf>,
    /// The URL of the service; Amazon Cognito Sync in --region by default
    #[arg(long, global = true, env = "DRIFTLESS_ENDPOINT", value_name = "URL")]
    endpoint: Option<String>,
    /// The region that requests are signed for; us-east-1 by default where --endpoint is given
    #[arg(long, global = true, env = "AWS_REGION", value_name = "REGION")]
    region: Option<String>,
    /// The identity pool, such as `us-east-1:` and a UUID
    #[arg(long, global = true, env = "DRIFTLESS_POOL", value_name = "ID")]
    pool: Option<IdentityPoolId>,
    /// The identity whose data these are; without one they cannot be synced, and go to the first one given
    #[arg(long, global = true, env = "DRIFTLESS_IDENTITY", value_name = "ID")]
    identity: Option<IdentityId>,
    /// Go on with what is left of a store that lost edits; said once, it is not needed again
    #[arg(long, global = true)]
    accept_loss: bool,
    #[command(flatten)]
    pub(crate) logins: LoginSettings,
}

impl Settings {
    /// Opens the client, runs a command on it, and closes it whatever came of it.
    pub(crate) fn with_client<T>(
        &self,
        run: impl FnOnce(&Client) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let client = self.open()?;
        let done = run(&client);
        let closed = client.close();
        let done = done?;
        closed?;
        Ok(done)
    }

    /// As [`with_client`](Self::with_client), with a dataset of it.
    pub(crate) fn with_dataset<T>(
        &self,
        name: &DatasetName,
        run: impl FnOnce(&Dataset) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.with_client(|client| run(&client.dataset(name.as_str())?))
    }

    /// As [`with_client`](Self::with_client), but a store that is missing is not made: for commands that only read it.
    pub(crate) fn with_existing_client<T>(
        &self,
        run: impl FnOnce(&Client) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.check_store()?;
        self.with_client(run)
    }

    /// As [`with_existing_client`](Self::with_existing_client), with a dataset that must be in the store.
    pub(crate) fn with_existing_dataset<T>(
        &self,
        name: &DatasetName,
        run: impl FnOnce(&Dataset) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.with_existing_client(|client| run(&existing(client, name)?))
    }

    /// As [`with_client`](Self::with_client), for what only asks the service: where there is no store, none is made, and
    /// the client keeps in memory what it notes.
    pub(crate) fn with_passing_client<T>(
        &self,
        run: impl FnOnce(&Client) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if self.has_store()? {
            return self.with_client(run);
        }
        let builder = Client::with_store(Arc::new(MemoryStore::new()));
        run(&self.opened(builder)??)
    }

    /// Refuses a store that is missing.
    pub(crate) fn check_store(&self) -> Result<(), Failure> {
        if self.has_store()? {
            return Ok(());
        }
        let message = format!(
            "there is no store in {}; correct --store, or make one by an edit or a sync",
            self.store()?.display()
        );
        Err(Failure::new(Exit::Io, message))
    }

    /// Tells whether there is a store, or anything that opening it has to look at; an empty directory would become one.
    fn has_store(&self) -> Result<bool, Failure> {
        let store = self.store()?;
        match fs::read_dir(store) {
            Ok(mut entries) => Ok(entries.next().is_some()),
            Err(error) => match error.kind() {
                ErrorKind::NotFound | ErrorKind::NotADirectory => Ok(false),
                _ => {
                    let message = format!("cannot read {}: {error}", store.display());
                    Err(Failure::new(Exit::Io, message))
                }
            },
        }
    }

    pub(crate) fn pool(&self) -> Result<IdentityPoolId, Failure> {
        let pool = self.pool.clone();
        pool.ok_or_else(|| unset("--pool", "DRIFTLESS_POOL"))
    }

    fn open(&self) -> Result<Client, Failure> {
        match self.try_open(self.accept_loss)? {
            Err(OpenError::Lost { what }) => {
                let message = format!(
                    "the store lost acknowledged edits: {what}; what is left is whole, and nothing more is lost: say \
                     --accept-loss once to go on with it, and a sync brings back what the service knows"
                );
                Err(Failure::new(Exit::Damaged, message))
            }
            opened => Ok(opened?),
        }
    }

    /// Opens the client, and gives the error of the store by itself.
    pub(crate) fn try_open(&self, accept_loss: bool) -> Result<Result<Client, OpenError>, Failure> {
        let mut builder = Client::builder(self.store()?);
        if accept_loss || self.accept_loss {
            builder = builder.accept_loss();
        }
        self.opened(builder)
    }

    /// Says whose data these are and where the service is, and opens the client.
    fn opened(&self, builder: ClientBuilder) -> Result<Result<Client, OpenError>, Failure> {
        let pool = self.pool()?;
        let mut builder = builder.pool(pool.clone());
        if let Some(identity) = &self.identity {
            builder = builder.identity(identity.clone());
        }
        let endpoint = self.service()?;
        if !self.logins.is_pool() {
            if let Some(endpoint) = endpoint {
                builder = builder.transport(transport(endpoint));
            }
            return Ok(builder.open());
        }
        let endpoint = endpoint.ok_or_else(|| unset(NO_SERVICE.0, NO_SERVICE.1))?;
        let region = endpoint.signing_region().to_owned();
        let identities = self
            .logins
            .builder(pool, self.endpoint.as_deref(), &region)?;
        // The client gives the pool to whoever makes the transport, at once.
        let (sender, receiver) = std::sync::mpsc::channel();
        builder = builder.identity_pool(identities, move |pool| {
            drop(sender.send(Arc::clone(&pool)));
            Arc::new(HyperTransport::builder(endpoint, pool).build())
        });
        let opened = builder.open();
        receiver.iter().for_each(|pool| self.logins.opened(pool));
        Ok(opened)
    }

    /// Returns where the service is, or `None` if neither address nor region was given.
    fn service(&self) -> Result<Option<Endpoint>, Failure> {
        let region = self.region.as_deref();
        Ok(match &self.endpoint {
            Some(url) => {
                let region = region.unwrap_or(DEFAULT_REGION);
                Some(endpoint_at("--endpoint", url, region)?)
            }
            None => region.map(Endpoint::region).transpose()?,
        })
    }

    pub(crate) fn identity(&self) -> Result<IdentityId, Failure> {
        let identity = self.identity.clone();
        identity.ok_or_else(|| unset("--identity", "DRIFTLESS_IDENTITY"))
    }

    /// Returns the service by itself, and how it was named.
    pub(crate) fn service_and_name(&self) -> Result<(Arc<dyn Transport>, String), Failure> {
        let (Some(endpoint), Some(name)) = (
            self.service()?,
            self.endpoint.as_ref().or(self.region.as_ref()),
        ) else {
            return Err(unset(NO_SERVICE.0, NO_SERVICE.1));
        };
        let transport = match self.logins.pool() {
            Some(pool) => Arc::new(HyperTransport::builder(endpoint, pool).build()),
            None => transport(endpoint),
        };
        Ok((transport, name.clone()))
    }

    /// Returns the directory of the store, which may be missing.
    pub(crate) fn store(&self) -> Result<&Path, Failure> {
        let store = self.store.as_deref();
        store.ok_or_else(|| unset("--store", "DRIFTLESS_STORE"))
    }

    /// Tells whether there is all that a sync needs.
    pub(crate) fn has_service(&self) -> Result<bool, Failure> {
        let has_identity = self.identity.is_some() || self.logins.is_pool();
        Ok(has_identity && self.service()?.is_some())
    }

    /// Refuses what a sync needs and is not there, before anything is opened.
    pub(crate) fn check_for_sync(&self) -> Result<(), Failure> {
        if !self.logins.is_pool() {
            self.identity()?;
        }
        if self.service()?.is_none() {
            return Err(unset(NO_SERVICE.0, NO_SERVICE.1));
        }
        Ok(())
    }

    /// Refuses what only an identity pool can do.
    pub(crate) fn check_for_pool(&self) -> Result<(), Failure> {
        match self.logins.is_pool() {
            true => Ok(()),
            false => Err(unset(
                "--guest or --login",
                "DRIFTLESS_GUEST or DRIFTLESS_LOGIN",
            )),
        }
    }
}

/// Opens a dataset that is in the store: a name that was mistyped would look like an empty one.
pub(crate) fn existing(client: &Client, name: &DatasetName) -> Result<Dataset, Failure> {
    match client.datasets()?.contains(name) {
        true => Ok(client.dataset(name.as_str())?),
        false => Err(not_in_store(name)),
    }
}

pub(crate) fn not_in_store(name: &DatasetName) -> Failure {
    let message = format!(
        "dataset {name} is not in the store; `list --datasets` tells which are, and a sync brings what the service has"
    );
    Failure::new(Exit::NotFound, message)
}

/// Returns the dataset that is meant, or `None` where `--all` was given.
pub(crate) fn dataset_or_all(
    named: Option<DatasetName>,
    is_all: bool,
) -> Result<Option<DatasetName>, Failure> {
    match is_all {
        true => Ok(None),
        false => dataset_or_default(named, "--all").map(Some),
    }
}

/// Returns the dataset that a flag names, or else that of the environment.
///
/// The parser cannot do it where another flag may stand in the flag's place: it takes the variable for the flag, and refuses
/// the other one beside it.
pub(crate) fn dataset_or_default(
    named: Option<DatasetName>,
    instead: &str,
) -> Result<DatasetName, Failure> {
    if let Some(name) = named {
        return Ok(name);
    }
    let text = std::env::var(DATASET).unwrap_or_default();
    if text.is_empty() {
        return Err(unset(&format!("--dataset or {instead}"), DATASET));
    }
    text.parse()
        .map_err(|error| Failure::usage(format!("{DATASET}: {error}")))
}

/// Reads the URL that a flag or its variable gives, and names the flag if it is none.
pub(crate) fn endpoint_at(flag: &str, url: &str, region: &str) -> Result<Endpoint, Failure> {
    Endpoint::url(url, region).map_err(|error| match error {
        EndpointError::Region => error.into(),
        _ => {
            let why = Failure::from(error).messages().join(": ");
            Failure::usage(format!("{flag}: {why}"))
        }
    })
}

fn transport(endpoint: Endpoint) -> Arc<dyn Transport> {
    let credentials = EnvironmentCredentials::new(|name| std::env::var(name).ok());
    Arc::new(HyperTransport::builder(endpoint, Arc::new(credentials)).build())
}

fn unset(flag: &str, variable: &str) -> Failure {
    Failure::usage(format!("give {flag}, or set {variable}"))
}
