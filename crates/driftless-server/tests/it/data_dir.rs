//! A server's directory.

use std::fs;

use driftless_server::{DataDir, OpenError};

#[test]
fn opened_again_it_has_the_same_key_pair() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("not/yet");
    let first = DataDir::open(&path).unwrap();
    let pair = first.key_pair().clone();
    assert_eq!(first.credentials(), path.join("credentials"));
    let text = fs::read_to_string(first.credentials()).unwrap();
    assert!(text.contains(pair.access_key_id()) && text.contains(pair.secret_access_key()));
    drop(first);
    assert_eq!(*DataDir::open(&path).unwrap().key_pair(), pair);
}

#[test]
fn open_directory_cannot_be_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let _open = DataDir::open(directory.path()).unwrap();
    let again = DataDir::open(directory.path());
    assert!(matches!(again, Err(OpenError::Store { .. })), "{again:?}");
}

#[test]
fn file_that_is_no_key_pair_is_an_error_that_names_it_and_shows_nothing() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("credentials"), "s3cret").unwrap();
    let error = DataDir::open(directory.path()).unwrap_err();
    assert!(error.to_string().ends_with("credentials"), "{error}");
    assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
}

#[test]
fn nothing_secret_is_in_the_debug_form() {
    let directory = tempfile::tempdir().unwrap();
    let data = DataDir::open(directory.path()).unwrap();
    let shown = format!("{data:?}");
    assert!(
        !shown.contains(data.key_pair().secret_access_key()),
        "{shown}"
    );
    let token_key = fs::read_to_string(directory.path().join("token-key")).unwrap();
    assert!(!shown.contains(token_key.trim()), "{shown}");
}
