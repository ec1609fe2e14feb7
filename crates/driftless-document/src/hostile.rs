//! What a hostile delta cannot do: each rule of states is checked by [`State::apply`].

use std::collections::{BTreeMap, BTreeSet};

use crate::apply::ApplyError;
use crate::diff::{Delta, ObjectDelta, RegisterDelta, Removed, SequenceDelta};
use crate::id::{MAX_COUNTER, ObjectId, OpId};
use crate::run::{Body, Run, Span};
use crate::samples::{A, B, a, b, characters, check_invariants, made, number, put, rich, second};
use crate::state::{Count, CountKey, State};
use crate::value::{Content, Contents, ObjectType, Scalar};

fn refused(change: impl FnOnce(&mut Delta)) -> ApplyError {
    let mut delta = second();
    change(&mut delta);
    rich().0.apply(&delta).unwrap_err()
}

fn sequence(delta: &mut Delta, id: OpId) -> &mut SequenceDelta {
    match delta.objects.get_mut(&made(id)) {
        Some(ObjectDelta::Sequence(sequence)) => sequence,
        _ => panic!("the delta changes this sequence"),
    }
}

fn keys(delta: &mut Delta) -> &mut BTreeMap<String, RegisterDelta> {
    match delta.objects.get_mut(&ObjectId::Root) {
        Some(ObjectDelta::Map(keys)) => keys,
        _ => panic!("the delta changes the root"),
    }
}

fn write(delta: &mut Delta, key: &str, change: RegisterDelta) {
    keys(delta).extend([(key.to_owned(), change)]);
}

fn set(delta: &mut Delta, object: OpId, element: OpId, change: RegisterDelta) {
    sequence(delta, object).sets.extend([(element, change)]);
}

#[test]
fn samples_keep_the_rules() {
    let (state, _) = rich();
    check_invariants(&state).unwrap();
    check_invariants(&state.apply(&second()).unwrap()).unwrap();
}

#[test]
fn clock_that_does_not_rise_is_refused() {
    assert_eq!(
        refused(|delta| _ = delta.clock.insert(B, 20)),
        ApplyError::Clock(B, 20, 20)
    );
    let above = MAX_COUNTER + 1;
    assert_eq!(
        refused(|delta| _ = delta.clock.insert(B, above)),
        ApplyError::Clock(B, 20, above)
    );
}

#[test]
fn operation_outside_of_the_clock_is_refused() {
    let late = |delta: &mut Delta| write(delta, "k", number(b(61)));
    assert_eq!(refused(late), ApplyError::OutsideOfClock(b(61)));
    let early = |delta: &mut Delta| write(delta, "k", number(b(20)));
    assert_eq!(refused(early), ApplyError::OutsideOfClock(b(20)));
    let of_nobody_new = |delta: &mut Delta| write(delta, "k", number(a(15)));
    assert_eq!(refused(of_nobody_new), ApplyError::OutsideOfClock(a(15)));
    let endless = characters(b(u32::MAX), None, "ab");
    let at_the_end = |delta: &mut Delta| sequence(delta, a(4)).inserted.push(endless);
    assert_eq!(refused(at_the_end), ApplyError::OutsideOfClock(b(u32::MAX)));
}

#[test]
fn id_given_out_twice_is_refused() {
    let key = |delta: &mut Delta| write(delta, "k", number(b(31)));
    assert_eq!(refused(key), ApplyError::Duplicate(b(31)));
    let count = |delta: &mut Delta| {
        for count in delta.counts.values_mut() {
            count.last = 41;
        }
    };
    assert_eq!(refused(count), ApplyError::Duplicate(b(41)));
    let other_list = |delta: &mut Delta| {
        sequence(delta, a(9)).inserted = vec![Run {
            start: b(32),
            reference: None,
            body: Body::Dead(1),
        }];
    };
    assert_eq!(refused(other_list), ApplyError::Duplicate(b(30)));
}

#[test]
fn more_operations_than_any_dataset_holds_are_refused() {
    let flood = |delta: &mut Delta| {
        delta.clock.insert(B, MAX_COUNTER);
        sequence(delta, a(9)).inserted[0].body = Body::Dead(MAX_COUNTER - 40);
    };
    assert_eq!(refused(flood), ApplyError::TooMany);
}

