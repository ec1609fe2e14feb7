//! GetId and GetCredentialsForIdentity: who somebody is, and what they sign with.
//!
//! A login belongs to one identity for ever. An identity without logins is a guest's. A guest that
//! comes with a login which nobody had keeps its id and is a guest no more; with one that another
//! identity has, it is merged into that one (`service/merges.rs`) and disabled.
//!
//! Every change is planned on the notes that were read and made if they still stand, so that of two
//! calls at once with one login only one makes an identity.

use driftless_wire::identity::{
    GetCredentialsForIdentityRequest, GetCredentialsForIdentityResponse, GetIdRequest,
    GetIdResponse, IdentityRequest, IdentityResponse, Logins,
};
use driftless_wire::{ApiError, ErrorCode, IdentityId, IdentityPoolId, Timestamp};
use serde::{Deserialize, Serialize};

use super::notes::Note;
use super::{ATTEMPTS, Service};
use crate::login::{Login, LoginError};
use crate::pool::Pool;
use crate::storage::{NoteChange, Owner, Swap};

/// Characters of the pool's region that an identity's id begins with, so that a UUID has room.
const REGION_CHARS: usize = 18;

/// What is known of an identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct IdentityRow {
    pub(super) pool: IdentityPoolId,
    /// The keys of its logins' notes.
    logins: Vec<String>,
    /// The identity that has its data now; it is disabled.
    pub(super) merged_into: Option<IdentityId>,
    /// Identities whose datasets are still to be moved here.
    pub(super) absorbing: Vec<IdentityId>,
}

/// The note that says whose a login is.
type Link = Note<IdentityId>;

impl Service {
    /// Answers a request to Cognito Identity, which nobody has signed. What it changed is durable
    /// before this returns.
    ///
    /// Blocks as long as the storage and the verifiers of logins do.
    ///
    /// # Errors
    ///
    /// What the service would answer instead; see [`ApiError::of_identity`] for its status there.
    /// After `InternalErrorException` a write may or may not have happened; asking again does no
    /// harm, but for another identity of a guest.
    pub fn identify(
        &self,
        request: IdentityRequest,
        now: Timestamp,
    ) -> Result<IdentityResponse, ApiError> {
        match request {
            IdentityRequest::GetId(request) => {
                self.get_id(&request, now).map(IdentityResponse::GetId)
            }
            IdentityRequest::GetCredentialsForIdentity(request) => self
                .get_credentials(&request, now)
                .map(IdentityResponse::GetCredentialsForIdentity),
            _ => Err(ApiError::new(
                ErrorCode::UnknownOperation,
                "no such operation",
            )),
        }
    }

    fn get_id(&self, request: &GetIdRequest, now: Timestamp) -> Result<GetIdResponse, ApiError> {
        let id = &request.identity_pool_id;
        let pool = self.pool(id)?;
        let logins = verified(pool, id, &request.logins, now)?;
        if logins.is_empty() {
            check_guests(pool)?;
        }
        for _ in 0..ATTEMPTS {
            let links = self.links(&logins)?;
            let (identity_id, note) = match owners(&links)[..] {
                [] => self.new_identity(id),
                [owner] => (owner.clone(), self.identity(owner)?),
                _ => return Err(login_of_another()),
            };
            if self.link(&identity_id, &note, id, &links)? == Swap::Done {
                return Ok(GetIdResponse { identity_id });
            }
        }
        Err(busy())
    }

    fn get_credentials(
        &self,
        request: &GetCredentialsForIdentityRequest,
        now: Timestamp,
    ) -> Result<GetCredentialsForIdentityResponse, ApiError> {
        for _ in 0..ATTEMPTS {
            let (owner, swap) = self.log_in(request, now)?;
            if swap == Swap::Moved {
                continue;
            }
            self.absorb(&owner)?;
            let credentials = self.mint.issue(&owner, self.tokens.draw_nonce(), now);
            return Ok(GetCredentialsForIdentityResponse {
                identity_id: owner.identity,
                credentials,
            });
        }
        Err(busy())
    }

