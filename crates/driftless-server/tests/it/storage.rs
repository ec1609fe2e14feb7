//! The contract of every storage, and what only one on disk can promise.

use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::thread;

use driftless_server::{
    Address, FjallStorage, Live, MemoryStorage, NoteChange, Owner, Place, Push, Selection, Storage,
    StorageError, Swap, View,
};
use driftless_wire::{Record, RecordKey, SyncCount, Timestamp};

use crate::support::{brief, identity, pool};

macro_rules! contract {
    ($($name:ident)*) => {
        mod memory {
            $(#[test] fn $name() { super::$name(&super::MemoryStorage::new()); })*
        }
        mod fjall {
            $(#[test] fn $name() {
                let directory = tempfile::tempdir().unwrap();
                super::$name(&super::FjallStorage::open(directory.path()).unwrap());
            })*
        }
    };
}

contract! {
    dataset_that_never_was_has_an_empty_head
    push_is_there_whole_under_the_next_count
    push_on_another_count_writes_nothing
    replaced_record_moves_to_the_end
    records_come_by_count_then_key_from_any_place
    key_that_is_the_start_of_another_is_not_the_other
    records_of_keys_come_in_the_order_asked
    deletion_drops_the_records_and_keeps_the_count
    deleted_dataset_begins_again_above_its_old_count
    datasets_of_an_owner_come_by_name
    dataset_whose_name_is_the_start_of_another_is_not_the_other
    of_concurrent_pushes_on_one_count_one_is_made
    adopted_dataset_stands_as_it_stood
    adoption_takes_no_place_and_makes_nothing_of_nothing
    scan_shows_every_dataset_by_pool_identity_and_name
    notes_change_together_or_not_at_all
    notes_of_a_prefix_come_by_key
}

fn address(dataset: &str) -> Address {
    let owner = Owner {
        pool: pool(),
        identity: identity(),
    };
    Address {
        owner,
        dataset: dataset.parse().unwrap(),
    }
}

fn record(key: &str, value: Option<&str>) -> Record {
    Record {
        key: key.parse().unwrap(),
        value: value.map(str::to_owned),
        sync_count: SyncCount::ZERO,
        last_modified_date: Some(Timestamp::from_millis(1_704_164_645_678)),
        last_modified_by: Some("somebody".to_owned()),
        device_last_modified_date: Some(Timestamp::from_millis(-1)),
    }
}

fn live(records: u64) -> Live {
    Live {
        created: Timestamp::from_millis(1),
        modified: Timestamp::from_millis(2),
        modified_by: "somebody".to_owned(),
        records,
        bytes: 10 * records,
    }
}

fn append(
    storage: &dyn Storage,
    dataset: &str,
    expected: u32,
    values: &[(&str, Option<&str>)],
) -> Swap {
    let records: Vec<_> = values
        .iter()
        .map(|(key, value)| record(key, *value))
        .collect();
    let push = Push {
        live: live(records.len() as u64),
        records,
    };
    storage
        .append(&address(dataset), expected.into(), &push)
        .unwrap()
}

fn after(
    storage: &dyn Storage,
    dataset: &str,
    count: u32,
    key: Option<&str>,
    limit: usize,
) -> View {
    let place = Place {
        count: count.into(),
        key: key.map(|key| key.parse().unwrap()),
    };
    storage
        .read(&address(dataset), Selection::After(&place, limit))
        .unwrap()
}

fn all(storage: &dyn Storage, dataset: &str) -> View {
    after(storage, dataset, 0, None, usize::MAX)
}

fn names(storage: &dyn Storage, owner: &Owner, after: Option<&str>, limit: usize) -> Vec<String> {
    let after = after.map(|name| name.parse().unwrap());
    let found = storage.list(owner, after.as_ref(), limit).unwrap();
    found.into_iter().map(|(name, _)| name.into()).collect()
}

fn dataset_that_never_was_has_an_empty_head(storage: &dyn Storage) {
    assert_eq!(all(storage, "d"), View::default());
    assert_eq!(names(storage, &address("d").owner, None, 9), [""; 0]);
}

