//! Every kind of failure has its exit code, and names itself.

use std::fs;
use std::net::TcpListener;

use driftless::{Client, Scalar};

use crate::harness::{Device, IDENTITY, POOL, Service, driftless, failure_of, object_of};

fn check((code, error): (i32, serde_json::Value), expected: i32, name: &str) {
    assert_eq!(
        (code, error["name"].as_str()),
        (expected, Some(name)),
        "{error}"
    );
}

fn client(device: &Device) -> Client {
    let builder = Client::builder(device.store());
    builder
        .pool(POOL.parse().unwrap())
        .identity(IDENTITY.parse().unwrap())
        .open()
        .unwrap()
}

#[test]
fn missing_settings_are_usage() {
    check(
        failure_of(driftless().args(["get", "a", "-d", "notes"])),
        2,
        "usage",
    );
    check(Device::alone().fail(&["sync"]), 2, "usage");
    let status = driftless().args(["get", "a"]).output().unwrap().status;
    assert_eq!(status.code(), Some(2), "no dataset");
    let device = Device::alone();
    check(device.fail(&["put", "a", "x", "--type", "int"]), 2, "usage");
    check(device.fail(&["put", "a"]), 2, "usage");
    check(
        device.fail(&["put", "a", "x", "--type", "null"]),
        2,
        "usage",
    );
    let text = device
        .command(&["text", "a", "--at", "1"])
        .output()
        .unwrap();
    assert_eq!(text.status.code(), Some(2), "neither --delete nor --insert");
}

#[test]
fn refused_edits_change_nothing() {
    let device = Device::alone();
    device.run(&["text", "note", "--insert", "abc"]);
    check(device.fail(&["put", "", "x"]), 4, "refused");
    check(device.fail(&["put", &"k".repeat(129), "x"]), 4, "refused");
    check(device.fail(&["put", "_driftless.head", "x"]), 4, "refused");
    check(device.fail(&["increment", "note"]), 4, "refused");
    check(
        device.fail(&["text", "note", "--at", "4", "--insert", "x"]),
        4,
        "refused",
    );
    assert_eq!(device.text(&["get", "note"]), "abc\n");
}

#[test]
fn store_that_another_process_has_open_is_in_use() {
    let device = Device::alone();
    let holder = client(&device);
    check(device.fail(&["put", "a", "1"]), 5, "in-use");
    holder.close().unwrap();
    device.run(&["put", "a", "1"]);
}

#[test]
fn store_that_is_damaged_or_of_a_later_version_is_left_alone() {
    let device = Device::alone();
    device.run(&["put", "a", "1"]);
    let check_with = |file: &str, content: &str| {
        let file = device.store().join(file);
        let before = fs::read(&file).unwrap();
        fs::write(&file, content).unwrap();
        check(device.fail(&["put", "a", "2"]), 6, "damaged");
        assert_eq!(fs::read_to_string(&file).unwrap(), content);
        fs::write(&file, before).unwrap();
    };
    check_with("format", "driftless store 9\n");
    check_with("rows/version", "");
    assert_eq!(device.text(&["get", "a"]), "1\n");
}

#[test]
fn store_of_another_pool_is_not_touched() {
    let device = Device::alone();
    device.run(&["put", "a", "1"]);
    let other = device
        .command(&["put", "a", "2", "--pool", "us-east-1:ff"])
        .output()
        .unwrap();
    assert_eq!(other.status.code(), Some(2));
    assert_eq!(device.text(&["get", "a"]), "1\n");
}

#[test]
fn directory_that_is_no_store_is_left_alone() {
    let device = Device::alone();
    fs::create_dir(device.store()).unwrap();
    fs::write(device.store().join("letter.txt"), "dear").unwrap();
    check(device.fail(&["put", "a", "1"]), 2, "usage");
    assert_eq!(fs::read_dir(device.store()).unwrap().count(), 1);
}

/// The variable is what stands back: only a flag contradicts another flag, or sends a file elsewhere.
#[test]
fn dataset_of_the_environment_gives_way_to_every_flag() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path());
    let device = Device::of(&service);
    device.run(&["put", "k", "v"]);
    let with_default = |args: &[&str]| {
        let mut command = device.undecided(args);
        command.env("DRIFTLESS_DATASET", "usual");
        command
    };
    object_of(&mut with_default(&["put", "k", "usual"]));
    let count = |args: &[&str]| {
        let report = object_of(&mut with_default(args));
        report["datasets"].as_array().unwrap().len()
    };
    assert_eq!(count(&["sync", "--all"]), 2);
    assert_eq!(count(&["size", "--all"]), 2);
    assert_eq!(count(&["list", "--datasets"]), 2);
    assert_eq!(count(&["list", "--remote"]), 2);
    assert_eq!(count(&["doctor"]), 2);
    for command in [["sync"], ["size"]] {
        let report = object_of(&mut with_default(&command));
        let name = report["datasets"][0].get("dataset").unwrap();
        assert_eq!((name.as_str(), count(&command)), (Some("usual"), 1));
    }
    assert_eq!(object_of(&mut with_default(&["list"]))["dataset"], "usual");
    assert_eq!(
        object_of(&mut with_default(&["size", "k"]))["dataset"],
        "usual"
    );

    let file = device.store().with_extension("json");
    let path = file.to_str().unwrap();
    device.run(&["export", "--output", path]);
    let report = object_of(&mut with_default(&["import", path]));
    assert_eq!(report["dataset"], "notes", "the dataset is the file's");

    for command in [["list"], ["sync"], ["size"]] {
        check(failure_of(&mut device.undecided(&command)), 2, "usage");
    }
    let mut both = device.command(&["sync", "-d", "notes", "--all"]);
    assert_eq!(both.output().unwrap().status.code(), Some(2));
}

