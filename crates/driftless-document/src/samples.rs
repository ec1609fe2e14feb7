//! States with everything in them, and what must hold for every state.

use std::collections::{BTreeMap, BTreeSet};

use automerge::{Automerge, TextEncoding};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use crate::diff::{Delta, ObjectDelta, RegisterDelta, Removed, SequenceDelta};
use crate::emit::emit;
use crate::id::{Actor, ObjectId, OpId};
use crate::ops::bounded;
use crate::run::{Body, Run, Span};
use crate::state::{Count, CountKey, State};
use crate::value::{Content, Contents, ObjectType, Scalar};

pub(crate) const A: Actor = Actor::from_bytes(*b"author a");
pub(crate) const B: Actor = Actor::from_bytes(*b"author b");

pub(crate) const fn a(counter: u32) -> OpId {
    OpId::new(counter, A)
}

pub(crate) const fn b(counter: u32) -> OpId {
    OpId::new(counter, B)
}

pub(crate) const fn made(id: OpId) -> ObjectId {
    ObjectId::Made(id)
}

pub(crate) fn put(id: OpId, content: Content) -> RegisterDelta {
    RegisterDelta {
        removed: Removed::Nothing,
        added: [(id, content)].into(),
    }
}

pub(crate) fn number(id: OpId) -> RegisterDelta {
    put(id, Content::Scalar(Scalar::Int(1)))
}

pub(crate) fn characters(start: OpId, reference: Option<OpId>, text: &str) -> Run {
    Run {
        start,
        reference,
        body: Body::characters(text.to_owned()),
    }
}

pub(crate) fn root(
    keys: impl IntoIterator<Item = (&'static str, RegisterDelta)>,
) -> (ObjectId, ObjectDelta) {
    let keys = keys
        .into_iter()
        .map(|(key, change)| (key.to_owned(), change))
        .collect();
    (ObjectId::Root, ObjectDelta::Map(keys))
}

/// A state with everything in it: `a` put a number (1), counters (2, 3), a text (4, characters 5 to 8) and a list (9, its
/// elements 10 to 12), removed a character (13), and added to the counters (14, 15).
pub(crate) fn rich() -> (State, Delta) {
    let mut text = SequenceDelta::default();
    text.inserted.push(characters(a(5), None, "aé𝄞z"));
    let mut list = SequenceDelta::default();
    let values = vec![
        Content::Scalar(Scalar::Int(7)),
        Content::Scalar(Scalar::Counter(5)),
        Content::Object(ObjectType::Map),
    ];
    list.inserted.push(Run {
        start: a(10),
        reference: None,
        body: Body::Values(values),
    });
    let counter = |id| put(id, Content::Scalar(Scalar::Counter(0)));
    let two = RegisterDelta {
        removed: Removed::Nothing,
        added: [
            (a(3), Content::Scalar(Scalar::Counter(0))),
            (b(3), Content::Scalar(Scalar::Counter(1))),
        ]
        .into(),
    };
    let inner = BTreeMap::from([("inside".to_owned(), number(b(20)))]);
    let first = Delta {
        clock: [(A, 15), (B, 20)].into(),
        objects: [
            root([
                ("number", number(a(1))),
                ("counter", counter(a(2))),
                ("two", two),
                ("text", put(a(4), Content::Object(ObjectType::Text))),
                ("list", put(a(9), Content::Object(ObjectType::List))),
            ]),
            (made(a(4)), ObjectDelta::Sequence(text)),
            (made(a(9)), ObjectDelta::Sequence(list)),
            (made(a(12)), ObjectDelta::Map(inner)),
        ]
        .into(),
        counts: [
            (
                CountKey {
                    actor: A,
                    counters: vec![a(2)],
                },
                Count { last: 14, sum: 9 },
            ),
            (
                CountKey {
                    actor: A,
                    counters: vec![a(3), b(3)],
                },
                Count { last: 15, sum: -4 },
            ),
        ]
        .into(),
        times: [(a(1), 1_700_000_000_000)].into(),
    };
    (State::new().apply(&first).unwrap(), first)
}

/// A valid second delta on top of [`rich`]: it removes, replaces, deletes in the text, sets an element and adds.
pub(crate) fn second() -> Delta {
    let text = SequenceDelta {
        deleted: vec![Span {
            start: a(6),
            len: 2,
        }],
        inserted: vec![characters(b(30), Some(a(5)), "new")],
        sets: BTreeMap::new(),
    };
    let list = SequenceDelta {
        deleted: vec![Span {
            start: a(10),
            len: 1,
        }],
        inserted: vec![Run {
            start: b(40),
            reference: Some(a(12)),
            body: Body::Dead(3),
        }],
        sets: BTreeMap::from([(
            a(11),
            put(b(21), Content::Scalar(Scalar::String("set".into()))),
        )]),
    };
    let one = RegisterDelta {
        removed: Removed::Some(BTreeSet::from([a(3)])),
        added: Contents::default(),
    };
    let replaced = RegisterDelta {
        removed: Removed::All,
        ..number(b(22))
    };
    Delta {
        clock: [(B, 60)].into(),
        objects: [
            root([("number", replaced), ("two", one)]),
            (made(a(4)), ObjectDelta::Sequence(text)),
            (made(a(9)), ObjectDelta::Sequence(list)),
        ]
        .into(),
        counts: [(
            CountKey {
                actor: B,
                counters: vec![a(2)],
            },
            Count { last: 50, sum: 3 },
        )]
        .into(),
        times: [(b(22), 5)].into(),
    }
}

/// Everything that is built from a state works, and reads back as the same state.
pub(crate) fn check_invariants(state: &State) -> TestCaseResult {
    let mut document = Automerge::new_with_encoding(TextEncoding::UnicodeCodePoint);
    document.apply_changes(emit(state)).unwrap();
    let loaded = Automerge::load(&document.save()).unwrap();
    prop_assert_eq!(loaded.get_heads(), document.get_heads());
    prop_assert_eq!(State::of(&emit(state)), told(state));
    prop_assert_eq!(State::of(&loaded.get_changes(&[])), told(state));
    prop_assert_eq!(
        &State::new().apply(&state.diff(&State::new())).unwrap(),
        state
    );
    for key in state.keys() {
        let _value = state.get(key);
    }
    Ok(())
}

/// What automerge is told of a state: all but counters that are too wide for it.
fn told(state: &State) -> State {
    let mut delta = state.diff(&State::new());
    delta
        .counts
        .values_mut()
        .for_each(|count| count.sum = bounded(count.sum));
    let narrow = |content: &mut Content| {
        if let Content::Scalar(Scalar::Counter(start)) = content {
            *start = bounded(*start);
        }
    };
    for changed in delta.objects.values_mut() {
        let registers: Vec<&mut RegisterDelta> = match changed {
            ObjectDelta::Map(keys) => keys.values_mut().collect(),
            ObjectDelta::Sequence(sequence) => {
                for run in &mut sequence.inserted {
                    if let Body::Values(values) = &mut run.body {
                        values.iter_mut().for_each(narrow);
                    }
                }
                sequence.sets.values_mut().collect()
            }
        };
        registers
            .into_iter()
            .flat_map(|change| change.added.values_mut())
            .for_each(narrow);
    }
    State::new().apply(&delta).unwrap()
}