#[test]
fn object_that_is_not_there_or_of_another_kind_is_refused() {
    let elsewhere = |delta: &mut Delta| {
        delta
            .objects
            .insert(made(b(1)), ObjectDelta::Sequence(SequenceDelta::default()));
    };
    assert_eq!(refused(elsewhere), ApplyError::Object(made(b(1))));
    let kind = |delta: &mut Delta| {
        let keys = BTreeMap::from([("k".to_owned(), number(b(23)))]);
        delta.objects.insert(made(a(4)), ObjectDelta::Map(keys));
    };
    assert_eq!(refused(kind), ApplyError::Object(made(a(4))));
    let sequence = |delta: &mut Delta| {
        let text = delta.objects.remove(&made(a(4))).unwrap();
        delta.objects.insert(ObjectId::Root, text);
    };
    assert_eq!(refused(sequence), ApplyError::Object(ObjectId::Root));
}

#[test]
fn object_that_is_changed_and_removed_at_once_is_refused() {
    let gone = RegisterDelta {
        removed: Removed::All,
        added: Contents::default(),
    };
    let remove = |delta: &mut Delta| write(delta, "text", gone);
    assert_eq!(refused(remove), ApplyError::Object(made(a(4))));
}

#[test]
fn objects_that_only_hold_each_other_are_refused() {
    let island = |delta: &mut Delta| {
        let map = |id| put(id, Content::Object(ObjectType::Map));
        let keys = |change| ObjectDelta::Map(BTreeMap::from([("k".to_owned(), change)]));
        delta.objects.insert(made(b(51)), keys(map(b(52))));
        delta.objects.insert(made(b(52)), keys(map(b(51))));
    };
    assert_eq!(refused(island), ApplyError::Object(made(b(51))));
}

#[test]
fn removal_of_what_is_not_there_is_refused() {
    let value = |delta: &mut Delta| {
        keys(delta).get_mut("two").unwrap().removed = Removed::Some(BTreeSet::from([a(1)]));
    };
    assert_eq!(refused(value), ApplyError::Value(a(1)));
    let beyond = |delta: &mut Delta| sequence(delta, a(4)).deleted[0].len = u32::MAX;
    assert_eq!(refused(beyond), ApplyError::Value(a(9)));
    let state = rich().0.apply(&second()).unwrap();
    let mut text = SequenceDelta::default();
    text.deleted.push(Span {
        start: a(6),
        len: 1,
    });
    let objects = [(made(a(4)), ObjectDelta::Sequence(text))].into();
    let twice = Delta {
        objects,
        ..Delta::default()
    };
    assert_eq!(state.apply(&twice), Err(ApplyError::Value(a(6))));
}

#[test]
fn what_is_no_key_is_refused() {
    let empty = |delta: &mut Delta| write(delta, "", number(b(23)));
    assert_eq!(refused(empty), ApplyError::Key(0));
    let long = |delta: &mut Delta| write(delta, &"k".repeat(129), number(b(23)));
    assert_eq!(refused(long), ApplyError::Key(129));
    let reserved = |delta: &mut Delta| write(delta, crate::ops::MARK_KEY, number(b(23)));
    assert_eq!(
        refused(reserved),
        ApplyError::Key(crate::ops::MARK_KEY.len())
    );
}

#[test]
fn unknown_scalar_of_a_known_type_is_refused() {
    for type_code in [0, 6, 9, 16, 255] {
        let scalar = Scalar::Unknown {
            type_code,
            bytes: vec![0xff],
        };
        let forge = |delta: &mut Delta| {
            write(delta, "k", put(b(23), Content::Scalar(scalar)));
        };
        assert_eq!(refused(forge), ApplyError::Type(b(23)), "type {type_code}");
    }
}

#[test]
fn reference_to_no_older_element_of_the_same_sequence_is_refused() {
    let point = |reference: OpId| {
        refused(move |delta| sequence(delta, a(4)).inserted[0].reference = Some(reference))
    };
    assert_eq!(
        point(a(10)),
        ApplyError::Reference(b(30)),
        "an element of the list"
    );
    assert_eq!(point(b(31)), ApplyError::Reference(b(30)), "one of its own");
    assert_eq!(point(b(1)), ApplyError::Reference(b(30)), "none at all");
    let early = |delta: &mut Delta| {
        let change = sequence(delta, a(9)).sets.remove(&a(11)).unwrap();
        set(delta, a(9), b(42), change);
    };
    assert_eq!(
        refused(early),
        ApplyError::Reference(b(21)),
        "older than its element"
    );
    let nowhere = |delta: &mut Delta| set(delta, a(9), a(5), number(b(23)));
    assert_eq!(
        refused(nowhere),
        ApplyError::Reference(a(5)),
        "a character of the text"
    );
}

