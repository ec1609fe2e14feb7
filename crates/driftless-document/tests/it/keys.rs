//! What stands at a key after two devices put, removed and met.

use driftless_document::{Document, Edit, Scalar, Value};

use crate::devices::{device, meet, pair};

fn put(document: &mut Document, key: &str, value: impl Into<Scalar>) -> Edit {
    document.put(key, value.into(), 0).unwrap()
}

#[test]
fn later_put_takes_the_place_of_an_earlier_one() {
    let (mut one, mut two) = pair(|one| put(one, "title", "first"));
    let _edit = put(&mut two, "title", "second");
    meet(&mut one, &mut two);
    assert_eq!(one.get("title"), Some("second".into()));
    assert_eq!(one.state().conflicts("title").len(), 1);
}

/// automerge takes the two for equal.
#[test]
fn negative_zero_takes_the_place_of_zero_and_the_other_way_round() {
    let (mut one, mut two) = pair(|one| put(one, "zero", 0.0));
    for zero in [-0.0, 0.0, -0.0] {
        let edit = one
            .put_all(
                [("zero".into(), zero.into()), ("other".into(), zero.into())].into(),
                0,
            )
            .unwrap();
        assert!(!edit.is_empty());
        assert_eq!(one.get("zero"), Some(zero.into()));
        assert_eq!(one.state().conflicts("zero").len(), 1);
        assert!(put(&mut one, "zero", zero).is_empty());
        meet(&mut one, &mut two);
        assert_eq!(two.get("zero"), Some(zero.into()));
    }
}

#[test]
fn concurrent_puts_have_one_winner_and_the_other_stays_readable() {
    let (mut one, mut two) = pair(|_| ());
    let _edit = one.put("title", "one".into(), 10).unwrap();
    let _edit = two.put("title", "two".into(), 20).unwrap();
    meet(&mut one, &mut two);
    assert_eq!(
        one.get("title"),
        Some("two".into()),
        "the higher op id wins"
    );
    let conflicts = one.state().conflicts("title");
    let told: Vec<_> = conflicts
        .iter()
        .map(|one| (one.value.as_str().unwrap(), one.time, one.author()))
        .collect();
    assert_eq!(
        told,
        [
            ("two", Some(20), two.actor()),
            ("one", Some(10), one.actor())
        ]
    );

    let _edit = put(&mut one, "title", "settled");
    meet(&mut one, &mut two);
    assert_eq!(
        two.state().conflicts("title").len(),
        1,
        "whoever writes the key settles it"
    );
}

#[test]
fn put_outlives_a_concurrent_removal() {
    let (mut one, mut two) = pair(|one| put(one, "title", "old"));
    let _edit = one.remove("title", 0).unwrap();
    let _edit = put(&mut two, "title", "new");
    meet(&mut one, &mut two);
    assert_eq!(one.get("title"), Some("new".into()));
    assert_eq!(one.state().conflicts("title").len(), 1);
}

#[test]
fn removal_removes_what_its_author_had_seen() {
    let (mut one, mut two) = pair(|one| put(one, "title", "old"));
    let _edit = one.remove("title", 0).unwrap();
    meet(&mut one, &mut two);
    assert_eq!(two.get("title"), None);
    assert!(two.state().is_blank());
}

#[test]
fn equal_put_and_empty_removal_write_nothing() {
    let mut one = device(1);
    let _edit = put(&mut one, "ratio", f64::NAN);
    let before = one.state().clone();
    assert!(put(&mut one, "ratio", f64::NAN).is_empty());
    assert!(one.remove("nothing", 0).unwrap().is_empty());
    assert!(one.put_all([].into(), 0).unwrap().is_empty());
    assert_eq!(*one.state(), before);
}

#[test]
fn equal_put_settles_a_conflict() {
    let (mut one, mut two) = pair(|_| ());
    let _edit = put(&mut one, "title", "one");
    let _edit = put(&mut two, "title", "two");
    meet(&mut one, &mut two);
    assert!(!put(&mut one, "title", "two").is_empty());
    assert_eq!(one.state().conflicts("title").len(), 1);
}

