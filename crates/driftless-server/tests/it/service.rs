//! What the service does, rule by rule: sync counts, atomicity, tombstones, tokens, the life of a
//! dataset, limits.

use std::sync::Arc;

use driftless_server::{Caller, Limits, MemoryStorage, Owner};
use driftless_wire::{ApiError, ErrorCode, Op, RecordPatch, Request, SyncCount, Timestamp};

use crate::support::{
    IDENTITY, World, brief, identity, list_records, patch, pool, put, remove, update_records,
};

#[track_caller]
fn check<T: std::fmt::Debug>(result: Result<T, ApiError>, code: ErrorCode, message: &str) {
    let error = result.unwrap_err();
    assert_eq!((error.code, error.message.as_str()), (code, message));
}

const BAD_TOKEN: &str = "SyncSessionToken not valid for these inputs";

// Sync counts.

#[test]
fn first_push_makes_count_one_and_each_push_adds_one() {
    let world = World::new();
    let pushed = world
        .push("d", vec![put("a", "1", 0), put("b", "1", 0)])
        .unwrap();
    assert_eq!(brief(&pushed), [("a", Some("1"), 1), ("b", Some("1"), 1)]);
    let pushed = world.push("d", vec![put("b", "2", 1)]).unwrap();
    assert_eq!(brief(&pushed), [("b", Some("2"), 2)]);
    let listed = world.list("d", 0);
    assert_eq!(
        brief(&listed.records),
        [("a", Some("1"), 1), ("b", Some("2"), 2)]
    );
    assert_eq!((listed.dataset_sync_count, listed.count), (2.into(), 2));
}

#[test]
fn trap_5_list_since_a_count_leaves_that_count_out() {
    let world = World::new();
    world.push("d", vec![put("a", "1", 0)]).unwrap();
    world.push("d", vec![put("b", "1", 0)]).unwrap();
    assert_eq!(brief(&world.list("d", 1).records), [("b", Some("1"), 2)]);
    assert_eq!(brief(&world.list("d", 2).records), []);
    assert_eq!(
        world.list_with("d", |_| {}).unwrap().records.len(),
        2,
        "absent is zero"
    );
}

#[test]
fn count_above_the_datasets_is_refused() {
    let world = World::new();
    let message = "No such SyncCount: 7 exists for this Dataset";
    check(world.try_list("d", 7), ErrorCode::InvalidParameter, message);
    world.push("d", vec![put("a", "1", 0)]).unwrap();
    check(world.try_list("d", 7), ErrorCode::InvalidParameter, message);
    assert!(world.try_list("d", 7).unwrap_err().is_no_such_sync_count());
}

#[test]
fn patch_on_another_count_conflicts_and_names_both() {
    let world = World::new();
    world.push("d", vec![put("a", "1", 0)]).unwrap();
    world.push("d", vec![put("a", "2", 1)]).unwrap();
    for (given, text) in [(0, "0"), (1, "1"), (3, "3")] {
        let message = format!("Current SyncCount for: a is: 2 not: {text}");
        let result = world.push("d", vec![put("a", "3", given)]);
        check(result, ErrorCode::ResourceConflict, &message);
    }
    let same = world.push("d", vec![put("a", "2", 1)]);
    check(
        same,
        ErrorCode::ResourceConflict,
        "Current SyncCount for: a is: 2 not: 1",
    );
}

#[test]
fn new_key_takes_zero_or_a_count_of_this_life() {
    let world = World::new();
    world.push("d", vec![put("a", "1", 0)]).unwrap();
    world.push("d", vec![put("b", "1", 1)]).unwrap();
    let above = world.push("d", vec![put("c", "1", 3)]);
    check(
        above,
        ErrorCode::ResourceConflict,
        "Current SyncCount for: c is: 0 not: 3",
    );
    world.delete("d").unwrap();
    let before = world.push("d", vec![put("a", "1", 1)]);
    check(
        before,
        ErrorCode::ResourceConflict,
        "Current SyncCount for: a is: 0 not: 1",
    );
}

#[test]
fn push_that_changes_nothing_does_not_raise_the_count() {
    let world = World::new();
    let first = world
        .push("d", vec![put("a", "1", 0), put("b", "1", 0)])
        .unwrap();
    assert_eq!(
        world
            .push("d", vec![put("a", "1", 1), put("b", "1", 1)])
            .unwrap(),
        first
    );
    assert_eq!(world.list("d", 0).dataset_sync_count, 1.into());
    let mixed = world
        .push("d", vec![put("a", "1", 1), put("b", "2", 1)])
        .unwrap();
    assert_eq!(brief(&mixed), [("a", Some("1"), 1), ("b", Some("2"), 2)]);
}

