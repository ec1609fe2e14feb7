//! The directory of a server: its store, its operator's key pair and the key of its tokens.
//!
//! ```text
//! credentials   the key pair, as an AWS shared credentials file, mode 0600
//! token-key     the key that session tokens and temporary credentials are made with, mode 0600
//! store/        the datasets, a fjall database
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::http::Config;
use crate::key_pair::{KeyPair, load_or_create_key_pair, load_or_create_token_key, random};
use crate::service::Service;
use crate::storage::{FjallStorage, StorageError};

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A file or directory cannot be read or made, or is not what it should be.
    #[error("cannot use {}", path.display())]
    File {
        /// The place.
        path: PathBuf,
        /// What is the matter with it.
        source: io::Error,
    },
    /// The store cannot be opened; [`StorageError::InUse`] means that a server runs on it.
    #[error("cannot open the store in {}", path.display())]
    Store {
        /// The place.
        path: PathBuf,
        /// What is the matter with it.
        source: StorageError,
    },
}

/// An opened directory of a server.
#[derive(Debug)]
pub struct DataDir {
    credentials: PathBuf,
    key_pair: KeyPair,
    config: Config,
}

impl DataDir {
    /// Opens a directory, and makes it and what is missing in it.
    ///
    /// Blocks while fjall recovers its store.
    ///
    /// # Errors
    ///
    /// The first place that cannot be used. What was made until then stays.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        make_private(path).map_err(at(path))?;
        let credentials = path.join("credentials");
        let key_pair = load_or_create_key_pair(&credentials).map_err(at(&credentials))?;
        let config = Self::open_for(path, key_pair.clone())?;
        Ok(Self {
            credentials,
            key_pair,
            config,
        })
    }

    /// Returns the configuration of a server on a directory for callers who hold `key_pair`, which
    /// comes from elsewhere and is not kept in it.
    ///
    /// Blocks while fjall recovers its store.
    ///
    /// # Errors
    ///
    /// The first place that cannot be used. What was made until then stays.
    pub fn open_for(path: &Path, key_pair: KeyPair) -> Result<Config, OpenError> {
        make_private(path).map_err(at(path))?;
        let token_key = path.join("token-key");
        let key = load_or_create_token_key(&token_key).map_err(at(&token_key))?;
        let seed = random().map_err(at(path))?;
        let store = path.join("store");
        let storage = FjallStorage::open(&store).map_err(|source| OpenError::Store {
            path: store,
            source,
        })?;
        let service = Service::new(Arc::new(storage), key, seed);
        Ok(Config::new(service, key_pair))
    }

    /// Returns where the key pair is: what to show to people instead of it.
    #[must_use]
    pub fn credentials(&self) -> &Path {
        &self.credentials
    }

    /// Returns the key pair.
    #[must_use]
    pub fn key_pair(&self) -> &KeyPair {
        &self.key_pair
    }

    /// Returns the configuration of a server on this directory.
    #[must_use]
    pub fn into_config(self) -> Config {
        self.config
    }
}

fn make_private(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::File { path, source }
}