    /// Returns whose credentials are due, and whether the notes now say so.
    fn log_in(
        &self,
        request: &GetCredentialsForIdentityRequest,
        now: Timestamp,
    ) -> Result<(Owner, Swap), ApiError> {
        let asked = &request.identity_id;
        let note = self.identity(asked)?;
        let row = note.value.as_ref().ok_or_else(|| not_found(asked))?;
        if row.merged_into.is_some() {
            return Err(forbidden(asked));
        }
        let pool = self.pool(&row.pool)?;
        let logins = verified(pool, &row.pool, &request.logins, now)?;
        let links = self.links(&logins)?;
        let is_guest = row.logins.is_empty();
        let (identity, swap) = match owners(&links)[..] {
            [] if !is_guest => return Err(no_login_matches()),
            [] if logins.is_empty() => {
                check_guests(pool)?;
                (asked, Swap::Done)
            }
            [] => (asked, self.link(asked, &note, &row.pool, &links)?),
            [known] if known == asked => (asked, self.link(asked, &note, &row.pool, &links)?),
            [survivor] if is_guest => (survivor, self.merge(asked, &note, survivor, &links)?),
            [_] => return Err(no_login_matches()),
            _ => return Err(login_of_another()),
        };
        let owner = Owner {
            pool: row.pool.clone(),
            identity: identity.clone(),
        };
        Ok((owner, swap))
    }

    /// Gives the logins that nobody has to an identity.
    fn link(
        &self,
        id: &IdentityId,
        note: &Note<IdentityRow>,
        pool: &IdentityPoolId,
        links: &[Link],
    ) -> Result<Swap, ApiError> {
        let known = note.value.clone();
        let mut row = known.clone().unwrap_or_else(|| IdentityRow {
            pool: pool.clone(),
            logins: Vec::new(),
            merged_into: None,
            absorbing: Vec::new(),
        });
        let mut changes = taken(&mut row, id, links);
        if known.as_ref() == Some(&row) {
            return Ok(Swap::Done);
        }
        changes.push(note.set(&row));
        self.swap_notes(&changes)
    }

    /// Disables a guest and gives its datasets to the survivor, which moves them when it is next
    /// asked for.
    fn merge(
        &self,
        guest: &IdentityId,
        guest_note: &Note<IdentityRow>,
        survivor: &IdentityId,
        links: &[Link],
    ) -> Result<Swap, ApiError> {
        let survivor_note = self.identity(survivor)?;
        let (Some(mut row), Some(mut guest_row)) =
            (survivor_note.value.clone(), guest_note.value.clone())
        else {
            return Err(not_found(survivor));
        };
        let mut changes = taken(&mut row, survivor, links);
        row.absorbing.push(guest.clone());
        guest_row.merged_into = Some(survivor.clone());
        changes.extend([survivor_note.set(&row), guest_note.set(&guest_row)]);
        self.swap_notes(&changes)
    }

    /// Refuses an identity that was merged into another.
    pub(super) fn check_enabled(&self, id: &IdentityId) -> Result<(), ApiError> {
        match self.identity(id)?.value {
            Some(row) if row.merged_into.is_some() => Err(forbidden(id)),
            _ => Ok(()),
        }
    }

    pub(super) fn identity(&self, id: &IdentityId) -> Result<Note<IdentityRow>, ApiError> {
        self.note(identity_key(id))
    }

    fn links(&self, logins: &[String]) -> Result<Vec<Link>, ApiError> {
        logins.iter().map(|key| self.note(key.clone())).collect()
    }

    fn new_identity(&self, pool: &IdentityPoolId) -> (IdentityId, Note<IdentityRow>) {
        let (region, _) = pool.as_str().split_once(':').unwrap_or_default();
        let region = &region[..region.len().min(REGION_CHARS)];
        let id = format!("{region}:{}", uuid(self.tokens.draw_nonce()));
        let id = IdentityId::try_from(id).expect("a region and a UUID are an identity id");
        let note = Note::absent(identity_key(&id));
        (id, note)
    }

