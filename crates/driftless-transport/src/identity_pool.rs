//! Credentials of an identity pool: as a guest, or with logins.
//!
//! [`IdentityPool`] asks Cognito Identity who this device is and for credentials that last an hour,
//! and asks anew before they expire: one refresh at a time, which all that wait for it share.
//!
//! **The identity can change at any refresh**: a guest that logs in may be merged into another
//! identity, an identity may be gone or refused. So credentials are only ever given out for the
//! identity that a request is about; for another one there is
//! [`CredentialsError::OtherIdentity`], and nothing is sent. Whoever runs a session asks
//! [`IdentityPool::identity`] first, keeps to the answer, and at that error ends the session, asks
//! again, and sees by the [`Origin`] what the change means for the data. The [`IdentityCache`] has
//! heard of it before: a device that stops in between does not lose it.

mod builder;
mod cache;
mod call;
mod logins;

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use driftless_wire::identity::{GetCredentialsForIdentityResponse, Logins};
use driftless_wire::{ApiError, ErrorCode, IdentityId, IdentityPoolId, Timestamp};
use tokio::sync::Mutex;
use tracing::debug;

pub use self::builder::IdentityPoolBuilder;
pub use self::cache::{Identity, IdentityCache, MemoryCache, Origin};
use self::call::Caller;
pub use self::logins::{Guest, LoginsSource};
use crate::credentials::{Credentials, CredentialsError, CredentialsProvider};
use crate::endpoint::Endpoint;
use crate::transport::BoxFuture;

/// Credentials that last no longer than this are refreshed, as the Android client did.
const REFRESH_MILLIS: i64 = 500 * 1_000;

/// How long an early refresh that failed is not tried again.
const PAUSE_MILLIS: i64 = 30 * 1_000;

/// A [`CredentialsProvider`] over Cognito Identity, or a server that speaks its API.
///
/// Nothing is asked before credentials are needed. It is shared by reference; a future of it may
/// be dropped at any time.
pub struct IdentityPool {
    pool: IdentityPoolId,
    caller: Caller,
    logins: Arc<dyn LoginsSource>,
    cache: Arc<dyn IdentityCache>,
    state: Mutex<State>,
    /// Counts the refreshes that failed.
    failures: AtomicU64,
    /// Counts the changes of logins.
    epoch: AtomicU64,
}

#[derive(Default)]
struct State {
    identity: Option<Identity>,
    kept: Option<Kept>,
    failure: Option<Arc<CredentialsError>>,
    paused_until: Option<Timestamp>,
    /// The identity and the logins of a request of which no answer came: it may have merged the identity into that of the
    /// logins.
    in_doubt: Option<(IdentityId, Logins)>,
}

/// Credentials, whose they are, and the logins that they are for.
#[derive(Clone)]
struct Kept {
    identity: Identity,
    credentials: Credentials,
    epoch: u64,
}

impl IdentityPool {
    /// Begins a provider of identities of `pool`; `endpoint` is that of Cognito Identity,
    /// [`Endpoint::identity`], or of a server of one's own.
    pub fn builder(pool: IdentityPoolId, endpoint: Endpoint) -> IdentityPoolBuilder {
        IdentityPoolBuilder::new(pool, endpoint)
    }

    pub(crate) fn new(
        pool: IdentityPoolId,
        caller: Caller,
        logins: Arc<dyn LoginsSource>,
        cache: Arc<dyn IdentityCache>,
    ) -> Self {
        Self {
            pool,
            caller,
            logins,
            cache,
            state: Mutex::default(),
            failures: AtomicU64::new(0),
            epoch: AtomicU64::new(0),
        }
    }

    /// Returns who this device is now, and what made it so.
    ///
    /// It costs nothing while there are credentials that last, else a refresh: one request, or two
    /// where there is no identity yet or the last one is gone.
    ///
    /// # Errors
    ///
    /// [`CredentialsError::Refused`] if the service says no, [`CredentialsError::Unavailable`] if
    /// it, the logins or the cache cannot be asked now. What was known before still holds.
    pub async fn identity(&self) -> Result<Identity, CredentialsError> {
        Ok(self.kept(None).await?.identity)
    }

