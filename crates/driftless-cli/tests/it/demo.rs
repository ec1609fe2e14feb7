//! The demonstration, by itself and with the small traces.

use serde_json::{Value, json};

use crate::harness::{driftless, object_of};
use crate::samples::path;

fn demo(args: &[&str]) -> Value {
    object_of(driftless().arg("demo").args(args))
}

fn with_trace(name: &str, args: &[&str]) -> Value {
    object_of(
        driftless()
            .arg("demo")
            .arg("--trace")
            .arg(path(name))
            .args(args),
    )
}

#[test]
fn devices_agree_with_each_other_and_with_automerge() {
    for (devices, seed) in [("2", "1"), ("3", "2"), ("5", "3")] {
        let shown = demo(&["--devices", devices, "--seed", seed]);
        assert_eq!(shown["agreed"], true);
        let count: usize = devices.parse().unwrap();
        assert_eq!(
            shown["devices"].as_array().unwrap().len(),
            count + 1,
            "one joins at the end"
        );
        let entries = &shown["data"]["entries"];
        assert_eq!(entries["title"]["conflicts"].as_array().unwrap().len(), 2);
        assert_eq!(entries["colour"]["value"], "green", "the put stays");
        assert_eq!(entries["visits"]["value"], 100 + count);
        let note = entries["note"]["value"].as_str().unwrap();
        assert!(
            note.contains("milk, ") && note.contains("bread, "),
            "{note}"
        );
    }
}

#[test]
fn same_seed_tells_the_same_story() {
    let entries = |shown: Value| {
        let entries = shown["data"]["entries"].as_object().unwrap().clone();
        entries
            .into_iter()
            .map(|(key, it)| (key, it["value"].clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        entries(demo(&["--seed", "7"])),
        entries(demo(&["--seed", "7"]))
    );
}

#[test]
fn verdict_is_the_last_thing_that_people_read() {
    let output = driftless().arg("demo").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("AGREED: all 4 devices"), "{text}");
    assert_eq!(output.stderr, b"", "no progress where there is no terminal");
}

#[test]
fn stores_are_kept_where_asked() {
    let directory = tempfile::tempdir().unwrap();
    let keep = directory.path().join("kept");
    demo(&["--keep", keep.to_str().unwrap()]);
    assert!(keep.join("device-1").is_dir() && keep.join("service").is_dir());
    let again = driftless()
        .args(["demo", "--keep"])
        .arg(&keep)
        .output()
        .unwrap();
    assert_eq!(again.status.code(), Some(2), "it is not empty any more");
}

#[test]
fn small_sequential_trace_ends_as_recorded() {
    for args in [
        &["--burst", "7"][..],
        &["--burst", "20", "--devices", "3", "--durability", "disk"],
    ] {
        let shown = with_trace("small-sequential.json", args);
        assert_eq!(
            (&shown["agreed"], &shown["transactions"]),
            (&json!(true), &json!(240))
        );
    }
    assert_eq!(
        with_trace("small-sequential.json", &["--limit", "10"])["transactions"],
        10
    );
}

#[test]
fn small_concurrent_trace_is_merged_and_typed_by_its_agents() {
    let shown = with_trace("small-concurrent.json.gz", &["--burst", "10"]);
    assert_eq!(
        (&shown["agreed"], &shown["graph"]["authors"]),
        (&json!(true), &json!(2))
    );
    assert_eq!(
        shown["devices"].as_array().unwrap().len(),
        3,
        "an agent each, and a fresh one"
    );
}

#[test]
fn overlapping_bursts_equal_automerge() {
    for (name, overlap) in [
        ("small-sequential.json", "8"),
        ("small-concurrent.json.gz", "3"),
    ] {
        let shown = with_trace(name, &["--overlap", overlap]);
        assert_eq!(
            (&shown["agreed"], &shown["overlap"]),
            (&json!(true), &json!(overlap.parse::<u32>().unwrap()))
        );
    }
}
