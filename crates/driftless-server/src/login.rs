//! Who somebody is, by the word of a provider of logins.
//!
//! A pool names its providers, and for each a [`LoginVerifier`]; a token that none of them vouches
//! for is refused. There is one verifier here, [`SharedKeyLogins`], for whoever runs both the
//! service and what logs people in; those of other providers (OpenID Connect, with keys that are
//! fetched) are the embedding program's.

mod shared_key;

use std::error::Error;
use std::fmt;

use driftless_wire::{IdentityPoolId, Timestamp};

pub use self::shared_key::{SharedKeyLogins, ShortKey};

/// Characters of a subject: a subject of OpenID Connect has at most 255.
const SUBJECT_CHARS: usize = 255;

/// Tells whom a token is about.
pub trait LoginVerifier: fmt::Debug + Send + Sync {
    /// Returns whom the token is about, if the provider gave it, for this pool, and it is in time.
    ///
    /// It may block; the HTTP shell calls it off its own threads.
    ///
    /// # Errors
    ///
    /// [`LoginError::Unavailable`] if that cannot be told now; else why the token is none.
    fn verify(&self, login: &Login<'_>, now: Timestamp) -> Result<Subject, LoginError>;
}

/// A token, and what it is for. `Debug` does not show the token.
#[derive(Clone, Copy)]
pub struct Login<'a> {
    /// The pool whose identity is asked for.
    pub pool: &'a IdentityPoolId,
    /// The provider's name, as the pool has it.
    pub provider: &'a str,
    /// What the provider gave.
    pub token: &'a str,
}

impl fmt::Debug for Login<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("pool", self.pool)
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}

/// The name that a provider has for a person, for ever: 1 to 255 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject(String);

impl Subject {
    /// Returns the subject of that name, if it can be one.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Option<Self> {
        let name = name.into();
        (1..=SUBJECT_CHARS)
            .contains(&name.chars().count())
            .then_some(Self(name))
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a token does not show who somebody is.
///
/// The texts quote nothing of the token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// It has not the form of the provider's tokens.
    #[error("Invalid login token. Not a valid token of this provider.")]
    Malformed,
    /// The provider did not sign it.
    #[error("Invalid login token. Token signature invalid.")]
    Signature,
    /// It is for somebody else: another provider or another pool.
    #[error("Invalid login token. Issuer or audience doesn't match.")]
    Misdirected,
    /// It is too old, or not valid yet.
    #[error("Invalid login token. Token expired or not valid yet.")]
    OutOfTime,
    /// The provider cannot be asked now.
    #[error("the provider of logins is not available")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
}