fn push_is_there_whole_under_the_next_count(storage: &dyn Storage) {
    assert_eq!(
        append(storage, "d", 0, &[("b", Some("")), ("a", None)]),
        Swap::Done
    );
    let view = all(storage, "d");
    assert_eq!(view.head.count, 1.into());
    assert_eq!(view.head.deleted_at, SyncCount::ZERO);
    assert_eq!(view.head.live, Some(live(2)));
    let stored = [record("a", None), record("b", Some(""))];
    let stored = stored.map(|record| Record {
        sync_count: 1.into(),
        ..record
    });
    assert_eq!(view.records, stored, "no text and no value are two things");
}

fn push_on_another_count_writes_nothing(storage: &dyn Storage) {
    assert_eq!(append(storage, "d", 1, &[("a", Some("x"))]), Swap::Moved);
    assert_eq!(append(storage, "d", 0, &[("a", Some("x"))]), Swap::Done);
    let before = all(storage, "d");
    assert_eq!(
        append(storage, "d", 0, &[("a", Some("y")), ("b", Some("y"))]),
        Swap::Moved
    );
    assert_eq!(append(storage, "d", 2, &[("a", Some("y"))]), Swap::Moved);
    assert_eq!(all(storage, "d"), before);
}

fn replaced_record_moves_to_the_end(storage: &dyn Storage) {
    append(storage, "d", 0, &[("a", Some("1")), ("b", Some("1"))]).done();
    append(storage, "d", 1, &[("a", Some("2"))]).done();
    append(storage, "d", 2, &[("a", None)]).done();
    let view = all(storage, "d");
    assert_eq!(brief(&view.records), [("b", Some("1"), 1), ("a", None, 3)]);
    assert_eq!(
        brief(&after(storage, "d", 1, None, 9).records),
        [("a", None, 3)]
    );
    assert_eq!(brief(&after(storage, "d", 3, None, 9).records), []);
}

fn records_come_by_count_then_key_from_any_place(storage: &dyn Storage) {
    append(
        storage,
        "d",
        0,
        &[("c", Some("")), ("a", Some("")), ("é", Some(""))],
    )
    .done();
    append(storage, "d", 1, &[("b", Some(""))]).done();
    let order = [("a", 1), ("c", 1), ("é", 1), ("b", 2)];
    for (at, (key, count)) in order.into_iter().enumerate() {
        for limit in 0..=4 {
            let view = after(storage, "d", count, Some(key), limit);
            let found = brief(&view.records).into_iter().map(|(key, _, _)| key);
            let rest = order[at + 1..].iter().map(|(key, _)| *key).take(limit);
            assert!(found.eq(rest), "{limit} after {key}");
        }
    }
}

fn key_that_is_the_start_of_another_is_not_the_other(storage: &dyn Storage) {
    append(
        storage,
        "d",
        0,
        &[("a", Some("1")), ("a\0", Some("2")), ("ab", Some("3"))],
    )
    .done();
    let view = after(storage, "d", 1, Some("a"), 9);
    assert_eq!(
        brief(&view.records),
        [("a\0", Some("2"), 1), ("ab", Some("3"), 1)]
    );
    append(storage, "d", 1, &[("a", None)]).done();
    let keys = ["a", "a\0", "ab"].map(|key| key.parse::<RecordKey>().unwrap());
    let view = storage.read(&address("d"), Selection::Keys(&keys)).unwrap();
    assert_eq!(
        brief(&view.records),
        [("a", None, 2), ("a\0", Some("2"), 1), ("ab", Some("3"), 1)]
    );
}

fn records_of_keys_come_in_the_order_asked(storage: &dyn Storage) {
    append(storage, "d", 0, &[("a", Some("1")), ("b", Some("1"))]).done();
    append(storage, "d", 1, &[("a", Some("2"))]).done();
    let keys = ["b", "x", "a"].map(|key| key.parse::<RecordKey>().unwrap());
    let view = storage.read(&address("d"), Selection::Keys(&keys)).unwrap();
    assert_eq!(
        brief(&view.records),
        [("b", Some("1"), 1), ("a", Some("2"), 2)]
    );
    assert_eq!(view.head.count, 2.into());
    let view = storage.read(&address("d"), Selection::Head).unwrap();
    assert_eq!((view.head.count, view.records.len()), (2.into(), 0));
}

