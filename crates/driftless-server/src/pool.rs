//! What an identity pool lets in: guests, and the logins of which providers.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::login::LoginVerifier;

/// Who gets an identity of a pool. By default nobody does.
///
/// ```
/// use std::sync::Arc;
///
/// use driftless_server::{Pool, SharedKeyLogins};
///
/// # fn main() -> Result<(), driftless_server::ShortKey> {
/// let logins = SharedKeyLogins::new(&[7; 32])?;
/// let pool = Pool::new().with_guests().with_logins("login.example", Arc::new(logins));
/// assert!(pool.takes_guests());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Pool {
    guests: bool,
    logins: BTreeMap<String, Arc<dyn LoginVerifier>>,
}

impl Pool {
    /// Returns a pool that lets nobody in.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives an identity to whoever asks.
    ///
    /// Each asks as often as they like, and each identity is kept for ever: put a limit on the
    /// rate in front of a server that strangers reach.
    #[must_use]
    pub fn with_guests(mut self) -> Self {
        self.guests = true;
        self
    }

    /// Gives each person whom `provider` knows an identity of their own; `verifier` tells whether
    /// a token is the provider's.
    #[must_use]
    pub fn with_logins(
        mut self,
        provider: impl Into<String>,
        verifier: Arc<dyn LoginVerifier>,
    ) -> Self {
        self.logins.insert(provider.into(), verifier);
        self
    }

    /// Returns whether guests get an identity.
    #[must_use]
    pub fn takes_guests(&self) -> bool {
        self.guests
    }

    pub(crate) fn verifier(&self, provider: &str) -> Option<&dyn LoginVerifier> {
        self.logins.get(provider).map(AsRef::as_ref)
    }
}
