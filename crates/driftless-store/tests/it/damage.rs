//! Files that were cut or changed: what is returned is the commits up to some point, or a typed error.

use std::fs;
use std::path::{Path, PathBuf};

use driftless_merge::{DatasetKey, Durability};
use driftless_store::{
    Damage, DiskStore, OpenError, RecoverError, RecoveryReport, Row, Stop, Store,
};

use crate::samples::{after, copy_dir, datasets, dump, find, local, nth, open};

const COMMITS: u64 = 20;

/// Makes a store with twenty commits on disk, as it is when the process dies, or closed.
fn store(home: &Path, stop: Stop) -> PathBuf {
    let (dir, left) = (home.join("store"), home.join("left"));
    let (store, _) = open(&dir);
    for n in 1..=COMMITS {
        store.commit(nth(n), Durability::Disk).unwrap();
    }
    if stop == Stop::Clean {
        store.close().unwrap();
    }
    copy_dir(&dir, &left);
    left
}

/// Writes the rows out of the database's memory into tables; the journal keeps them too.
pub(crate) fn flush(rows: &Path) {
    let db = fjall::Database::builder(rows).open().unwrap();
    let options = fjall::KeyspaceCreateOptions::default;
    let rows = db.keyspace("rows", options).unwrap();
    rows.rotate_memtable_and_wait().unwrap();
}

fn journal(dir: &Path) -> PathBuf {
    dir.join("rows/0.jnl")
}

/// Checks that a store holds the commits up to one of them, and that it tells which are gone.
///
/// With damage in a table instead of the journal a dataset may be unreadable, but it is never another.
fn check(dir: &Path) -> Result<RecoveryReport, OpenError> {
    check_after(dir, 0)
}

