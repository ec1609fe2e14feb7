//! `plain` keeps a dataset for old clients, gives that up, and says what the next syncs do.

use serde_json::{Value, json};

use crate::harness::{Device, Service};

/// Returns how many plain records the service has of the dataset `notes`.
fn records(device: &Device) -> Value {
    device.run(&["doctor"])["datasets"][0]["service"]["plain"].clone()
}

#[test]
fn records_come_with_the_next_sync_and_go_with_the_second_after_they_are_given_up() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path());
    let device = Device::of(&service);
    device.run(&["put", "k", "v"]);
    device.run(&["sync"]);
    assert_eq!(records(&device), 0);
    let kept = device.run(&["plain", "keep"]);
    let expected = json!({
        "dataset": "notes", "changed": true, "plain": true, "plain_only": false, "next": "writes",
    });
    assert_eq!(kept, expected);
    assert_eq!(records(&device), 0, "nothing is written before a sync");
    device.run(&["sync"]);
    assert_eq!(records(&device), 1);
    let again = device.run(&["plain", "keep"]);
    assert_eq!(
        (&again["changed"], &again["next"]),
        (&json!(false), &json!("nothing"))
    );

    let retired = device.run(&["plain", "retire"]);
    assert_eq!(
        (&retired["changed"], &retired["plain"], &retired["next"]),
        (&json!(true), &json!(false), &json!("removes"))
    );
    device.run(&["sync"]);
    assert_eq!(records(&device), 1, "the others are told first");
    device.run(&["sync"]);
    assert_eq!(records(&device), 0);
    assert_eq!(
        device.text(&["plain", "retire"]),
        "nothing was to be done: the dataset is not kept as plain records\n"
    );
    assert_eq!(device.text(&["get", "k"]), "v\n");
}

#[test]
fn before_the_first_sync_only_the_wish_is_taken_back() {
    let device = Device::alone();
    device.run(&["put", "k", "v"]);
    device.run(&["plain", "keep"]);
    assert_eq!(device.run(&["plain", "retire"])["next"], "taken-back");
    assert_eq!(device.run(&["plain", "retire"])["next"], "nothing");
    let neither = device.undecided(&["plain"]).output().unwrap();
    assert_eq!(neither.status.code(), Some(2));
}
