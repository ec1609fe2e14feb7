//! Who uses the device: a guest of the identity pool, or whoever has logged in.
//!
//! With one of these settings the identity comes from Cognito Identity, or a service that speaks its API, and requests are
//! signed with its temporary credentials; without them the identity is given, and a key pair signs.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use clap::Args;
use clap::builder::BoolishValueParser;
use driftless::transport::{
    BoxError, BoxFuture, Endpoint, IdentityPool, IdentityPoolBuilder, LoginsSource,
};
use driftless::wire::identity::Logins;
use driftless::{Client, IdentityPoolId};
use tokio::runtime::Runtime;

use crate::args::secret::Secret;
use crate::exit::Failure;
use crate::settings::endpoint_at;

#[derive(Debug, Args)]
pub(crate) struct LoginSettings {
    /// Be a guest of the identity pool, the same one at each command
    #[arg(long, global = true, env = "DRIFTLESS_GUEST", value_parser = BoolishValueParser::new())]
    guest: bool,
    /// Be who has logged in at a provider, as PROVIDER=TOKEN; better given by the variable than by the flag, and never shown
    #[arg(
        long,
        global = true,
        env = "DRIFTLESS_LOGIN",
        value_name = "LOGIN",
        hide_env_values = true
    )]
    login: Vec<Secret>,
    /// The URL of Cognito Identity; by default that of --endpoint, or Amazon's in --region
    #[arg(
        long,
        global = true,
        env = "DRIFTLESS_IDENTITY_ENDPOINT",
        value_name = "URL"
    )]
    identity_endpoint: Option<String>,
    #[arg(skip)]
    pool: Pool,
}

/// The pool that the client was opened with, for whoever makes requests beside it.
#[derive(Default)]
struct Pool(Mutex<Option<Arc<IdentityPool>>>);

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pool")
    }
}

impl LoginSettings {
    /// Tells whether the identity is the pool's to say.
    pub(crate) fn is_pool(&self) -> bool {
        self.guest || !self.login.is_empty()
    }

    /// Returns a builder of the pool, whose answers are kept in the store that it is given to.
    pub(crate) fn builder(
        &self,
        pool: IdentityPoolId,
        url: Option<&str>,
        region: &str,
    ) -> Result<IdentityPoolBuilder, Failure> {
        let endpoint = match (self.identity_endpoint.as_deref(), url) {
            (Some(url), _) => endpoint_at("--identity-endpoint", url, region)?,
            (None, Some(url)) => endpoint_at("--endpoint", url, region)?,
            (None, None) => Endpoint::identity(region)?,
        };
        let logins = self.logins()?;
        Ok(IdentityPool::builder(pool, endpoint).logins(Arc::new(Given(logins))))
    }

    /// Reads the logins. What is wrong is told without quoting any, for a token may be in it.
    fn logins(&self) -> Result<Logins, Failure> {
        if self.guest && !self.login.is_empty() {
            let message = "who has logged in is no guest: give --guest or --login, not both";
            return Err(Failure::usage(message));
        }
        self.login.iter().try_fold(Logins::none(), |logins, login| {
            match login.expose().split_once('=') {
                Some((provider, token)) if !provider.is_empty() && !token.is_empty() => {
                    Ok(logins.with(provider, token))
                }
                _ => Err(Failure::usage("--login is PROVIDER=TOKEN")),
            }
        })
    }

    /// Takes note of the pool that the client asks.
    pub(crate) fn opened(&self, pool: Arc<IdentityPool>) {
        *self.lock() = Some(pool);
    }

    /// Returns the pool that the client asks, if there is one.
    pub(crate) fn pool(&self) -> Option<Arc<IdentityPool>> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<IdentityPool>>> {
        // It is replaced whole, so a panic leaves nothing half done.
        self.pool.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the pool whose data to show; to be called before datasets are opened for requests. Without a pool it does nothing.
    pub(crate) fn identify(&self, client: &Client, runtime: &Runtime) -> Result<(), Failure> {
        if self.is_pool() {
            runtime.block_on(client.identify())?;
        }
        Ok(())
    }
}

/// Logins that were given, which nobody renews: a command is over before they expire.
#[derive(Debug)]
struct Given(Logins);

impl LoginsSource for Given {
    fn logins(&self) -> BoxFuture<'_, Result<Logins, BoxError>> {
        let logins = self.0.clone();
        Box::pin(async { Ok(logins) })
    }
}