#[test]
fn push_of_nothing_makes_no_dataset() {
    let world = World::new();
    assert_eq!(world.push("d", Vec::new()).unwrap(), []);
    assert!(!world.list("d", 0).dataset_exists);
}

// Atomicity.

#[test]
fn one_conflict_keeps_the_whole_push_out() {
    let world = World::new();
    world.push("d", vec![put("a", "1", 0)]).unwrap();
    let before = world.list("d", 0).records;
    let result = world.push(
        "d",
        vec![put("b", "1", 0), put("a", "2", 0), put("c", "1", 0)],
    );
    check(
        result,
        ErrorCode::ResourceConflict,
        "Current SyncCount for: a is: 1 not: 0",
    );
    let after = world.list("d", 0);
    assert_eq!(
        (after.records, after.dataset_sync_count),
        (before, 1.into())
    );
}

#[test]
fn key_patched_twice_or_replaced_by_nothing_is_refused() {
    let world = World::new();
    let twice = world.push("d", vec![put("a", "1", 0), remove("a", 0)]);
    check(
        twice,
        ErrorCode::InvalidParameter,
        "Key a is patched more than once",
    );
    let nothing = world.push("d", vec![patch(Op::Replace, "a", None, SyncCount::ZERO)]);
    check(
        nothing,
        ErrorCode::InvalidParameter,
        "Value for key a is missing",
    );
    assert!(!world.list("d", 0).dataset_exists);
}

// Tombstones and values.

#[test]
fn removed_record_is_listed_without_a_value_under_a_new_count() {
    let world = World::new();
    world.push("d", vec![put("a", "1", 0)]).unwrap();
    let removed = world.push("d", vec![remove("a", 1)]).unwrap();
    assert_eq!(brief(&removed), [("a", None, 2)]);
    assert_eq!(brief(&world.list("d", 1).records), [("a", None, 2)]);
    assert_eq!(brief(&world.list("d", 0).records), [("a", None, 2)]);
}

#[test]
fn trap_14_removed_key_comes_back_from_its_own_count_and_not_from_zero() {
    let world = World::new();
    world.push("d", vec![put("a", "1", 0)]).unwrap();
    world.push("d", vec![remove("a", 1)]).unwrap();
    let from_zero = world.push("d", vec![put("a", "2", 0)]);
    check(
        from_zero,
        ErrorCode::ResourceConflict,
        "Current SyncCount for: a is: 2 not: 0",
    );
    let back = world.push("d", vec![put("a", "2", 2)]).unwrap();
    assert_eq!(brief(&back), [("a", Some("2"), 3)]);
}

#[test]
fn removing_an_unknown_key_leaves_a_tombstone() {
    let world = World::new();
    assert_eq!(
        brief(&world.push("d", vec![remove("a", 0)]).unwrap()),
        [("a", None, 1)]
    );
    assert_eq!(
        brief(&world.push("d", vec![remove("a", 1)]).unwrap()),
        [("a", None, 1)]
    );
}

#[test]
fn value_of_a_removal_is_not_stored() {
    let world = World::new();
    let removal = patch(Op::Remove, "a", Some("x"), SyncCount::ZERO);
    assert_eq!(
        brief(&world.push("d", vec![removal]).unwrap()),
        [("a", None, 1)]
    );
}

#[test]
fn empty_text_is_a_value() {
    let world = World::new();
    world.push("d", vec![put("a", "", 0)]).unwrap();
    assert_eq!(brief(&world.list("d", 0).records), [("a", Some(""), 1)]);
    let removed = world.push("d", vec![remove("a", 1)]).unwrap();
    assert_eq!(brief(&removed), [("a", None, 2)], "no value is another one");
}

