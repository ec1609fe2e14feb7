//! A guest that turns out to be somebody else: what becomes of its datasets and credentials.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use driftless_server::{
    Address, Caller, FjallStorage, Live, MemoryStorage, NoteChange, Owner, Push, Selection,
    Service, Storage, StorageError, Swap, View,
};
use driftless_wire::identity::Logins;
use driftless_wire::{
    ApiError, DatasetName, DeleteDatasetRequest, ErrorCode, IdentityId, ListRecordsRequest,
    ListRecordsResponse, RecordPatch, Request, Response, SyncCount, UpdateRecordsRequest,
};

use crate::identities::world;
use crate::support::{
    World, brief, caller, list_records, login, open_pool, pool, put, refused, remove,
};

impl World {
    fn list_of(
        &self,
        identity: &IdentityId,
        dataset: &str,
    ) -> Result<ListRecordsResponse, ApiError> {
        let request = ListRecordsRequest {
            identity_id: identity.clone(),
            ..list_records(dataset)
        };
        match self.handle_as(Request::ListRecords(request), &caller(identity))? {
            Response::ListRecords(response) => Ok(response),
            other => panic!("{other:?}"),
        }
    }

    fn push_of(
        &self,
        identity: &IdentityId,
        dataset: &str,
        record_patches: Vec<RecordPatch>,
    ) -> Result<Response, ApiError> {
        let token = self.list_of(identity, dataset)?.sync_session_token.unwrap();
        let request = UpdateRecordsRequest {
            identity_pool_id: pool(),
            identity_id: identity.clone(),
            dataset_name: dataset.parse().unwrap(),
            sync_session_token: token,
            device_id: None,
            record_patches,
        };
        self.handle_as(Request::UpdateRecords(request), &caller(identity))
    }

    fn delete_of(&self, identity: &IdentityId, dataset: &str) {
        let request = DeleteDatasetRequest {
            identity_pool_id: pool(),
            identity_id: identity.clone(),
            dataset_name: dataset.parse().unwrap(),
        };
        self.handle_as(Request::DeleteDataset(request), &caller(identity))
            .unwrap();
    }
}

/// Ann, who has notes, and a guest with two pushes of notes.
fn ann_and_guest(world: &World) -> (IdentityId, IdentityId) {
    let ann = world.get_id(login("ann")).unwrap();
    world
        .push_of(&ann, "notes", vec![put("a", "ann's", 0)])
        .unwrap();
    let guest = world.get_id(Logins::none()).unwrap();
    let first = vec![put("a", "1", 0), put("b", "1", 0)];
    world.push_of(&guest, "notes", first).unwrap();
    world
        .push_of(&guest, "notes", vec![put("a", "2", 1), remove("b", 1)])
        .unwrap();
    (ann, guest)
}

#[test]
fn trap_12_guests_dataset_becomes_a_child_at_count_one_with_its_records_counts() {
    let world = world();
    let (ann, guest) = ann_and_guest(&world);
    let credentials = world.get_credentials(&guest, login("ann")).unwrap();
    assert_eq!(
        credentials.identity_id, ann,
        "the survivor's, not those asked for"
    );
    let child = format!("notes.{guest}");
    let own = world.list_of(&ann, "notes").unwrap();
    assert_eq!(own.merged_dataset_names, [child.as_str()]);
    assert_eq!(brief(&own.records), [("a", Some("ann's"), 1)]);
    let merged = world.list_of(&ann, &child).unwrap();
    assert_eq!(merged.dataset_sync_count, 1.into());
    assert_eq!(
        brief(&merged.records),
        [("a", Some("2"), 2), ("b", None, 2)]
    );
}

#[test]
fn trap_27_child_is_reported_until_it_is_deleted() {
    let world = world();
    let (ann, guest) = ann_and_guest(&world);
    world.get_credentials(&guest, login("ann")).unwrap();
    let child = format!("notes.{guest}");
    for _ in 0..2 {
        let own = world.list_of(&ann, "notes").unwrap();
        assert_eq!(own.merged_dataset_names, [child.as_str()]);
    }
    world.delete_of(&ann, &child);
    assert_eq!(
        world.list_of(&ann, "notes").unwrap().merged_dataset_names,
        [""; 0]
    );
    assert!(!world.list_of(&ann, &child).unwrap().dataset_exists);
}

