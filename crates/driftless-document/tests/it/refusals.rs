//! A refused edit leaves the document as it was.

use driftless_document::{Document, EditError, MAX_NESTING, Path, Scalar, Value, path};

use crate::devices::{device, meet, pair};

fn check<T: std::fmt::Debug + PartialEq>(
    document: &mut Document,
    edit: impl FnOnce(&mut Document) -> Result<T, EditError>,
    error: EditError,
) {
    let before = document.state().clone();
    assert_eq!(edit(document), Err(error));
    assert_eq!(*document.state(), before);
    let _edit = document
        .put("still works", (before.max_counter() as i64).into(), 0)
        .unwrap();
}

#[test]
fn trap_41_key_of_no_bytes_or_too_many_or_of_the_library_is_refused() {
    let mut one = device(1);
    let long = "é".repeat(64) + "x";
    for key in ["", &long, "\0driftless"] {
        let error = EditError::Key(key.len());
        check(&mut one, |one| one.put(key, 1.into(), 0), error.clone());
        check(&mut one, |one| one.remove(key, 0), error.clone());
        check(&mut one, |one| one.increment(key, 1, 0), error.clone());
        check(&mut one, |one| one.splice_text(key, 0, 0, "x", 0), error);
    }
    let _edit = one.put(&long[..128], 1.into(), 0).unwrap();
}

#[test]
fn counter_as_a_value_is_refused_and_nothing_beside_it_is_put() {
    let values = [
        ("a".to_owned(), 1.into()),
        ("b".to_owned(), Scalar::Counter(1)),
    ];
    check(
        &mut device(1),
        |one| one.put_all(values.into(), 0),
        EditError::NotPlain,
    );
    let unknown = Scalar::Unknown {
        type_code: 12,
        bytes: vec![1],
    };
    check(
        &mut device(1),
        |one| one.put("a", unknown, 0),
        EditError::NotPlain,
    );
}

#[test]
fn object_of_another_kind_at_the_key_is_refused() {
    let mut one = device(1);
    let _edit = one.increment("counter", 1, 0).unwrap();
    let _edit = one.splice_text("text", 0, 0, "x", 0).unwrap();
    let error = EditError::OtherKind {
        wanted: "text",
        found: "counter",
    };
    check(
        &mut one,
        |one| one.splice_text("counter", 0, 0, "x", 0),
        error,
    );
    let error = EditError::OtherKind {
        wanted: "counter",
        found: "text",
    };
    check(&mut one, |one| one.increment("text", 1, 0), error);
}

#[test]
fn text_and_counter_made_offline_at_one_key_stand_beside_each_other_until_one_is_put() {
    let (mut one, mut two) = pair(|_| ());
    let _edit = one.increment("key", 1, 0).unwrap();
    let _edit = two.splice_text("key", 0, 0, "x", 0).unwrap();
    meet(&mut one, &mut two);
    assert_eq!(
        (one.counter("key"), one.text("key").as_deref()),
        (Some(1), Some("x"))
    );
    let error = EditError::OtherKind {
        wanted: "counter",
        found: "text",
    };
    check(&mut one, |one| one.increment("key", 1, 0), error);
    let _edit = one.put("key", 1.into(), 0).unwrap();
    meet(&mut one, &mut two);
    assert_eq!(two.state().conflicts("key").len(), 1);
}

#[test]
fn place_behind_the_end_of_a_text_is_refused() {
    let mut one = device(1);
    let error = EditError::OutOfRange {
        at: 1,
        end: 1,
        len: 0,
    };
    check(&mut one, |one| one.splice_text("note", 1, 0, "x", 0), error);
    let _edit = one.splice_text("note", 0, 0, "é𝄞", 0).unwrap();
    let error = EditError::OutOfRange {
        at: 1,
        end: 3,
        len: 2,
    };
    check(&mut one, |one| one.splice_text("note", 1, 2, "", 0), error);
    let error = EditError::OutOfRange {
        at: 1,
        end: usize::MAX,
        len: 2,
    };
    check(
        &mut one,
        |one| one.splice_text("note", 1, usize::MAX, "", 0),
        error,
    );
}

