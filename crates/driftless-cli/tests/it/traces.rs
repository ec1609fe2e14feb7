//! Recorded sessions of the collection editing-traces, where they lie beside the workspace.
//!
//! They are too large for the repository. Where they are missing a test says that it skipped, and
//! fails if `DRIFTLESS_NO_SKIP` is set.
//!
//! With debug assertions automerge compares each fast look-up with one that walks the whole document,
//! so that an edit gets dearer as the text grows. Then costs are not compared, and the longest trace
//! is cut to a prefix; `cargo test --release` does both in full, as does `driftless demo --trace`.

use std::path::PathBuf;

use driftless_cli::graph;
use driftless_cli::trace::Trace;
use serde_json::{Value, json};

use crate::harness::{driftless, object_of};

fn shared(name: &str) -> Option<PathBuf> {
    let root = env!("CARGO_MANIFEST_DIR");
    let path: PathBuf = [root, "..", "..", "..", "shared", "traces", name]
        .iter()
        .collect();
    if path.is_file() {
        return Some(path);
    }
    let strict = std::env::var_os("DRIFTLESS_NO_SKIP").is_some_and(|it| it == "1");
    assert!(!strict, "{} is missing", path.display());
    println!("skipped: {} is missing", path.display());
    None
}

fn replay(name: &str, args: &[&str]) -> Option<Value> {
    let path = shared(name)?;
    let shown = object_of(driftless().arg("demo").arg("--trace").arg(path).args(args));
    assert_eq!(shown["agreed"], true);
    Some(shown)
}

#[test]
fn friendsforever_merges_from_its_graph_and_an_edit_costs_the_same_late_as_early() {
    let Some(path) = shared("friendsforever.json.gz") else {
        return;
    };
    let Trace::Concurrent(trace) = Trace::read(&path).unwrap() else {
        panic!("it has a graph")
    };
    let merged = graph::merge(&trace, || ()).unwrap();
    assert_eq!(merged.text, trace.end);
    assert_eq!(merged.reference, trace.end);
    assert_eq!(
        (merged.merges, merged.forks, merged.documents),
        (2_258, 2_258, 2)
    );
    if cfg!(debug_assertions) {
        println!("costs are not compared in a build with debug assertions");
        return;
    }
    let mut costs: Vec<_> = merged
        .edits
        .iter()
        .filter(|edit| !edit.joined)
        .map(|edit| edit.took)
        .collect();
    let last = costs.len() - 1_000;
    let median = |costs: &mut [std::time::Duration]| *costs.select_nth_unstable(500).1;
    let (late, early) = (median(&mut costs[last..]), median(&mut costs[1_000..2_000]));
    assert!(late <= 2 * early, "{late:?} late, {early:?} early");
}

#[test]
fn friendsforever_is_typed_by_two_devices() {
    let Some(shown) = replay("friendsforever.json.gz", &[]) else {
        return;
    };
    assert_eq!(shown["transactions"], 26_078);
    assert_eq!(shown["devices"].as_array().unwrap().len(), 3);
}

#[test]
fn friendsforever_in_overlapping_bursts_equals_automerge() {
    let Some(shown) = replay("friendsforever.json.gz", &["--overlap", "200"]) else {
        return;
    };
    assert_eq!(shown["overlap"], json!(200));
}

#[test]
fn sveltecomponent_is_typed_in_bursts() {
    let Some(shown) = replay("sveltecomponent.json.gz", &["--burst", "500"]) else {
        return;
    };
    assert_eq!(shown["transactions"], 18_335);
}

#[test]
fn automerge_paper_is_typed_in_bursts() {
    let (args, transactions): (&[&str], _) = if cfg!(debug_assertions) {
        (&["--burst", "2000", "--limit", "20000"], 20_000)
    } else {
        (&["--burst", "5000"], 259_778)
    };
    let Some(shown) = replay("automerge-paper.json.gz", args) else {
        return;
    };
    assert_eq!(shown["transactions"], transactions);
}
