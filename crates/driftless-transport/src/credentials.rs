//! What requests are signed with, and where it comes from.

use std::fmt;

use driftless_wire::{ApiError, IdentityId, Timestamp};
use thiserror::Error;

use crate::error::BoxError;
use crate::transport::BoxFuture;

/// An access key, its secret, and the session that both belong to.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The access key id.
    pub access_key_id: String,
    /// The secret access key.
    pub secret_access_key: String,
    /// The session token; credentials of an identity always have one.
    pub session_token: Option<String>,
    /// When the service stops taking them, if that is known.
    pub expires_at: Option<Timestamp>,
}

/// Shows nothing that is secret, nor the access key id, which names an account.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Why there is nothing to sign with.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// A setting is absent or empty. Set it.
    #[error("{0} is not set")]
    Missing(&'static str),
    /// The credentials cannot stand in a request, often for a line break at the end. Correct them.
    #[error("credentials cannot stand in a request")]
    Unusable(#[source] BoxError),
    /// Whoever gives out credentials cannot be reached or failed. It may succeed later.
    #[error("credentials are not available")]
    Unavailable(#[source] BoxError),
    /// Whoever gives out credentials gives none: a pool without guests, an expired login. Log in
    /// anew, or correct the pool.
    #[error("credentials were refused")]
    Refused(#[source] ApiError),
    /// The device is another identity by now. End the session and begin one as that one; what
    /// becomes of the data of the one before is told by
    /// [`IdentityPool::identity`](crate::IdentityPool::identity).
    #[error("the identity has changed")]
    OtherIdentity {
        /// The identity that the request is about.
        asked: IdentityId,
        /// The identity that there are credentials for.
        now: IdentityId,
    },
}

/// Gives out credentials.
///
/// It is asked before each request, so a provider that fetches its credentials keeps them, and
/// fetches the next ones before they expire.
pub trait CredentialsProvider: Send + Sync + fmt::Debug {
    /// Returns credentials that are good now.
    fn credentials(&self) -> BoxFuture<'_, Result<Credentials, CredentialsError>>;

    /// Returns others than `refused`, which have expired or which the service does not know.
    ///
    /// Several exchanges can ask at once: a provider that already holds others than `refused`
    /// answers with those. One that has no others answers with the same, and the exchange gives up;
    /// so does the default.
    fn renew<'a>(
        &'a self,
        refused: &'a Credentials,
    ) -> BoxFuture<'a, Result<Credentials, CredentialsError>> {
        let _ = refused;
        self.credentials()
    }

    /// Returns credentials for a request about an identity, or about none.
    ///
    /// A provider whose credentials belong to one identity refuses others with
    /// [`CredentialsError::OtherIdentity`]; the default knows of no identities.
    fn credentials_for<'a>(
        &'a self,
        identity: Option<&'a IdentityId>,
    ) -> BoxFuture<'a, Result<Credentials, CredentialsError>> {
        let _ = identity;
        self.credentials()
    }

    /// As [`renew`](Self::renew), for a request about an identity, or about none.
    fn renew_for<'a>(
        &'a self,
        identity: Option<&'a IdentityId>,
        refused: &'a Credentials,
    ) -> BoxFuture<'a, Result<Credentials, CredentialsError>> {
        let _ = identity;
        self.renew(refused)
    }
}

/// Always the same credentials.
#[derive(Debug, Clone)]
pub struct StaticCredentials(Credentials);

impl StaticCredentials {
    /// Makes a provider of these credentials.
    #[must_use]
    pub fn new(credentials: Credentials) -> Self {
        Self(credentials)
    }
}

impl CredentialsProvider for StaticCredentials {
    fn credentials(&self) -> BoxFuture<'_, Result<Credentials, CredentialsError>> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

const ACCESS_KEY_ID: &str = "AWS_ACCESS_KEY_ID";
const SECRET_ACCESS_KEY: &str = "AWS_SECRET_ACCESS_KEY";
const SESSION_TOKEN: &str = "AWS_SESSION_TOKEN";

type LookUp = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The credentials in the variables that all AWS tools read.
///
/// It is given the look-up rather than reading the environment, which belongs to the program:
///
/// ```
/// use driftless_transport::EnvironmentCredentials;
///
/// let provider = EnvironmentCredentials::new(|name| std::env::var(name).ok());
/// # assert_eq!(format!("{provider:?}"), "EnvironmentCredentials { .. }");
/// ```
pub struct EnvironmentCredentials {
    look_up: LookUp,
}

impl EnvironmentCredentials {
    /// Makes a provider that looks up `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, if it is
    /// set, `AWS_SESSION_TOKEN` each time it is asked.
    pub fn new(look_up: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self {
            look_up: Box::new(look_up),
        }
    }

    fn find(&self, name: &'static str) -> Result<String, CredentialsError> {
        let found = (self.look_up)(name).filter(|value| !value.is_empty());
        found.ok_or(CredentialsError::Missing(name))
    }

    fn read(&self) -> Result<Credentials, CredentialsError> {
        Ok(Credentials {
            access_key_id: self.find(ACCESS_KEY_ID)?,
            secret_access_key: self.find(SECRET_ACCESS_KEY)?,
            session_token: self.find(SESSION_TOKEN).ok(),
            expires_at: None,
        })
    }
}

impl CredentialsProvider for EnvironmentCredentials {
    fn credentials(&self) -> BoxFuture<'_, Result<Credentials, CredentialsError>> {
        Box::pin(async { self.read() })
    }
}

impl fmt::Debug for EnvironmentCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvironmentCredentials")
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(set: &'static [(&str, &str)]) -> Result<Credentials, CredentialsError> {
        let find = |name: &str| {
            set.iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| (*v).to_owned())
        };
        EnvironmentCredentials::new(find).read()
    }

    #[test]
    fn environment_may_have_no_session() {
        let credentials = read(&[(ACCESS_KEY_ID, "id"), (SECRET_ACCESS_KEY, "secret")]).unwrap();
        assert_eq!(credentials.access_key_id, "id");
        assert_eq!(credentials.session_token, None);
    }

    #[test]
    fn error_names_the_missing_variable() {
        let error = read(&[(ACCESS_KEY_ID, "id"), (SECRET_ACCESS_KEY, "")]).unwrap_err();
        assert_eq!(error.to_string(), "AWS_SECRET_ACCESS_KEY is not set");
    }

    #[test]
    fn debug_shows_no_part_of_the_credentials() {
        let credentials = read(&[
            (ACCESS_KEY_ID, "hidden1"),
            (SECRET_ACCESS_KEY, "hidden2"),
            (SESSION_TOKEN, "hidden3"),
        ]);
        let provider = StaticCredentials::new(credentials.unwrap());
        assert!(!format!("{provider:?}").contains("hidden"));
    }
}
