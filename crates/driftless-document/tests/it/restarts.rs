//! A document that was saved, kept as a state, and started again.

use driftless_document::{Document, State};

use crate::devices::{device, meet, pair};

fn rich() -> Document {
    let (mut one, mut two) = pair(|one| {
        let _edit = one.put("title", "first".into(), 7).unwrap();
        let _edit = one.splice_text("note", 0, 0, "aé𝄞xyz", 0).unwrap();
    });
    let _edit = one.splice_text("note", 1, 2, "", 0).unwrap();
    let _edit = two.splice_text("note", 2, 1, "new", 0).unwrap();
    let _edit = two.increment("visits", 4, 0).unwrap();
    let _edit = one.put("title", "second".into(), 8).unwrap();
    let _edit = two.put("title", "third".into(), 9).unwrap();
    meet(&mut one, &mut two);
    one
}

/// Edits of every kind work and are the next ones of their author.
fn check_edits(document: &mut Document) {
    let mut state = document.state().clone();
    let length = document.text("note").map_or(0, |text| text.chars().count());
    let edits = [
        document.put("title", "later".into(), 10).unwrap(),
        document
            .splice_text("note", length / 2, length - length / 2, "end", 0)
            .unwrap(),
        document.increment("visits", 1, 0).unwrap(),
        document.remove("title", 0).unwrap(),
        document.put("title", "back".into(), 0).unwrap(),
    ];
    for delta in edits.iter().flat_map(|edit| &edit.deltas) {
        state = state.apply(delta).unwrap();
    }
    assert_eq!(state, *document.state());
}

#[test]
fn document_that_was_saved_and_attached_goes_on() {
    let mut one = rich();
    let bytes = one.save();
    let mut again = Document::from_state("notes", one.actor(), one.state().clone());
    assert!(!again.is_loaded());
    again.attach(&bytes, one.state());
    assert!(again.is_loaded());
    check_edits(&mut again);
}

#[test]
fn attached_document_is_brought_forward_from_an_older_state() {
    let mut one = rich();
    let (bytes, saved_at) = (one.save(), one.state().clone());
    check_edits(&mut one);
    let mut two = device(3);
    let _delta = two.join(&saved_at);
    check_edits(&mut two);
    meet(&mut one, &mut two);
    let mut again = Document::from_state("notes", one.actor(), one.state().clone());
    again.attach(&bytes, &saved_at);
    assert!(again.is_loaded());
    check_edits(&mut again);
}

#[test]
fn ids_of_operations_that_came_and_went_since_the_save_are_not_given_out_again() {
    let mut one = device(1);
    let _edit = one.put("title", 1.into(), 0).unwrap();
    let (bytes, saved_at) = (one.save(), one.state().clone());
    for _ in 0..5 {
        let _edit = one.put("draft", 1.into(), 0).unwrap();
        let _edit = one.remove("draft", 0).unwrap();
    }
    let mut again = Document::from_state("notes", one.actor(), one.state().clone());
    again.attach(&bytes, &saved_at);
    check_edits(&mut again);
}

#[test]
fn bytes_that_do_not_load_only_cost_the_time_to_build_the_document() {
    let mut one = rich();
    let bytes = one.save();
    for garbage in [&b"garbage"[..], &bytes[..bytes.len() - 1], &bytes[1..]] {
        let mut again = Document::from_state("notes", one.actor(), one.state().clone());
        again.attach(garbage, one.state());
        assert!(!again.is_loaded());
        check_edits(&mut again);
    }
}

#[test]
fn saved_document_drops_what_was_overwritten_long_ago() {
    let mut one = device(1);
    for number in 0..3_000 {
        let _edit = one.put("title", number.into(), 0).unwrap();
    }
    assert!(one.save().len() < 1_000);
    check_edits(&mut one);
}

#[test]
fn state_survives_as_its_difference_from_nothing() {
    let one = rich();
    let delta = one.state().diff(&State::new());
    assert_eq!(State::new().apply(&delta).as_ref(), Ok(one.state()));
    assert!(one.state().diff(one.state()).is_empty());
}

#[test]
fn restored_document_gives_ids_out_again_that_nobody_saw() {
    let mut one = rich();
    let before = one.state().clone();
    check_edits(&mut one);
    one.restore(before.clone());
    assert_eq!(*one.state(), before);
    check_edits(&mut one);
}