#[test]
fn record_tells_who_changed_it_and_when() {
    let world = World::new();
    let device = Timestamp::from_millis(42);
    let dated = RecordPatch {
        device_last_modified_date: Some(device),
        ..put("a", "1", 0)
    };
    let pushed = world.push("d", vec![dated, put("b", "1", 0)]).unwrap();
    let now = Some(world.now());
    assert_eq!(pushed[0].device_last_modified_date, Some(device));
    assert_eq!(
        pushed[1].device_last_modified_date, now,
        "the server's time if none is given"
    );
    assert_eq!(pushed[0].last_modified_date, now);
    assert_eq!(pushed[0].last_modified_by.as_deref(), Some(IDENTITY));
    assert_eq!(
        world.list("d", 0).last_modified_by.as_deref(),
        Some(IDENTITY)
    );
    assert_eq!(world.list("d", 0).records, pushed);
}

// Session tokens.

#[test]
fn trap_18_token_is_good_for_one_push() {
    let world = World::new();
    let token = world.token("d");
    world
        .push_with("d", token.clone(), vec![put("a", "1", 0)])
        .unwrap();
    let again = world.push_with("d", token.clone(), vec![put("a", "2", 1)]);
    check(again, ErrorCode::InvalidParameter, BAD_TOKEN);
    let list = world.list_with("d", |request| request.sync_session_token = Some(token));
    check(list, ErrorCode::InvalidParameter, BAD_TOKEN);
}

#[test]
fn token_is_good_for_lists_before_the_push_and_after_a_conflict() {
    let world = World::new();
    world.push("d", vec![put("a", "1", 0)]).unwrap();
    let token = world.token("d");
    world
        .push_with("d", token.clone(), vec![put("a", "2", 0)])
        .unwrap_err();
    let list = world.list_with("d", |request| {
        request.sync_session_token = Some(token.clone())
    });
    assert_eq!(
        list.unwrap().sync_session_token.as_ref(),
        Some(&token),
        "it is given back"
    );
    world.push_with("d", token, vec![put("a", "2", 1)]).unwrap();
}

#[test]
fn token_of_another_dataset_or_of_nobody_is_refused() {
    let world = World::new();
    let patches = vec![put("a", "1", 0)];
    let other = world.push_with("d", world.token("e"), patches.clone());
    check(other, ErrorCode::InvalidParameter, BAD_TOKEN);
    for garbage in ["", "x", "é", "AAAA"] {
        let result = world.push_with("d", garbage.into(), patches.clone());
        check(result, ErrorCode::InvalidParameter, BAD_TOKEN);
    }
}

#[test]
fn token_expires() {
    let world = World::new();
    let (early, late) = (world.token("d"), world.token("d"));
    world.pass(29 * 60 * 1_000);
    world.push_with("d", early, vec![put("a", "1", 0)]).unwrap();
    world.pass(60 * 1_000);
    let result = world.push_with("d", late, vec![put("b", "1", 0)]);
    check(result, ErrorCode::InvalidParameter, BAD_TOKEN);
}

#[test]
fn token_outlives_the_service_that_gave_it() {
    let storage = Arc::new(MemoryStorage::new());
    let token = World::over(storage.clone(), Limits::default()).token("d");
    let world = World::over(storage, Limits::default());
    world.push_with("d", token, vec![put("a", "1", 0)]).unwrap();
}

// The life of a dataset.

#[test]
fn trap_24_dataset_that_never_was_is_listed_as_missing() {
    let listed = World::new().list("d", 0);
    assert!(!listed.dataset_exists && !listed.dataset_deleted_after_requested_sync_count);
    assert_eq!(
        (listed.dataset_sync_count, listed.count),
        (SyncCount::ZERO, 0)
    );
    assert_eq!(
        (listed.records, listed.next_token, listed.last_modified_by),
        (vec![], None, None)
    );
    assert!(listed.sync_session_token.is_some());
}

#[test]
fn dataset_begins_with_its_first_push() {
    let world = World::new();
    check(
        world.describe("d"),
        ErrorCode::ResourceNotFound,
        "Dataset d does not exist",
    );
    world.push("d", vec![put("key", "é", 0)]).unwrap();
    let created = world.now();
    let dataset = world.describe("d").unwrap();
    assert_eq!(
        (dataset.dataset_name.as_str(), dataset.identity_id.as_str()),
        ("d", IDENTITY)
    );
    assert_eq!(
        (dataset.num_records, dataset.data_storage),
        (1, 5),
        "bytes of UTF-8"
    );
    world
        .push("d", vec![remove("key", 1), put("b", "", 0)])
        .unwrap();
    let dataset = world.describe("d").unwrap();
    assert_eq!(
        (dataset.num_records, dataset.data_storage),
        (2, 4),
        "a tombstone is its key"
    );
    assert_eq!(dataset.creation_date, Some(created));
    assert!(dataset.last_modified_date > Some(created));
    assert_eq!(dataset.last_modified_by.as_deref(), Some(IDENTITY));
}

