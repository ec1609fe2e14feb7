//! What foreign bytes cost at most, measured by an allocator that counts.
//!
//! An input of up to 64 KiB takes at most 64 MiB beside itself and at most 100 ms. A longer one is linear: 1 MiB takes at
//! most [`LINEAR`] times what 256 KiB take. Memory is asserted in every build, time in a release build only. It is the
//! processor's, and the best of several tries, so that others on the machine do not count:
//! `cargo test --release --manifest-path fuzz/Cargo.toml --test bounds`.
//!
//! Each reader gets the inputs that cost it most: little that inflates to much, counts that promise much, many tiny things,
//! deep nesting, and pairs of deltas of which the second meets the first everywhere.
//!
//! One test, since the allocator counts for the process.

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use driftless_cli::trace::Trace;
use driftless_document::{
    Actor, Body, Clock, Content, Count, CountKey, Delta, ObjectDelta, ObjectId, ObjectType, OpId,
    RegisterDelta, Removed, Run, Scalar, SequenceDelta, Span, State,
};
use driftless_fuzz::TARGETS;
use driftless_record::{Frame, Limits, decode, encode, read};
use driftless_server::Authorization;
use driftless_wire::identity::{IdentityOperation, IdentityRequest, IdentityResponse};
use driftless_wire::{ApiError, Operation, Request, Response};
use peak_alloc::PeakAlloc;
use rustix::time::{ClockId, clock_gettime};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const SMALL: usize = 64 * 1024;
const MAX_SMALL_BYTES: usize = 64 * 1024 * 1024;
const MAX_SMALL_TIME: Duration = Duration::from_millis(100);

const LARGE: [usize; 2] = [256 * 1024, 1024 * 1024];
/// The second of these has four times as many bytes; half as much again is for steps in which vectors grow, and noise.
const LINEAR: u32 = 6;
/// Less than this is noise.
const NOISE: (usize, Duration) = (4 * 1024 * 1024, Duration::from_millis(20));

const TRIES: usize = 5;

const A: Actor = Actor::random(*b"Aaaaaaaa");
const B: Actor = Actor::random(*b"Bbbbbbbb");

/// What something costs: bytes beside those that there are, and time.
#[derive(Clone, Copy, Debug)]
struct Cost {
    bytes: usize,
    time: Duration,
}

fn cost(run: &dyn Fn()) -> Cost {
    let mut cost = Cost {
        bytes: 0,
        time: Duration::MAX,
    };
    for _ in 0..TRIES {
        ALLOCATOR.reset_peak_usage();
        let (before, start) = (ALLOCATOR.current_usage(), processor_time());
        run();
        cost.time = cost.time.min(processor_time() - start);
        cost.bytes = cost
            .bytes
            .max(ALLOCATOR.peak_usage().saturating_sub(before));
        // A slow one is not made faster by trying again.
        if cost.time > 20 * MAX_SMALL_TIME {
            break;
        }
    }
    cost
}

/// Returns the time that this thread has been at work.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.try_into()
        .expect("a thread has not worked for less than nothing")
}

/// What was measured, and what of it is too much.
#[derive(Default)]
struct Report {
    lines: Vec<String>,
    excesses: Vec<String>,
}

impl Report {
    fn note(&mut self, name: &str, len: usize, cost: Cost, is_within: bool) {
        let Cost { bytes, time } = cost;
        let line = format!("{name}: {len} bytes take {} KiB, {time:?}", bytes / 1024);
        if !is_within {
            self.excesses.push(line.clone());
        }
        self.lines.push(line);
    }

    fn small(&mut self, name: &str, len: usize, run: impl Fn()) {
        assert!(len <= SMALL + 1024, "{name} has {len} bytes");
        let cost = cost(&run);
        let is_fast = cfg!(debug_assertions) || cost.time <= MAX_SMALL_TIME;
        self.note(name, len, cost, cost.bytes <= MAX_SMALL_BYTES && is_fast);
    }

    /// Measures a reader with inputs of about these lengths.
    fn reader<T>(&mut self, name: &str, make: &dyn Fn(usize) -> Vec<u8>, reader: fn(&[u8]) -> T) {
        let run = |input: &[u8]| _ = black_box(reader(black_box(input)));
        let input = make(SMALL);
        self.small(name, input.len(), || run(&input));
        let inputs = LARGE.map(make);
        let [less, more] = inputs.each_ref().map(|input| cost(&|| run(input)));
        let is_small = more.bytes < LINEAR as usize * less.bytes.max(NOISE.0);
        let is_fast = cfg!(debug_assertions) || more.time < LINEAR * less.time.max(NOISE.1);
        self.note(name, inputs[0].len(), less, true);
        self.note(name, inputs[1].len(), more, is_small && is_fast);
    }
}

