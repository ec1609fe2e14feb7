//! The two small traces in `tests/data`, of our own making.
//!
//! `small-sequential.json` is what one hand types; `small-concurrent.json.gz` two agents who often do
//! not know of each other. Both are made here, from a fixed seed, and what they must end in is what
//! plain automerge shows. To write them anew after a change:
//!
//! ```text
//! cargo test -p driftless-cli --test it -- --ignored write_samples
//! ```

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use driftless::document::{Actor, Document, State};
use driftless_cli::graph;
use driftless_cli::trace::{Concurrent, Patch, Sequential, Trace, Transaction};
use serde_json::{Value, json};

const WORDS: [&str; 8] = ["la ", "né", "😀", "das ", "\n", "語", "a\u{301}", "of "];

pub(crate) fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "data", name]
        .iter()
        .collect()
}

/// Numbers that look random and are the same for ever.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }

    fn patch(&mut self, len: usize) -> Patch {
        let at = self.below(len + 1);
        let delete = if self.below(3) == 0 {
            self.below((len - at).min(4) + 1)
        } else {
            0
        };
        let insert = if delete == 0 || self.below(2) == 0 {
            WORDS[self.below(8)]
        } else {
            ""
        };
        Patch(at, delete, insert.to_owned())
    }
}

fn sequential() -> Sequential {
    let mut numbers = Numbers(1);
    let start = "Dear all,\n".to_owned();
    let mut text: Vec<char> = start.chars().collect();
    let mut transactions = Vec::new();
    for _ in 0..240 {
        let count = 1 + numbers.below(5) / 4;
        let patches: Vec<Patch> = (0..count)
            .map(|_| {
                let patch = numbers.patch(text.len());
                text.splice(patch.0..patch.0 + patch.1, patch.2.chars());
                patch
            })
            .collect();
        transactions.push(patches);
    }
    Sequential {
        start,
        end: text.into_iter().collect(),
        transactions,
    }
}

fn concurrent() -> Concurrent {
    let mut numbers = Numbers(2);
    let mut documents = [1, 2].map(|n| Document::new("sample", Actor::random([n; 8])));
    // Per agent: the transactions that its next one builds on.
    let mut heads: [Vec<usize>; 2] = Default::default();
    // The state after the last transaction of each agent, and which that is.
    let mut last: [Option<(usize, State)>; 2] = [None, None];
    let mut transactions = Vec::new();
    for index in 0..300 {
        let agent = numbers.below(2);
        // The first text must be known before another is begun, as in a shared editor.
        if (index < 2 || numbers.below(6) == 0)
            && let Some((other, state)) = &last[1 - agent]
            && !documents[agent].join(state).is_empty()
        {
            // What the other one had built on is included.
            let seen = ancestors(&transactions, *other);
            heads[agent].retain(|head| !seen.contains(head));
            heads[agent].push(*other);
        }
        let document = &mut documents[agent];
        let len = document.text("t").unwrap_or_default().chars().count();
        let patch = numbers.patch(len);
        drop(
            document
                .splice_text("t", patch.0, patch.1, &patch.2, 0)
                .unwrap(),
        );
        let parents = std::mem::replace(&mut heads[agent], vec![index]);
        last[agent] = Some((index, document.state().clone()));
        transactions.push(Transaction {
            parents,
            agent,
            patches: vec![patch],
        });
    }
    let trace = Concurrent {
        end: String::new(),
        agents: 2,
        transactions,
    };
    let end = graph::merge(&trace, || ()).unwrap().reference;
    Concurrent { end, ..trace }
}

fn ancestors(transactions: &[Transaction], of: usize) -> Vec<usize> {
    let mut found = vec![of];
    let mut next = 0;
    while let Some(at) = found.get(next).copied() {
        for parent in &transactions[at].parents {
            if !found.contains(parent) {
                found.push(*parent);
            }
        }
        next += 1;
    }
    found
}

fn patches(patches: &[Patch]) -> Value {
    patches
        .iter()
        .map(|Patch(at, delete, insert)| json!([at, delete, insert]))
        .collect()
}

fn sequential_file() -> String {
    let trace = sequential();
    let txns: Vec<Value> = trace
        .transactions
        .iter()
        .map(|it| json!({ "patches": patches(it) }))
        .collect();
    let object = json!({ "startContent": trace.start, "endContent": trace.end, "txns": txns });
    format!("{object}\n")
}

fn concurrent_file() -> String {
    let trace = concurrent();
    let txn = |it: &Transaction| json!({ "parents": it.parents, "agent": it.agent, "patches": patches(&it.patches) });
    let txns: Vec<Value> = trace.transactions.iter().map(txn).collect();
    let object = json!({
        "kind": "concurrent", "endContent": trace.end, "numAgents": trace.agents, "txns": txns,
    });
    format!("{object}\n")
}

#[test]
#[ignore = "writes into the repository"]
fn write_samples() {
    fs::write(path("small-sequential.json"), sequential_file()).unwrap();
    let file = fs::File::create(path("small-concurrent.json.gz")).unwrap();
    let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::best());
    encoder.write_all(concurrent_file().as_bytes()).unwrap();
    encoder.finish().unwrap();
}

#[test]
fn samples_are_what_the_seed_makes() {
    let read = |name| Trace::read(&path(name)).unwrap();
    assert_eq!(
        read("small-sequential.json"),
        Trace::Sequential(sequential())
    );
    assert_eq!(
        read("small-concurrent.json.gz"),
        Trace::Concurrent(concurrent())
    );
}

#[test]
fn small_graph_has_forks_and_merges_and_ends_as_automerge_says() {
    let trace = concurrent();
    let merged = graph::merge(&trace, || ()).unwrap();
    assert_eq!(merged.text, trace.end);
    assert!(
        merged.forks > 20 && merged.merges > 20,
        "{} {}",
        merged.forks,
        merged.merges
    );
}
