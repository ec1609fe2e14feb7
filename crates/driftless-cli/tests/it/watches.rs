//! `watch` prints changes as they come, and ends when it is asked to.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{Device, Service};

#[test]
fn once_prints_what_one_session_brings() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path());
    let (a, b) = (Device::of(&service), Device::of(&service));
    a.run(&["put", "k", "v"]);
    a.run(&["increment", "n", "2"]);
    a.run(&["sync"]);
    let lines = |args: &[&str]| {
        let text = b.text(args);
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        lines
    };
    let expected = json!({
        "dataset": "notes", "key": "k", "old": null, "new": { "type": "string", "value": "v" },
        "origin": "remote",
    });
    let first = lines(&["watch", "--once", "--json"]);
    assert_eq!((first.len(), &first[0]), (2, &expected));
    a.run(&["remove", "k"]);
    a.run(&["sync"]);
    assert_eq!(b.text(&["watch", "--once"]), "k: v -> nothing (remote)\n");
    assert_eq!(b.text(&["watch", "--once"]), "");
    assert_eq!(b.text(&["watch", "--for", "0"]), "watching notes\n");
    assert_eq!(Device::alone().fail(&["watch", "--once"]).0, 2);
}

#[test]
fn time_between_questions_has_bounds() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path());
    let device = Device::of(&service);
    for every in ["0", "31536001", "18446744073709551615"] {
        let mut command = device.undecided(&["watch", "--every", every]);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{every}");
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains("31536000"), "{message}");
    }
    let longest = ["watch", "--every", "31536000", "--for", "0"];
    assert_eq!(device.text(&longest), "watching notes\n");
}

#[test]
fn it_goes_on_until_a_signal_and_leaves_the_store_closed() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path());
    let (a, b) = (Device::of(&service), Device::of(&service));
    let mut watch = b.command(&["watch", "--json", "--every", "1"]);
    let mut watch = watch.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(next(), json!({ "watching": "notes", "synchronizes": true }));
    for value in ["1", "2"] {
        a.run(&["put", "k", value]);
        a.run(&["sync"]);
        let change = next();
        assert_eq!(
            (&change["key"], &change["new"]["value"]),
            (&json!("k"), &json!(value))
        );
    }
    let id = watch.id().to_string();
    let killed = Command::new("kill").args(["-INT", &id]).status().unwrap();
    assert!(killed.success());
    assert_eq!(watch.wait().unwrap().code(), Some(0));
    assert_eq!(b.text(&["get", "k"]), "2\n");
}