    fn pool(&self, id: &IdentityPoolId) -> Result<&Pool, ApiError> {
        self.pools.get(id).ok_or_else(|| {
            let message = format!("IdentityPool '{id}' not found.");
            ApiError::new(ErrorCode::ResourceNotFound, message)
        })
    }
}

/// Adds the logins that nobody has to a row; returns how their notes change, and that the others
/// stay.
fn taken(row: &mut IdentityRow, id: &IdentityId, links: &[Link]) -> Vec<NoteChange> {
    let mut changes = Vec::with_capacity(links.len() + 2);
    for link in links {
        if link.value.is_some() {
            changes.push(link.keep());
            continue;
        }
        row.logins.push(link.key().to_owned());
        changes.push(link.set(id));
    }
    changes
}

/// The identities that have these logins, each once.
fn owners(links: &[Link]) -> Vec<&IdentityId> {
    let mut owners: Vec<_> = links
        .iter()
        .filter_map(|link| link.value.as_ref())
        .collect();
    owners.sort_unstable();
    owners.dedup();
    owners
}

/// Returns the keys of the logins' notes, if each provider vouches for its own.
fn verified(
    pool: &Pool,
    id: &IdentityPoolId,
    logins: &Logins,
    now: Timestamp,
) -> Result<Vec<String>, ApiError> {
    let key = |(provider, token)| {
        let login = Login {
            pool: id,
            provider,
            token,
        };
        let verifier = pool.verifier(provider).ok_or_else(|| {
            not_authorized("Invalid login token. The pool has no such provider.".to_owned())
        })?;
        let subject = verifier.verify(&login, now).map_err(refused)?;
        // The length keeps a provider with a slash apart from another with a longer subject.
        Ok(format!(
            "login/{id}/{}:{provider}/{}",
            provider.len(),
            subject.as_str()
        ))
    };
    logins.iter().map(key).collect()
}

fn refused(error: LoginError) -> ApiError {
    if let LoginError::Unavailable(_) = error {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "cannot verify a login"
        );
        return ApiError::new(ErrorCode::ExternalService, error.to_string());
    }
    not_authorized(error.to_string())
}

fn check_guests(pool: &Pool) -> Result<(), ApiError> {
    if pool.takes_guests() {
        return Ok(());
    }
    Err(not_authorized(
        "Unauthenticated access is not supported for this identity pool.".to_owned(),
    ))
}

fn identity_key(id: &IdentityId) -> String {
    format!("identity/{id}")
}

/// Writes random bytes as a UUID of version 4.
pub(super) fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = data_encoding::HEXLOWER.encode(&bytes);
    let [a, b, c, d, e] = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    format!("{a}-{b}-{c}-{d}-{e}")
}

fn not_authorized(message: String) -> ApiError {
    ApiError::new(ErrorCode::NotAuthorized, message)
}

/// In the words that old clients and amplify-js look for.
fn forbidden(id: &IdentityId) -> ApiError {
    not_authorized(format!("Access to Identity '{id}' is forbidden."))
}

fn no_login_matches() -> ApiError {
    let message = "Logins don't match. Please include at least one valid login for this identity \
                   or identity pool.";
    not_authorized(message.to_owned())
}

fn login_of_another() -> ApiError {
    let message = "Logins are linked to more than one identity";
    ApiError::new(ErrorCode::ResourceConflict, message)
}

fn not_found(id: &IdentityId) -> ApiError {
    ApiError::new(
        ErrorCode::ResourceNotFound,
        format!("Identity '{id}' not found."),
    )
}

fn busy() -> ApiError {
    ApiError::new(
        ErrorCode::TooManyRequests,
        "too many concurrent logins of this identity",
    )
}
