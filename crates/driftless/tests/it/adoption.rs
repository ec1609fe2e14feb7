//! What was made before anybody was known and cannot be moved to who adopts it.

use std::sync::Arc;

use driftless::store::{MemoryStore, Store};
use driftless::{
    Client, ClientBuilder, DatasetError, Durability, OpenError, Owner, Scope, Unsynced, Value,
};

use crate::failures::check_text;
use crate::service::POOL;

const ANN: &str = "us-east-1:00000000-0000-0000-0000-0000000000a1";
const BOB: &str = "us-east-1:00000000-0000-0000-0000-0000000000b1";

/// Opens a store for an identity, or for nobody.
fn open_as(store: &MemoryStore, identity: Option<&str>) -> Client {
    try_open_as(store, identity).unwrap()
}

fn try_open_as(store: &MemoryStore, identity: Option<&str>) -> Result<Client, OpenError> {
    as_identity(store, identity).open()
}

fn as_identity(store: &MemoryStore, identity: Option<&str>) -> ClientBuilder {
    let builder = Client::with_store(Arc::new(store.reopen())).pool(POOL.parse().unwrap());
    match identity {
        Some(identity) => builder.identity(identity.parse().unwrap()),
        None => builder,
    }
}

/// What was made before anybody was known, and what Ann has under the same op ids: the two cannot be joined.
fn store_with_what_cannot_be_moved() -> MemoryStore {
    let store = MemoryStore::new();
    for (identity, keys, value) in [
        (Some(ANN), &["key"][..], "ann's"),
        (None, &["key", "more"][..], "adopted"),
    ] {
        let builder = as_identity(&store, identity).seed([3; 32]);
        let client = builder.open().unwrap();
        let notes = client.dataset("notes").unwrap();
        keys.iter().for_each(|key| notes.put(*key, value).unwrap());
        client.close().unwrap();
    }
    store
}

fn value_in(client: &Client, dataset: &str) -> Option<Value> {
    client.dataset(dataset).unwrap().get("key")
}

#[test]
fn trap_31_what_could_not_be_moved_to_ann_waits_for_her_and_is_shown_to_nobody_else() {
    let store = store_with_what_cannot_be_moved();
    let ann = open_as(&store, Some(ANN));
    let change = ann.identity_changes().last().unwrap();
    assert_eq!(change.left.len(), 1);
    assert_eq!(value_in(&ann, "notes"), Some(Value::from("ann's")));

    ann.sign_out().unwrap();
    assert!(ann.datasets().unwrap().is_empty());
    assert!(ann.sizes().unwrap().is_empty());
    assert!(ann.catalog().unwrap().datasets.is_empty());
    let refused = ann.dataset("notes").unwrap_err();
    assert!(
        matches!(&refused, DatasetError::OtherIdentity { identity } if identity.as_str() == ANN)
    );
    let happened = format!("the dataset belongs to {ANN}, to whom it could not be moved");
    check_text(
        &refused,
        [
            &happened,
            "nothing was changed",
            "when that identity is known again",
        ],
    );
    ann.wipe(Scope::Identity, Unsynced::Lose).unwrap();
    ann.dataset("drafts").unwrap().put("key", "bob's").unwrap();
    ann.close().unwrap();

    let bob = open_as(&store, Some(BOB));
    let change = bob.identity_changes().last().unwrap();
    assert!(change.left.is_empty());
    assert_eq!(value_in(&bob, "drafts"), Some(Value::from("bob's")));
    assert_eq!(value_in(&bob, "notes"), None);
    bob.close().unwrap();
    let bob = open_as(&store, Some(BOB));
    assert_eq!(bob.identity_changes().last(), None, "nothing is moved");
    bob.close().unwrap();

    // Without what it contradicts it can be moved.
    let ann = open_as(&store, Some(ANN));
    ann.set_aside("notes").unwrap();
    ann.close().unwrap();
    let ann = open_as(&store, Some(ANN));
    assert_eq!(value_in(&ann, "notes"), Some(Value::from("adopted")));
    assert!(store.datasets(&Owner::Local).unwrap().is_empty());
    assert_eq!(store.setting("local-of").unwrap(), None);
}

/// A process may end while Ann adopts what is there, before or after any of it is moved.
#[test]
fn trap_31_what_a_crash_kept_from_being_moved_to_ann_is_hers() {
    let store = MemoryStore::new();
    let nobody = open_as(&store, None);
    nobody
        .dataset("notes")
        .unwrap()
        .put("key", "adopted")
        .unwrap();
    nobody.close().unwrap();
    let row = format!(r#"{{"version":1,"datasets":{{"notes":"{ANN}"}}}}"#);
    let set = store.set_setting("local-of", Some(row.as_bytes()), Durability::Disk);
    set.unwrap();
    assert_eq!(value_in(&open_as(&store, Some(BOB)), "notes"), None);
    let adopted = value_in(&open_as(&store, Some(ANN)), "notes");
    assert_eq!(adopted, Some(Value::from("adopted")));
    assert_eq!(store.setting("local-of").unwrap(), None);
}

#[test]
fn what_was_left_to_ann_and_set_aside_stands_in_nobodys_way() {
    let store = store_with_what_cannot_be_moved();
    let client = open_as(&store, Some(ANN));
    client.sign_out().unwrap();
    client.set_aside("notes").unwrap();
    client
        .dataset("notes")
        .unwrap()
        .put("key", "bob's")
        .unwrap();
    client.close().unwrap();
    let bob = open_as(&store, Some(BOB));
    assert_eq!(value_in(&bob, "notes"), Some(Value::from("bob's")));
}

#[test]
fn note_of_what_could_not_be_moved_that_is_not_understood_is_an_error_and_stays() {
    for row in [r#"{"version":2,"datasets":{}}"#, "torn"] {
        let store = store_with_what_cannot_be_moved();
        let set = store.set_setting("local-of", Some(row.as_bytes()), Durability::Disk);
        set.unwrap();
        let refused = try_open_as(&store, Some(BOB));
        assert!(
            matches!(refused, Err(OpenError::Identity(_))),
            "{refused:?}"
        );
        let refused = open_as(&store, None).dataset("notes");
        assert!(
            matches!(refused, Err(DatasetError::Store(_))),
            "{refused:?}"
        );
        assert_eq!(store.setting("local-of").unwrap().unwrap(), row.as_bytes());
        assert_eq!(store.datasets(&Owner::Local).unwrap().len(), 1);
    }
}
