//! A store that its process may only read: it is refused, and kept.

use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use driftless_merge::Durability;
use driftless_store::{DiskStore, OpenError, Store};

use crate::child::alone;
use crate::samples::{after, dump, nth, open};

const DIR: &str = "DRIFTLESS_TEST_DIR";

/// A user whom permissions bind; no system gives it files.
const NOBODY: u32 = 65_534;

/// The superuser may write whatever the permissions say, so that then another user's process is the one that opens it.
#[test]
fn a_store_that_may_only_be_read_is_refused_and_kept() {
    let _alone = alone();
    let home = tempfile::tempdir().unwrap();
    set_mode(home.path(), 0o755);
    let (directory, this) = (home.path().join("store"), home.path().join("this"));
    let (store, _) = open(&directory);
    (1..=3).for_each(|n| store.commit(nth(n), Durability::Disk).unwrap());
    store.close().unwrap();
    fs::copy(env::current_exe().unwrap(), &this).unwrap();
    set_mode(&this, 0o755);

    set_modes(&directory, 0o555, 0o444);
    let mut command = Command::new(&this);
    let is_superuser = fs::write(directory.join("probe"), "").is_ok();
    if is_superuser {
        fs::remove_file(directory.join("probe")).unwrap();
        command.uid(NOBODY);
    }
    let body = "read_only::opens_what_it_may_only_read";
    let output = command.args(["--exact", body, "--ignored"]);
    let output = output.env(DIR, &directory).output().unwrap();
    set_modes(&directory, 0o755, 0o644);

    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
    let (store, report) = open(&directory);
    assert_eq!((report.last_commit, &report.missing), (3, &None));
    assert_eq!(dump(&store), dump(&after(3)));
}

#[test]
#[ignore = "the body of the process that another test starts"]
fn opens_what_it_may_only_read() {
    let opened = DiskStore::open(Path::new(&env::var_os(DIR).unwrap()));
    assert!(
        matches!(opened, Err(OpenError::NotWritable(_))),
        "{opened:?}"
    );
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Sets the modes of a directory and of all directories and files below it.
fn set_modes(directory: &Path, of_directories: u32, of_files: u32) {
    set_mode(directory, of_directories);
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => set_modes(&path, of_directories, of_files),
            false => set_mode(&path, of_files),
        }
    }
}
