//! The old client in the field: amazon-cognito-js, as npm has it, takes turns and races with devices on one dataset.
//!
//! It loses updates of its own accord: it answers a conflict by pushing its own value, takes an empty string for a removal,
//! and passes over what others wrote between its list and its push (`COGNITO.md` 3.5). So what it shows is not compared, but
//! what is stored, as one that starts afresh reads it.

use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use driftless::{Dataset, Scalar, Value};
use serde_json::{Value as Json, json};

use crate::service::{IDENTITY, POOL, SECRET, Service};

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/old_client.js");
const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Where npm has put the old client: named in the environment, or in the workspace.
fn modules() -> Option<PathBuf> {
    let path = match env::var_os("DRIFTLESS_NODE_MODULES") {
        Some(path) => PathBuf::from(path),
        None => Path::new(WORKSPACE).join(".node/node_modules"),
    };
    let found = path.join("amazon-cognito-js").exists().then_some(path);
    if found.is_none() {
        let must = env::var("DRIFTLESS_NO_SKIP").as_deref() == Ok("1");
        assert!(!must, "no amazon-cognito-js");
        println!("skipped: neither DRIFTLESS_NODE_MODULES nor .node has amazon-cognito-js");
    }
    found
}

/// A running old client, which ends when it is dropped.
struct OldClient {
    child: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl OldClient {
    fn start(modules: &Path, service: &Service) -> Self {
        let mut child = Command::new("node")
            .args([PROGRAM, &service.url, POOL, IDENTITY, "AKIDTEST", SECRET])
            .env("NODE_PATH", modules)
            .env("AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let commands = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut client = Self {
            child,
            commands,
            answers,
        };
        client.answer();
        client
    }

    fn answer(&mut self) -> Json {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn ask(&mut self, command: &Json) -> Json {
        let commands = self.commands.as_mut().unwrap();
        writeln!(commands, "{command}").unwrap();
        let answer = self.answer();
        assert!(answer.get("error").is_none(), "{command}: {answer}");
        answer
    }

    fn put(&mut self, key: &str, value: &str) {
        self.ask(&json!({ "do": "put", "key": key, "value": value }));
    }

    fn remove(&mut self, key: &str) {
        self.ask(&json!({ "do": "remove", "key": key }));
    }

    fn synchronize(&mut self) {
        let answer = self.ask(&json!({ "do": "synchronize" }));
        assert_eq!(answer["synchronized"], true);
    }

    /// Tells whether a synchronization went well.
    fn try_synchronize(&mut self) -> bool {
        let commands = self.commands.as_mut().unwrap();
        writeln!(commands, "{}", json!({ "do": "synchronize" })).unwrap();
        self.answer()["synchronized"] == true
    }

    /// Returns what an app shows, which filters what is not its own.
    fn all(&mut self) -> BTreeMap<String, String> {
        let all = self.ask(&json!({ "do": "all" }));
        let all: BTreeMap<String, String> = serde_json::from_value(all).unwrap();
        let own = |key: &String| !key.starts_with("_driftless.");
        all.into_iter().filter(|(key, _)| own(key)).collect()
    }
}

impl Drop for OldClient {
    fn drop(&mut self) {
        // It ends with its input.
        drop(self.commands.take());
        drop(self.child.wait());
    }
}

/// Returns what stands at the service, as an old client that starts afresh reads it.
fn stored(modules: &Path, service: &Service) -> BTreeMap<String, String> {
    let mut fresh = OldClient::start(modules, service);
    fresh.synchronize();
    // It shows what was removed as empty.
    let all = fresh.all().into_iter();
    all.filter(|(_, text)| !text.is_empty()).collect()
}

fn texts(dataset: &Dataset) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::Scalar(Scalar::String(text)) | Value::Text(text) => text.clone(),
        Value::Scalar(Scalar::Int(number)) | Value::Counter(number) => number.to_string(),
        Value::Scalar(Scalar::Bool(value)) => value.to_string(),
        other => panic!("{other:?} is in no test"),
    };
    let entries = dataset.entries().into_iter();
    entries.map(|(key, value)| (key, text(&value))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn old_client_and_devices_take_turns() {
    let Some(modules) = modules() else { return };
    let service = Service::start().await;
    let home = tempfile::tempdir().unwrap();
    let (phone, tablet) = (
        service.device(&home.path().join("a")),
        service.device(&home.path().join("b")),
    );
    let (a, b) = (
        phone.dataset("notes").unwrap(),
        tablet.dataset("notes").unwrap(),
    );
    let mut old = OldClient::start(&modules, &service);
    old.put("name", "Ada");
    old.put("level", "7");
    old.put("gone", "soon");
    old.synchronize();

    // The dataset is found with records of an old client, so it is kept as such.
    a.synchronize().await.unwrap();
    assert!(a.is_plain());
    assert_eq!(a.get("name"), Some(Value::from("Ada")));
    a.increment("visits", 2).unwrap();
    a.splice_text("story", 0, 0, "once upon a time").unwrap();
    a.put("level", 8).unwrap();
    a.synchronize().await.unwrap();

    b.synchronize().await.unwrap();
    old.synchronize();
    let shown = old.all();
    assert_eq!(shown["visits"], "2");
    assert_eq!(shown["level"], "8");
    old.put("visits", "3");
    old.put("story", "once upon a rainy time");
    old.remove("gone");
    old.synchronize();

    b.increment("visits", 10).unwrap();
    b.splice_text("story", 0, 0, "> ").unwrap();
    b.synchronize().await.unwrap();
    a.synchronize().await.unwrap();
    assert_eq!(a.entries(), b.entries());
    assert_eq!(a.counter("visits"), Some(13));
    assert_eq!(a.text("story").as_deref(), Some("> once upon a rainy time"));
    assert_eq!(a.get("level"), Some(Value::from(8)));
    assert_eq!(a.get("gone"), None);
    assert_eq!(stored(&modules, &service), texts(&a));
    assert_eq!(a.synchronize().await.unwrap().requests, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_client_and_devices_race() {
    let Some(modules) = modules() else { return };
    let service = Service::start().await;
    let home = tempfile::tempdir().unwrap();
    let phone = service.device(&home.path().join("a"));
    let a = phone.dataset("notes").unwrap();
    a.keep_plain_records().unwrap();
    a.put("shared", "begin").unwrap();
    a.synchronize().await.unwrap();
    let mut old = OldClient::start(&modules, &service);
    old.synchronize();
    for round in 0..20 {
        a.put(format!("device {round}"), round).unwrap();
        a.increment("count", 1).unwrap();
        old.put(&format!("old{round}"), &round.to_string());
        old.put("shared", &format!("old {round}"));
        let racing = tokio::task::spawn_blocking(move || {
            let went_well = old.try_synchronize();
            (old, went_well)
        });
        a.synchronize().await.unwrap();
        (old, _) = racing.await.unwrap();
    }
    // It gives up after some conflicts, and keeps what it could not push.
    while !old.try_synchronize() {}
    a.synchronize().await.unwrap();
    let shown = texts(&a);
    for round in 0..20 {
        assert_eq!(shown[&format!("device {round}")], round.to_string());
        assert_eq!(shown[&format!("old{round}")], round.to_string());
    }
    assert_eq!(a.counter("count"), Some(20));
    assert_eq!(stored(&modules, &service), shown);
    assert_eq!(a.synchronize().await.unwrap().requests, 1);
}

#[cfg(feature = "local-store-import")]
#[tokio::test(flavor = "multi_thread")]
async fn what_an_old_client_left_unsent_is_taken_over() {
    use driftless::LocalStoreKind;

    let Some(modules) = modules() else { return };
    let service = Service::start().await;
    let home = tempfile::tempdir().unwrap();
    let mut old = OldClient::start(&modules, &service);
    for (key, value) in [
        ("kept", "1"),
        ("changed", "2"),
        ("gone", "3"),
        ("both", "4"),
    ] {
        old.put(key, value);
    }
    old.synchronize();
    let mut elsewhere = OldClient::start(&modules, &service);
    elsewhere.synchronize();
    elsewhere.put("both", "theirs");
    elsewhere.synchronize();
    // The app is updated before it could send these.
    old.put("changed", "after");
    old.put("both", "mine");
    old.put("new", "");
    old.remove("gone");
    let storage = old.ask(&json!({ "do": "storage" }));
    let file = home.path().join("storage.json");
    std::fs::write(&file, storage.to_string()).unwrap();

    let client = service.device(&home.path().join("new"));
    let import = || {
        let kind = LocalStoreKind::JavaScript;
        client.import_local_store(&file, kind).unwrap()
    };
    let notes = client.dataset("notes").unwrap();
    let report = import();
    let found = &report.datasets[notes.name()];
    assert_eq!((found.edits, found.removals, found.clean), (3, 1, 1));
    assert_eq!((report.not_understood.len(), found.deleted), (0, false));
    assert!(import().datasets[notes.name()].was_taken);
    notes.synchronize().await.unwrap();
    let mut shown = texts(&notes);
    let both = shown.remove("both").unwrap();
    let expected = [("changed", "after"), ("kept", "1"), ("new", "")];
    let expected = expected.map(|(key, text)| (key.to_owned(), text.to_owned()));
    assert_eq!(shown, BTreeMap::from(expected));
    assert!(["mine", "theirs"].contains(&both.as_str()));
    assert_eq!(notes.conflicts("both").len(), 2);
    assert_eq!(stored(&modules, &service)["both"], both);
}