fn deletion_drops_the_records_and_keeps_the_count(storage: &dyn Storage) {
    append(storage, "d", 0, &[("a", Some("1"))]).done();
    assert_eq!(
        storage.delete(&address("d"), 0.into()).unwrap(),
        Swap::Moved
    );
    assert_eq!(all(storage, "d").records.len(), 1);
    assert_eq!(storage.delete(&address("d"), 1.into()).unwrap(), Swap::Done);
    let view = all(storage, "d");
    assert_eq!(
        (view.head.count, view.head.deleted_at),
        (2.into(), 2.into())
    );
    assert_eq!((view.head.live, view.records.len()), (None, 0));
    assert_eq!(names(storage, &address("d").owner, None, 9), [""; 0]);
}

fn deleted_dataset_begins_again_above_its_old_count(storage: &dyn Storage) {
    append(storage, "d", 0, &[("a", Some("1")), ("b", Some("1"))]).done();
    storage.delete(&address("d"), 1.into()).unwrap().done();
    assert_eq!(
        append(storage, "d", 1, &[("b", Some("2"))]),
        Swap::Moved,
        "it was deleted since"
    );
    append(storage, "d", 2, &[("b", Some("2"))]).done();
    let view = all(storage, "d");
    assert_eq!(
        (view.head.count, view.head.deleted_at),
        (3.into(), 2.into())
    );
    assert_eq!(brief(&view.records), [("b", Some("2"), 3)]);
    let keys = ["a".parse::<RecordKey>().unwrap()];
    let view = storage.read(&address("d"), Selection::Keys(&keys)).unwrap();
    assert_eq!(view.records, []);
}

fn datasets_of_an_owner_come_by_name(storage: &dyn Storage) {
    for name in ["b", "a", "a.b", "a-b", "gone"] {
        append(storage, name, 0, &[("k", Some(name))]).done();
    }
    storage.delete(&address("gone"), 1.into()).unwrap().done();
    let owner = address("a").owner;
    let other = Owner {
        identity: "us-east-1:0".parse().unwrap(),
        ..owner.clone()
    };
    let longer = Owner {
        identity: format!("{}0", owner.identity).parse().unwrap(),
        ..other.clone()
    };
    for stranger in [&other, &longer] {
        let address = Address {
            owner: stranger.clone(),
            dataset: "theirs".parse().unwrap(),
        };
        let push = Push {
            live: live(0),
            records: Vec::new(),
        };
        storage
            .append(&address, SyncCount::ZERO, &push)
            .unwrap()
            .done();
    }
    assert_eq!(names(storage, &owner, None, 9), ["a", "a-b", "a.b", "b"]);
    assert_eq!(names(storage, &owner, None, 2), ["a", "a-b"]);
    assert_eq!(names(storage, &owner, Some("a-b"), 9), ["a.b", "b"]);
    assert_eq!(names(storage, &owner, Some("a0"), 9), ["b"]);
    assert_eq!(names(storage, &owner, Some("b"), 9), [""; 0]);
    assert_eq!(names(storage, &other, None, 9), ["theirs"]);
}

fn dataset_whose_name_is_the_start_of_another_is_not_the_other(storage: &dyn Storage) {
    append(storage, "a", 0, &[("k", Some("a"))]).done();
    append(storage, "a.b", 0, &[("k", Some("a.b"))]).done();
    storage.delete(&address("a"), 1.into()).unwrap().done();
    assert_eq!(brief(&all(storage, "a.b").records), [("k", Some("a.b"), 1)]);
    assert_eq!(all(storage, "a").records, []);
}

fn of_concurrent_pushes_on_one_count_one_is_made(storage: &dyn Storage) {
    for count in 0..10 {
        let key = |n| format!("k{n}");
        let made: usize = thread::scope(|scope| {
            let writers: Vec<_> = (0..4)
                .map(|n| scope.spawn(move || append(storage, "d", count, &[(&key(n), Some("x"))])))
                .collect();
            let swaps = writers.into_iter().map(|writer| writer.join().unwrap());
            swaps.filter(|swap| *swap == Swap::Done).count()
        });
        assert_eq!(made, 1);
        assert_eq!(all(storage, "d").head.count, (count + 1).into());
    }
}

