//! Lists: concurrent inserts are all in, in one order, and what is inserted together stays together.

use driftless_document::{Document, Path, Value, path};

use crate::devices::{device, meet, pair};

fn push(document: &mut Document, values: &[&str]) {
    let values: Vec<Value> = values.iter().map(|value| (*value).into()).collect();
    let _edit = document.insert("todo", None, &values, 0).unwrap();
}

fn put(document: &mut Document, path: &Path, value: impl Into<Value>) {
    let _edit = document.put_at(path, &value.into(), 0).unwrap();
}

fn shown(document: &Document) -> Option<Value> {
    document.get("todo")
}

#[test]
fn list_created_offline_on_both_is_one_and_runs_do_not_interleave() {
    let (mut one, mut two) = pair(|_| ());
    push(&mut one, &["a", "b", "c"]);
    push(&mut two, &["x", "y"]);
    meet(&mut one, &mut two);
    assert_eq!(shown(&one), Some(Value::list(["x", "y", "a", "b", "c"])));
    assert_eq!(one.state().conflicts("todo").len(), 1);
}

#[test]
fn insertions_at_one_place_are_both_in_beside_each_other() {
    let (mut one, mut two) = pair(|one| push(one, &["first", "last"]));
    let _edit = one.insert("todo", Some(1), &["1".into(), "2".into()], 0);
    let _edit = two.insert("todo", Some(1), &["3".into(), "4".into()], 0);
    meet(&mut one, &mut two);
    let expected = ["first", "3", "4", "1", "2", "last"];
    assert_eq!(shown(&one), Some(Value::list(expected)));
}

#[test]
fn removed_element_goes_and_what_came_behind_it_stays() {
    let (mut one, mut two) = pair(|one| push(one, &["a", "b"]));
    let _edit = one.remove(path!["todo", 1], 0).unwrap();
    push(&mut two, &["c"]);
    meet(&mut one, &mut two);
    assert_eq!(shown(&two), Some(Value::list(["a", "c"])));
    assert!(two.remove(path!["todo", 2], 0).unwrap().is_empty());
}

#[test]
fn element_that_is_put_and_removed_concurrently_stays() {
    let (mut one, mut two) = pair(|one| push(one, &["a", "b"]));
    put(&mut one, &path!["todo", 0], "new");
    let _edit = two.remove(path!["todo", 0], 0).unwrap();
    meet(&mut one, &mut two);
    assert_eq!(shown(&two), Some(Value::list(["new", "b"])));
}

#[test]
fn values_put_on_one_element_conflict_and_the_highest_wins() {
    let (mut one, mut two) = pair(|one| push(one, &["a"]));
    put(&mut one, &path!["todo", 0], 1);
    put(&mut two, &path!["todo", 0], 2);
    meet(&mut one, &mut two);
    assert_eq!(shown(&one), Some(Value::list([2])));
    let conflicts = one.state().conflicts_at(&path!["todo", 0]);
    let values: Vec<Value> = conflicts.into_iter().map(|found| found.value).collect();
    assert_eq!(values, [2.into(), 1.into()]);
}

#[test]
fn edits_inside_of_elements_merge() {
    let item = Value::map([
        ("title", Value::text("milk")),
        ("done", false.into()),
        ("count", Value::Counter(1)),
    ]);
    let (mut one, mut two) = pair(|one| one.insert("todo", None, &[item], 0).unwrap());
    put(&mut one, &path!["todo", 0, "done"], true);
    let _edit = one.increment(path!["todo", 0, "count"], 2, 0).unwrap();
    let _edit = two.splice_text(path!["todo", 0, "title"], 4, 0, "!", 0);
    let _edit = two.increment(path!["todo", 0, "count"], 3, 0).unwrap();
    meet(&mut one, &mut two);
    let expected = Value::map([
        ("title", Value::text("milk!")),
        ("done", true.into()),
        ("count", Value::Counter(6)),
    ]);
    assert_eq!(shown(&two), Some(Value::list([expected])));
    assert_eq!(two.counter(path!["todo", 0, "count"]), Some(6));
    assert_eq!(
        two.text(path!["todo", 0, "title"]).as_deref(),
        Some("milk!")
    );
}

#[test]
fn removed_list_takes_concurrent_edits_inside_with_it() {
    let (mut one, mut two) = pair(|one| push(one, &["a"]));
    let _edit = one.remove("todo", 0).unwrap();
    push(&mut two, &["b"]);
    meet(&mut one, &mut two);
    assert_eq!(shown(&two), None);
    push(&mut two, &["next life"]);
    meet(&mut one, &mut two);
    assert_eq!(shown(&one), Some(Value::list(["next life"])));
}

#[test]
fn list_put_as_a_whole_keeps_what_is_equal() {
    let (mut one, mut two) = pair(|one| push(one, &["a", "b", "c", "d"]));
    put(
        &mut one,
        &"todo".into(),
        Value::list(["a", "new", "c", "d", "e"]),
    );
    put(&mut two, &path!["todo", 3], "put");
    push(&mut two, &["pushed"]);
    meet(&mut one, &mut two);
    let expected = ["a", "new", "c", "put", "pushed", "e"];
    assert_eq!(shown(&one), Some(Value::list(expected)));
}

#[test]
fn elements_that_move_in_a_whole_list_are_found_again() {
    let (mut one, mut two) = pair(|one| push(one, &["a", "b", "c", "d"]));
    put(
        &mut one,
        &"todo".into(),
        Value::list(["new", "a", "b", "c", "d"]),
    );
    put(&mut two, &path!["todo", 2], "put");
    meet(&mut one, &mut two);
    assert_eq!(
        shown(&one),
        Some(Value::list(["new", "a", "b", "put", "d"]))
    );
}

#[test]
fn put_of_what_stands_there_writes_nothing() {
    let mut one = device(1);
    let value = Value::list([
        Value::map([("a", Value::set(["x"])), ("b", Value::list([1, 2]))]),
        Value::text("text"),
        Value::Counter(-3),
        Value::Scalar(f64::NAN.into()),
    ]);
    put(&mut one, &"todo".into(), value.clone());
    assert_eq!(shown(&one), Some(value.clone()));
    assert!(one.put_at(&"todo".into(), &value, 0).unwrap().is_empty());
}
