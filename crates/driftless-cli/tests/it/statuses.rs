//! `status` tells how datasets stand: offline what is here and what the service told last, with `--remote` what it has.

use serde_json::json;

use crate::harness::{Device, IDENTITY, Service, failure_of, object_of};

#[test]
fn what_waits_for_a_sync_is_told_until_it_is_synced() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path());
    let device = Device::of(&service);
    device.run(&["put", "a", "1"]);
    device.run(&["put", "b", "2"]);
    let expected = json!({
        "identity": IDENTITY, "device": null, "asked": null,
        "datasets": [{
            "dataset": "notes", "here": true, "unreadable": false, "keys": 2,
            "unsynced": true, "unsynced_keys": ["a", "b"], "last_sync": null,
            "plain": false, "plain_only": false, "subscription": null, "remote": null,
        }],
    });
    assert_eq!(device.run(&["status"]), expected);
    assert_eq!(device.run(&["status", "--all"]), expected);
    let text = device.text(&["status"]);
    assert!(text.contains("2 keys") && text.contains("never"), "{text}");
    assert!(text.contains("notes/b is not synced\n"), "{text}");
    let absent = device.run(&["status", "--remote", "-d", "notes"]);
    assert_eq!(absent["datasets"][0]["remote"], json!(null));
    assert!(absent["asked"].is_i64());

    device.run(&["sync"]);
    device.run(&["remove", "b"]);
    device.run(&["plain", "keep"]);
    let status = device.run(&["status", "--remote", "-d", "notes"])["datasets"][0].clone();
    assert_eq!(status["unsynced_keys"], json!(["b"]));
    assert_eq!(
        (&status["keys"], &status["plain"]),
        (&json!(1), &json!(true))
    );
    assert_eq!(status["last_sync"]["count"], 1);
    assert!(status["last_sync"]["at"].as_i64() > Some(1_600_000_000_000));
    assert!(status["remote"]["records"].as_i64() > Some(0));
}

#[test]
fn what_the_service_told_last_is_there_offline() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path());
    let (a, b) = (Device::of(&service), Device::of(&service));
    a.run(&["put", "k", "v"]);
    a.run(&["sync"]);
    assert_eq!(b.fail(&["status", "--all"]).0, 7, "no store is made");
    b.run(&["sync", "--all"]);
    assert_eq!(b.run(&["status", "--all"])["datasets"], json!([]));
    let first = b.run(&["status", "--all", "--remote"]);
    assert_eq!(
        (
            &first["datasets"][0]["dataset"],
            &first["datasets"][0]["here"]
        ),
        (&json!("notes"), &json!(false))
    );
    let c = Device::of(&service);
    c.run(&["sync", "--all"]);
    let listed = c.run(&["list", "--remote"]);
    drop(service);
    assert_eq!(b.run(&["status", "--all"]), first);
    assert!(b.text(&["status", "--all"]).contains("not here"));
    let kept = &c.run(&["status", "--all"])["datasets"][0]["remote"];
    assert_eq!(kept["records"], listed["datasets"][0]["records"]);
    assert_eq!(b.fail(&["status", "--remote", "-d", "notes"]).0, 8);
    assert_eq!(
        b.run(&["status", "--all"]),
        first,
        "a failure loses nothing"
    );
}

#[test]
fn all_can_be_asked_for_whatever_dataset_is_set() {
    let device = Device::alone();
    device.run(&["put", "k", "v"]);
    let mut all = device.undecided(&["status", "--all"]);
    let all = object_of(all.env("DRIFTLESS_DATASET", "other"));
    assert_eq!(all["datasets"][0]["dataset"], "notes");
    let mut none = device.undecided(&["status"]);
    assert_eq!(none.output().unwrap().status.code(), Some(2));
    let mut nobody = device.undecided(&["status", "--all", "--remote"]);
    assert_eq!(failure_of(nobody.env_remove("DRIFTLESS_IDENTITY")).0, 2);
    let mut nobody = device.undecided(&["status", "--all"]);
    let nobody = object_of(nobody.env_remove("DRIFTLESS_IDENTITY"));
    assert_eq!(nobody["identity"], json!(null));
}