#[test]
fn deleted_dataset_is_gone_and_says_so_to_who_knew_it() {
    let world = World::new();
    world.push("d", vec![put("a", "1", 0)]).unwrap();
    let described = world.describe("d").unwrap();
    assert_eq!(
        world.delete("d").unwrap(),
        described,
        "the answer shows it as it was"
    );
    check(
        world.delete("d"),
        ErrorCode::ResourceNotFound,
        "Dataset d does not exist",
    );
    check(
        world.describe("d"),
        ErrorCode::ResourceNotFound,
        "Dataset d does not exist",
    );
    let knew = world.list("d", 1);
    assert!(!knew.dataset_exists && knew.dataset_deleted_after_requested_sync_count);
    assert_eq!(
        (knew.dataset_sync_count, knew.records.len()),
        (SyncCount::ZERO, 0)
    );
    let new = world.list("d", 0);
    assert!(!new.dataset_exists && !new.dataset_deleted_after_requested_sync_count);
}

#[test]
fn trap_25_dataset_that_lives_again_shows_everything_to_who_knew_the_old_one() {
    let world = World::new();
    world
        .push("d", vec![put("a", "1", 0), put("b", "1", 0)])
        .unwrap();
    world.push("d", vec![put("a", "2", 1)]).unwrap();
    world.delete("d").unwrap();
    let back = world.push("d", vec![put("b", "3", 0)]).unwrap();
    let count = back[0].sync_count;
    assert!(count > 2.into(), "counts go on");
    for since in [1, 2] {
        let listed = world.list("d", since);
        assert!(listed.dataset_exists && listed.dataset_deleted_after_requested_sync_count);
        assert_eq!((&listed.records, listed.dataset_sync_count), (&back, count));
    }
    let new = world.list("d", 0);
    assert!(!new.dataset_deleted_after_requested_sync_count);
    assert_eq!(new.records, back);
    let present = world
        .list_with("d", |request| request.last_sync_count = Some(count))
        .unwrap();
    assert!(!present.dataset_deleted_after_requested_sync_count && present.records.is_empty());
}

#[test]
fn merged_datasets_are_named_until_they_are_deleted() {
    let world = World::new();
    let child = format!("notes.{IDENTITY}");
    for name in ["notes", &child, "notes.x", "notes-x", "notesx.us-east-1:0"] {
        world.push(name, vec![put("a", "1", 0)]).unwrap();
    }
    assert_eq!(world.list("notes", 0).merged_dataset_names, [&*child]);
    world.delete(&child).unwrap();
    assert_eq!(world.list("notes", 0).merged_dataset_names, [""; 0]);
}

#[test]
fn datasets_are_listed_in_pages() {
    let world = World::new();
    for name in ["c", "a", "b"] {
        world.push(name, vec![put("k", "1", 0)]).unwrap();
    }
    let names = |page: &driftless_wire::ListDatasetsResponse| -> Vec<String> {
        page.datasets
            .iter()
            .map(|dataset| dataset.dataset_name.to_string())
            .collect()
    };
    let all = world.datasets(None, None).unwrap();
    assert_eq!(
        (names(&all).join(""), all.count, &all.next_token),
        ("abc".to_owned(), 3, &None)
    );
    assert_eq!(all.datasets[1], world.describe("b").unwrap());
    let first = world.datasets(None, Some(2)).unwrap();
    assert_eq!((names(&first).join(""), first.count), ("ab".to_owned(), 2));
    let rest = world
        .datasets(first.next_token.as_deref(), Some(2))
        .unwrap();
    assert_eq!(
        (names(&rest).join(""), rest.count, &rest.next_token),
        ("c".to_owned(), 1, &None)
    );
    let bad = world.datasets(Some("a b"), None);
    check(
        bad,
        ErrorCode::InvalidParameter,
        "NextToken not valid for these inputs",
    );
}

// Limits.

fn limited(records: u64, bytes: u64, datasets: usize) -> World {
    World::over(
        Arc::new(MemoryStorage::new()),
        Limits {
            records,
            bytes,
            datasets,
        },
    )
}

