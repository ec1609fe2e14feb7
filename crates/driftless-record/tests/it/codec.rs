//! Deltas to bytes and back.

use driftless_document::{
    Actor, Body, Clock, Content, Delta, ObjectDelta, ObjectId, ObjectType, OpId, Run, Scalar,
    SequenceDelta, State,
};
use driftless_record::{DecodeError, MAX_ELEMENTS, MAX_OBJECTS, MAX_VALUES, decode, encode};
use proptest::prelude::*;

use crate::samples::{histories, play};

#[track_caller]
fn check_round_trip(delta: &Delta, before: &Clock) -> Vec<u8> {
    let bytes = encode(delta, before);
    assert_eq!(decode(&bytes, before).as_ref(), Ok(delta));
    bytes
}

proptest! {
    /// Decoding what was encoded gives it back, for every step of a history and for every whole state.
    #[test]
    fn what_is_encoded_comes_back(history in histories(60)) {
        play(&history, |before, after| {
            check_round_trip(&after.diff(before), before.clock());
            check_round_trip(&after.diff(&State::new()), &Clock::new());
        });
    }

    /// No shorter prefix is a delta, and none is with a byte behind it.
    #[test]
    fn no_prefix_is_a_delta(history in histories(40)) {
        let mut last = State::new();
        play(&history, |_, after| last = after.clone());
        let bytes = encode(&last.diff(&State::new()), &Clock::new());
        for len in 0..bytes.len() {
            prop_assert!(decode(&bytes[..len], &Clock::new()).is_err(), "{len} of {}", bytes.len());
        }
        for trailing in [0, 1, 0xff] {
            let longer = [bytes.as_slice(), &[trailing]].concat();
            prop_assert!(decode(&longer, &Clock::new()).is_err());
        }
    }

    /// Changed bytes are refused, or are the one encoding of another delta, which applying refuses or takes.
    #[test]
    fn changed_bytes_never_panic(
        history in histories(30),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut last = State::new();
        play(&history, |_, after| last = after.clone());
        let mut bytes = encode(&last.diff(&State::new()), &Clock::new());
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] ^= byte;
        }
        if let Ok(delta) = decode(&bytes, &Clock::new()) {
            prop_assert_eq!(encode(&delta, &Clock::new()), bytes);
            if let Ok(state) = State::new().apply(&delta) {
                prop_assert_eq!(state.diff(&State::new()), delta);
            }
        }
    }

    /// Any bytes at all are read without a panic.
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _unused = decode(&bytes, &Clock::new());
    }
}

fn inserts(bodies: impl IntoIterator<Item = Body>) -> Delta {
    let actor = Actor::from_bytes([1; 8]);
    let mut next = 2;
    let runs = bodies.into_iter().map(|body| {
        let start = OpId::new(next, actor);
        next += body.len() + 1;
        Run {
            start,
            reference: None,
            body,
        }
    });
    let changed = SequenceDelta {
        inserted: runs.collect(),
        ..SequenceDelta::default()
    };
    let text = ObjectId::Made(OpId::new(1, actor));
    Delta {
        objects: [(text, ObjectDelta::Sequence(changed))].into(),
        ..Delta::default()
    }
}

#[test]
fn a_million_dead_elements_take_a_few_bytes_and_more_are_refused() {
    let bytes = check_round_trip(&inserts([Body::Dead(MAX_ELEMENTS)]), &Clock::new());
    assert!(bytes.len() < 30, "{} bytes", bytes.len());

    let more = inserts([Body::Dead(MAX_ELEMENTS - 1), Body::Dead(2)]);
    assert_eq!(
        decode(&encode(&more, &Clock::new()), &Clock::new()),
        Err(DecodeError::Elements)
    );
}

/// Each takes one byte, of which deflate leaves a thousandth.
#[test]
fn more_values_or_objects_than_any_dataset_has_room_for_are_refused() {
    let check = |content: Content, limit: usize| {
        let of = |count| {
            let values = vec![content.clone(); count];
            let bytes = encode(&inserts([Body::Values(values)]), &Clock::new());
            decode(&bytes, &Clock::new()).map(|_| ())
        };
        assert_eq!(of(limit), Ok(()));
        assert_eq!(of(limit + 1), Err(DecodeError::Elements));
    };
    check(Content::Scalar(Scalar::Null), MAX_VALUES);
    check(Content::Object(ObjectType::Map), MAX_VALUES);
    let objects = |count: usize| {
        let ids = (1..).map(|counter| OpId::new(counter, Actor::random([1; 8])));
        let changed = |id| {
            (
                ObjectId::Made(id),
                ObjectDelta::Sequence(SequenceDelta::default()),
            )
        };
        let delta = Delta {
            objects: ids.take(count).map(changed).collect(),
            ..Delta::default()
        };
        decode(&encode(&delta, &Clock::new()), &Clock::new()).map(|_| ())
    };
    assert_eq!(
        objects(MAX_OBJECTS + 1),
        Ok(()),
        "the root may be one of them"
    );
    assert_eq!(objects(MAX_OBJECTS + 2), Err(DecodeError::Elements));
}

#[test]
fn a_count_above_what_is_left_is_refused_at_once() {
    // No authors, then 2^62 objects.
    let bytes = [
        0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f, 0, 0,
    ];
    assert_eq!(
        decode(&bytes, &Clock::new()),
        Err(DecodeError::Short { at: bytes.len() })
    );
}

#[test]
fn an_author_that_the_state_knows_takes_one_byte() {
    let mut device = crate::samples::Device::new(0);
    device.put("a", "first");
    let before = device.state.clone();
    device.put("a", "second");
    let delta = device.state.diff(&before);
    let known = check_round_trip(&delta, before.clock()).len();
    let new = check_round_trip(&delta, &Clock::new()).len();
    assert_eq!(new - known, 8);
    // What was coded against one clock is not read against another.
    assert!(decode(&encode(&delta, before.clock()), &Clock::new()).is_err());
}