#[test]
fn objects_deeper_than_readers_go_are_refused() {
    let nest = |depth: u32| {
        let mut delta = Delta {
            clock: [(A, depth)].into(),
            ..Delta::default()
        };
        let mut object = ObjectId::Root;
        for counter in 1..=depth {
            let map = put(a(counter), Content::Object(ObjectType::Map));
            delta
                .objects
                .insert(object, ObjectDelta::Map([("k".to_owned(), map)].into()));
            object = made(a(counter));
        }
        State::new().apply(&delta)
    };
    check_invariants(&nest(127).unwrap()).unwrap();
    assert_eq!(nest(200), Err(ApplyError::Depth(a(129))));
}

#[test]
fn total_that_belongs_to_no_live_counter_is_refused() {
    let name = |counters: Vec<OpId>, last: u32| {
        refused(move |delta| {
            delta.counts = [(CountKey { actor: B, counters }, Count { last, sum: 1 })].into();
        })
    };
    assert_eq!(name(vec![a(1)], 50), ApplyError::Count(B), "a number");
    assert_eq!(
        name(vec![a(3)], 50),
        ApplyError::Count(B),
        "removed by the same delta"
    );
    assert_eq!(
        name(vec![a(2), a(11)], 50),
        ApplyError::Count(B),
        "in two places"
    );
    assert_eq!(
        name(vec![a(2)], 2),
        ApplyError::Count(B),
        "older than the counter"
    );
    assert_eq!(name(vec![], 50), ApplyError::Canonical);
    assert_eq!(name(vec![a(11), a(2)], 50), ApplyError::Canonical);
}

#[test]
fn time_of_no_value_at_a_root_key_is_refused() {
    let tell = |id: OpId, time: i64| refused(move |delta| _ = delta.times.insert(id, time));
    assert_eq!(tell(b(20), 5), ApplyError::Time(b(20)), "in a nested map");
    assert_eq!(
        tell(a(1), 5),
        ApplyError::Time(a(1)),
        "removed by the same delta"
    );
    assert_eq!(tell(b(22), 0), ApplyError::Time(b(22)), "no time at all");
    assert_eq!(
        tell(b(22), i64::MIN),
        ApplyError::Time(b(22)),
        "none that a clock shows"
    );
    let mut later = Delta::default();
    later.times.insert(a(1), 1_700_000_000_001);
    assert_eq!(
        rich().0.apply(&later),
        Err(ApplyError::Time(a(1))),
        "later than known"
    );
}

#[test]
fn what_could_be_written_otherwise_is_refused() {
    let changes: [fn(&mut Delta); 9] = [
        |delta| keys(delta).clear(),
        |delta| write(delta, "k", RegisterDelta::default()),
        |delta| keys(delta).get_mut("two").unwrap().removed = Removed::Some(BTreeSet::new()),
        |delta| {
            keys(delta).get_mut("two").unwrap().removed = Removed::Some([a(3), b(3)].into());
        },
        |delta| *sequence(delta, a(4)) = SequenceDelta::default(),
        |delta| sequence(delta, a(4)).deleted[0].len = 0,
        |delta| {
            let spans = vec![
                Span {
                    start: a(6),
                    len: 1,
                },
                Span {
                    start: a(7),
                    len: 1,
                },
            ];
            sequence(delta, a(4)).deleted = spans;
        },
        |delta| {
            sequence(delta, a(4))
                .inserted
                .push(characters(b(33), Some(b(32)), "x"))
        },
        |delta| {
            let text = "new".to_owned();
            sequence(delta, a(4)).inserted[0].body = Body::Characters { text, count: 2 };
        },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        assert_eq!(refused(change), ApplyError::Canonical, "change {number}");
    }
}

