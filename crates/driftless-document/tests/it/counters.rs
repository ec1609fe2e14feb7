//! Counters: increments of all devices add up.

use driftless_document::{Document, EditError, Value};

use crate::devices::{device, meet, pair};

fn add(document: &mut Document, by: i64) {
    let _edit = document.increment("visits", by, 0).unwrap();
}

#[test]
fn concurrent_increments_add_up() {
    let (mut one, mut two) = pair(|one| add(one, 1));
    add(&mut one, 10);
    add(&mut two, 100);
    add(&mut two, -1);
    meet(&mut one, &mut two);
    assert_eq!(one.get("visits"), Some(Value::Counter(110)));
    assert_eq!(one.counter("visits"), Some(110));
}

#[test]
fn counter_created_offline_on_both_is_one() {
    let (mut one, mut two) = pair(|_| ());
    add(&mut one, 3);
    add(&mut two, 4);
    meet(&mut one, &mut two);
    assert_eq!(one.counter("visits"), Some(7));
    assert_eq!(one.state().conflicts("visits").len(), 1);
}

#[test]
fn scalar_in_the_way_of_a_counter_is_removed() {
    let (mut one, mut two) = pair(|one| one.put("visits", "many".into(), 0).unwrap());
    add(&mut one, 1);
    meet(&mut one, &mut two);
    assert_eq!(two.get("visits"), Some(Value::Counter(1)));
    assert_eq!(two.state().conflicts("visits").len(), 1);
}

#[test]
fn concurrent_put_wins_over_a_new_counter_which_goes_on_counting() {
    let (mut one, mut two) = pair(|_| ());
    add(&mut one, 2);
    let _edit = two.put("other", 1.into(), 0).unwrap();
    let _edit = two.put("visits", "many".into(), 0).unwrap();
    meet(&mut one, &mut two);
    assert_eq!(one.get("visits"), Some("many".into()));
    assert_eq!(one.counter("visits"), Some(2));
    add(&mut one, 5);
    meet(&mut one, &mut two);
    assert_eq!(
        two.get("visits"),
        Some(Value::Counter(7)),
        "the scalar was in the way"
    );
}

#[test]
fn removed_counter_starts_anew_and_counts_nothing_of_its_old_life() {
    let (mut one, mut two) = pair(|one| add(one, 5));
    let old = one.state().conflicts("visits")[0].id;
    let _edit = one.remove("visits", 0).unwrap();
    add(&mut two, 100);
    meet(&mut one, &mut two);
    assert_eq!(
        one.get("visits"),
        None,
        "an increment does not bring a removed counter back"
    );
    add(&mut one, 1);
    meet(&mut one, &mut two);
    let new = two.state().conflicts("visits")[0].id;
    assert_eq!(
        (new.actor, new.counter),
        (old.actor, old.counter + 1),
        "the next generation"
    );
    assert_eq!(two.counter("visits"), Some(1));
}

#[test]
fn total_that_leaves_64_bits_is_refused() {
    let mut one = device(1);
    add(&mut one, i64::MAX);
    let before = one.state().clone();
    let refused = one.increment("visits", 1, 0);
    assert_eq!(
        refused,
        Err(EditError::Overflow {
            total: i64::MAX,
            by: 1
        })
    );
    assert_eq!(*one.state(), before);
    add(&mut one, i64::MIN);
    assert_eq!(one.counter("visits"), Some(-1));
}

#[test]
fn concurrent_totals_that_leave_64_bits_wrap_around_alike() {
    let (mut one, mut two) = pair(|one| add(one, 1));
    add(&mut one, i64::MAX - 1);
    add(&mut two, i64::MAX - 1);
    meet(&mut one, &mut two);
    assert_eq!(one.counter("visits"), two.counter("visits"));
    add(&mut one, 1);
    meet(&mut one, &mut two);
    assert_eq!(two.counter("visits"), Some(i64::MAX.wrapping_mul(2)));
}