#[test]
fn inputs_of_64_kib_take_100_ms_and_64_mib_and_longer_ones_are_linear() {
    let mut report = Report::default();
    seeds(&mut report);
    texts(&mut report);
    traces(&mut report);
    deltas(&mut report);
    bombs(&mut report);
    report.lines.iter().for_each(|line| println!("{line}"));
    assert!(report.excesses.is_empty(), "{:#?}", report.excesses);
}

/// Every seed, with all that its target asserts.
fn seeds(report: &mut Report) {
    for (target, body) in TARGETS {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("corpus")
            .join(target);
        for entry in std::fs::read_dir(corpus).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            let name = format!("{target}/{}", path.file_name().unwrap().to_str().unwrap());
            report.small(&name, bytes.len(), || body(&bytes));
        }
    }
}

fn filled(start: &str, unit: &str, end: &str, len: usize) -> Vec<u8> {
    let units = len.saturating_sub(start.len() + end.len()) / unit.len();
    [start, &unit.repeat(units), end].concat().into_bytes()
}

fn answers(body: &[u8]) {
    for operation in Operation::ALL {
        drop(black_box(Response::from_body(operation, body)));
    }
    for operation in IdentityOperation::ALL {
        drop(black_box(IdentityResponse::from_body(operation, body)));
    }
    drop(black_box(ApiError::from_http(400, None, body)));
}

fn identity_request(body: &[u8]) -> bool {
    let target = IdentityOperation::GetId.target();
    IdentityRequest::from_http(&target, body).is_ok()
}

fn configuration_request(body: &[u8]) -> bool {
    Request::from_http(
        "POST",
        "/identitypools/us-east-1%3A0a/configuration",
        "",
        body,
    )
    .is_ok()
}

fn list_request(query: &[u8]) -> bool {
    let path = "/identitypools/us-east-1%3A0a/identities/us-east-1%3A0b/datasets/notes/records";
    Request::from_http("GET", path, std::str::from_utf8(query).unwrap(), &[]).is_ok()
}

fn path_request(path: &[u8]) -> bool {
    Request::from_http("GET", std::str::from_utf8(path).unwrap(), "", &[]).is_ok()
}

fn update_request(body: &[u8]) -> bool {
    let path = "/identitypools/us-east-1%3A0a/identities/us-east-1%3A0b/datasets/notes";
    Request::from_http("POST", path, "", body).is_ok()
}

fn authorization(header: &[u8]) -> bool {
    Authorization::parse(std::str::from_utf8(header).unwrap()).is_ok()
}

fn frame(text: &[u8]) -> bool {
    Frame::decode(std::str::from_utf8(text).unwrap()).is_ok()
}

