//! Data of one identity come to those of another: two clocks meet.

use driftless_document::{Actor, Document};

use crate::devices::device;

/// What a guest had, and what its login had; neither knows the other.
fn two(
    guest: impl FnOnce(&mut Document),
    login: impl FnOnce(&mut Document),
) -> (Document, Document) {
    let (mut one, mut two) = (device(1), device(2));
    guest(&mut one);
    login(&mut two);
    (one, two)
}

/// Lets the guest's data arrive, twice, and checks that the second time changes nothing.
fn arrive(guest: &Document, login: &mut Document) {
    let before = login.state().clone();
    let absorbed = login.meet(guest.state(), 0).unwrap();
    assert_eq!(
        before.apply(&absorbed.delta.unwrap()).as_ref(),
        Ok(login.state()),
        "a meeting tells what it did"
    );
    assert!(login.state().has_met(guest.state()));
    let again = login.meet(guest.state(), 0).unwrap();
    assert!(again.delta.unwrap().is_empty() && again.changed.is_empty());
}

fn write(document: &mut Document, text: &str) {
    let _edit = document.splice_text("text", 0, 0, text, 0).unwrap();
    let _edit = document.increment("count", 1, 0).unwrap();
}

fn erase(document: &mut Document) {
    let _edit = document.remove("text", 0).unwrap();
    let _edit = document.remove("count", 0).unwrap();
}

fn check(document: &Document, length: usize, count: i64) {
    let text = document.text("text").unwrap_or_default();
    assert_eq!(
        (text.len(), document.counter("count")),
        (length, Some(count))
    );
}

#[test]
fn what_both_wrote_is_there() {
    let (guest, mut login) = two(
        |guest| {
            write(guest, "abc");
            let _edit = guest.put("guest", 1.into(), 0).unwrap();
        },
        |login| {
            write(login, "xy");
            let _edit = login.put("login", 2.into(), 0).unwrap();
        },
    );
    arrive(&guest, &mut login);
    check(&login, 5, 2);
    assert!(login.get("guest").is_some() && login.get("login").is_some());
}

#[test]
fn object_that_the_guest_removed_leaves_its_namesake_alive() {
    let (guest, mut login) = two(
        |guest| {
            write(guest, "abc");
            erase(guest);
        },
        |login| write(login, "xy"),
    );
    arrive(&guest, &mut login);
    check(&login, 2, 1);
}

#[test]
fn object_of_the_guest_survives_that_its_namesake_was_removed() {
    let (guest, mut login) = two(
        |guest| write(guest, "abc"),
        |login| {
            write(login, "xy");
            erase(login);
        },
    );
    arrive(&guest, &mut login);
    check(&login, 3, 1);
}

#[test]
fn generations_that_differ_become_one_object() {
    let again = |document: &mut Document, text: &str| {
        write(document, "old");
        erase(document);
        write(document, text);
    };
    let (guest, mut login) = two(|guest| again(guest, "abc"), |login| write(login, "xy"));
    arrive(&guest, &mut login);
    check(&login, 5, 2);
    let (guest, mut login) = two(|guest| write(guest, "abc"), |login| again(login, "xy"));
    arrive(&guest, &mut login);
    check(&login, 5, 2);
    // It goes on as any other.
    write(&mut login, "more");
    check(&login, 9, 3);
}

/// The guest's device moves its data into the login's before it lists, and another device folds the guest's dataset in.
#[test]
fn what_came_by_two_ways_is_there_once() {
    let (guest, mut login) = two(
        |guest| write(guest, "abc"),
        |login| {
            write(login, "xy");
            erase(login);
        },
    );
    let mut moved = Document::new("notes", Actor::random([3; 8]));
    arrive(&guest, &mut moved);
    arrive(&guest, &mut login);
    let _absorbed = moved.absorb(login.state(), &Default::default(), 0).unwrap();
    check(&moved, 3, 1);
}

#[test]
fn state_that_contradicts_is_refused_and_changes_nothing() {
    let mut one = device(1);
    let _edit = one.put("key", "one".into(), 0).unwrap();
    let mut other = device(1);
    let _edit = other.put("key", "other".into(), 0).unwrap();
    let _edit = other.put("more", "other".into(), 0).unwrap();
    let before = one.state().clone();
    assert!(one.meet(other.state(), 0).is_none());
    assert_eq!(*one.state(), before);
}