#[test]
fn child_takes_pushes_like_any_dataset() {
    let world = world();
    let (ann, guest) = ann_and_guest(&world);
    world.get_credentials(&guest, login("ann")).unwrap();
    let child = format!("notes.{guest}");
    world
        .push_of(&ann, &child, vec![put("a", "3", 2), put("c", "1", 0)])
        .unwrap();
    let merged = world.list_of(&ann, &child).unwrap();
    assert_eq!(merged.dataset_sync_count, 3.into(), "above every record's");
    let records = [("b", None, 2), ("a", Some("3"), 3), ("c", Some("1"), 3)];
    assert_eq!(brief(&merged.records), records);
    let stale = world.push_of(&ann, &child, vec![put("a", "4", 2)]);
    let message = "Current SyncCount for: a is: 3 not: 2";
    refused(stale, ErrorCode::ResourceConflict, message);
}

#[test]
fn trap_4_child_knows_no_count_of_the_guest() {
    let world = world();
    let (ann, guest) = ann_and_guest(&world);
    world.get_credentials(&guest, login("ann")).unwrap();
    let request = ListRecordsRequest {
        identity_id: ann.clone(),
        last_sync_count: Some(2.into()),
        ..list_records(&format!("notes.{guest}"))
    };
    let listed = world.handle_as(Request::ListRecords(request), &caller(&ann));
    assert!(listed.unwrap_err().is_no_such_sync_count());
}

#[test]
fn dataset_that_the_survivor_has_not_is_reported_all_the_same() {
    let world = world();
    let ann = world.get_id(login("ann")).unwrap();
    let guest = world.get_id(Logins::none()).unwrap();
    world
        .push_of(&guest, "scores", vec![put("a", "1", 0)])
        .unwrap();
    world.get_credentials(&guest, login("ann")).unwrap();
    let listed = world.list_of(&ann, "scores").unwrap();
    assert!(!listed.dataset_exists);
    assert_eq!(listed.merged_dataset_names, [format!("scores.{guest}")]);
}

#[test]
fn trap_29_long_name_is_shortened_and_reported() {
    let world = world();
    let ann = world.get_id(login("ann")).unwrap();
    let guest = world.get_id(Logins::none()).unwrap();
    let (long, other) = ("n".repeat(128), "n".repeat(127));
    for name in [&long, &other] {
        world
            .push_of(&guest, name, vec![put("a", name, 0)])
            .unwrap();
    }
    world.get_credentials(&guest, login("ann")).unwrap();
    for name in [&long, &other] {
        let merged = world.list_of(&ann, name).unwrap().merged_dataset_names;
        let [child] = &merged[..] else {
            panic!("{merged:?}")
        };
        assert!(
            child.ends_with(&format!(".{guest}")) && child.len() == 128,
            "{child}"
        );
        let records = world.list_of(&ann, child).unwrap().records;
        assert_eq!(records[0].value.as_ref(), Some(name));
    }
}

#[test]
fn merged_guest_is_disabled_for_every_use() {
    let world = world();
    let (ann, guest) = ann_and_guest(&world);
    world.get_credentials(&guest, login("ann")).unwrap();
    let forbidden = format!("Access to Identity '{guest}' is forbidden.");
    for logins in [Logins::none(), login("ann"), login("bob")] {
        let credentials = world.get_credentials(&guest, logins);
        refused(credentials, ErrorCode::NotAuthorized, &forbidden);
    }
    refused(
        world.list_of(&guest, "notes"),
        ErrorCode::NotAuthorized,
        &forbidden,
    );
    assert_eq!(world.get_id(login("ann")).unwrap(), ann);
}

#[test]
fn two_guests_merge_into_one_login() {
    let world = world();
    let (ann, first) = ann_and_guest(&world);
    let second = world.get_id(Logins::none()).unwrap();
    world
        .push_of(&second, "notes", vec![put("a", "x", 0)])
        .unwrap();
    for guest in [&first, &second] {
        world.get_credentials(guest, login("ann")).unwrap();
    }
    let mut children = [format!("notes.{first}"), format!("notes.{second}")];
    children.sort_unstable();
    assert_eq!(
        world.list_of(&ann, "notes").unwrap().merged_dataset_names,
        children
    );
}

fn world_over(storage: Arc<dyn Storage>, seed: u8) -> World {
    World::of(Service::new(storage, [1; 32], [seed; 32]).with_pool(pool(), open_pool()))
}

/// A storage on which moving a dataset fails once, or something happens just before a push.
#[derive(Default)]
struct Hooked {
    storage: Arc<MemoryStorage>,
    fails: AtomicBool,
    before_push: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl std::fmt::Debug for Hooked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hooked")
    }
}

impl Storage for Hooked {
    fn adopt(&self, from: &Address, to: &Address) -> Result<Swap, StorageError> {
        if self.fails.swap(false, Ordering::SeqCst) {
            let full = StorageError::Engine("disk full".into());
            return Err(full);
        }
        self.storage.adopt(from, to)
    }

    fn read(&self, address: &Address, selection: Selection<'_>) -> Result<View, StorageError> {
        self.storage.read(address, selection)
    }