#[test]
fn equal_values_from_two_devices_are_both_kept() {
    let (mut one, mut two) = pair(|_| ());
    let _edit = put(&mut one, "title", "same");
    let _edit = put(&mut two, "title", "same");
    meet(&mut one, &mut two);
    assert_eq!(one.state().conflicts("title").len(), 2);
}

#[test]
fn every_kind_of_scalar_is_read_as_it_was_put() {
    let scalars = [
        Scalar::Null,
        true.into(),
        i64::MIN.into(),
        Scalar::Uint(u64::MAX),
        0.1.into(),
        "".into(),
        "κείμενο".into(),
        vec![0, 255].into(),
        Scalar::Timestamp(-1),
    ];
    let mut one = device(1);
    let values = scalars
        .iter()
        .enumerate()
        .map(|(at, scalar)| (format!("k{at}"), scalar.clone()));
    let edit = one.put_all(values.collect(), 0).unwrap();
    assert_eq!(edit.deltas.len(), 1, "they become one change");
    let again = Document::from_state("notes", one.actor(), one.state().clone());
    for (at, scalar) in scalars.into_iter().enumerate() {
        assert_eq!(again.get(&format!("k{at}")), Some(Value::Scalar(scalar)));
    }
}

#[test]
fn times_are_kept_in_ms_for_the_puts_of_people() {
    let mut one = device(1);
    let _edit = one.put("title", "x".into(), 1_700_000_000_123).unwrap();
    let _edit = one.increment("visits", 1, 1_700_000_000_123).unwrap();
    assert_eq!(
        one.state().conflicts("title")[0].time,
        Some(1_700_000_000_123)
    );
    let conflict = &one.state().conflicts("visits")[0];
    assert!(conflict.author().is_derived());
    assert_eq!(conflict.time, None, "nobody made the counter");
}

#[test]
fn trap_34_no_clock_decides_who_wins() {
    const YEAR: i64 = 365 * 86_400_000;
    for (one_at, two_at) in [(0, YEAR), (YEAR, 0), (YEAR, YEAR), (-YEAR, YEAR)] {
        let (mut one, mut two) = pair(|_| ());
        let _edit = one.put("title", "one".into(), one_at).unwrap();
        let _edit = two.put("title", "two".into(), two_at).unwrap();
        meet(&mut one, &mut two);
        assert_eq!(one.get("title"), Some("two".into()));
    }
}

#[test]
fn smaller_of_two_times_stands() {
    let mut one = device(1);
    let edit = one.put("title", "x".into(), 500).unwrap();
    let mut told_earlier = edit.deltas[0].clone();
    told_earlier.times.values_mut().for_each(|time| *time = 400);
    let other = driftless_document::State::new()
        .apply(&told_earlier)
        .unwrap();
    assert_eq!(
        one.state().join(&other).conflicts("title")[0].time,
        Some(400)
    );
    assert_eq!(other.join(one.state()), one.state().join(&other));
}

#[test]
fn changed_keys_are_those_of_values_texts_and_counters() {
    let (mut one, mut two) = pair(|one| {
        let _edit = put(one, "gone", 1);
        let _edit = put(one, "kept", 1);
        let _edit = one.splice_text("text", 0, 0, "abc", 0).unwrap();
        let _edit = one.increment("visits", 1, 0).unwrap();
    });
    let _edit = two.remove("gone", 0).unwrap();
    let _edit = two.splice_text("text", 1, 1, "", 0).unwrap();
    let _edit = two.increment("visits", 1, 0).unwrap();
    let _edit = put(&mut two, "new", 1);
    let delta = one.join(two.state());
    let changed: Vec<String> = one.state().changed_keys(&delta).into_iter().collect();
    assert_eq!(changed, ["gone", "new", "text", "visits"]);
}