#[test]
fn commands_that_only_read_make_no_store() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path());
    let device = Device::alone();
    for is_empty in [false, true] {
        let commands: [&[&str]; 9] = [
            &["get", "a"],
            &["list"],
            &["list", "--datasets"],
            &["conflicts"],
            &["export"],
            &["size"],
            &["size", "a"],
            &["size", "--all"],
            &["watch", "--for", "0"],
        ];
        for command in commands {
            let (code, error) = device.fail(command);
            let message = error["messages"][0].as_str().unwrap();
            assert_eq!(code, 7, "{command:?}");
            assert!(message.starts_with("there is no store in "), "{message}");
        }
        let mut remote = device.undecided(&["list", "--remote"]);
        remote.env("DRIFTLESS_ENDPOINT", &service.endpoint);
        assert_eq!(object_of(&mut remote)["datasets"], serde_json::json!([]));
        match is_empty {
            false => {
                assert!(!device.store().exists());
                fs::create_dir(device.store()).unwrap();
            }
            true => assert_eq!(fs::read_dir(device.store()).unwrap().count(), 0),
        }
    }
}

#[test]
fn service_that_is_down_is_network_and_loses_nothing() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let device = Device::at(&endpoint);
    device.run(&["put", "a", "1"]);
    check(device.fail(&["sync"]), 8, "network");
    check(device.fail(&["list", "--remote"]), 8, "network");
    assert_eq!(device.text(&["get", "a"]), "1\n");
}

#[test]
fn wrong_and_missing_credentials_are_told() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path());
    let device = Device::of(&service);
    let wrong = device
        .command(&["sync"])
        .env("AWS_SECRET_ACCESS_KEY", "wrong")
        .arg("--json")
        .output();
    let wrong = wrong.unwrap();
    assert_eq!(
        wrong.status.code(),
        Some(9),
        "{}",
        String::from_utf8_lossy(&wrong.stderr)
    );
    let missing = failure_of(device.command(&["sync"]).env_remove("AWS_ACCESS_KEY_ID"));
    check(missing, 9, "credentials");
}

#[test]
fn dataset_without_room_takes_removals_only() {
    let device = Device::alone();
    let filling = client(&device);
    let mut random = 1_u64;
    let mut noise = || {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (random >> 56) as u8
    };
    let dataset = filling.dataset("notes").unwrap();
    let filled = (0..20).take_while(|part| {
        let bytes: Vec<u8> = (0..50_000).map(|_| noise()).collect();
        dataset
            .put(format!("part {part}"), Scalar::Bytes(bytes))
            .is_ok()
    });
    assert!((5..20).contains(&filled.count()));
    filling.close().unwrap();
    let noise: String = (0..60_000).map(|_| format!("{:02x}", noise())).collect();
    check(
        device.fail(&["put", "more", &noise, "--type", "hex"]),
        11,
        "full",
    );
    device.run(&["remove", "part 0"]);
    device.run(&["put", "small", "1"]);
}

#[test]
fn files_that_are_no_traces_are_told_from_those_that_are_missing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("trace.json");
    let demo = || failure_of(driftless().args(["demo", "--trace"]).arg(&file));
    check(demo(), 7, "io");
    fs::write(
        &file,
        r#"{"endContent":"","txns":[{"patches":[[1,0,""]]}]}"#,
    )
    .unwrap();
    let (code, error) = demo();
    assert_eq!(
        error["messages"][0],
        "transaction 0 changes characters 1 to 1 of 0"
    );
    check((code, error), 13, "input");
}

#[test]
fn trace_that_ends_otherwise_is_a_disagreement() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("trace.json");
    fs::write(
        &file,
        r#"{"endContent":"b","txns":[{"patches":[[0,0,"a"]]}]}"#,
    )
    .unwrap();
    check(
        failure_of(driftless().args(["demo", "--trace"]).arg(&file)),
        14,
        "disagree",
    );
}

#[test]
fn help_has_the_table_of_exit_codes() {
    let help = driftless().arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(help.contains("14  the demonstration failed"), "{help}");
}

#[test]
fn address_that_is_none_is_told_with_its_flag() {
    let device = Device::at("");
    let (code, error) = device.fail(&["put", "k", "v"]);
    let message = error["messages"][0].as_str().unwrap();
    assert!(
        code == 2 && message.starts_with("--endpoint: "),
        "{message}"
    );
    let mut as_guest = Device::at("http://127.0.0.1:1").undecided(&["identify", "--guest"]);
    as_guest.env_remove("DRIFTLESS_IDENTITY");
    let (_, error) = failure_of(as_guest.env("DRIFTLESS_IDENTITY_ENDPOINT", "ftp://x"));
    let message = error["messages"][0].as_str().unwrap();
    assert!(message.starts_with("--identity-endpoint: "), "{message}");
}
