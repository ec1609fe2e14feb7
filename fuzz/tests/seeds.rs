//! The seeds that are bytes: made here, so that a person can read what is in them.
//!
//! Seeds that are text stand in `corpus/` as they were typed. `DRIFTLESS_SEEDS=write cargo test --test seeds` writes the
//! others after a change; without it they are compared, which also notices when the format of a released version moves.

use std::collections::BTreeMap;
use std::path::Path;

use driftless_document::{
    Actor, Body, Clock, Content, Delta, Document, ObjectDelta, ObjectId, ObjectType, OpId,
    RegisterDelta, Removed, Run, Scalar, SequenceDelta, State,
};
use driftless_record::encode;

const A: Actor = Actor::random(*b"Aaaaaaaa");
const B: Actor = Actor::random(*b"Bbbbbbbb");

fn check(target: &str, name: &str, bytes: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("corpus/{target}/{name}.bin"));
    if std::env::var("DRIFTLESS_SEEDS").is_ok_and(|wish| wish == "write") {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
    }
    let kept = std::fs::read(&path).unwrap();
    assert_eq!(kept, bytes, "{}", path.display());
}

fn a(counter: u32) -> OpId {
    OpId::new(counter, A)
}

fn block(bytes: &[u8]) -> Vec<u8> {
    let len = u16::try_from(bytes.len()).unwrap();
    [&len.to_be_bytes(), bytes].concat()
}

fn blocks(parts: &[&[u8]]) -> Vec<u8> {
    parts.iter().flat_map(|part| block(part)).collect()
}

fn whole(state: &State) -> Vec<u8> {
    encode(&state.diff(&State::new()), &Clock::new())
}

/// Two states as the targets take them: the first with its length.
fn pair(first: &State, second: &State) -> Vec<u8> {
    [block(&whole(first)), whole(second)].concat()
}

/// A state and what a later one has over it.
fn step(first: &State, second: &State) -> Vec<u8> {
    let delta = encode(&second.diff(first), first.clock());
    [block(&whole(first)), delta].concat()
}

fn document(actor: Actor) -> Document {
    Document::new("notes", actor)
}

fn put(id: OpId, content: Content) -> RegisterDelta {
    RegisterDelta {
        removed: Removed::Nothing,
        added: [(id, content)].into(),
    }
}

fn applied(delta: &Delta) -> State {
    State::new().apply(delta).unwrap()
}

/// A key for each kind of scalar that there is.
fn scalars() -> State {
    let scalars = [
        Scalar::Null,
        Scalar::Bool(true),
        Scalar::Bool(false),
        Scalar::Int(-1),
        Scalar::Uint(u64::MAX),
        Scalar::Float(0.5),
        Scalar::String("text".to_owned()),
        Scalar::Bytes(vec![0, 255]),
        Scalar::Timestamp(1_790_000_000_000),
        Scalar::Counter(7),
        Scalar::Unknown {
            type_code: 10,
            bytes: vec![1],
        },
    ];
    let keys: BTreeMap<String, RegisterDelta> = (1..)
        .zip(scalars)
        .map(|(counter, scalar)| {
            let key = char::from(b'a' + counter as u8).to_string();
            (key, put(a(counter), Content::Scalar(scalar)))
        })
        .collect();
    applied(&Delta {
        clock: [(A, keys.len() as u32)].into(),
        objects: [(ObjectId::Root, ObjectDelta::Map(keys))].into(),
        times: [(a(1), 1_790_000_000_000)].into(),
        ..Delta::default()
    })
}

/// A list with values, a dead element, an object inside and an element that was set.
fn list() -> State {
    let sequence = SequenceDelta {
        inserted: vec![
            Run {
                start: a(2),
                reference: None,
                body: Body::Values(vec![
                    Content::Scalar(Scalar::Int(1)),
                    Content::Scalar(Scalar::Int(2)),
                    Content::Object(ObjectType::Map),
                ]),
            },
            Run {
                start: a(5),
                reference: Some(a(4)),
                body: Body::Dead(3),
            },
        ],
        deleted: Vec::new(),
        sets: [(a(5), put(a(8), Content::Scalar(Scalar::Null)))].into(),
    };
    let inside = BTreeMap::from([("k".to_owned(), put(a(9), Content::Scalar(Scalar::Int(3))))]);
    let root = BTreeMap::from([(
        "list".to_owned(),
        put(a(1), Content::Object(ObjectType::List)),
    )]);
    applied(&Delta {
        clock: [(A, 9)].into(),
        objects: [
            (ObjectId::Root, ObjectDelta::Map(root)),
            (ObjectId::Made(a(1)), ObjectDelta::Sequence(sequence)),
            (ObjectId::Made(a(4)), ObjectDelta::Map(inside)),
        ]
        .into(),
        ..Delta::default()
    })
}