fn others(dataset: &str) -> Address {
    let owner = Owner {
        identity: "us-east-1:0".parse().unwrap(),
        ..address(dataset).owner
    };
    Address {
        owner,
        ..address(dataset)
    }
}

fn adopted_dataset_stands_as_it_stood(storage: &dyn Storage) {
    append(storage, "d", 0, &[("a", Some("1")), ("b", Some("1"))]).done();
    append(storage, "d", 1, &[("a", None)]).done();
    append(storage, "d.e", 0, &[("k", Some("x"))]).done();
    let before = all(storage, "d");
    storage.adopt(&address("d"), &others("n")).unwrap().done();
    let place = Place {
        count: SyncCount::ZERO,
        key: None,
    };
    let after = storage
        .read(&others("n"), Selection::After(&place, 9))
        .unwrap();
    assert_eq!(after.records, before.records);
    assert_eq!(
        (after.head.count, after.head.adopted_at),
        (2.into(), 2.into())
    );
    assert_eq!(after.head.deleted_at, SyncCount::ZERO);
    assert_eq!(after.head.live, before.head.live);
    let keys = ["a", "b"].map(|key| key.parse::<RecordKey>().unwrap());
    let found = storage
        .read(&others("n"), Selection::Keys(&keys))
        .unwrap()
        .records;
    assert_eq!(brief(&found), [("a", None, 2), ("b", Some("1"), 1)]);
    let gone = all(storage, "d");
    assert_eq!(
        (gone.head.count, gone.head.deleted_at),
        (3.into(), 3.into())
    );
    assert_eq!((gone.head.live, gone.records.len()), (None, 0));
    assert_eq!(all(storage, "d.e").records.len(), 1);
    storage.delete(&others("n"), 2.into()).unwrap().done();
    let head = storage.read(&others("n"), Selection::Head).unwrap().head;
    assert_eq!(
        (head.deleted_at, head.adopted_at),
        (3.into(), SyncCount::ZERO)
    );
}

fn adoption_takes_no_place_and_makes_nothing_of_nothing(storage: &dyn Storage) {
    assert_eq!(
        storage.adopt(&address("d"), &others("n")).unwrap(),
        Swap::Moved
    );
    append(storage, "d", 0, &[("a", Some("1"))]).done();
    append(storage, "taken", 0, &[("a", Some("2"))]).done();
    let adopt = |name| storage.adopt(&address("d"), &address(name)).unwrap();
    assert_eq!(adopt("taken"), Swap::Moved);
    storage.delete(&address("taken"), 1.into()).unwrap().done();
    assert_eq!(
        adopt("taken"),
        Swap::Moved,
        "its counts are known to devices"
    );
    assert_eq!(brief(&all(storage, "d").records), [("a", Some("1"), 1)]);
}

fn scan_shows_every_dataset_by_pool_identity_and_name(storage: &dyn Storage) {
    for name in ["b", "a", "gone"] {
        append(storage, name, 0, &[("k", Some("v"))]).done();
    }
    storage.delete(&address("gone"), 1.into()).unwrap().done();
    append(storage, "x", 0, &[("k", Some("v"))]).done();
    storage.adopt(&address("x"), &others("z")).unwrap().done();
    let scan = |after: Option<Address>, limit| {
        let found = storage.scan(after.as_ref(), limit).unwrap();
        found
            .into_iter()
            .map(|(address, _)| address)
            .collect::<Vec<_>>()
    };
    let order = [others("z"), address("a"), address("b")];
    assert_eq!(scan(None, 9), order);
    assert_eq!(scan(None, 2), order[..2]);
    assert_eq!(scan(Some(others("z")), 9), order[1..]);
    assert_eq!(scan(Some(address("a0")), 9), order[2..]);
    assert_eq!(scan(Some(address("b")), 9), []);
}

fn change(key: &str, expected: Option<&str>, next: Option<&str>) -> NoteChange {
    NoteChange {
        key: key.to_owned(),
        expected: expected.map(str::to_owned),
        next: next.map(str::to_owned),
    }
}