#[test]
fn edits_are_refused_when_a_state_has_used_up_the_counters() {
    let author = driftless_document::Actor::random([9; 8]);
    let clock = [(author, driftless_document::MAX_COUNTER)].into();
    let delta = driftless_document::Delta {
        clock,
        ..Default::default()
    };
    let hostile = driftless_document::State::new().apply(&delta).unwrap();
    for is_loaded in [false, true] {
        let mut one = device(1);
        if is_loaded {
            let _edit = one.put("title", 1.into(), 0).unwrap();
        }
        let _delta = one.join(&hostile);
        let before = one.state().clone();
        assert_eq!(one.put("title", 2.into(), 0), Err(EditError::Exhausted));
        assert_eq!(one.increment("visits", 2, 0), Err(EditError::Exhausted));
        assert_eq!(
            one.splice_text("note", 0, 0, "x", 0),
            Err(EditError::Exhausted)
        );
        assert_eq!(*one.state(), before);
    }
}

#[test]
fn path_that_leads_through_another_kind_is_refused() {
    let mut one = device(1);
    let _edit = one.insert("list", None, &[1.into()], 0).unwrap();
    let _edit = one.add("set", &1.into(), 0).unwrap();
    let put = |path: Path| move |one: &mut Document| one.put_at(&path, &1.into(), 0);
    let error = |wanted, found| EditError::OtherKind { wanted, found };
    check(&mut one, put(path!["list", "a"]), error("map", "list"));
    check(&mut one, put(path!["set", "i1"]), error("map", "set"));
    check(
        &mut one,
        |one| one.add("list", &1.into(), 0),
        error("set", "list"),
    );
    check(
        &mut one,
        |one| one.insert("set", None, &[1.into()], 0),
        error("list", "set"),
    );
}

#[test]
fn element_that_is_not_there_is_refused() {
    let mut one = device(1);
    let error = |at, end, len| EditError::OutOfRange { at, end, len };
    let put = |path: Path| move |one: &mut Document| one.put_at(&path, &1.into(), 0);
    check(&mut one, put(path!["list", 0]), error(0, 1, 0));
    let _edit = one.insert("list", None, &[1.into()], 0).unwrap();
    check(&mut one, put(path!["list", 1]), error(1, 2, 1));
    check(
        &mut one,
        put(path!["list", usize::MAX]),
        error(usize::MAX, usize::MAX, 1),
    );
    check(
        &mut one,
        |one| one.insert("list", Some(2), &[1.into()], 0),
        error(2, 2, 1),
    );
}

#[test]
fn value_that_cannot_stand_there_is_refused() {
    let mut one = device(1);
    let unplain = Value::map([("a", Value::Scalar(Scalar::Counter(1)))]);
    let put = |value: Value| move |one: &mut Document| one.put_at(&"key".into(), &value, 0);
    check(&mut one, put(unplain), EditError::NotPlain);
    let set = Value::list([Value::set([1])]);
    check(&mut one, put(set), EditError::SetInList);
    let nameless = Value::map([("", 1)]);
    check(&mut one, put(nameless), EditError::Key(0));
    let nest = |deep| (0..deep).fold(Value::from(1), |value, _| Value::list([value]));
    check(&mut one, put(nest(MAX_NESTING + 1)), EditError::TooDeep);
    let _edit = one.put_at(&"key".into(), &nest(MAX_NESTING), 0).unwrap();
    let deep = (0..=MAX_NESTING).fold(Path::from("deep"), |path, _| path.key("k"));
    check(
        &mut one,
        |one| one.put_at(&deep, &1.into(), 0),
        EditError::TooDeep,
    );
    let deep = (0..MAX_NESTING).fold(Path::from("deep"), |path, _| path.key("k"));
    let _edit = one.put_at(&deep, &1.into(), 0).unwrap();
}
