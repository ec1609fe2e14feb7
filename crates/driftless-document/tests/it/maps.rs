//! Nested maps, and sets.

use driftless_document::{Document, Path, Scalar, Value, path};

use crate::devices::{device, meet, pair};

fn put(document: &mut Document, path: impl Into<Path>, value: impl Into<Value>) {
    let _edit = document.put_at(&path.into(), &value.into(), 0).unwrap();
}

fn add(document: &mut Document, path: impl Into<Path>, member: &str) {
    let _edit = document.add(path, &member.into(), 0).unwrap();
}

#[test]
fn map_created_offline_on_both_is_one_and_keys_merge() {
    let (mut one, mut two) = pair(|_| ());
    put(&mut one, path!["trip", "hotel", "name"], "Miramar");
    put(&mut two, path!["trip", "hotel", "stars"], 4);
    put(&mut two, path!["trip", "nights"], 2);
    meet(&mut one, &mut two);
    let hotel = Value::map([("name", Value::from("Miramar")), ("stars", 4.into())]);
    let trip = Value::map([("hotel", hotel), ("nights", 2.into())]);
    assert_eq!(one.get("trip"), Some(trip));
    assert_eq!(one.state().conflicts_at(&path!["trip", "hotel"]).len(), 1);
}

#[test]
fn put_and_remove_of_one_nested_key_leave_the_put() {
    let (mut one, mut two) = pair(|one| put(one, path!["trip", "hotel"], "old"));
    put(&mut one, path!["trip", "hotel"], "new");
    let _edit = two.remove(path!["trip", "hotel"], 0).unwrap();
    meet(&mut one, &mut two);
    assert_eq!(two.get_at(&path!["trip", "hotel"]), Some("new".into()));
}

#[test]
fn nested_namesakes_under_two_parents_are_two() {
    let (mut one, mut two) = pair(|_| ());
    let _edit = one.increment(path!["a", "n"], 1, 0).unwrap();
    let _edit = two.increment(path!["b", "n"], 2, 0).unwrap();
    let _edit = two.increment("n", 4, 0).unwrap();
    meet(&mut one, &mut two);
    assert_eq!(one.counter(path!["a", "n"]), Some(1));
    assert_eq!(one.counter(path!["b", "n"]), Some(2));
    assert_eq!(one.counter("n"), Some(4));
}

#[test]
fn map_put_as_a_whole_keeps_what_others_write_beside() {
    let (mut one, mut two) = pair(|one| put(one, "trip", Value::map([("a", 1), ("b", 2)])));
    put(&mut one, "trip", Value::map([("a", 1), ("c", 3)]));
    put(&mut two, path!["trip", "d"], 4);
    meet(&mut one, &mut two);
    let expected = Value::map([("a", 1), ("c", 3), ("d", 4)]);
    assert_eq!(two.get("trip"), Some(expected));
}

#[test]
fn put_of_a_scalar_wins_over_edits_inside() {
    let (mut one, mut two) = pair(|one| put(one, path!["trip", "hotel"], "old"));
    put(&mut one, "trip", "cancelled");
    put(&mut two, path!["trip", "hotel"], "new");
    meet(&mut one, &mut two);
    assert_eq!(two.get("trip"), Some("cancelled".into()));
    put(&mut two, path!["trip", "hotel"], "booked again");
    meet(&mut one, &mut two);
    let expected = Value::map([("hotel", "booked again")]);
    assert_eq!(one.get("trip"), Some(expected));
}

#[test]
fn members_added_offline_on_both_are_all_in() {
    let (mut one, mut two) = pair(|_| ());
    add(&mut one, "tags", "a");
    add(&mut one, "tags", "b");
    add(&mut two, "tags", "b");
    add(&mut two, "tags", "c");
    meet(&mut one, &mut two);
    assert_eq!(one.get("tags"), Some(Value::set(["a", "b", "c"])));
    assert!(one.contains("tags", &"c".into()));
    assert!(one.add("tags", &"c".into(), 0).unwrap().is_empty());
}

#[test]
fn member_that_is_removed_and_added_concurrently_stays() {
    let (mut one, mut two) = pair(|one| add(one, "tags", "a"));
    let _edit = one.discard("tags", &"a".into(), 0).unwrap();
    let _edit = two.discard("tags", &"a".into(), 0).unwrap();
    add(&mut two, "tags", "a");
    meet(&mut one, &mut two);
    assert_eq!(one.get("tags"), Some(Value::set(["a"])));
    assert!(one.discard("tags", &"z".into(), 0).unwrap().is_empty());
}

#[test]
fn members_of_all_types_are_told_apart() {
    let mut one = device(1);
    let members = [
        Scalar::Null,
        true.into(),
        1.into(),
        1.0.into(),
        Scalar::Timestamp(1),
        "1".into(),
        b"1".as_slice().into(),
        "a string of more than 128 bytes: ".repeat(9).into(),
    ];
    for member in &members {
        let _edit = one.add("tags", member, 0).unwrap();
    }
    assert_eq!(one.get("tags"), Some(Value::set(members)));
}

#[test]
fn set_and_map_made_offline_at_one_key_are_two() {
    let (mut one, mut two) = pair(|_| ());
    add(&mut one, "key", "a");
    put(&mut two, path!["key", "a"], 1);
    meet(&mut one, &mut two);
    let conflicts = one.state().conflicts("key");
    let values: Vec<Value> = conflicts.into_iter().map(|found| found.value).collect();
    assert!(values.contains(&Value::set(["a"])));
    assert!(values.contains(&Value::map([("a", 1)])));
    assert_eq!(one.get_at(&path!["key", "a"]), Some(1.into()));
    assert!(one.contains("key", &"a".into()));
}

#[test]
fn set_is_still_a_set_after_a_restart() {
    let mut one = device(1);
    add(&mut one, path!["trip", "tags"], "a");
    let again = Document::from_state("other name", one.actor(), one.state().clone());
    let expected = Value::map([("tags", Value::set(["a"]))]);
    assert_eq!(again.get("trip"), Some(expected));
}