    fn list(
        &self,
        owner: &Owner,
        after: Option<&DatasetName>,
        limit: usize,
    ) -> Result<Vec<(DatasetName, Live)>, StorageError> {
        self.storage.list(owner, after, limit)
    }

    fn append(
        &self,
        address: &Address,
        expected: SyncCount,
        push: &Push,
    ) -> Result<Swap, StorageError> {
        let hook = self.before_push.lock().unwrap().take();
        if let Some(hook) = hook {
            hook();
        }
        self.storage.append(address, expected, push)
    }

    fn delete(&self, address: &Address, expected: SyncCount) -> Result<Swap, StorageError> {
        self.storage.delete(address, expected)
    }

    fn scan(
        &self,
        after: Option<&Address>,
        limit: usize,
    ) -> Result<Vec<(Address, Live)>, StorageError> {
        self.storage.scan(after, limit)
    }

    fn note(&self, key: &str) -> Result<Option<String>, StorageError> {
        self.storage.note(key)
    }

    fn notes(&self, prefix: &str) -> Result<Vec<(String, String)>, StorageError> {
        self.storage.notes(prefix)
    }

    fn swap_notes(&self, changes: &[NoteChange]) -> Result<Swap, StorageError> {
        self.storage.swap_notes(changes)
    }
}

#[test]
fn merge_that_broke_off_is_finished_before_the_survivor_gets_credentials() {
    let storage = Hooked {
        fails: AtomicBool::new(true),
        ..Hooked::default()
    };
    let world = world_over(Arc::new(storage), 2);
    let (ann, guest) = ann_and_guest(&world);
    let broken = world.get_credentials(&guest, login("ann"));
    refused(broken, ErrorCode::InternalError, "the service failed");
    let forbidden = format!("Access to Identity '{guest}' is forbidden.");
    let again = world.get_credentials(&guest, login("ann"));
    refused(again, ErrorCode::NotAuthorized, &forbidden);
    assert_eq!(world.get_id(login("ann")).unwrap(), ann);
    world.get_credentials(&ann, login("ann")).unwrap();
    let children = world.list_of(&ann, "notes").unwrap().merged_dataset_names;
    assert_eq!(children, [format!("notes.{guest}")]);
}

#[test]
fn merge_outlives_the_server() {
    let directory = tempfile::tempdir().unwrap();
    let open = |seed| {
        let storage = FjallStorage::open(directory.path()).unwrap();
        world_over(Arc::new(storage), seed)
    };
    let world = open(2);
    let (ann, guest) = ann_and_guest(&world);
    world.get_credentials(&guest, login("ann")).unwrap();
    drop(world);
    let world = open(3);
    let child = world.list_of(&ann, &format!("notes.{guest}")).unwrap();
    assert_eq!(brief(&child.records), [("a", Some("2"), 2), ("b", None, 2)]);
    assert!(world.list_of(&guest, "notes").is_err());
}

#[test]
fn dataset_whose_childs_name_is_taken_stays_with_the_operator() {
    let world = world();
    let (ann, guest) = ann_and_guest(&world);
    let child = format!("notes.{guest}");
    world
        .push_of(&ann, &child, vec![put("mine", "1", 0)])
        .unwrap();
    world.get_credentials(&guest, login("ann")).unwrap();
    let records = world.list_of(&ann, &child).unwrap().records;
    assert_eq!(brief(&records), [("mine", Some("1"), 1)]);
    let request = ListRecordsRequest {
        identity_id: guest,
        ..list_records("notes")
    };
    let left = world
        .handle_as(Request::ListRecords(request), &Caller::Operator)
        .unwrap();
    let Response::ListRecords(left) = left else {
        panic!("{left:?}")
    };
    assert_eq!(left.records.len(), 2);
}

#[test]
fn push_that_a_merge_overtakes_is_not_acknowledged() {
    for dataset in ["notes", "new"] {
        let hooked = Arc::new(Hooked::default());
        let world = world_over(hooked.clone(), 2);
        let (ann, guest) = ann_and_guest(&world);
        let (storage, merged) = (hooked.storage.clone(), guest.clone());
        *hooked.before_push.lock().unwrap() = Some(Box::new(move || {
            let world = world_over(storage, 3);
            world.get_credentials(&merged, login("ann")).unwrap();
        }));
        let push = world.push_of(&guest, dataset, vec![put("late", "1", 0)]);
        let forbidden = format!("Access to Identity '{guest}' is forbidden.");
        refused(push, ErrorCode::NotAuthorized, &forbidden);
        let child = world.list_of(&ann, &format!("notes.{guest}")).unwrap();
        assert_eq!(child.records.len(), 2);
    }
}