/// Characters by two authors, some of them gone.
fn text() -> (State, State) {
    let mut document = document(A);
    _ = document.splice_text("text", 0, 0, "straße", 7).unwrap();
    let before = document.state().clone();
    let mut other = Document::from_state("notes", B, before.clone());
    _ = other.splice_text("text", 3, 2, "sse", 8).unwrap();
    (before, other.state().clone())
}

fn counters() -> (State, State) {
    let (mut left, mut right) = (document(A), document(B));
    _ = left.increment("count", 5, 7).unwrap();
    _ = right.increment("count", -2, 8).unwrap();
    (left.state().clone(), right.state().clone())
}

/// Two values of one key, and one of them gone again.
fn conflict() -> (State, State) {
    let (mut left, mut right) = (document(A), document(B));
    _ = left.put("key", Scalar::from("left"), 7).unwrap();
    _ = right.put("key", Scalar::from("right"), 8).unwrap();
    _ = right.put("other", Scalar::from(1), 9).unwrap();
    _ = left.join(right.state());
    let both = left.state().clone();
    _ = left.put("key", Scalar::from("one"), 10).unwrap();
    (both, left.state().clone())
}

/// One operation that the two sides tell differently.
fn contradiction() -> (State, State) {
    let side = |number: i64| {
        let mut document = document(A);
        _ = document.put("key", Scalar::from(number), 7).unwrap();
        document.state().clone()
    };
    (side(1), side(2))
}

/// A number at the last counter that there is.
fn last_counter() -> State {
    let counter = driftless_document::MAX_COUNTER;
    let keys = BTreeMap::from([(
        "key".to_owned(),
        put(a(counter), Content::Scalar(Scalar::Int(1))),
    )]);
    applied(&Delta {
        clock: [(A, counter)].into(),
        objects: [(ObjectId::Root, ObjectDelta::Map(keys))].into(),
        ..Delta::default()
    })
}

/// As many dead elements as a state may hold, in a few bytes.
fn dead_elements(count: u32) -> State {
    let sequence = SequenceDelta {
        inserted: vec![Run {
            start: a(2),
            reference: None,
            body: Body::Dead(count),
        }],
        ..SequenceDelta::default()
    };
    let root = BTreeMap::from([(
        "text".to_owned(),
        put(a(1), Content::Object(ObjectType::Text)),
    )]);
    applied(&Delta {
        clock: [(A, count + 1)].into(),
        objects: [
            (ObjectId::Root, ObjectDelta::Map(root)),
            (ObjectId::Made(a(1)), ObjectDelta::Sequence(sequence)),
        ]
        .into(),
        ..Delta::default()
    })
}

#[test]
fn seeds_of_delta_decode_are_what_they_say() {
    let empty = State::new();
    let seed =
        |name, first: &State, second: &State| check("delta_decode", name, &step(first, second));
    seed("scalars", &scalars(), &scalars());
    seed("list", &empty, &list());
    seed("last-counter", &empty, &last_counter());
    seed("dead-elements", &empty, &dead_elements(1 << 20));
    let (before, after) = text();
    seed("text", &before, &after);
    let (before, after) = conflict();
    seed("conflict", &before, &after);
    let (left, right) = counters();
    seed("counters", &left, &left.join(&right));
}

#[test]
fn seeds_of_state_join_are_what_they_say() {
    let seed =
        |name, (left, right): (State, State)| check("state_join", name, &pair(&left, &right));
    seed("text", text());
    seed("counters", counters());
    seed("conflict", conflict());
    seed("contradiction", contradiction());
    seed("list-and-nothing", (list(), State::new()));
    seed("scalars-and-text", (scalars(), text().1));
}

