//! `export` and `import`: what goes out comes back, and what is not understood is refused.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::{Device, Service, failure_of, object_of};

fn file(device: &Device, content: &Value) -> PathBuf {
    let path = device.store().with_extension("json");
    fs::write(&path, content.to_string()).unwrap();
    path
}

fn import(device: &Device, content: &Value) -> Value {
    let path = file(device, content);
    device.run(&["import", path.to_str().unwrap()])
}

fn refused(device: &Device, content: &Value) -> (i32, Value) {
    let path = file(device, content);
    device.fail(&["import", path.to_str().unwrap()])
}

/// Leaves out who wrote what when: whoever imports is another author.
fn without_authors(mut export: Value) -> Value {
    fn strip(node: &mut Value) {
        match node {
            Value::Object(members) => {
                members.remove("author");
                members.remove("time");
                members.values_mut().for_each(strip);
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    strip(&mut export);
    export
}

/// Returns a dataset with a value of each type and conflicts at a key and inside of a map.
fn rich() -> Value {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path());
    let (a, b) = (Device::of(&service), Device::of(&service));
    a.run(&["put", "title", "first"]);
    a.run(&["put", "odd", "NaN", "--type", "float"]);
    a.run(&["put", "third", "0.1", "--type", "float"]);
    a.run(&["put", "blob", "00ff", "--type", "hex"]);
    a.run(&["put", "nothing", "--type", "null"]);
    a.run(&["increment", "visits", "7"]);
    a.run(&["text", "note", "--insert", "añ😀"]);
    let map = r#"{"name":"Ann","tags":[1,2.5,{"deep":null}]}"#;
    a.run(&["put", "map", map, "--type", "json"]);
    a.run(&["add", "set", "x"]);
    a.run(&["add", "set", "7", "--type", "int"]);
    a.run(&["sync"]);
    b.run(&["sync"]);
    for (device, word) in [(&a, "one"), (&b, "two")] {
        device.run(&["put", "title", word]);
        device.run(&["put", "map", word, "--in", "name"]);
        device.run(&["put", "map", word, "--in", "tags", "--in", "0"]);
    }
    a.run(&["sync"]);
    b.run(&["sync"]);
    b.run(&["export"])
}

#[test]
fn everything_that_was_exported_comes_back() {
    let exported = rich();
    assert_eq!(
        exported["entries"]["title"]["conflicts"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let name = &exported["entries"]["map"]["value"]["name"];
    assert_eq!(name["conflicts"].as_array().unwrap().len(), 2);
    let device = Device::alone();
    assert_eq!(import(&device, &exported)["changed"], 9);
    assert_eq!(
        without_authors(device.run(&["export"])),
        without_authors(exported.clone())
    );

    assert_eq!(
        import(&device, &exported)["changed"],
        0,
        "the second time nothing differs"
    );
    device.run(&["put", "title", "resolved"]);
    device.run(&["put", "other", "stays"]);
    assert_eq!(import(&device, &exported)["changed"], 1);
    assert_eq!(device.run(&["get", "title"])["values"], 2);
    assert_eq!(device.text(&["get", "other"]), "stays\n");
}

#[test]
fn dataset_is_that_of_the_file_unless_another_is_named() {
    let device = Device::alone();
    let content = json!({ "version": 1, "dataset": "trips", "entries": { "k": { "type": "int", "value": 1 } } });
    let path = file(&device, &content);
    let mut command = device.command(&["list", "--datasets"]);
    command.env_remove("DRIFTLESS_DATASET");
    let mut import = device.command(&["import", "--all"]);
    assert_eq!(import.output().unwrap().status.code(), Some(2));
    let mut import = device.undecided(&["import", path.to_str().unwrap()]);
    assert_eq!(object_of(&mut import)["dataset"], "trips");
    assert_eq!(object_of(&mut command)["datasets"][0]["name"], "trips");
}

#[test]
fn backup_stays_where_the_dataset_is_not_in_the_store() {
    let device = Device::alone();
    device.run(&["put", "k", "v"]);
    let path = device.store().with_extension("json");
    let backup = path.to_str().unwrap();
    device.run(&["export", "--output", backup]);
    let before = fs::read(&path).unwrap();
    let mut typo = device.undecided(&["export", "-d", "nots", "--output", backup]);
    let (code, error) = failure_of(&mut typo);
    assert_eq!((code, error["name"].as_str()), (3, Some("not-found")));
    assert_eq!(fs::read(&path).unwrap(), before);
    let mut typo = device.undecided(&["export", "-d", "nots"]);
    assert_eq!(failure_of(&mut typo).0, 3);
}

#[test]
fn restore_of_what_the_service_holds_doubles_nothing() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path());
    let (old, new) = (Device::of(&service), Device::of(&service));
    old.run(&["increment", "visits", "7"]);
    old.run(&["text", "note", "--insert", "once"]);
    old.run(&["insert", "list", "a"]);
    old.run(&["sync"]);
    let backup = old.run(&["export"]);

    let (code, error) = refused(&new, &backup);
    assert_eq!(code, 4);
    let message = error["messages"][0].as_str().unwrap();
    assert!(
        message.contains("sync --dataset notes") && message.contains("--unsynced"),
        "{message}"
    );
    assert_eq!(new.run(&["list", "--datasets"])["datasets"], json!([]));

    new.run(&["sync"]);
    assert_eq!(import(&new, &backup)["changed"], 0);
    new.run(&["increment", "visits", "-5"]);
    assert_eq!(import(&new, &backup)["changed"], 1);
    new.run(&["sync"]);
    assert_eq!(without_authors(new.run(&["export"])), backup);
}

#[test]
fn import_goes_on_where_the_service_holds_nothing() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path());
    let node = json!({ "type": "counter", "value": 7 });
    let backup = json!({ "version": 1, "dataset": "notes", "entries": { "visits": node } });
    let fresh = Device::of(&service);
    fresh.run(&["sync"]);
    assert_eq!(refused(&fresh, &backup).0, 4, "nothing was there to sync");
    let path = file(&fresh, &backup);
    let path = path.to_str().unwrap();
    assert_eq!(fresh.run(&["import", "--unsynced", path])["changed"], 1);
    assert_eq!(
        import(&fresh, &backup)["changed"],
        0,
        "it has edits of its own now"
    );

    let began_here = Device::of(&service);
    began_here.run(&["put", "title", "mine"]);
    assert_eq!(import(&began_here, &backup)["changed"], 1);
    let alone = Device::alone();
    assert_eq!(import(&alone, &backup)["changed"], 1, "there is no service");
}

