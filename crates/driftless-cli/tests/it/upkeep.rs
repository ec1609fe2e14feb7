//! `size`, `compact`, and what describes the program to shells and people.

use std::fs;
use std::process::Command;

use crate::harness::{Device, Service, driftless};

#[test]
fn size_tells_of_a_key_a_dataset_and_all() {
    let device = Device::alone();
    device.run(&["put", "k", "four"]);
    device.run(&["text", "note", "--insert", "some words"]);
    assert_eq!(device.run(&["size", "k"])["bytes"], 5);
    assert_eq!(device.run(&["size", "note"])["bytes"], 14);
    assert_eq!(device.fail(&["size", "missing"]).0, 3);
    let size = device.run(&["size"])["datasets"][0].clone();
    assert_eq!(
        (&size["dataset"], &size["dead"]),
        (&"notes".into(), &0.into())
    );
    assert!(size["live"].as_u64() > Some(100) && size["refused_above"] == 850_000);
    assert_eq!(device.run(&["size", "--all"])["datasets"][0], size);
    device.run(&["text", "note", "--at", "0", "--delete", "10"]);
    assert!(device.run(&["size"])["datasets"][0]["dead"].as_u64() > Some(0));
}

#[test]
fn compact_leaves_out_what_is_deleted() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path());
    let (a, b) = (Device::of(&service), Device::of(&service));
    a.run(&["text", "note", "--insert", &"abc ".repeat(100)]);
    a.run(&["text", "note", "--at", "1", "--delete", "390"]);
    a.run(&["sync"]);
    let report = a.run(&["compact"]);
    assert_eq!(
        (&report["compacted"], &report["unsynced"]),
        (&true.into(), &false.into())
    );
    assert!(report["live"].as_u64() < report["live_before"].as_u64());
    assert_eq!(a.run(&["size"])["datasets"][0]["dead"], 0);
    assert_eq!(a.run(&["compact"])["compacted"], false);
    b.run(&["sync"]);
    assert_eq!(b.text(&["get", "note"]), a.text(&["get", "note"]));
}

fn stdout(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn completions_and_manual_come_from_the_parser() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = stdout(driftless().args(["completions", shell]));
        for word in ["compact", "accept-loss"] {
            assert!(script.contains(word), "{shell} has no {word}");
        }
    }
    let unknown = driftless().args(["completions", "tcsh"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(2));
    let page = stdout(driftless().arg("man"));
    assert!(
        page.contains(".TH driftless 1") && page.contains("Exit codes:"),
        "{page}"
    );
    let directory = tempfile::tempdir().unwrap();
    stdout(driftless().arg("man").arg("--output").arg(directory.path()));
    let page = fs::read_to_string(directory.path().join("driftless-put.1")).unwrap();
    assert!(page.contains("Put a value at a key"), "{page}");
}