    /// Makes the next request ask for credentials with the logins as they are then.
    ///
    /// To be called when somebody has logged in or out. Requests that are on their way end as they
    /// began.
    pub fn logins_changed(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    /// Returns credentials that last, and are others than `refused`.
    async fn kept(&self, refused: Option<&Credentials>) -> Result<Kept, CredentialsError> {
        let failures = self.failures.load(Ordering::SeqCst);
        let mut state = self.state.lock().await;
        let epoch = self.epoch.load(Ordering::SeqCst);
        let kept = state.kept.clone();
        let kept = kept
            .filter(|kept| kept.epoch == epoch && Some(&kept.credentials) != refused)
            .filter(|kept| kept.lasts(self.caller.now(), 0));
        if let Some(kept) = &kept
            && !state.wants_refresh(kept, self.caller.now())
        {
            return Ok(kept.clone());
        }
        // One that failed while this waited for its end is as good as one of its own.
        if self.failures.load(Ordering::SeqCst) != failures
            && let Some(failure) = &state.failure
        {
            return Err(shared(failure));
        }
        state.paused_until = None;
        let error = match self.refresh(&mut state, epoch).await {
            Ok(kept) => return Ok(kept),
            Err(error) => error,
        };
        if let Some(kept) = kept {
            debug!(%error, "early refresh of credentials failed");
            let end = self.caller.now().as_millis().saturating_add(PAUSE_MILLIS);
            state.paused_until = Some(Timestamp::from_millis(end));
            return Ok(kept);
        }
        let error = Arc::new(error);
        self.failures.fetch_add(1, Ordering::SeqCst);
        state.failure = Some(Arc::clone(&error));
        Err(shared(&error))
    }

    async fn refresh(&self, state: &mut State, epoch: u64) -> Result<Kept, CredentialsError> {
        // Before the logins: a cache can tell by this call that somebody signed out since they were read.
        let cached = self
            .cache
            .get(&self.pool)
            .await
            .map_err(CredentialsError::Unavailable)?;
        let logins = self
            .logins
            .logins()
            .await
            .map_err(CredentialsError::Unavailable)?;
        let (asked, answer) = match cached {
            None => self.anew(state, Origin::New, &logins).await?,
            Some(id) => match self.known(state, &id, &logins).await? {
                Ok(answer) => (id, answer),
                Err(origin) => self.anew(state, origin, &logins).await?,
            },
        };
        let id = answer.identity_id;
        if id != asked {
            self.become_identity(state, id.clone(), Origin::Merged(asked))
                .await?;
        }
        let known = state.identity.clone().filter(|known| known.id == id);
        let kept = Kept {
            identity: known.unwrap_or_else(|| Identity::cached(id)),
            credentials: Credentials {
                access_key_id: answer.credentials.access_key_id,
                secret_access_key: answer.credentials.secret_key,
                session_token: Some(answer.credentials.session_token),
                expires_at: Some(answer.credentials.expiration),
            },
            epoch,
        };
        state.kept = Some(kept.clone());
        Ok(kept)
    }

    /// Asks for credentials of an identity that is known, or tells why it is this device's no more.
    ///
    /// A guest that is disabled after a request with the same logins whose answer never came was merged by that request.
    async fn known(
        &self,
        state: &mut State,
        id: &IdentityId,
        logins: &Logins,
    ) -> Result<Result<GetCredentialsForIdentityResponse, Origin>, CredentialsError> {
        let asking = (!logins.is_empty()).then(|| (id.clone(), logins.clone()));
        // Whoever waits may stop to, with the request on its way.
        let before = std::mem::replace(&mut state.in_doubt, asking.clone());
        let was_in_doubt = asking.is_some() && before == asking;
        let (answer, is_in_doubt) = self.caller.credentials(id, logins).await;
        let may_be_merged = was_in_doubt || (asking.is_some() && is_in_doubt);
        let error = match answer {
            Ok(answer) => {
                state.in_doubt = None;
                return Ok(Ok(answer));
            }
            Err(CredentialsError::Refused(error)) => error,
            Err(error) => {
                state.in_doubt = asking.filter(|_| may_be_merged);
                return Err(error);
            }
        };
        state.in_doubt = None;
        match lost(&error, id) {
            Some(Origin::Disabled(guest)) if may_be_merged => Ok(Err(Origin::Merged(guest))),
            Some(origin) => Ok(Err(origin)),
            None => Err(CredentialsError::Refused(error)),
        }
    }

    /// Asks for an identity, and for credentials of it once it is kept: a guest would be another
    /// one the next time.
    async fn anew(
        &self,
        state: &mut State,
        origin: Origin,
        logins: &Logins,
    ) -> Result<(IdentityId, GetCredentialsForIdentityResponse), CredentialsError> {
        let id = self.caller.id(&self.pool, logins).await?;
        self.become_identity(state, id.clone(), origin).await?;
        let (answer, _) = self.caller.credentials(&id, logins).await;
        Ok((id, answer?))
    }

    async fn become_identity(
        &self,
        state: &mut State,
        id: IdentityId,
        origin: Origin,
    ) -> Result<(), CredentialsError> {
        let identity = Identity { id, origin };
        let set = self.cache.set(&self.pool, &identity).await;
        set.map_err(CredentialsError::Unavailable)?;
        state.identity = Some(identity);
        Ok(())
    }
}

impl CredentialsProvider for IdentityPool {
    fn credentials(&self) -> BoxFuture<'_, Result<Credentials, CredentialsError>> {
        Box::pin(async { Ok(self.kept(None).await?.credentials) })
    }

