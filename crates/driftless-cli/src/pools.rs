//! The file that tells a service its identity pools.
//!
//! ```json
//! { "us-east-1:…": { "guests": true, "logins": { "login.example": { "key-file": "login.key" } } } }
//! ```
//!
//! A key file is as the key's owner has it, but for a line break at its end; its path is relative
//! to the pools' file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use driftless::IdentityPoolId;
use driftless_server::{Pool, SharedKeyLogins};
use serde::Deserialize;

use crate::exit::{Exit, Failure};
use crate::files::{self, Unambiguous};

/// Room for many pools; a key has some dozen bytes.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// What is in the file.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Pools {
    pools: BTreeMap<IdentityPoolId, PoolForm>,
    #[serde(skip)]
    directory: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PoolForm {
    #[serde(default)]
    guests: bool,
    #[serde(default)]
    logins: BTreeMap<String, LoginsForm>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct LoginsForm {
    key_file: PathBuf,
}

impl Pools {
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let text = files::read(path, MAX_BYTES)?;
        // Of two pools with one id, the last would open to whom the first does not name.
        serde_json::from_slice::<Unambiguous>(&text)
            .map_err(|error| unusable(path, Exit::Input, error))?;
        let mut pools: Self =
            serde_json::from_slice(&text).map_err(|error| unusable(path, Exit::Input, error))?;
        pools.directory = path.parent().unwrap_or(Path::new("")).to_owned();
        Ok(pools)
    }

    /// Returns each pool as the service has it.
    pub(crate) fn open(&self) -> Result<Vec<(IdentityPoolId, Pool)>, Failure> {
        let open = |(id, form): (&IdentityPoolId, &PoolForm)| {
            let mut pool = Pool::new();
            if form.guests {
                pool = pool.with_guests();
            }
            for (provider, logins) in &form.logins {
                pool = pool.with_logins(provider, Arc::new(self.key(logins)?));
            }
            Ok((id.clone(), pool))
        };
        self.pools.iter().map(open).collect()
    }

    /// Returns what signs logins of a provider.
    pub(crate) fn logins(
        &self,
        pool: &IdentityPoolId,
        provider: &str,
    ) -> Result<SharedKeyLogins, Failure> {
        let logins = self
            .pools
            .get(pool)
            .and_then(|form| form.logins.get(provider));
        let logins =
            logins.ok_or_else(|| Failure::usage(format!("{pool} has no provider {provider}")))?;
        self.key(logins)
    }

    fn key(&self, logins: &LoginsForm) -> Result<SharedKeyLogins, Failure> {
        let path = self.directory.join(&logins.key_file);
        let mut key = files::read(&path, MAX_BYTES)?;
        while key.last().is_some_and(|byte| b"\r\n".contains(byte)) {
            key.pop();
        }
        SharedKeyLogins::new(&key).map_err(|error| unusable(&path, Exit::Input, error))
    }
}

fn unusable(path: &Path, exit: Exit, error: impl std::fmt::Display) -> Failure {
    Failure::new(exit, format!("cannot use {}: {error}", path.display()))
}
