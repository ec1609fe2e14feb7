//! Undo: what the last local transaction changed shows again what it did before.

use driftless::{Dataset, PutError, UndoError, Value, path};

use crate::fake::Fake;
use crate::values::Two;

fn check(prepare: impl Fn(&Dataset), edit: impl Fn(&Dataset)) {
    let client = Fake::new().device();
    let notes = client.dataset("notes").unwrap();
    prepare(&notes);
    let before = notes.entries();
    edit(&notes);
    assert_ne!(notes.entries(), before);
    notes.undo().unwrap();
    assert_eq!(notes.entries(), before);
    assert!(matches!(notes.undo(), Err(UndoError::Nothing)));
}

#[test]
fn edit_of_any_kind_is_taken_back() {
    let rich = |notes: &Dataset| {
        notes.put("key", "old").unwrap();
        notes.increment("count", 3).unwrap();
        notes.splice_text("text", 0, 0, "hello world").unwrap();
        notes.put("list", Value::list([1, 2, 3])).unwrap();
        notes
            .put("map", Value::map([("a", Value::set(["x"]))]))
            .unwrap();
    };
    check(|_| (), |notes| notes.put("key", 1).unwrap());
    check(rich, |notes| notes.put("key", "new").unwrap());
    check(rich, |notes| notes.put("list", "replaced").unwrap());
    check(rich, |notes| notes.increment("count", -9).unwrap());
    check(rich, |notes| notes.splice_text("text", 3, 5, "").unwrap());
    check(rich, |notes| {
        notes.splice_text("text", 11, 0, "!é𝄞").unwrap()
    });
    check(rich, |notes| notes.splice_text("key", 0, 0, "a").unwrap());
    check(rich, |notes| {
        notes.splice_text(path!["map", "t"], 0, 0, "a").unwrap()
    });
    check(rich, |notes| notes.insert("list", 1, 9).unwrap());
    check(rich, |notes| {
        assert!(notes.remove(path!["list", 0]).unwrap())
    });
    check(rich, |notes| assert!(notes.remove("map").unwrap()));
    check(rich, |notes| {
        assert!(notes.discard(path!["map", "a"], "x").unwrap())
    });
    check(rich, |notes| {
        let done: Result<(), PutError> = notes.transaction(|edit| {
            edit.put("key", 1)?;
            edit.put("key", 2)?;
            edit.remove("text")?;
            edit.push("new", 1)
        });
        done.unwrap();
    });
}

#[tokio::test]
async fn concurrent_edits_of_other_keys_stay_and_those_of_the_same_key_forbid_it() {
    let two = Two::new();
    two.a.put("key", "old").unwrap();
    two.meet().await;
    two.a.put("key", "new").unwrap();
    two.b.put("other", 1).unwrap();
    two.meet().await;
    two.a.undo().unwrap();
    two.meet().await;
    assert_eq!(two.b.get("key"), Some("old".into()));
    assert_eq!(two.a.get("other"), Some(1.into()));

    two.a.increment("count", 1).unwrap();
    two.b.increment("count", 2).unwrap();
    two.meet().await;
    let undone = two.a.undo();
    assert!(matches!(undone, Err(UndoError::Overtaken { key }) if key == "count"));
    assert_eq!(two.a.counter("count"), Some(3));
}

#[test]
fn refused_and_empty_edits_leave_the_last_one_to_be_undone() {
    let client = Fake::new().device();
    let notes = client.dataset("notes").unwrap();
    assert!(matches!(notes.undo(), Err(UndoError::Nothing)));
    notes.put("key", 1).unwrap();
    notes.put("key", 1).unwrap();
    notes.put("", 1).unwrap_err();
    notes.undo().unwrap();
    assert!(notes.is_empty());
    notes.put("key", 1).unwrap();
    notes.delete().unwrap();
    assert!(matches!(notes.undo(), Err(UndoError::Nothing)));
}