    fn renew<'a>(
        &'a self,
        refused: &'a Credentials,
    ) -> BoxFuture<'a, Result<Credentials, CredentialsError>> {
        Box::pin(async { Ok(self.kept(Some(refused)).await?.credentials) })
    }

    fn credentials_for<'a>(
        &'a self,
        identity: Option<&'a IdentityId>,
    ) -> BoxFuture<'a, Result<Credentials, CredentialsError>> {
        Box::pin(async move { self.kept(None).await?.for_identity(identity) })
    }

    fn renew_for<'a>(
        &'a self,
        identity: Option<&'a IdentityId>,
        refused: &'a Credentials,
    ) -> BoxFuture<'a, Result<Credentials, CredentialsError>> {
        Box::pin(async move { self.kept(Some(refused)).await?.for_identity(identity) })
    }
}

impl fmt::Debug for IdentityPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityPool")
            .field("pool", &self.pool)
            .finish_non_exhaustive()
    }
}

impl State {
    /// Whether these should be replaced soon, and an earlier try has not just failed.
    fn wants_refresh(&self, kept: &Kept, now: Timestamp) -> bool {
        let is_paused = self.paused_until.is_some_and(|end| now < end);
        !is_paused && !kept.lasts(now, REFRESH_MILLIS)
    }
}

impl Kept {
    fn lasts(&self, now: Timestamp, millis: i64) -> bool {
        let end = now.as_millis().saturating_add(millis);
        self.credentials
            .expires_at
            .is_none_or(|at| at.as_millis() > end)
    }

    fn for_identity(self, asked: Option<&IdentityId>) -> Result<Credentials, CredentialsError> {
        match asked {
            Some(asked) if *asked != self.identity.id => Err(CredentialsError::OtherIdentity {
                asked: asked.clone(),
                now: self.identity.id,
            }),
            _ => Ok(self.credentials),
        }
    }
}

/// What has become of an identity, if its refusal tells that another must be asked for.
///
/// The types do not tell these apart from a bad token, so the service's own words must; in other
/// words it is an error, and nothing is dropped.
fn lost(error: &ApiError, id: &IdentityId) -> Option<Origin> {
    let says = |text| error.message.contains(text);
    match &error.code {
        ErrorCode::ResourceNotFound => Some(Origin::Lost(id.clone())),
        ErrorCode::Unknown(name) if name == "ValidationException" => Some(Origin::Lost(id.clone())),
        ErrorCode::NotAuthorized if says("is forbidden") => Some(Origin::Disabled(id.clone())),
        ErrorCode::NotAuthorized if says("Logins don't match") => Some(Origin::Refused(id.clone())),
        _ => None,
    }
}

/// The failure of a refresh as each that waited for it gets it.
fn shared(failure: &Arc<CredentialsError>) -> CredentialsError {
    match &**failure {
        CredentialsError::Refused(error) => CredentialsError::Refused(error.clone()),
        _ => CredentialsError::Unavailable(Box::new(Shared(Arc::clone(failure)))),
    }
}

#[derive(Debug)]
struct Shared(Arc<CredentialsError>);

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refresh failed")
    }
}

impl Error for Shared {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}