fn notes_change_together_or_not_at_all(storage: &dyn Storage) {
    let swap = |changes: &[NoteChange]| storage.swap_notes(changes).unwrap();
    let note = |key| storage.note(key).unwrap();
    swap(&[change("a", None, Some("1")), change("b", None, None)]).done();
    assert_eq!(
        swap(&[change("b", None, Some("2")), change("a", None, None)]),
        Swap::Moved
    );
    assert_eq!(swap(&[change("a", Some("2"), None)]), Swap::Moved);
    assert_eq!((note("a").as_deref(), note("b")), (Some("1"), None));
    swap(&[change("a", Some("1"), None), change("b", None, Some(""))]).done();
    assert_eq!((note("a"), note("b").as_deref()), (None, Some("")));
}

fn notes_of_a_prefix_come_by_key(storage: &dyn Storage) {
    for key in ["p/b", "p/é", "p/a", "p", "q/a"] {
        storage
            .swap_notes(&[change(key, None, Some(key))])
            .unwrap()
            .done();
    }
    let keys = |prefix| {
        let notes = storage.notes(prefix).unwrap();
        notes
            .into_iter()
            .map(|(key, text)| {
                assert_eq!(key, text);
                key
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(keys("p/"), ["p/a", "p/b", "p/é"]);
    assert_eq!(keys("r/"), [""; 0]);
}

trait Done {
    fn done(self);
}

impl Done for Swap {
    fn done(self) {
        assert_eq!(self, Self::Done);
    }
}

#[test]
fn reopened_store_has_what_was_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let storage = FjallStorage::open(directory.path()).unwrap();
    append(&storage, "d", 0, &[("a", Some("1")), ("b", None)]).done();
    append(&storage, "gone", 0, &[("a", Some("1"))]).done();
    storage.delete(&address("gone"), 1.into()).unwrap().done();
    let (before, gone) = (all(&storage, "d"), all(&storage, "gone"));
    storage
        .swap_notes(&[change("k", None, Some("v"))])
        .unwrap()
        .done();
    drop(storage);
    let storage = FjallStorage::open(directory.path()).unwrap();
    assert_eq!(all(&storage, "d"), before);
    assert_eq!(all(&storage, "gone"), gone);
    assert_eq!(storage.note("k").unwrap().as_deref(), Some("v"));
    append(&storage, "d", 1, &[("a", Some("2"))]).done();
    assert_eq!(
        brief(&all(&storage, "d").records),
        [("b", None, 1), ("a", Some("2"), 2)]
    );
}

#[test]
fn store_that_is_open_cannot_be_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let _storage = FjallStorage::open(directory.path()).unwrap();
    let again = FjallStorage::open(directory.path());
    assert!(matches!(again, Err(StorageError::InUse)), "{again:?}");
}

const STORE: &str = "DRIFTLESS_TEST_STORE";
const KEYS: [&str; 3] = ["a", "b", "c"];

/// Pushes until it is killed, and prints each count that was acknowledged.
#[test]
#[ignore = "is the process that the next test kills"]
fn writer() {
    let directory = env::var_os(STORE).unwrap();
    let storage = FjallStorage::open(directory.as_ref()).unwrap();
    for count in 0..100_000 {
        let value = (count + 1).to_string();
        append(&storage, "d", count, &KEYS.map(|key| (key, Some(&*value)))).done();
        println!("acknowledged {value}");
    }
}

#[test]
fn killed_store_has_every_push_that_it_acknowledged_and_none_in_part() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "storage::writer", "--ignored", "--nocapture"])
        .env(STORE, directory.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut counts = lines.filter_map(|line| {
        let line = line.ok()?;
        line.rsplit_once("acknowledged ")?.1.parse::<i64>().ok()
    });
    let seen = counts.by_ref().take(20).last().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let acknowledged = counts.last().unwrap_or(seen);

    let storage = FjallStorage::open(directory.path()).unwrap();
    let view = all(&storage, "d");
    let count = view.head.count.get();
    assert!(
        count == acknowledged || count == acknowledged + 1,
        "{count} after {acknowledged}"
    );
    let value = count.to_string();
    assert_eq!(
        brief(&view.records),
        KEYS.map(|key| (key, Some(&*value), count))
    );
}