#[test]
fn seeds_of_records_read_are_what_they_say() {
    const HEAD: u8 = 0;
    const WITHOUT_HEAD: u8 = 4;
    const LOG: u8 = 0;
    const RUN: u8 = 1;
    const FOLDED: u8 = 2;
    const BASE: u8 = 3;
    let seed = |name, head: u8, frames: &[(u8, &[u8])]| {
        let frame = |(kind, body): &(u8, &[u8])| [&[*kind], &block(body)[..]].concat();
        let frames: Vec<u8> = frames.iter().flat_map(frame).collect();
        check("records_read", name, &[&[head], &frames[..]].concat());
    };
    let (before, after) = text();
    let base = whole(&before);
    let delta = encode(&after.diff(&before), before.clock());
    let nothing = whole(&State::new());
    seed("base", HEAD, &[(BASE, &base)]);
    seed("base-and-log", HEAD, &[(BASE, &base), (LOG, &delta)]);
    seed("base-and-run", HEAD, &[(BASE, &base), (RUN, &delta)]);
    seed(
        "folded-run-beside-its-log",
        HEAD,
        &[(BASE, &base), (LOG, &delta), (FOLDED, &delta)],
    );
    seed(
        "two-bases-without-head",
        WITHOUT_HEAD,
        &[(BASE, &base), (LOG, &delta), (BASE, &whole(&counters().0))],
    );
    seed("log-of-nonsense", HEAD, &[(BASE, &nothing), (LOG, b"?")]);
    // A stored block of deflate: final, its length, its complement, the bytes.
    let stored = [
        &[0, 0, nothing.len() as u8, 1][..],
        &[nothing.len() as u8, 0],
    ]
    .concat();
    let stored = [&stored[..], &[!nothing.len() as u8, 255], &nothing].concat();
    seed("deflated-base", HEAD, &[(BASE | 4, &stored)]);
}

#[test]
fn seeds_of_store_row_are_what_they_say() {
    let sync = br#"{"version":1,"actor":"4161616161616161","own":1,"count":3}"#;
    let (before, after) = text();
    let delta = encode(&after.diff(&before), before.clock());
    let seed = |name, bytes: &[u8]| check("store_row", name, bytes);
    seed("sync-row-alone", &blocks(&[sync]));
    seed(
        "snapshot-and-log",
        &blocks(&[sync, &whole(&before), &delta]),
    );
    seed("log-alone", &blocks(&[sync, b"", &whole(&before), &delta]));
    seed("head-key", b"H\x00\x05notes");
    let numbers: Vec<u8> = [3_u64, 9, 12]
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect();
    seed("head-body", &[&numbers[..], &[5]].concat());
    seed("record-body", b"\x04\x00\x00\x00\x00\x00\x00\x00\x01value");
    seed("tombstone-body", b"\x04\x00\x00\x00\x00\x00\x00\x00\x00");
    seed("mark", &mark());
    seed("commit-row", &commit_row(7));
}

/// The mark of a closed store, as `docs/store-format.md` tells it.
fn mark() -> Vec<u8> {
    let mut bytes = b"driftls!\x01\x02\0\0\0\0\0\0\x07\0\0\0\0\0\0\0".to_vec();
    let checksum = blake3::hash(&bytes);
    bytes.extend(&checksum.as_bytes()[..8]);
    bytes
}

fn commit_row(number: u64) -> Vec<u8> {
    let (header, body) = ([1, b'C'], number.to_le_bytes());
    let mut hasher = blake3::Hasher::new();
    hasher.update(&1_u32.to_le_bytes()).update(b"C");
    hasher.update(&header).update(&body);
    let hash = hasher.finalize();
    [&header[..], &hash.as_bytes()[..8], &body].concat()
}

