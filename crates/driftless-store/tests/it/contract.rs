//! What every store promises, for the store in memory and the one on disk.
//!
//! Each function gets a way to open the store; opening again after a close is the next start.

use driftless_merge::{Commit, DatasetKey, Durability, MirroredRecord, Snapshot};
use driftless_store::{CommitError, MemoryStore, RecoverError, Store};
use driftless_wire::SyncCount;

use crate::samples::{after, dump, identity, key, local, nth, open, record};

type Open<'a> = &'a dyn Fn() -> Box<dyn Store>;

macro_rules! contract {
    ($($name:ident),* $(,)?) => {
        mod memory {
            $(#[test] fn $name() { super::with_memory(super::$name); })*
        }
        mod disk {
            $(#[test] fn $name() { super::with_disk(super::$name); })*
        }
    };
}

contract! {
    commits_add_up,
    a_snapshot_replaces_the_deltas_before_it,
    a_snapshot_without_a_document_takes_the_old_one_away,
    records_are_forgotten_before_others_are_written,
    of_two_changes_of_one_record_the_later_counts,
    tombstones_and_empty_values_are_told_apart,
    what_is_not_there_is_none,
    datasets_are_listed_by_owner,
    forgetting_takes_all_of_one_dataset,
    a_dataset_that_was_set_aside_can_be_built_anew,
    settings_are_replaced_and_removed,
    settings_are_found_by_the_beginning_of_their_names,
    buffered_commits_survive_a_close,
    a_closed_store_says_so,
    threads_may_commit_at_once,
}

fn with_memory(check: fn(Open)) {
    let store = MemoryStore::new();
    check(&|| Box::new(store.reopen()));
}

fn with_disk(check: fn(Open)) {
    let home = tempfile::tempdir().unwrap();
    check(&|| Box::new(open(home.path()).0));
}

fn reopen(store: Box<dyn Store>, open: Open) -> Box<dyn Store> {
    store.close().unwrap();
    drop(store);
    open()
}

fn commits_add_up(open: Open) {
    let store = open();
    for n in 1..=40 {
        store.commit(nth(n), Durability::Disk).unwrap();
    }
    let expected = dump(&after(40));
    assert_eq!(dump(&*store), expected);
    assert_eq!(dump(&*reopen(store, open)), expected);
}

fn with_deltas(deltas: &[&[u8]]) -> Commit {
    let mut commit = Commit::new(local("notes"));
    commit.deltas = deltas.iter().map(|delta| delta.to_vec()).collect();
    commit
}

fn with_snapshot(state: &[u8], document: Option<&[u8]>) -> Commit {
    let mut commit = Commit::new(local("notes"));
    let document = document.map(<[u8]>::to_vec);
    commit.snapshot = Some(Snapshot {
        state: state.to_vec(),
        document,
    });
    commit
}

fn a_snapshot_replaces_the_deltas_before_it(open: Open) {
    let store = open();
    store
        .commit(with_deltas(&[b"1", b"2"]), Durability::Disk)
        .unwrap();
    let mut commit = with_snapshot(b"state", None);
    commit.deltas.push(b"3".to_vec());
    store.commit(commit, Durability::Disk).unwrap();
    let store = reopen(store, open);
    store.commit(with_deltas(&[b""]), Durability::Disk).unwrap();
    let found = store.recover(&local("notes")).unwrap().unwrap();
    assert_eq!(found.state.as_deref(), Some(b"state".as_slice()));
    assert_eq!(found.deltas, [b"3".as_slice(), b""]);
}

fn a_snapshot_without_a_document_takes_the_old_one_away(open: Open) {
    let store = open();
    let document = || store.document(&local("notes")).unwrap();
    store
        .commit(with_snapshot(b"1", Some(b"saved")), Durability::Disk)
        .unwrap();
    store
        .commit(with_deltas(&[b"delta"]), Durability::Disk)
        .unwrap();
    assert_eq!(document().as_deref(), Some(b"saved".as_slice()));
    store
        .commit(with_snapshot(b"2", None), Durability::Disk)
        .unwrap();
    assert_eq!(document(), None);
}

fn with_records(records: &[(&str, Option<MirroredRecord>)]) -> Commit {
    let mut commit = Commit::new(local("notes"));
    commit.records = records
        .iter()
        .map(|(name, record)| (key(name), record.clone()))
        .collect();
    commit
}

fn record_keys(store: &dyn Store) -> Vec<String> {
    let found = store.recover(&local("notes")).unwrap().unwrap();
    found.records.into_keys().map(String::from).collect()
}

fn records_are_forgotten_before_others_are_written(open: Open) {
    let store = open();
    let first = with_records(&[("a", record("1", 1)), ("b", record("1", 1))]);
    store.commit(first, Durability::Disk).unwrap();
    store
        .commit(
            with_records(&[("a", None), ("ä", record("1", 2))]),
            Durability::Disk,
        )
        .unwrap();
    assert_eq!(record_keys(&*store), ["b", "ä"]);
    let mut commit = with_records(&[("b", record("2", 3)), ("c", record("2", 3))]);
    commit.forget_records = true;
    store.commit(commit, Durability::Disk).unwrap();
    assert_eq!(record_keys(&*reopen(store, open)), ["b", "c"]);
}

fn of_two_changes_of_one_record_the_later_counts(open: Open) {
    let store = open();
    let twice = with_records(&[
        ("a", record("1", 1)),
        ("a", record("2", 2)),
        ("b", record("1", 1)),
        ("b", None),
    ]);
    store.commit(twice, Durability::Disk).unwrap();
    let found = reopen(store, open)
        .recover(&local("notes"))
        .unwrap()
        .unwrap();
    assert_eq!(
        found.records.into_iter().collect::<Vec<_>>(),
        [(key("a"), record("2", 2).unwrap())]
    );
}

fn tombstones_and_empty_values_are_told_apart(open: Open) {
    let store = open();
    let tombstone = MirroredRecord {
        value: None,
        sync_count: SyncCount::from(1),
    };
    let records = [
        ("empty", record("", 1)),
        ("tombstone", Some(tombstone.clone())),
    ];
    store
        .commit(with_records(&records), Durability::Disk)
        .unwrap();
    let found = store.recover(&local("notes")).unwrap().unwrap();
    assert_eq!(found.records[&key("empty")].value.as_deref(), Some(""));
    assert_eq!(found.records[&key("tombstone")], tombstone);
}

fn what_is_not_there_is_none(open: Open) {
    let store = open();
    assert_eq!(store.recover(&local("notes")).unwrap(), None);
    assert_eq!(store.document(&local("notes")).unwrap(), None);
    assert_eq!(store.setting("identity").unwrap(), None);
    assert_eq!(store.owners().unwrap(), []);
    store.forget(&local("notes"), Durability::Disk).unwrap();
    store
        .commit(Commit::new(local("notes")), Durability::Disk)
        .unwrap();
    assert_eq!(
        store.recover(&local("notes")).unwrap(),
        Some(Default::default())
    );
}

fn datasets_are_listed_by_owner(open: Open) {
    let store = open();
    let owners = [identity("us-east-1:0a"), identity("us-east-1:0b")];
    for (owner, name) in [
        (&owners[1], "b"),
        (&owners[0], "bb"),
        (&owners[0], "a"),
        (&owners[0], "c"),
    ] {
        let dataset = DatasetKey::new(owner.clone(), name.parse().unwrap());
        store
            .commit(Commit::new(dataset), Durability::Disk)
            .unwrap();
    }
    store
        .commit(Commit::new(local("d")), Durability::Disk)
        .unwrap();
    let store = reopen(store, open);
    assert_eq!(
        store.owners().unwrap(),
        [
            local("d").owner().clone(),
            owners[0].clone(),
            owners[1].clone()
        ]
    );
    let names = store.datasets(&owners[0]).unwrap();
    assert_eq!(
        names.iter().map(|name| name.as_str()).collect::<Vec<_>>(),
        ["a", "bb", "c"]
    );
}

fn forgetting_takes_all_of_one_dataset(open: Open) {
    let store = open();
    let reference = after(20);
    for n in 1..=20 {
        store.commit(nth(n), Durability::Disk).unwrap();
    }
    let gone = nth(1).dataset;
    store.forget(&gone, Durability::Disk).unwrap();
    reference.forget(&gone, Durability::Disk).unwrap();
    let store = reopen(store, open);
    assert_eq!(dump(&*store), dump(&reference));
    assert_eq!(store.recover(&gone).unwrap(), None);
    store
        .commit(with_deltas(&[b"anew"]), Durability::Disk)
        .unwrap();
    assert!(store.recover(&local("notes")).unwrap().is_some());
}

fn a_dataset_that_was_set_aside_can_be_built_anew(open: Open) {
    let store = open();
    for round in [b"first".as_slice(), b"second"] {
        store
            .commit(with_snapshot(round, Some(round)), Durability::Disk)
            .unwrap();
        store.set_aside(&local("notes")).unwrap();
        assert_eq!(store.recover(&local("notes")).unwrap(), None);
        assert_eq!(store.owners().unwrap(), []);
    }
    let store = reopen(store, open);
    store
        .commit(with_deltas(&[b"anew"]), Durability::Disk)
        .unwrap();
    let found = store.recover(&local("notes")).unwrap().unwrap();
    assert_eq!((found.state, found.deltas), (None, vec![b"anew".to_vec()]));
}

fn settings_are_replaced_and_removed(open: Open) {
    let store = open();
    store
        .set_setting("a", Some(b"1"), Durability::Disk)
        .unwrap();
    store
        .set_setting("a", Some(b"2"), Durability::Buffered)
        .unwrap();
    store.set_setting("b", Some(b""), Durability::Disk).unwrap();
    let store = reopen(store, open);
    assert_eq!(
        store.setting("a").unwrap().as_deref(),
        Some(b"2".as_slice())
    );
    assert_eq!(store.setting("b").unwrap().as_deref(), Some(b"".as_slice()));
    store.set_setting("a", None, Durability::Disk).unwrap();
    assert_eq!(reopen(store, open).setting("a").unwrap(), None);
}

fn settings_are_found_by_the_beginning_of_their_names(open: Open) {
    let store = open();
    store.commit(nth(1), Durability::Disk).unwrap();
    for name in ["b/2", "b/1", "a", "b", "c/1", "b/gone"] {
        let set = store.set_setting(name, Some(b"1"), Durability::Disk);
        set.unwrap();
    }
    let gone = store.set_setting("b/gone", None, Durability::Disk);
    gone.unwrap();
    let store = reopen(store, open);
    assert_eq!(store.settings("b/").unwrap(), ["b/1", "b/2"]);
    assert_eq!(store.settings("d").unwrap(), [""; 0]);
    let all = ["a", "b", "b/1", "b/2", "c/1"];
    assert_eq!(store.settings("").unwrap(), all);
}

fn buffered_commits_survive_a_close(open: Open) {
    let store = open();
    store.commit(nth(1), Durability::Buffered).unwrap();
    assert_eq!(dump(&*reopen(store, open)), dump(&after(1)));
}

fn a_closed_store_says_so(open: Open) {
    let store = open();
    store.close().unwrap();
    store.close().unwrap();
    assert!(matches!(
        store.commit(nth(1), Durability::Disk),
        Err(CommitError::Closed)
    ));
    assert!(matches!(
        store.set_aside(&local("notes")),
        Err(CommitError::Closed)
    ));
    assert!(matches!(
        store.recover(&local("notes")),
        Err(RecoverError::Closed)
    ));
    assert!(matches!(store.setting("a"), Err(RecoverError::Closed)));
    assert!(matches!(store.settings("a"), Err(RecoverError::Closed)));
}

fn threads_may_commit_at_once(open: Open) {
    let store = open();
    std::thread::scope(|scope| {
        for thread in 0..4_u8 {
            let store = &store;
            scope.spawn(move || {
                for n in 0..10 {
                    store
                        .commit(with_deltas(&[&[thread, n]]), Durability::Buffered)
                        .unwrap();
                }
            });
        }
    });
    let found = reopen(store, open)
        .recover(&local("notes"))
        .unwrap()
        .unwrap();
    for thread in 0..4 {
        let of_thread = found.deltas.iter().filter(|delta| delta[0] == thread);
        assert_eq!(
            of_thread.map(|delta| delta[1]).collect::<Vec<_>>(),
            (0..10).collect::<Vec<_>>()
        );
    }
}
