//! Commands that work without a service.

use serde_json::{Value, json};

use crate::harness::{Device, failure_of, object_of};

#[test]
fn value_of_each_type_comes_back_with_its_type() {
    let device = Device::alone();
    let check = |kind: &str, typed_in: &str, expected: Value| {
        let put = device.run(&["put", kind, typed_in, "--type", kind]);
        assert_eq!(put["value"], expected, "{kind}");
        let got = device.run(&["get", kind]);
        assert_eq!(got["value"], expected, "{kind}");
        got["type"].as_str().unwrap().to_owned()
    };
    assert_eq!(check("string", "é 😀", json!("é 😀")), "string");
    assert_eq!(check("int", "-7", json!(-7)), "int");
    assert_eq!(check("float", "-0.5", json!(-0.5)), "float");
    assert_eq!(check("bool", "true", json!(true)), "bool");
    assert_eq!(check("bytes", "AP8=", json!("AP8=")), "bytes");
    assert_eq!(check("hex", "00ff", json!("AP8=")), "bytes");
    assert_eq!(
        check("timestamp", "1970-01-01T00:00:01Z", json!(1000)),
        "timestamp"
    );
    device.run(&["put", "nothing", "--type", "null"]);
    assert_eq!(device.run(&["get", "nothing"])["type"], "null");
    assert_eq!(device.text(&["get", "timestamp"]), "1970-01-01T00:00:01Z\n");
}

