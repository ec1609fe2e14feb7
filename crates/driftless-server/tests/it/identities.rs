//! GetId and GetCredentialsForIdentity: guests, logins, and what is refused.

use std::sync::Arc;

use driftless_server::{
    FjallStorage, Login, LoginError, LoginVerifier, MemoryStorage, Pool, Service, Subject,
};
use driftless_wire::identity::{GetIdRequest, IdentityRequest, Logins};
use driftless_wire::{ErrorCode, Timestamp};

use crate::support::{PROVIDER, World, login, login_at, open_pool, pool, refused, shared_key};

const NO_MATCH: &str = "Logins don't match. Please include at least one valid login for this \
                        identity or identity pool.";

pub(crate) fn world() -> World {
    let service = Service::new(Arc::new(MemoryStorage::new()), [1; 32], [2; 32]);
    World::of(service.with_pool(pool(), open_pool()))
}

fn closed(pool_config: Pool) -> World {
    let service = Service::new(Arc::new(MemoryStorage::new()), [1; 32], [2; 32]);
    World::of(service.with_pool(pool(), pool_config))
}

#[test]
fn each_guest_is_a_new_identity_of_the_pools_region() {
    let world = world();
    let (first, second) = (world.get_id(Logins::none()), world.get_id(Logins::none()));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_ne!(first, second);
    let (region, uuid) = first.as_str().split_once(':').unwrap();
    assert_eq!(region, "us-east-1");
    let lengths: Vec<_> = uuid.split('-').map(str::len).collect();
    assert_eq!(lengths, [8, 4, 4, 4, 12]);
    assert_eq!(&uuid[14..15], "4");
}

#[test]
fn login_is_one_identity_for_ever() {
    let world = world();
    let ann = world.get_id(login("ann")).unwrap();
    assert_eq!(world.get_id(login("ann")).unwrap(), ann);
    assert_ne!(world.get_id(login("bob")).unwrap(), ann);
    assert_ne!(world.get_id(login_at("other.example", "ann")).unwrap(), ann);
    assert_eq!(
        world
            .get_credentials(&ann, login("ann"))
            .unwrap()
            .identity_id,
        ann
    );
}

#[test]
fn provider_with_a_slash_is_apart_from_a_subject_with_one() {
    let pool_config = Pool::new()
        .with_logins("a", Arc::new(shared_key()))
        .with_logins("a/b", Arc::new(shared_key()));
    let world = closed(pool_config);
    let first = world.get_id(login_at("a", "b/c")).unwrap();
    assert_ne!(world.get_id(login_at("a/b", "c")).unwrap(), first);
}

#[test]
fn identities_and_credentials_outlive_the_server() {
    let directory = tempfile::tempdir().unwrap();
    let open = |seed| {
        let storage = Arc::new(FjallStorage::open(directory.path()).unwrap());
        World::of(Service::new(storage, [1; 32], [seed; 32]).with_pool(pool(), open_pool()))
    };
    let world = open(2);
    let (ann, guest) = (
        world.get_id(login("ann")).unwrap(),
        world.get_id(Logins::none()).unwrap(),
    );
    drop(world);
    let world = open(3);
    assert_eq!(world.get_id(login("ann")).unwrap(), ann);
    world.get_credentials(&guest, Logins::none()).unwrap();
}

#[test]
fn guest_with_a_login_that_nobody_had_keeps_its_id_and_is_a_guest_no_more() {
    let world = world();
    let guest = world.get_id(Logins::none()).unwrap();
    assert_eq!(
        world
            .get_credentials(&guest, login("ann"))
            .unwrap()
            .identity_id,
        guest
    );
    assert_eq!(world.get_id(login("ann")).unwrap(), guest);
    refused(
        world.get_credentials(&guest, Logins::none()),
        ErrorCode::NotAuthorized,
        NO_MATCH,
    );
}

#[test]
fn identity_takes_further_logins_beside_one_that_it_has() {
    let world = world();
    let ann = world.get_id(login("ann")).unwrap();
    let second = login_at("other.example", "a");
    let both = second
        .iter()
        .fold(login("ann"), |logins, (p, t)| logins.with(p, t));
    assert_eq!(world.get_credentials(&ann, both).unwrap().identity_id, ann);
    assert_eq!(world.get_id(login_at("other.example", "a")).unwrap(), ann);
}

