//! Texts: concurrent edits are all in, in one order.

use driftless_document::{Document, Value};

use crate::devices::{device, meet, pair};

fn splice(document: &mut Document, at: usize, delete: usize, insert: &str) {
    let _edit = document.splice_text("note", at, delete, insert, 0).unwrap();
}

#[test]
fn positions_count_code_points() {
    let mut one = device(1);
    splice(&mut one, 0, 0, "aé𝄞🙂z");
    splice(&mut one, 2, 1, "ß");
    splice(&mut one, 5, 0, "!");
    assert_eq!(one.get("note"), Some(Value::Text("aéß🙂z!".to_owned())));
}

#[test]
fn concurrent_edits_are_both_in_and_runs_do_not_interleave() {
    let (mut one, mut two) = pair(|one| splice(one, 0, 0, "the fox"));
    for (at, letter) in ["q", "u", "i", "c", "k", " "].into_iter().enumerate() {
        splice(&mut one, 4 + at, 0, letter);
    }
    for (at, letter) in ["r", "e", "d", " "].into_iter().enumerate() {
        splice(&mut two, 4 + at, 0, letter);
    }
    meet(&mut one, &mut two);
    assert_eq!(one.text("note").as_deref(), Some("the red quick fox"));
    assert_eq!(two.text("note"), one.text("note"));
}

#[test]
fn deletion_takes_what_its_author_saw_and_leaves_what_came_between() {
    let (mut one, mut two) = pair(|one| splice(one, 0, 0, "abcdef"));
    splice(&mut one, 1, 4, "");
    splice(&mut two, 3, 0, "X");
    meet(&mut one, &mut two);
    assert_eq!(one.text("note").as_deref(), Some("aXf"));
}

#[test]
fn text_created_offline_on_both_is_one() {
    let (mut one, mut two) = pair(|_| ());
    splice(&mut one, 0, 0, "world");
    splice(&mut two, 0, 0, "hello ");
    meet(&mut one, &mut two);
    assert_eq!(one.text("note").as_deref(), Some("hello world"));
    assert_eq!(one.state().conflicts("note").len(), 1);
}

#[test]
fn scalar_in_the_way_of_a_text_is_removed() {
    let (mut one, mut two) = pair(|one| one.put("note", "plain".into(), 0).unwrap());
    splice(&mut one, 0, 0, "text");
    meet(&mut one, &mut two);
    assert_eq!(two.get("note"), Some(Value::Text("text".to_owned())));
    assert_eq!(two.state().conflicts("note").len(), 1);
}

#[test]
fn removed_text_takes_concurrent_edits_inside_with_it() {
    let (mut one, mut two) = pair(|one| splice(one, 0, 0, "old"));
    let _edit = one.remove("note", 0).unwrap();
    splice(&mut two, 3, 0, " and new");
    meet(&mut one, &mut two);
    assert_eq!(two.get("note"), None);
    splice(&mut two, 0, 0, "next life");
    meet(&mut one, &mut two);
    assert_eq!(one.text("note").as_deref(), Some("next life"));
}

#[test]
fn put_takes_the_place_of_a_text() {
    let (mut one, mut two) = pair(|one| splice(one, 0, 0, "old"));
    let _edit = one.put("note", 1.into(), 0).unwrap();
    splice(&mut two, 0, 0, "very ");
    meet(&mut one, &mut two);
    assert_eq!(two.get("note"), Some(1.into()));
    assert_eq!(two.text("note"), None);
}

#[test]
fn empty_splice_creates_an_empty_text_and_is_nothing_later() {
    let mut one = device(1);
    assert!(!one.splice_text("note", 0, 0, "", 0).unwrap().is_empty());
    assert_eq!(one.get("note"), Some(Value::Text(String::new())));
    assert!(one.splice_text("note", 0, 0, "", 0).unwrap().is_empty());
}