/// JSON, addresses, headers and frames, which are read in the order in which they stand.
fn texts(report: &mut Report) {
    let list = r#"{"DatasetExists":true,"DatasetSyncCount":1,"Records":["#;
    let records = |len| filled(list, r#"{"Key":"a"},"#, r#"{"Key":"a"}]}"#, len);
    report.reader("answer of tiny records", &records, answers);
    let names = |len| {
        let start = r#"{"DatasetExists":true,"DatasetSyncCount":1,"MergedDatasetNames":["#;
        filled(start, r#""","#, r#"""]}"#, len)
    };
    report.reader("answer of empty names", &names, answers);
    report.reader("deep answer", &|len| filled("", "[", "", len), answers);
    let deep = |len| filled(r#"{"x":"#, r#"{"x":"#, "1", len);
    report.reader("deep answer of objects", &deep, answers);
    let escapes = |len| filled(r#"{"message":""#, r"\u00e9", r#""}"#, len);
    report.reader("error of escapes", &escapes, answers);

    let patches = |len| {
        let patch = r#"{"Op":"remove","Key":"a","SyncCount":0},"#;
        let end = r#"{"Op":"remove","Key":"a","SyncCount":0}]}"#;
        filled(
            r#"{"SyncSessionToken":"t","RecordPatches":["#,
            patch,
            end,
            len,
        )
    };
    report.reader("update of tiny patches", &patches, update_request);
    let empty = |len| filled(r#"{"RecordPatches":["#, "{},", "{}]}", len);
    report.reader("update of empty patches", &empty, update_request);
    let logins = |len| {
        let units = len / r#""00000":"t","#.len();
        let logins: String = (0..units).map(|n| format!(r#""{n:05}":"t","#)).collect();
        format!(r#"{{"IdentityPoolId":"us-east-1:0a","Logins":{{{logins}"a":"t"}}}}"#).into_bytes()
    };
    report.reader("request of many logins", &logins, identity_request);
    let applications = |len| {
        filled(
            r#"{"PushSync":{"ApplicationArns":["#,
            r#""","#,
            r#"""]}}"#,
            len,
        )
    };
    report.reader(
        "configuration of empty ARNs",
        &applications,
        configuration_request,
    );
    report.reader(
        "query of many names",
        &|len| filled("", "a&", "", len),
        list_request,
    );
    report.reader(
        "query of escapes",
        &|len| filled("nextToken=", "%41", "", len),
        list_request,
    );
    report.reader(
        "path of slashes",
        &|len| filled("/", "/", "", len),
        path_request,
    );

    let header = "AWS4-HMAC-SHA256 Credential=A/20260102/r/s/aws4_request, SignedHeaders=";
    let names = |len| filled(header, "a;", ", Signature=0", len);
    report.reader("header of names", &names, authorization);
    report.reader(
        "header of parts",
        &|len| filled("AWS4-HMAC-SHA256 ", ",", "", len),
        authorization,
    );

    report.reader("frame of zeros", &|len| filled("", "00000", "", len), frame);
    report.reader(
        "frame of padding",
        &|len| filled("", "####0", "", len),
        frame,
    );
    let journal = |len: usize| vec![0; len];
    report.reader("journal of zeros", &journal, driftless_store::read_any);
    let batch = |len: usize| [&[1, 255, 255, 255, 255][..], &vec![2; len - 5]].concat();
    report.reader("journal of a huge batch", &batch, driftless_store::read_any);
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// Returns a gzipped text that takes about this many bytes.
fn gzip_of(len: usize, start: &str, unit: &str, end: &str) -> Vec<u8> {
    let per_mib = gzip(&filled(start, unit, end, 1 << 20)).len();
    gzip(&filled(start, unit, end, (len << 20) / (per_mib + 16)))
}

fn traces(report: &mut Report) {
    let start = r#"{"endContent":"","txns":[{"patches":["#;
    let plain = |len| filled(start, r#"[0,0,""],"#, r#"[0,0,""]]}]}"#, len);
    let read = |bytes: &[u8]| Trace::from_bytes(bytes).is_ok();
    report.reader("trace of tiny patches", &plain, read);
    let txns = |len| {
        filled(
            r#"{"endContent":"","txns":["#,
            r#"{"patches":[]},"#,
            r#"{"patches":[]}]}"#,
            len,
        )
    };
    report.reader("trace of empty transactions", &txns, read);
    for (name, unit) in [("patches", r#"[0,0,""],"#), ("spaces", "        ")] {
        let zipped = gzip_of(SMALL - 1024, start, unit, r#"[0,0,""]]}]}"#);
        report.small(&format!("gzipped trace of {name}"), zipped.len(), || {
            _ = black_box(read(&zipped))
        });
    }
    let zipped = gzip_of(
        SMALL - 1024,
        r#"{"endContent":"","txns":["#,
        r#"{"patches":[]},"#,
        r#"{"patches":[]}]}"#,
    );
    report.small("gzipped trace of transactions", zipped.len(), || {
        _ = black_box(read(&zipped))
    });
}

fn a(counter: u32) -> OpId {
    OpId::new(counter, A)
}

fn b(counter: u32) -> OpId {
    OpId::new(counter, B)
}

fn null() -> Content {
    Content::Scalar(Scalar::Null)
}

fn put(id: OpId, content: Content) -> RegisterDelta {
    RegisterDelta {
        removed: Removed::Nothing,
        added: [(id, content)].into(),
    }
}

fn remove(removed: Removed) -> RegisterDelta {
    RegisterDelta {
        removed,
        ..RegisterDelta::default()
    }
}

fn delta(
    clock: impl Into<Clock>,
    objects: impl IntoIterator<Item = (ObjectId, ObjectDelta)>,
) -> Delta {
    Delta {
        clock: clock.into(),
        objects: objects.into_iter().collect(),
        ..Delta::default()
    }
}

fn keys(keys: impl IntoIterator<Item = (String, RegisterDelta)>) -> (ObjectId, ObjectDelta) {
    (ObjectId::Root, ObjectDelta::Map(keys.into_iter().collect()))
}

fn key(number: u32) -> String {
    format!("{number:x}")
}

/// A sequence at a root key.
fn sequence(kind: ObjectType, top: u32, inserted: Vec<Run>) -> Delta {
    let changed = SequenceDelta {
        inserted,
        ..SequenceDelta::default()
    };
    delta(
        [(A, top)],
        [
            keys([("k".to_owned(), put(a(1), Content::Object(kind)))]),
            (ObjectId::Made(a(1)), ObjectDelta::Sequence(changed)),
        ],
    )
}

fn at_front(body: Body) -> Vec<Run> {
    vec![Run {
        start: a(2),
        reference: None,
        body,
    }]
}

fn changes(clock: impl Into<Clock>, changed: SequenceDelta) -> Delta {
    delta(
        clock,
        [(ObjectId::Made(a(1)), ObjectDelta::Sequence(changed))],
    )
}

/// Deltas by how many things they hold: what stands there, and what is applied onto it.
type Pair = (Delta, Delta);

fn many_keys(n: u32) -> Pair {
    let all = (0..n).map(|i| (key(i), put(a(i + 1), null())));
    (delta([(A, n)], [keys(all)]), Delta::default())
}

fn conflicts_that_interleave(n: u32) -> Pair {
    let register = |id: fn(u32) -> OpId, from: u32| RegisterDelta {
        removed: Removed::Nothing,
        added: (0..n).map(|i| (id(from + i), null())).collect(),
    };
    let at = |change| keys([("k".to_owned(), change)]);
    (
        delta([(B, 2 * n)], [at(register(b, n + 1))]),
        delta([(A, n)], [at(register(a, 1))]),
    )
}

fn conflicts_of_which_half_go(n: u32) -> Pair {
    let added = (1..=n).map(|i| (a(i), null())).collect();
    let removed = Removed::Nothing;
    let all = keys([("k".to_owned(), RegisterDelta { removed, added })]);
    let half: BTreeSet<OpId> = (1..=n / 2).map(|i| a(2 * i - 1)).collect();
    let gone = keys([("k".to_owned(), remove(Removed::Some(half)))]);
    (delta([(A, n)], [all]), delta([], [gone]))
}

fn values(n: u32) -> Pair {
    let body = Body::Values(vec![null(); n as usize]);
    (
        sequence(ObjectType::List, n + 1, at_front(body)),
        Delta::default(),
    )
}

fn values_of_which_half_go(n: u32) -> Pair {
    (values(n).0, every_second_goes(n))
}

fn characters_of_which_half_go(n: u32) -> Pair {
    let body = Body::characters("é".repeat(n as usize));
    (
        sequence(ObjectType::Text, n + 1, at_front(body)),
        every_second_goes(n),
    )
}

fn every_second_goes(n: u32) -> Delta {
    let span = |i| Span {
        start: a(2 * i + 2),
        len: 1,
    };
    let deleted = (0..n / 2).map(span).collect();
    changes(
        [],
        SequenceDelta {
            deleted,
            ..SequenceDelta::default()
        },
    )
}

fn objects(n: u32) -> Pair {
    let body = Body::Values(vec![Content::Object(ObjectType::Map); n as usize]);
    (
        sequence(ObjectType::List, n + 1, at_front(body)),
        Delta::default(),
    )
}

/// Objects in a list that lies as deep as one may.
fn deep_objects(n: u32) -> Pair {
    const DEPTH: u32 = 126;
    let map = |id| put(id, Content::Object(ObjectType::Map));
    let key = || "k".to_owned();
    let mut delta = delta([(A, DEPTH + n + 2)], [keys([(key(), map(a(1)))])]);
    for level in 1..DEPTH {
        let inner = ObjectDelta::Map([(key(), map(a(level + 1)))].into());
        delta.objects.insert(ObjectId::Made(a(level)), inner);
    }
    let list = put(a(DEPTH + 1), Content::Object(ObjectType::List));
    let inner = ObjectDelta::Map([(key(), list)].into());
    delta.objects.insert(ObjectId::Made(a(DEPTH)), inner);
    let inserted = vec![Run {
        start: a(DEPTH + 2),
        reference: None,
        body: Body::Values(vec![Content::Object(ObjectType::Map); n as usize]),
    }];
    let changed = SequenceDelta {
        inserted,
        ..SequenceDelta::default()
    };
    delta
        .objects
        .insert(ObjectId::Made(a(DEPTH + 1)), ObjectDelta::Sequence(changed));
    (delta, Delta::default())
}

/// One run of characters, after each of which somebody else inserted one, and a value among them.
fn branches(n: u32) -> Pair {
    let text = Body::characters("é".repeat(n as usize));
    let branch = |i| Run {
        start: b(2 * i + n + 3),
        reference: Some(a(i + 2)),
        body: if i == 0 {
            Body::Values(vec![null()])
        } else {
            Body::characters("x".to_owned())
        },
    };
    let inserted = (0..n).map(branch).collect();
    let changed = SequenceDelta {
        inserted,
        ..SequenceDelta::default()
    };
    (
        sequence(ObjectType::Text, n + 1, at_front(text)),
        changes([(B, 3 * n + 3)], changed),
    )
}

fn set_elements(n: u32) -> Pair {
    let sets = (0..n)
        .map(|i| (a(i + 2), put(b(n + 2 + i), null())))
        .collect();
    let changed = SequenceDelta {
        sets,
        ..SequenceDelta::default()
    };
    (values(n).0, changes([(B, 2 * n + 2)], changed))
}

/// Times of values that were there before.
fn late_times(n: u32) -> Pair {
    let late = Delta {
        times: (1..=n).map(|i| (a(i), i64::from(i))).collect(),
        ..Delta::default()
    };
    (many_keys(n).0, late)
}

fn counters(n: u32) -> Pair {
    let counter = Content::Scalar(Scalar::Counter(0));
    let all = (0..n).map(|i| (key(i), put(a(i + 1), counter.clone())));
    let total = |i| {
        let counters = vec![a(i + 1)];
        (
            CountKey { actor: B, counters },
            Count {
                last: n + i + 1,
                sum: 1,
            },
        )
    };
    let counts = Delta {
        clock: [(B, 2 * n)].into(),
        counts: (0..n).map(total).collect(),
        ..Delta::default()
    };
    (delta([(A, n)], [keys(all)]), counts)
}

fn authors(n: u32) -> Pair {
    let author = |i: u32| Actor::from_bytes((u64::from(i) << 32).to_be_bytes());
    let all = (0..n).map(|i| (key(i), put(OpId::new(1, author(i)), null())));
    let clock: Clock = (0..n).map(|i| (author(i), 1)).collect();
    (delta(clock, [keys(all)]), Delta::default())
}

type Maker = fn(u32) -> Pair;

const MAKERS: [(&str, Maker); 14] = [
    ("many keys", many_keys),
    ("conflicts that interleave", conflicts_that_interleave),
    ("conflicts of which half go", conflicts_of_which_half_go),
    ("values", values),
    ("values of which half go", values_of_which_half_go),
    ("characters of which half go", characters_of_which_half_go),
    ("objects", objects),
    ("deep objects", deep_objects),
    ("branches", branches),
    ("set elements", set_elements),
    ("late times", late_times),
    ("counters", counters),
    ("authors", authors),
    ("characters", |n| {
        (characters_of_which_half_go(n).0, Delta::default())
    }),
];

/// The bytes of a base and of what goes onto it; none for a delta that says nothing.
fn encoded((base, more): &Pair) -> [Vec<u8>; 2] {
    let delta = if more.is_empty() {
        Vec::new()
    } else {
        encode(more, &base.clock)
    };
    [encode(base, &Clock::new()), delta]
}

/// The largest pair whose bytes fit, by what a pair weighs.
fn largest(make: Maker, len: usize, weigh: &dyn Fn(&[Vec<u8>; 2]) -> usize) -> [Vec<u8>; 2] {
    let (mut fits, mut exceeds) = (2, 1 << 20);
    while fits + 1 + fits / 64 < exceeds {
        let middle = (fits + exceeds) / 2;
        if weigh(&encoded(&make(middle))) <= len {
            fits = middle;
        } else {
            exceeds = middle;
        }
    }
    encoded(&make(fits))
}

/// Reads two deltas, joins what they make, and shows it.
fn applied([base, more]: &[Vec<u8>; 2]) -> bool {
    let apply = |state: State, bytes: &[u8]| {
        let delta = decode(bytes, state.clock()).ok()?;
        state.apply(&delta).ok()
    };
    apply(State::new(), base).is_some_and(|state| more.is_empty() || apply(state, more).is_some())
}

/// Deltas as they are, applied one onto the other, and what else a device does with states of others.
fn deltas(report: &mut Report) {
    for (name, make) in MAKERS {
        let input = largest(make, SMALL, &|bytes| bytes.iter().map(Vec::len).sum());
        let len = input.iter().map(Vec::len).sum();
        assert!(applied(&input), "{name} applies");
        report.small(&format!("delta of {name}"), len, || {
            _ = black_box(applied(&input))
        });
        let [base, more] = &input;
        let base = State::new()
            .apply(&decode(base, &Clock::new()).unwrap())
            .unwrap();
        let state = match more.is_empty() {
            true => base.clone(),
            false => base
                .clone()
                .apply(&decode(more, base.clock()).unwrap())
                .unwrap(),
        };
        report.small(&format!("join of {name}"), len, || {
            _ = black_box(base.join(&state))
        });
        let check = || _ = black_box(base.contradicts(&state));
        report.small(&format!("contradictions of {name}"), len, check);
        report.small(&format!("diff of {name}"), len, || {
            _ = black_box(state.diff(&base))
        });
        report.small(&format!("values of {name}"), len, || {
            state.keys().for_each(|key| _ = black_box(state.get(key)));
        });
    }
}

fn deflate(raw: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(raw).unwrap();
    encoder.finish().unwrap()
}

fn push_varint(out: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Seals a frame, as `docs/record-format.md` tells it; returns its text and its checksum.
fn seal(mut frame: Vec<u8>, raw: &[u8], before: &[u8]) -> (String, [u8; 8]) {
    push_varint(&mut frame, raw.len());
    frame.extend(deflate(raw));
    let mut hasher = blake3::Hasher::new();
    hasher.update(before).update(&frame);
    let checksum = *hasher.finalize().as_bytes().first_chunk().unwrap();
    frame.extend(checksum);
    (z85::encode(&frame), checksum)
}

/// A base of this generation and a log on it, both deflated.
fn sealed(pair: &[Vec<u8>; 2], generation: u8) -> BTreeMap<String, String> {
    let base = [&[0xd7, 0x17][..], b"lineage.", &[generation, 0, 1]].concat();
    let (base, tip) = seal(base, &pair[0], &[]);
    let mut records = BTreeMap::from([(format!("_driftless.base.{}.0", generation % 2), base)]);
    if !pair[1].is_empty() {
        let (log, _) = seal(vec![0xd7, 0x15, 1], &pair[1], &tip);
        records.insert("_driftless.log.1".to_owned(), log);
    }
    records
}

fn text_len(records: &BTreeMap<String, String>) -> usize {
    records.values().map(String::len).sum()
}

/// Records whose bodies inflate to as much as a dataset may hold, once and beside another base that holds the same.
fn bombs(report: &mut Report) {
    let limits = Limits::default();
    let run = |records: &BTreeMap<String, String>| {
        let values = records
            .iter()
            .map(|(key, text)| (key.as_str(), text.as_str()));
        drop(black_box(read(values, &limits, None)));
    };
    for (name, make) in MAKERS {
        let weigh = |pair: &[Vec<u8>; 2]| {
            let raw = pair.iter().map(Vec::len).max().unwrap();
            let is_refused = raw > limits.dataset_bytes() || !applied(pair);
            if is_refused {
                usize::MAX
            } else {
                text_len(&sealed(pair, 1))
            }
        };
        let input = largest(make, SMALL, &weigh);
        let records = sealed(&input, 1);
        report.small(&format!("bomb of {name}"), text_len(&records), || {
            run(&records)
        });
        let input = largest(make, SMALL / 2, &weigh);
        let mut records = sealed(&input, 1);
        records.extend(sealed(&[input[0].clone(), Vec::new()], 2));
        report.small(&format!("two bombs of {name}"), text_len(&records), || {
            run(&records)
        });
    }
    let zeros = sealed(&[vec![0; limits.dataset_bytes()], Vec::new()], 1);
    report.small("bomb of zeros", text_len(&zeros), || run(&zeros));
}