#[test]
fn spans_that_overlap_are_refused() {
    let span = |start, len| Span { start, len };
    let overlap = |delta: &mut Delta| {
        sequence(delta, a(4)).deleted = vec![span(a(5), 4), span(a(7), 1)];
    };
    assert_eq!(refused(overlap), ApplyError::Value(a(7)));
}

/// How many places a delta meets below: a pass over the state for each of them takes a hundred times as long as one.
const MANY: u32 = 60_000;

fn all_of(actor: crate::Actor, from: u32) -> RegisterDelta {
    RegisterDelta {
        removed: Removed::Nothing,
        added: (from..from + MANY)
            .map(|counter| (OpId::new(counter, actor), Content::Scalar(Scalar::Int(1))))
            .collect(),
    }
}

fn at_root(change: RegisterDelta) -> (ObjectId, ObjectDelta) {
    (
        ObjectId::Root,
        ObjectDelta::Map([("k".to_owned(), change)].into()),
    )
}

#[test]
fn many_values_before_and_between_many_others_are_put_in_one_pass() {
    let later = Delta {
        clock: [(B, 2 * MANY)].into(),
        objects: [at_root(all_of(B, MANY + 1))].into(),
        ..Delta::default()
    };
    let earlier = Delta {
        clock: [(A, MANY)].into(),
        objects: [at_root(all_of(A, 1))].into(),
        ..Delta::default()
    };
    let state = State::new().apply(&later).unwrap().apply(&earlier).unwrap();
    let other = State::new().apply(&earlier).unwrap().apply(&later).unwrap();
    assert_eq!(state, other);
    let half = (1..=MANY).step_by(2).map(a).collect();
    let gone = RegisterDelta {
        removed: Removed::Some(half),
        added: Contents::default(),
    };
    let gone = Delta {
        objects: [at_root(gone)].into(),
        ..Delta::default()
    };
    let left = state.apply(&gone).unwrap().register("k").len();
    assert_eq!(left, (MANY + MANY / 2) as usize);
}

#[test]
fn many_times_of_earlier_values_are_found_in_one_pass() {
    let keys = (1..=MANY).map(|counter| (format!("{counter:05}"), number(a(counter))));
    let keys = ObjectDelta::Map(keys.collect());
    let put = Delta {
        clock: [(A, MANY)].into(),
        objects: [(ObjectId::Root, keys)].into(),
        ..Delta::default()
    };
    let late = Delta {
        times: (1..=MANY)
            .map(|counter| (a(counter), i64::from(counter)))
            .collect(),
        ..Delta::default()
    };
    let state = State::new().apply(&put).unwrap().apply(&late).unwrap();
    assert_eq!(state.diff(&State::new()).times, late.times);
}

#[test]
fn many_spans_and_branches_in_one_run_are_met_in_one_pass() {
    let text = ObjectId::Made(a(1));
    let inserted = vec![Run {
        start: a(2),
        reference: None,
        body: Body::characters("é".repeat(4 * MANY as usize)),
    }];
    let sequence = |inserted, deleted| {
        ObjectDelta::Sequence(SequenceDelta {
            inserted,
            deleted,
            ..SequenceDelta::default()
        })
    };
    let long = Delta {
        clock: [(A, 4 * MANY + 1)].into(),
        objects: [
            at_root(put(a(1), Content::Object(ObjectType::Text))),
            (text, sequence(inserted, Vec::new())),
        ]
        .into(),
        ..Delta::default()
    };
    let spans = (0..MANY).map(|number| Span {
        start: a(4 * number + 3),
        len: 1,
    });
    let branches = (0..MANY).map(|number| Run {
        start: b(4 * MANY + 2 + 2 * number),
        reference: Some(a(4 * number + 2)),
        // A value among the characters, since texts without one are read in another way.
        body: Body::Values(vec![Content::Scalar(Scalar::Null)]),
    });
    let met = Delta {
        clock: [(B, 6 * MANY + 1)].into(),
        objects: [(text, sequence(branches.collect(), spans.collect()))].into(),
        ..Delta::default()
    };
    let state = State::new().apply(&long).unwrap().apply(&met).unwrap();
    let shown = "é\u{fffc}éé".repeat(MANY as usize);
    assert_eq!(state.get("k"), Some(crate::Value::Text(shown)));
}
