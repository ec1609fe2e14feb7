//! What old clients left is taken over by `import-store`.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::{Device, IDENTITY, Service, failure_of, object_of};

/// Writes localStorage with one dataset, and returns the file.
fn storage(directory: &tempfile::TempDir, records: &Value) -> PathBuf {
    let file = directory.path().join("storage.json");
    let entries = json!({ format!("{IDENTITY}.notes"): records.to_string(), "theme": "dark" });
    fs::write(&file, entries.to_string()).unwrap();
    file
}

#[test]
fn unsent_records_become_edits_once() {
    let (data, directory) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let service = Service::start(data.path());
    let device = Device::of(&service);
    let file = storage(
        &directory,
        &json!({
            "mine": { "Key": "mine", "Value": "1", "SyncCount": 0, "Modified": true },
            "sent": { "Key": "sent", "Value": "2", "SyncCount": 4, "Modified": false },
        }),
    );
    let import = || {
        let mut command = device.undecided(&["import-store", "--kind", "javascript"]);
        command.arg(&file);
        object_of(&mut command)
    };
    let first = import();
    assert_eq!(first["datasets"][0]["edits"], 1);
    assert_eq!(first["datasets"][0]["clean"], 1);
    assert_eq!(device.text(&["get", "mine"]), "1\n");
    device.run(&["put", "mine", "newer"]);
    let second = import();
    assert_eq!(second["datasets"][0]["was_taken"], true);
    device.run(&["sync"]);
    let other = Device::of(&service);
    other.run(&["sync"]);
    assert_eq!(other.text(&["get", "mine"]), "newer\n");
}

#[test]
fn what_is_not_understood_is_in_the_report_and_the_exit_code() {
    let directory = tempfile::tempdir().unwrap();
    let device = Device::alone();
    let file = storage(
        &directory,
        &json!({
            "bad": { "Value": {}, "Modified": true },
            "good": { "Value": "1", "Modified": true },
        }),
    );
    let mut command = device.undecided(&["import-store", "--kind", "javascript", "--json"]);
    let output = command.arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(15));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let place = format!("{IDENTITY}/notes/bad");
    assert_eq!(report["not_understood"][0]["place"], place);
    assert_eq!(device.text(&["get", "good"]), "1\n");
}

#[test]
fn file_of_another_kind_and_missing_file_are_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let device = Device::alone();
    let file = storage(&directory, &json!({}));
    for (kind, file, exit) in [
        ("android", file.clone(), 13),
        ("ios", file, 13),
        ("dotnet", directory.path().join("missing"), 7),
    ] {
        let mut command = device.undecided(&["import-store", "--kind", kind]);
        assert_eq!(failure_of(command.arg(file)).0, exit, "{kind}");
    }
}