/// The histories of `devices`: a step is a device and what it does, then the arguments that this takes.
#[test]
fn seeds_of_devices_are_what_they_say() {
    const PUT: u8 = 0;
    const PUT_OWN: u8 = 2;
    const REMOVE_OWN: u8 = 4;
    const INCREMENT: u8 = 5;
    const TYPE: u8 = 6;
    const PUT_MANY: u8 = 8;
    const SYNC: u8 = 9;
    const BEGIN: u8 = 10;
    const ANSWER: u8 = 11;
    const ANSWER_AND_CRASH: u8 = 13;
    const EDIT_IN_VAIN: u8 = 14;
    const RESTART_OR_FOLD: u8 = 15;
    const LIST: u8 = 16;
    const MAP: u8 = 17;
    const SET: u8 = 18;
    const RESTART: u8 = 0;
    const FOLD: u8 = 2;
    const WELL: u8 = 0;
    const LOST_AFTER: u8 = 5;
    const TORN: u8 = 6;
    let seed = |name, steps: &[(u8, u8, &[u8])]| {
        let step = |(device, action, arguments): &(u8, u8, &[u8])| {
            [&[device + 3 * action], *arguments].concat()
        };
        check(
            "devices",
            name,
            &steps.iter().flat_map(step).collect::<Vec<u8>>(),
        );
    };
    let put = |device, value| (device, PUT, if value == 1 { &[0, 1][..] } else { &[0, 2] });
    seed(
        "one-key",
        &[put(0, 1), put(1, 2), (0, SYNC, &[]), (1, SYNC, &[])],
    );
    seed(
        "own-keys",
        &[
            (0, PUT_OWN, &[0, 5]),
            (1, PUT_OWN, &[0, 6]),
            (0, SYNC, &[]),
            (1, SYNC, &[]),
            (0, REMOVE_OWN, &[0]),
            (0, SYNC, &[]),
            (2, SYNC, &[]),
        ],
    );
    seed(
        "count-together",
        &[
            (0, INCREMENT, &[3]),
            (1, INCREMENT, &[253]),
            (0, SYNC, &[]),
            (1, SYNC, &[]),
            (2, INCREMENT, &[1]),
        ],
    );
    seed(
        "type-together",
        &[
            (0, TYPE, &[0, 0, 5]),
            (0, SYNC, &[]),
            (1, SYNC, &[]),
            (1, TYPE, &[1, 1, 4]),
            (2, TYPE, &[0, 0, 2]),
            (0, SYNC, &[]),
            (1, SYNC, &[]),
            (2, SYNC, &[]),
        ],
    );
    seed(
        "lists-maps-and-sets",
        &[
            (0, LIST, &[0, 3]),
            (1, LIST, &[0, 3]),
            (0, MAP, &[0, 5]),
            (1, MAP, &[2, 6]),
            (0, SET, &[1]),
            (2, SET, &[2]),
            (0, SYNC, &[]),
            (1, SYNC, &[]),
            (1, LIST, &[0, 1]),
            (0, LIST, &[2, 0]),
            (0, SET, &[5]),
            (1, SYNC, &[]),
            (2, SYNC, &[]),
            (2, LIST, &[0, 2]),
        ],
    );
    seed(
        "long-delta",
        &[
            (0, PUT_MANY, &[60]),
            (0, SYNC, &[]),
            (1, PUT_MANY, &[127]),
            (1, SYNC, &[]),
            (0, SYNC, &[]),
        ],
    );
    seed(
        "lost-answer",
        &[
            put(0, 1),
            (0, BEGIN, &[]),
            (0, ANSWER, &[WELL]),
            (0, ANSWER, &[LOST_AFTER]),
            (0, ANSWER, &[WELL]),
            (1, SYNC, &[]),
        ],
    );
    seed(
        "torn-push",
        &[
            put(0, 1),
            (0, SYNC, &[]),
            put(0, 2),
            (0, BEGIN, &[]),
            (0, ANSWER, &[WELL]),
            (0, ANSWER, &[TORN, 0b0000_0010]),
            (1, SYNC, &[]),
            (0, SYNC, &[]),
        ],
    );
    seed(
        "torn-base",
        &[
            (0, PUT_MANY, &[9]),
            (0, BEGIN, &[]),
            (0, ANSWER, &[WELL]),
            (0, ANSWER, &[TORN, 0b0000_0100]),
            (1, SYNC, &[]),
        ],
    );
    seed(
        "crash-before-the-commit",
        &[
            put(0, 1),
            (0, BEGIN, &[]),
            (0, ANSWER_AND_CRASH, &[WELL, 0]),
            (0, SYNC, &[]),
        ],
    );
    seed(
        "sessions-that-cross",
        &[
            put(0, 1),
            put(1, 2),
            (0, BEGIN, &[]),
            (1, BEGIN, &[]),
            (0, ANSWER, &[WELL]),
            (1, ANSWER, &[WELL]),
            (0, ANSWER, &[WELL]),
            (1, ANSWER, &[WELL]),
            (1, ANSWER, &[WELL]),
            (1, ANSWER, &[WELL]),
        ],
    );
    seed(
        "edit-in-vain",
        &[
            (0, INCREMENT, &[1]),
            (0, EDIT_IN_VAIN, &[]),
            (0, SYNC, &[]),
            (0, INCREMENT, &[2]),
            (1, SYNC, &[]),
        ],
    );
    seed(
        "fold-and-restart",
        &[
            (0, TYPE, &[0, 0, 7]),
            (0, RESTART_OR_FOLD, &[FOLD]),
            (0, TYPE, &[2, 3, 1]),
            (0, RESTART_OR_FOLD, &[RESTART]),
            (0, SYNC, &[]),
        ],
    );
}