/// As [`check`], for a store with `others` more commits after the twenty, which touched no dataset.
fn check_after(dir: &Path, others: u64) -> Result<RecoveryReport, OpenError> {
    let opened = DiskStore::open(dir)?;
    let report = opened.report;
    let all = COMMITS + others;
    assert!(report.last_commit <= all);
    if report.last_commit < all {
        assert!(report.lost_tail(), "{report:?}");
        let is_told = report.missing == Some(report.last_commit + 1..=all);
        assert!(is_told || report.stop == Stop::Unknown, "{report:?}");
    }
    let model = after(report.last_commit.min(COMMITS));
    for dataset in datasets() {
        match find(&opened.store, &dataset) {
            Ok(found) => assert_eq!(found, find(&model, &dataset).unwrap()),
            Err(
                RecoverError::Damaged { dataset: named, .. }
                | RecoverError::Version { dataset: named, .. },
            ) => {
                assert_eq!(named, dataset);
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    Ok(report)
}

#[test]
fn a_journal_cut_anywhere_leaves_the_commits_before_the_cut() {
    let home = tempfile::tempdir().unwrap();
    for stop in [Stop::Unclean, Stop::Clean] {
        let left = store(&home.path().join(format!("{stop:?}")), stop);
        let whole = fs::read(journal(&left)).unwrap();
        let mut lasts = Vec::new();
        for cut in (0..60).map(|at| at * whole.len() / 60) {
            let copy = tempfile::tempdir().unwrap();
            copy_dir(&left, copy.path());
            fs::write(journal(copy.path()), &whole[..cut]).unwrap();
            let report = check(copy.path()).unwrap();
            assert_eq!(report.stop, stop);
            if let Some(copied) = report.journal_copy {
                assert!(whole[..cut].starts_with(&fs::read(copied.join("0.jnl")).unwrap()));
            }
            lasts.push(report.last_commit);
        }
        assert!(
            lasts.is_sorted() && lasts[0] == 0 && lasts[59] > COMMITS / 2,
            "{lasts:?}"
        );
    }
}

#[test]
fn a_changed_bit_in_the_journal_leaves_the_commits_before_it() {
    let home = tempfile::tempdir().unwrap();
    let left = store(home.path(), Stop::Unclean);
    let whole = fs::read(journal(&left)).unwrap();
    for round in 0..80 {
        let mut bytes = whole.clone();
        let at = round * whole.len() / 80 + round % 7;
        bytes[at] ^= 1 << (round % 8);
        let copy = tempfile::tempdir().unwrap();
        copy_dir(&left, copy.path());
        fs::write(journal(copy.path()), &bytes).unwrap();
        let report = check(copy.path()).unwrap();
        assert_eq!(
            report.last_commit == COMMITS,
            report.cut_bytes == 0,
            "byte {at}: {report:?}"
        );
        if let Some(copied) = report.journal_copy {
            assert_eq!(fs::read(copied.join("0.jnl")).unwrap(), bytes);
        }
    }
}

/// The database passes over what stands in tables, so a journal may be cut before that without a loss. What is then
/// appended to it does not follow on what is left of it, and is there at the next start all the same.
#[test]
fn commits_after_damage_in_a_journal_that_tables_had_overtaken_are_kept() {
    let home = tempfile::tempdir().unwrap();
    let left = store(home.path(), Stop::Clean);
    flush(&left.join("rows"));
    let mut bytes = fs::read(journal(&left)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(journal(&left), &bytes).unwrap();

    let (mut store, report) = open(&left);
    assert_eq!((report.last_commit, &report.missing), (COMMITS, &None));
    assert!(report.cut_bytes > 0);
    assert_eq!(dump(&store), dump(&after(COMMITS)));
    for more in 1..=3 {
        store.commit(nth(COMMITS + more), Durability::Disk).unwrap();
        drop(store);
        let report;
        (store, report) = open(&left);
        assert_eq!(report.last_commit, COMMITS + more);
        assert!(!report.lost_tail(), "{report:?}");
        assert_eq!(dump(&store), dump(&after(COMMITS + more)));
    }
}

/// A start may die before its caller could act on what it was told.
#[test]
fn a_loss_is_told_again_until_the_store_was_closed() {
    let home = tempfile::tempdir().unwrap();
    let left = store(home.path(), Stop::Unclean);
    let mut bytes = fs::read(journal(&left)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(journal(&left), &bytes).unwrap();
    let died = |from: &Path, name: &str| {
        let to = home.path().join(name);
        copy_dir(from, &to);
        to
    };

    let (_first_store, first) = open(&left);
    assert!(first.missing.is_some() && first.cut_bytes > 0, "{first:?}");
    let second_dir = died(&left, "second");
    let (second_store, second) = open(&second_dir);
    assert_eq!(second.missing, first.missing);
    assert!(second.journal_copy.unwrap().starts_with(&second_dir));
    assert_eq!(second.stop, Stop::Unsettled);

    second_store
        .set_setting("lost", Some(b"some"), Durability::Disk)
        .unwrap();
    let (third_store, third) = open(&died(&second_dir, "third"));
    assert_eq!((third.stop, &third.missing), (Stop::Unsettled, &None));
    assert!(third.lost_tail());
    third_store.close().unwrap();
    let (_, last) = open(&home.path().join("third"));
    assert_eq!((last.stop, last.lost_tail()), (Stop::Clean, false));
}

/// As above, where nothing that was acknowledged is missing.
#[test]
fn a_torn_commit_is_told_again_until_the_store_was_closed() {
    let home = tempfile::tempdir().unwrap();
    let left = store(home.path(), Stop::Unclean);
    let mut bytes = fs::read(journal(&left)).unwrap();
    let torn = bytes[..100].to_vec();
    bytes.extend(torn);
    fs::write(journal(&left), &bytes).unwrap();
    let (_first_store, first) = open(&left);
    assert_eq!((first.cut_bytes, &first.missing), (100, &None));
    let copy = home.path().join("copy");
    copy_dir(&left, &copy);
    let (_, second) = open(&copy);
    assert_eq!((second.cut_bytes, second.lost_tail()), (0, true));
    assert_eq!(second.last_commit, COMMITS);
}

/// No checksum covers the sequence numbers, by which the database tells what of a journal stands in tables.
#[test]
fn a_changed_sequence_number_leaves_a_prefix_also_where_commits_stand_in_tables() {
    let home = tempfile::tempdir().unwrap();
    let left = store(home.path(), Stop::Clean);
    flush(&left.join("rows"));
    let (store, _) = open(&left);
    store
        .set_setting("a", Some(b"1"), Durability::Disk)
        .unwrap();
    store
        .set_setting("a", Some(b"2"), Durability::Disk)
        .unwrap();
    store
        .set_setting("b", Some(b"1"), Durability::Disk)
        .unwrap();
    drop(store);
    let whole = fs::read(journal(&left)).unwrap();
    // A batch begins with 1, the number of its items, and its sequence number; it ends like the one before.
    let ends = whole.windows(5).enumerate();
    let starts = ends.filter_map(|(at, end)| (end == b"FJL\x03\x01").then_some(at + 4));
    let starts: Vec<_> = [0].into_iter().chain(starts).collect();
    assert_eq!(starts.len() as u64, COMMITS + 3);
    for (number, start) in starts.iter().enumerate() {
        for bit in [0, 2, 40].map(|bit| bit + number % 2) {
            let mut bytes = whole.clone();
            bytes[start + 5 + bit / 8] ^= 1 << (bit % 8);
            let copy = tempfile::tempdir().unwrap();
            copy_dir(&left, copy.path());
            fs::write(journal(copy.path()), &bytes).unwrap();
            let report = check_after(copy.path(), 3).unwrap();
            let (store, _) = open(copy.path());
            let found = ["a", "b"].map(|name| store.setting(name).unwrap());
            let [a, b] = match report.last_commit - COMMITS {
                0 => [None, None],
                1 => [Some("1"), None],
                2 => [Some("2"), None],
                _ => [Some("2"), Some("1")],
            };
            let expected = [a, b].map(|value| value.map(|value| value.as_bytes().to_vec()));
            assert_eq!(found, expected, "bit {bit} of batch {number}: {report:?}");
        }
    }
}

/// The rows stand in tables here, for a long journal makes a start rewrite the database.
#[test]
fn a_changed_bit_anywhere_else_is_noticed_or_harmless() {
    let home = tempfile::tempdir().unwrap();
    let left = store(home.path(), Stop::Clean);
    lengthen_journal(&left);
    open(&left);
    let rewritten = home.path().join("rewritten");
    copy_dir(&left, &rewritten);
    let left = rewritten;
    let mut refused = 0;
    for file in files(&left) {
        let whole = fs::read(&file).unwrap();
        let step = (whole.len() / 12).max(3);
        for at in (0..whole.len()).step_by(step) {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            let copy = tempfile::tempdir().unwrap();
            copy_dir(&left, copy.path());
            fs::write(copy.path().join(file.strip_prefix(&left).unwrap()), &bytes).unwrap();
            refused += u32::from(check_after(copy.path(), 4).is_err());
        }
    }
    assert!(refused > 0);
}

#[test]
fn a_missing_file_is_noticed() {
    let home = tempfile::tempdir().unwrap();
    let left = store(home.path(), Stop::Clean);
    for file in files(&left) {
        let copy = tempfile::tempdir().unwrap();
        copy_dir(&left, copy.path());
        let name = file.strip_prefix(&left).unwrap();
        fs::remove_file(copy.path().join(name)).unwrap();
        match (name.to_str().unwrap(), check(copy.path())) {
            ("lock", Ok(report)) => assert!(!report.lost_tail()),
            ("mark", Ok(report)) => {
                assert_eq!((report.stop, report.lost_tail()), (Stop::Unknown, true))
            }
            ("format", result) => assert!(matches!(result, Err(OpenError::NotAStore))),
            (name, result) => assert!(
                matches!(result, Err(OpenError::Damaged(_))),
                "{name}: {result:?}"
            ),
        }
    }
}

#[test]
fn a_damaged_dataset_is_set_aside_and_others_stay_usable() {
    let home = tempfile::tempdir().unwrap();
    let [damaged, other] = datasets();
    let dir = with_a_changed_row(home.path(), &damaged);
    let (store, _) = open(&dir);
    let error = store.recover(&damaged).unwrap_err();
    let RecoverError::Damaged {
        dataset,
        damage: Damage::Checksum { row },
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!((dataset, row), (damaged.clone(), Row::Sync));
    let model = after(COMMITS);
    assert_eq!(find(&store, &other).unwrap(), find(&model, &other).unwrap());

    store.set_aside(&damaged).unwrap();
    model.forget(&damaged, Durability::Disk).unwrap();
    assert_eq!(dump(&store), dump(&model));
}

#[test]
fn a_table_cut_anywhere_is_damage_and_no_failing_disk() {
    let home = tempfile::tempdir().unwrap();
    let left = store(home.path(), Stop::Clean);
    flush(&left.join("rows"));
    let tables = files(&left.join("rows/keyspaces"));
    for table in tables
        .iter()
        .filter(|file| file.parent().unwrap().ends_with("tables"))
    {
        let whole = fs::read(table).unwrap();
        for cut in [0, 1, 31, 100, whole.len() / 2, whole.len() - 1] {
            fs::write(table, &whole[..cut]).unwrap();
            let result = DiskStore::open(&left);
            assert!(
                matches!(result, Err(OpenError::Damaged(_))),
                "{} at {cut}: {result:?}",
                table.display()
            );
        }
        fs::write(table, whole).unwrap();
    }
    check(&left).unwrap();
}

#[test]
fn a_setting_in_a_damaged_table_is_named_and_the_rest_stays_usable() {
    let home = tempfile::tempdir().unwrap();
    let left = store(home.path(), Stop::Clean);
    let (store, _) = open(&left);
    let value: Vec<u8> = (0..16_u8).map(|n| n.wrapping_mul(n ^ 0x5b)).collect();
    store
        .set_setting("marked", Some(&value), Durability::Disk)
        .unwrap();
    drop(store);
    flush(&left.join("rows"));
    let mut found = 0;
    for file in files(&left.join("rows/keyspaces/1/tables")) {
        let mut bytes = fs::read(&file).unwrap();
        if let Some(at) = bytes.windows(16).position(|window| window == value) {
            bytes[at] ^= 1;
            fs::write(file, bytes).unwrap();
            found += 1;
        }
    }
    assert_eq!(found, 1);

    check_after(&left, 1).unwrap();
    let (store, _) = open(&left);
    let error = store.setting("marked").unwrap_err();
    assert!(
        matches!(&error, RecoverError::Setting { name } if name == "marked"),
        "{error:?}"
    );
    assert_eq!(store.setting("other").unwrap(), None);
}

/// Writes and removes a large setting until a start finds the journal too long.
fn lengthen_journal(dir: &Path) {
    let (store, _) = open(dir);
    for _ in 0..3 {
        store
            .set_setting("large", Some(&vec![1; 1024 * 1024]), Durability::Buffered)
            .unwrap();
    }
    store.set_setting("large", None, Durability::Disk).unwrap();
}

/// Returns all files under a directory, in order.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path))
        } else {
            files.push(path)
        }
    }
    files.sort();
    files
}

/// Changes a value under the database's own checksums, as memory that went bad before the write does.
fn with_a_changed_row(home: &Path, dataset: &DatasetKey) -> PathBuf {
    let left = store(home, Stop::Clean);
    assert_eq!(dataset, &local("notes"));
    let db = fjall::Database::builder(left.join("rows")).open().unwrap();
    let rows = db
        .keyspace("rows", fjall::KeyspaceCreateOptions::default)
        .unwrap();
    let key = b"Y\x00\x05notes";
    let mut value = rows.get(key).unwrap().unwrap().to_vec();
    *value.last_mut().unwrap() ^= 1;
    // Into a table, for the journal would have to carry the number of a commit.
    let mut table = rows.start_ingestion().unwrap();
    table.write(key.as_slice(), value).unwrap();
    table.finish().unwrap();
    drop(rows);
    drop(db);
    left
}
