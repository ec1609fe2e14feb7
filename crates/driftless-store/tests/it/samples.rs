//! Commits to write, and how to compare what came of them.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

use driftless_merge::{Commit, DatasetKey, Durability, MirroredRecord, Owner, Recovered, Snapshot};
use driftless_store::{DiskStore, MemoryStore, RecoverError, RecoveryReport, Store};
use driftless_wire::{RecordKey, SyncCount};

pub(crate) fn local(name: &str) -> DatasetKey {
    DatasetKey::new(Owner::Local, name.parse().unwrap())
}

pub(crate) fn identity(id: &str) -> Owner {
    Owner::Identity(id.parse().unwrap())
}

/// The two datasets that [`nth`] writes to in turn.
pub(crate) fn datasets() -> [DatasetKey; 2] {
    let notes = "notes".parse().unwrap();
    [
        local("notes"),
        DatasetKey::new(identity("us-east-1:0a"), notes),
    ]
}

pub(crate) fn record(value: &str, count: u32) -> Option<MirroredRecord> {
    Some(MirroredRecord {
        value: Some(value.to_owned()),
        sync_count: SyncCount::from(count),
    })
}

pub(crate) fn key(key: &str) -> RecordKey {
    key.parse().unwrap()
}

/// The commit of number `n`: with snapshots and forgotten records now and then, and some rows over many pages.
pub(crate) fn nth(n: u64) -> Commit {
    let bytes = |length: u64| {
        (0..length)
            .map(|at| (n + at) as u8 | 1)
            .collect::<Vec<u8>>()
    };
    let mut commit = Commit::new(datasets()[(n % 2) as usize].clone());
    commit.deltas.push(bytes(5 + n % 40));
    if n % 7 < 2 {
        let document = n.is_multiple_of(3).then(|| bytes(20_000));
        commit.snapshot = Some(Snapshot {
            state: bytes(10_000),
            document,
        });
    }
    commit.forget_records = n % 13 < 2;
    commit.records.push((
        key(&format!("key {}", n % 5)),
        record(&format!("value {n}"), n as u32),
    ));
    commit.sync = n.is_multiple_of(3).then(|| n.to_le_bytes().to_vec());
    commit
}

/// A store in memory with the commits 1 to `n`: what any other store must be equal to.
pub(crate) fn after(n: u64) -> MemoryStore {
    let store = MemoryStore::new();
    for n in 1..=n {
        store.commit(nth(n), Durability::Disk).unwrap();
    }
    store
}

pub(crate) type Found = (Option<Recovered>, Option<Vec<u8>>);

pub(crate) fn find(store: &dyn Store, dataset: &DatasetKey) -> Result<Found, RecoverError> {
    Ok((store.recover(dataset)?, store.document(dataset)?))
}

/// Everything that a store returns.
pub(crate) fn dump(store: &dyn Store) -> Vec<(DatasetKey, Found)> {
    let mut all = Vec::new();
    for owner in store.owners().unwrap() {
        for name in store.datasets(&owner).unwrap() {
            let dataset = DatasetKey::new(owner.clone(), name);
            let found = find(store, &dataset).unwrap();
            all.push((dataset, found));
        }
    }
    all
}

pub(crate) fn open(dir: &Path) -> (DiskStore, RecoveryReport) {
    let opened = DiskStore::open(dir).unwrap();
    (opened.store, opened.report)
}

/// Copies the directory of a store, closed or open, as the death of its process would leave it.
pub(crate) fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &to);
        } else {
            copy_file(&entry.path(), &to);
        }
    }
}

/// Copies a file up to its first mebibyte of zeros, for journals are allocated ahead.
fn copy_file(from: &Path, to: &Path) {
    let (mut from, mut to) = (File::open(from).unwrap(), File::create_new(to).unwrap());
    let zeros = vec![0; 1024 * 1024];
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        Read::by_ref(&mut from)
            .take(zeros.len() as u64)
            .read_to_end(&mut bytes)
            .unwrap();
        if bytes.is_empty() || bytes == zeros {
            return;
        }
        to.write_all(&bytes).unwrap();
    }
}