#[test]
fn push_over_a_limit_is_refused_whole() {
    let world = limited(2, 10, 1);
    world.push("d", vec![put("a", "123456789", 0)]).unwrap();
    let message = "the dataset would have 11 bytes, 10 are allowed";
    check(
        world.push("d", vec![put("b", "", 0)]),
        ErrorCode::LimitExceeded,
        message,
    );
    world
        .push("d", vec![put("a", "", 1), put("b", "", 0)])
        .unwrap();
    let message = "the dataset would have 3 records, 2 are allowed";
    check(
        world.push("d", vec![put("c", "", 0)]),
        ErrorCode::LimitExceeded,
        message,
    );
    let message = "the identity has 1 datasets already";
    check(
        world.push("e", vec![put("a", "", 0)]),
        ErrorCode::LimitExceeded,
        message,
    );
    assert!(!world.list("e", 0).dataset_exists);
    world.delete("d").unwrap();
    world.push("e", vec![put("a", "", 0)]).unwrap();
}

#[test]
fn trap_15_tombstone_keeps_its_room() {
    let world = limited(1, 10, 1);
    world.push("d", vec![put("a", "", 0)]).unwrap();
    world.push("d", vec![remove("a", 1)]).unwrap();
    let message = "the dataset would have 2 records, 1 are allowed";
    check(
        world.push("d", vec![put("b", "", 0)]),
        ErrorCode::LimitExceeded,
        message,
    );
}

#[test]
fn dataset_over_a_lowered_limit_can_still_become_smaller() {
    let storage = Arc::new(MemoryStorage::new());
    World::over(storage.clone(), Limits::default())
        .push("d", vec![put("a", "123", 0)])
        .unwrap();
    let world = World::over(
        storage,
        Limits {
            records: 9,
            bytes: 1,
            datasets: 0,
        },
    );
    world.push("d", vec![put("a", "12", 1)]).unwrap();
    let message = "the dataset would have 4 bytes, 1 are allowed";
    check(
        world.push("d", vec![put("a", "123", 2)]),
        ErrorCode::LimitExceeded,
        message,
    );
}

#[test]
fn limits_of_the_service_hold_a_full_dataset_and_no_more() {
    let world = World::new();
    let value = "v".repeat(1_048_575);
    world.push("d", vec![put("a", &value, 0)]).unwrap();
    let more = world.push("d", vec![put("b", "", 0)]).unwrap_err();
    assert_eq!(more.code, ErrorCode::LimitExceeded);
    let many = (0..1_024).map(|n| put(&format!("{n}"), "", 0)).collect();
    world.push("e", many).unwrap();
    let more = world.push("e", vec![put("x", "", 0)]).unwrap_err();
    assert_eq!(more.code, ErrorCode::LimitExceeded);
}

// Isolation.

#[test]
fn identity_reaches_only_its_own_datasets() {
    let world = World::new();
    let own = Owner {
        pool: pool(),
        identity: identity(),
    };
    let other = Owner {
        identity: "us-east-1:0".parse().unwrap(),
        ..own.clone()
    };
    let elsewhere = Owner {
        pool: "us-east-1:0".parse().unwrap(),
        ..own.clone()
    };
    let token = world.token("d");
    let message = "These credentials are not valid for accessing this resource";
    for stranger in [other, elsewhere] {
        let stranger = Caller::Identity(stranger);
        let list = world.handle_as(Request::ListRecords(list_records("d")), &stranger);
        check(list, ErrorCode::NotAuthorized, message);
        let push = update_records("d", token.clone(), vec![put("a", "1", 0)]);
        check(
            world.handle_as(push, &stranger),
            ErrorCode::NotAuthorized,
            message,
        );
    }
    let push = update_records("d", token, vec![put("a", "1", 0)]);
    world.handle_as(push, &Caller::Identity(own)).unwrap();
}

#[test]
fn datasets_and_tokens_of_two_identities_are_apart() {
    let world = World::new();
    world.push("d", vec![put("a", "1", 0)]).unwrap();
    let token = world.token("d");
    let theirs = world.list_with("d", |request| {
        request.identity_id = "us-east-1:0".parse().unwrap()
    });
    assert!(!theirs.unwrap().dataset_exists);
    let stolen = world.list_with("d", |request| {
        request.identity_pool_id = "us-east-1:0".parse().unwrap();
        request.sync_session_token = Some(token);
    });
    check(stolen, ErrorCode::InvalidParameter, BAD_TOKEN);
}
