//! `wipe` removes data from a device, only if it is told to, and never edits that stand nowhere else without a word.

use serde_json::{Value, json};

use crate::harness::{Device, IDENTITY, Service, failure_of, object_of};

const OTHER: &str = "us-east-1:00000000-0000-0000-0000-00000000000c";

fn names(device: &Device) -> Value {
    device.run(&["list", "--datasets"])["datasets"].clone()
}

#[test]
fn without_yes_it_tells_what_would_go_and_removes_nothing() {
    let device = Device::alone();
    device.run(&["put", "k", "v"]);
    let output = device.undecided(&["wipe", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = json!({
        "scope": "identity", "wiped": false, "registered": false,
        "datasets": [{ "dataset": "notes", "identity": IDENTITY, "unsynced": true }],
    });
    assert_eq!(told, expected);
    let error: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(error["error"]["name"], "usage");
    let mut as_other = device.undecided(&["put", "k", "w", "--dataset", "theirs"]);
    object_of(as_other.env("DRIFTLESS_IDENTITY", OTHER));
    let mut device_wide = device.undecided(&["wipe", "--scope", "device", "--lose-unsynced"]);
    let output = device_wide.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for (name, identity) in [("notes", IDENTITY), ("theirs", OTHER)] {
        let line = format!("dataset {name} of {identity}: has edits that only stand here");
        assert!(text.contains(&line), "{text}");
    }
    assert!(text.contains("who the device is"), "{text}");
    assert_eq!(device.text(&["get", "k"]), "v\n");
}

#[test]
fn unsynced_edits_stay_unless_they_may_be_lost() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path());
    let device = Device::of(&service);
    device.run(&["put", "k", "v"]);
    let (code, error) = failure_of(&mut device.undecided(&["wipe", "--yes"]));
    assert_eq!((code, &error["name"]), (17, &json!("unsynced")));
    let message = error["messages"][0].as_str().unwrap();
    assert!(message.contains("of notes of us-east-1:"), "{message}");
    assert_eq!(device.text(&["get", "k"]), "v\n");

    device.run(&["sync"]);
    let wiped = object_of(&mut device.undecided(&["wipe", "--yes"]));
    assert_eq!(wiped["wiped"], true);
    assert_eq!(names(&device), json!([]));
    device.run(&["sync"]);
    assert_eq!(device.text(&["get", "k"]), "v\n", "the service has it");

    device.run(&["put", "k", "lost"]);
    object_of(&mut device.undecided(&["wipe", "--lose-unsynced", "--yes"]));
    device.run(&["sync"]);
    assert_eq!(device.text(&["get", "k"]), "v\n");
}

#[test]
fn scope_says_whose_data_go() {
    let device = Device::alone();
    device.run(&["put", "k", "v"]);
    let as_other = |args: &[&str]| {
        let mut command = device.undecided(args);
        command.env("DRIFTLESS_IDENTITY", OTHER);
        command
    };
    object_of(&mut as_other(&["wipe", "--lose-unsynced", "--yes"]));
    assert_eq!(device.text(&["get", "k"]), "v\n", "it is another's");
    let (code, error) = failure_of(&mut as_other(&["wipe", "--scope", "device", "--yes"]));
    assert_eq!(code, 17, "{error}");
    assert_eq!(device.text(&["get", "k"]), "v\n");
    object_of(&mut as_other(&[
        "wipe",
        "--scope",
        "device",
        "--lose-unsynced",
        "--yes",
    ]));
    assert_eq!(names(&device), json!([]));
    let unknown = device.undecided(&["wipe", "--scope", "dataset"]).output();
    assert_eq!(unknown.unwrap().status.code(), Some(2));
}
