//! Directories that are in use, hold something else, come from tomorrow, or cannot be written to.

use std::fs;

use driftless_merge::Durability;
use driftless_store::{DiskStore, OpenError, Store};

use crate::samples::{after, dump, nth, open};

#[test]
fn a_second_open_is_refused_until_the_first_is_closed() {
    let home = tempfile::tempdir().unwrap();
    let (first, _) = open(home.path());
    assert!(matches!(
        DiskStore::open(home.path()),
        Err(OpenError::InUse)
    ));
    first.close().unwrap();
    let (second, _) = open(home.path());
    assert!(matches!(
        DiskStore::open(home.path()),
        Err(OpenError::InUse)
    ));
    drop(second);
    open(home.path());
}

#[test]
fn a_directory_with_something_else_is_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("letter.txt");
    fs::write(&file, "dear").unwrap();
    assert!(matches!(
        DiskStore::open(home.path()),
        Err(OpenError::NotAStore)
    ));
    assert!(matches!(DiskStore::open(&file), Err(OpenError::NotAStore)));
    assert!(matches!(
        DiskStore::open(file.join("below")),
        Err(OpenError::NotAStore)
    ));
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
}

#[test]
fn a_newer_version_is_refused_and_left_alone() {
    let home = tempfile::tempdir().unwrap();
    for (format, version) in [
        ("driftless store 2\n", "2"),
        ("driftless store 1.1\nmore\n", "1.1\nmore"),
    ] {
        fs::write(home.path().join("format"), format).unwrap();
        let error = DiskStore::open(home.path()).unwrap_err();
        assert!(
            matches!(&error, OpenError::Version { found } if found == version),
            "{error:?}"
        );
    }
    fs::write(home.path().join("format"), "something").unwrap();
    assert!(matches!(
        DiskStore::open(home.path()),
        Err(OpenError::NotAStore)
    ));
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
}

/// A start that died may have left the store half made or half rewritten.
#[test]
fn a_start_that_died_half_way_is_taken_up_again() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    fs::write(at("lock"), "").unwrap();
    fs::write(at("format.new"), "drift").unwrap();
    let (store, _) = open(home.path());
    store.commit(nth(1), Durability::Disk).unwrap();
    drop(store);

    fs::create_dir(at("building")).unwrap();
    fs::write(at("building/0.jnl"), "half").unwrap();
    assert_eq!(dump(&open(home.path()).0), dump(&after(1)));
    assert!(!at("building").exists());

    fs::rename(at("rows"), at("discarded")).unwrap();
    assert_eq!(dump(&open(home.path()).0), dump(&after(1)));
    fs::create_dir(at("discarded")).unwrap();
    fs::write(at("discarded/0.jnl"), "half removed").unwrap();
    assert_eq!(dump(&open(home.path()).0), dump(&after(1)));
    assert!(!at("discarded").exists());
}