#[test]
fn file_with_anything_unknown_changes_nothing() {
    let device = Device::alone();
    device.run(&["put", "k", "before"]);
    let check = |entries: Value, message: &str| {
        let content = json!({ "version": 1, "dataset": "notes", "entries": entries });
        let (code, error) = refused(&device, &content);
        assert_eq!((code, error["messages"][0].as_str()), (13, Some(message)));
        assert_eq!(device.text(&["get", "k"]), "before\n");
        assert_eq!(device.run(&["list"])["keys"].as_array().unwrap().len(), 1);
    };
    let fine = json!({ "type": "string", "value": "after" });
    check(
        json!({ "a": fine, "k": { "type": "money", "value": 1 } }),
        r#"k is of type "money", which cannot be put"#,
    );
    check(
        json!({ "a": fine, "k": { "type": "int", "value": 1, "unit": "m" } }),
        r#"k has a member "unit", which is not known"#,
    );
    let twice = json!({ "type": "map", "value": {} });
    check(
        json!({ "a": fine, "k": { "type": "map", "value": {}, "conflicts": [twice, twice] } }),
        r#"what the file has at "k" cannot be kept as it is there"#,
    );
    let later = json!({ "version": 2, "dataset": "notes", "entries": {} });
    assert_eq!(refused(&device, &later).0, 13);
    let text = device.store().with_extension("txt");
    fs::write(&text, "{").unwrap();
    assert_eq!(device.fail(&["import", text.to_str().unwrap()]).0, 13);
    let missing = failure_of(&mut device.command(&["import", "/nowhere/at/all"]));
    assert_eq!(missing.0, 7);
}