#[test]
fn value_comes_from_a_file_or_from_stdin() {
    let device = Device::alone();
    let file = device.store().with_extension("txt");
    let path = file.to_str().unwrap();
    let long = format!("{}\n", "word ".repeat(30_000));
    std::fs::write(&file, &long).unwrap();
    assert_eq!(device.run(&["put", "long", "--file", path])["value"], long);

    std::fs::write(&file, "AP8\n=\n").unwrap();
    device.run(&["put", "bytes", "--file", path, "--type", "bytes"]);
    assert_eq!(device.run(&["get", "bytes"])["value"], "AP8=");
    let mut command = device.command(&["insert", "list", "--file", "-", "--type", "int"]);
    let stdin = std::fs::File::open(&file).unwrap();
    assert_eq!(failure_of(command.stdin(stdin)).0, 2, "it is no int");
    std::fs::write(&file, " 7\n").unwrap();
    let stdin = std::fs::File::open(&file).unwrap();
    let mut command = device.command(&["insert", "list", "--file", "-", "--type", "int"]);
    object_of(command.stdin(stdin));
    assert_eq!(device.text(&["get", "list"]), "[7]\n");

    let mut both = device.command(&["put", "k", "v", "--file", path]);
    assert_eq!(both.output().unwrap().status.code(), Some(2));
    assert_eq!(device.fail(&["put", "k", "--file", "/nowhere"]).0, 7);
    std::fs::write(&file, [0xff]).unwrap();
    assert_eq!(device.fail(&["put", "k", "--file", path]).0, 13);
    let twice = device.fail(&["put", "k", r#"{"a":1,"a":2}"#, "--type", "json"]);
    assert_eq!(twice.0, 2);
}

#[test]
fn counter_grows_and_text_is_edited_in_place() {
    let device = Device::alone();
    device.run(&["increment", "visits"]);
    assert_eq!(device.run(&["increment", "visits", "-3"])["value"], -2);
    device.run(&["text", "note", "--insert", "añ😀"]);
    device.run(&["text", "note", "--insert", "!"]);
    let note = device.run(&[
        "text", "note", "--at", "1", "--delete", "2", "--insert", "-b-",
    ]);
    assert_eq!(
        (note["type"].as_str(), note["value"].as_str()),
        (Some("text"), Some("a-b-!"))
    );
}

/// The rule of the library, as `docs/cli.md` tells it.
#[test]
fn plain_value_gives_way_to_what_merges() {
    let device = Device::alone();
    let scalar = |kind: &str| device.run(&["put", "k", "5", "--type", kind]);
    scalar("string");
    assert_eq!(device.run(&["increment", "k"])["value"], 1);
    device.run(&["remove", "k"]);
    scalar("int");
    assert_eq!(device.run(&["text", "k", "--insert", "a"])["value"], "a");
    device.run(&["remove", "k"]);
    scalar("string");
    assert_eq!(device.run(&["insert", "k", "a"])["type"], "list");
    device.run(&["remove", "k"]);
    scalar("string");
    assert_eq!(device.run(&["add", "k", "a"])["type"], "set");
    for refused in [
        ["increment", "k", "1"],
        ["text", "k", "--insert=a"],
        ["insert", "k", "a"],
    ] {
        assert_eq!(device.fail(&refused).0, 4, "{refused:?}");
    }
    assert_eq!(device.run(&["get", "k"])["type"], "set");
}

#[test]
fn removed_key_is_gone() {
    let device = Device::alone();
    device.run(&["put", "a", "1"]);
    assert_eq!(device.run(&["remove", "a"])["removed"], true);
    assert_eq!(device.run(&["remove", "a"])["removed"], false);
    assert_eq!(device.fail(&["get", "a"]).0, 3);
}

#[test]
fn lists_are_tables_for_people_and_objects_for_scripts() {
    let device = Device::alone();
    device.run(&["put", "b", "two\nlines"]);
    device.run(&["put", "a", "1", "--type", "int"]);
    let listed = device.run(&["list"]);
    let keys: Vec<&str> = listed["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["key"].as_str().unwrap())
        .collect();
    assert_eq!((keys, &listed["unsynced"]), (vec!["a", "b"], &json!(true)));
    let table = device.text(&["list"]);
    assert!(table.contains("│ b     string   two lines"), "{table}");
    let datasets = device.run(&["list", "--datasets"]);
    assert_eq!(
        datasets["datasets"],
        json!([{ "name": "notes", "keys": 2, "unsynced": true, "plain_only": false }])
    );
    assert_eq!(device.run(&["conflicts"])["keys"], json!([]));
    assert_eq!(
        device.run(&["conflicts", "a"])["keys"][0]["values"][0]["value"],
        1
    );
}

#[test]
fn dataset_that_is_not_in_the_store_is_not_taken_for_an_empty_one() {
    let device = Device::alone();
    device.run(&["put", "a", "1"]);
    for command in ["list", "conflicts", "size", "status", "export"] {
        let (exit, error) = failure_of(&mut device.undecided(&[command, "--dataset", "nodes"]));
        let message = error["messages"][0].as_str().unwrap();
        assert!(
            exit == 3 && message.contains("nodes"),
            "{command}: {message}"
        );
    }
    // Nothing was made by asking.
    let datasets = device.run(&["list", "--datasets"]);
    assert_eq!(datasets["datasets"].as_array().unwrap().len(), 1);
}

#[test]
fn export_goes_to_stdout_or_into_a_file() {
    let device = Device::alone();
    device.run(&["put", "a", "1"]);
    device.run(&["increment", "n", "5"]);
    let expected = json!({
        "version": 1,
        "dataset": "notes",
        "entries": {
            "a": { "type": "string", "value": "1" },
            "n": { "type": "counter", "value": 5 },
        },
    });
    assert_eq!(device.run(&["export"]), expected);
    let file = device.store().with_extension("json");
    device.run(&["export", "--output", file.to_str().unwrap()]);
    let written: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(written, expected);
}

#[test]
fn deleted_dataset_is_empty_at_once() {
    let device = Device::alone();
    device.run(&["put", "a", "1"]);
    device.run(&["delete"]);
    assert_eq!(device.run(&["list"])["keys"], json!([]));
}

#[test]
fn lists_maps_and_sets_are_edited_in_place() {
    let device = Device::alone();
    let json = r#"{"title":"milk","tags":[1,2.5,null]}"#;
    device.run(&["insert", "todo", json, "--type", "json"]);
    device.run(&["insert", "todo", "first", "--at", "0"]);
    device.run(&[
        "put", "todo", "true", "--type", "bool", "--in", "1", "--in", "done",
    ]);
    device.run(&["increment", "todo", "2", "--in", "1", "--in", "=7"]);
    let title = device.run(&["get", "todo", "--in", "1", "--in", "title"]);
    assert_eq!(
        (&title["key"], &title["value"]),
        (&json!("todo"), &json!("milk"))
    );
    assert_eq!(
        device.text(&["get", "todo"]),
        "[\"first\",{\"7\":2,\"done\":true,\"tags\":[1,2.5,null],\"title\":\"milk\"}]\n"
    );
    assert_eq!(
        device.run(&["remove", "todo", "--in", "0"])["removed"],
        true
    );
    device.run(&["add", "seen", "b"]);
    device.run(&["add", "seen", "7", "--type", "int"]);
    device.run(&["add", "seen", "a"]);
    let seen = device.run(&["discard", "seen", "b"]);
    assert_eq!(seen["type"], "set");
    assert_eq!(device.text(&["get", "seen"]), "[7,\"a\"]\n");
    assert_eq!(device.fail(&["get", "todo", "--in", "5"]).0, 3);
    assert_eq!(device.fail(&["put", "todo", "x", "--in", "5"]).0, 4);
    assert_eq!(device.fail(&["add", "seen", "[]", "--type", "json"]).0, 2);
}
