//! Stores that sync through `driftless serve`.

use std::fs;

use serde_json::json;

use crate::harness::{Device, Service, driftless, failure_of};

#[test]
fn two_stores_agree_after_they_synced() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path());
    let (a, b) = (Device::of(&service), Device::of(&service));
    a.run(&["put", "title", "Groceries"]);
    b.run(&["put", "title", "Party"]);
    for (device, word) in [(&a, "milk "), (&b, "bread ")] {
        device.run(&["increment", "visits", "2"]);
        device.run(&["text", "note", "--insert", word]);
    }
    let first = a.run(&["sync"]);
    assert_eq!(
        (
            &first["datasets"][0]["requests"],
            &first["datasets"][0]["unsynced"]
        ),
        (&json!(2), &json!(false))
    );
    b.run(&["sync", "--all"]);
    let report = a.run(&["sync"]);
    assert_eq!(
        report["datasets"][0]["changed_here"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    assert_eq!(
        a.run(&["sync"])["datasets"][0]["requests"],
        1,
        "nothing is new"
    );
    assert_eq!(a.run(&["export"]), b.run(&["export"]));
    assert_eq!(a.text(&["get", "visits"]), "4\n");
    assert_eq!(
        a.text(&["get", "note"]).trim_end().len(),
        "milk bread".len()
    );
    let conflicts = b.run(&["conflicts"]);
    assert_eq!(conflicts["keys"][0]["key"], "title");
    assert_eq!(conflicts["keys"][0]["values"].as_array().unwrap().len(), 2);
    let remote = a.run(&["list", "--remote"]);
    assert_eq!(remote["datasets"][0]["name"], "notes");
    assert!(remote["datasets"][0]["records"].as_i64() > Some(1));
}

#[test]
fn deletion_reaches_the_others() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path());
    let (a, b) = (Device::of(&service), Device::of(&service));
    a.run(&["put", "k", "v"]);
    a.run(&["sync"]);
    b.run(&["sync"]);
    b.run(&["delete"]);
    assert_eq!(b.run(&["sync"])["datasets"][0]["deleted"], true);
    a.run(&["sync"]);
    assert_eq!(a.run(&["list"])["keys"], json!([]));
}

#[test]
fn service_makes_a_key_pair_of_its_own_and_keeps_its_data() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start_with(driftless(), data.path());
    let file = data.path().join("credentials");
    assert_eq!(service.ready["credentials"], json!(file));
    let pair = fs::read_to_string(&file).unwrap();
    let value = |name: &str| {
        let line = pair.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_once(" = ").unwrap().1.to_owned()
    };
    let (id, secret) = (value("aws_access_key_id"), value("aws_secret_access_key"));
    let device = Device::of(&service);
    device.run(&["put", "k", "v"]);
    let sync = |device: &Device| {
        let mut command = device.command(&["sync"]);
        command
            .env("AWS_ACCESS_KEY_ID", &id)
            .env("AWS_SECRET_ACCESS_KEY", &secret);
        assert!(command.output().unwrap().status.success());
    };
    sync(&device);
    assert_eq!(service.stop("-TERM"), Some(0), "it stops gracefully");

    let again = Service::start_with(driftless(), data.path());
    let other = Device::of(&again);
    sync(&other);
    assert_eq!(other.text(&["get", "k"]), "v\n");
    assert_eq!(again.stop("-INT"), Some(0));

    let own = tempfile::tempdir().unwrap();
    let mut command = driftless();
    command
        .args([
            "serve",
            "--json",
            "--listen",
            "127.0.0.1:0",
            "--credentials",
        ])
        .arg(&file);
    command.arg("--data").arg(own.path());
    let given = Service::started(command);
    sync(&Device::of(&given));
    assert!(
        !own.path().join("credentials").exists(),
        "none is made where one was given"
    );
}

#[test]
fn directory_of_a_running_service_is_in_use() {
    let data = tempfile::tempdir().unwrap();
    let _service = Service::start(data.path());
    let mut second = driftless();
    second
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(data.path());
    assert_eq!(failure_of(&mut second).0, 5);
}