#[test]
fn logins_of_two_identities_conflict() {
    let world = world();
    let ann = world.get_id(login("ann")).unwrap();
    let bob = login_at("other.example", "bob");
    world.get_id(bob.clone()).unwrap();
    let both = bob
        .iter()
        .fold(login("ann"), |logins, (p, t)| logins.with(p, t));
    let message = "Logins are linked to more than one identity";
    refused(
        world.get_id(both.clone()),
        ErrorCode::ResourceConflict,
        message,
    );
    refused(
        world.get_credentials(&ann, both),
        ErrorCode::ResourceConflict,
        message,
    );
}

#[test]
fn trap_31_no_login_opens_the_identity_of_another() {
    let world = world();
    let ann = world.get_id(login("ann")).unwrap();
    let bob = world.get_id(login("bob")).unwrap();
    for logins in [Logins::none(), login("bob"), login("new")] {
        refused(
            world.get_credentials(&ann, logins),
            ErrorCode::NotAuthorized,
            NO_MATCH,
        );
    }
    assert_eq!(
        world
            .get_credentials(&bob, login("bob"))
            .unwrap()
            .identity_id,
        bob
    );
    assert_ne!(
        world.get_id(login("new")).unwrap(),
        ann,
        "the refusal linked nothing"
    );
}

#[test]
fn unknown_pool_or_identity_is_not_found() {
    let world = world();
    let unknown = "us-east-1:0".parse().unwrap();
    let message = "Identity 'us-east-1:0' not found.";
    let credentials = world.get_credentials(&unknown, Logins::none());
    refused(credentials, ErrorCode::ResourceNotFound, message);
    let message = format!("IdentityPool '{}' not found.", pool());
    refused(
        World::new().get_id(Logins::none()),
        ErrorCode::ResourceNotFound,
        &message,
    );
}

#[test]
fn pool_takes_nobody_that_it_was_not_told_to() {
    let guests = "Unauthenticated access is not supported for this identity pool.";
    let provider = "Invalid login token. The pool has no such provider.";
    let nobody = closed(Pool::new());
    refused(
        nobody.get_id(Logins::none()),
        ErrorCode::NotAuthorized,
        guests,
    );
    refused(
        nobody.get_id(login("ann")),
        ErrorCode::NotAuthorized,
        provider,
    );
    let only_logins = closed(Pool::new().with_logins(PROVIDER, Arc::new(shared_key())));
    refused(
        only_logins.get_id(Logins::none()),
        ErrorCode::NotAuthorized,
        guests,
    );
    only_logins.get_id(login("ann")).unwrap();
}

#[test]
fn token_that_its_provider_did_not_give_is_refused() {
    let world = world();
    let with = |token: &str| Logins::none().with(PROVIDER, token);
    let malformed = "Invalid login token. Not a valid token of this provider.";
    refused(
        world.get_id(with("ann")),
        ErrorCode::NotAuthorized,
        malformed,
    );
    let other = login_at("other.example", "ann");
    let (_, token) = other.iter().next().unwrap();
    let misdirected = "Invalid login token. Issuer or audience doesn't match.";
    refused(
        world.get_id(with(token)),
        ErrorCode::NotAuthorized,
        misdirected,
    );
    let old = shared_key().sign(
        &pool(),
        PROVIDER,
        &Subject::new("ann").unwrap(),
        Timestamp::from_millis(world.now().as_millis()),
    );
    let expired = "Invalid login token. Token expired or not valid yet.";
    refused(world.get_id(with(&old)), ErrorCode::NotAuthorized, expired);
}

#[derive(Debug)]
struct Down;

impl LoginVerifier for Down {
    fn verify(&self, _: &Login<'_>, _: Timestamp) -> Result<Subject, LoginError> {
        Err(LoginError::Unavailable("no route".into()))
    }
}

#[test]
fn provider_that_cannot_be_asked_is_told_apart() {
    let world = closed(Pool::new().with_logins(PROVIDER, Arc::new(Down)));
    let message = "the provider of logins is not available";
    refused(
        world.get_id(login("ann")),
        ErrorCode::ExternalService,
        message,
    );
}

#[test]
fn of_concurrent_first_logins_all_get_one_identity() {
    let service = Service::new(Arc::new(MemoryStorage::new()), [1; 32], [2; 32]);
    let service = service.with_pool(pool(), open_pool());
    let now = Timestamp::from_millis(1_700_000_000_000);
    let ids: Vec<_> = std::thread::scope(|scope| {
        let ask = || {
            let request = GetIdRequest {
                identity_pool_id: pool(),
                logins: login("ann"),
            };
            service.identify(IdentityRequest::GetId(request), now)
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap().unwrap())
            .collect()
    });
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "{ids:?}");
}
