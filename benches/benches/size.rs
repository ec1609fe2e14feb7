//! How many characters go to the service for an edit, and how many bytes stand there after many?
//!
//! All counts, and the same on every machine. Uploads are the keys and values of the patches that the engine sends; what
//! stands there is compared with the live data as deflated JSON, before the text encoding that the service asks for.

use std::collections::BTreeMap;
use std::io::Write;

use driftless_benches::{
    Device, Figure, Mode, Random, Report, key, service, small_value, thousand_keys,
};
use driftless_document::{Clock, State};
use driftless_merge::{Durability, Operation};
use driftless_record::{Wrote, encode};
use flate2::{Compression, write::DeflateEncoder};

fn main() {
    let mode = Mode::from_args();
    let mut report = Report::new("size", mode);
    small_edits(mode, &mut report);
    offline_edits(&mut report);
    overwrites(mode, &mut report);
    report.print();
}

fn deflated(bytes: &[u8]) -> usize {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("memory takes everything");
    encoder.finish().expect("memory takes everything").len()
}

fn deflated_json(values: &BTreeMap<String, String>) -> usize {
    deflated(&serde_json::to_vec(values).expect("strings are valid JSON"))
}

fn small_edits(mode: Mode, report: &mut Report) {
    let service = service();
    let (mut random, mut device) = (Random::new(1), Device::new(1));
    device.edit(
        Operation::Put(thousand_keys(&mut random)),
        Durability::Buffered,
    );
    device.synchronize(&service);
    let (mut characters, mut requests, mut folds, mut bases) = (0, 0, 0, 0);
    let pushes = mode.times(100, 3_500);
    for _ in 0..pushes {
        device.put(key(random.below(1_000)), small_value(&mut random));
        let synced = device.synchronize(&service);
        characters += synced.characters;
        requests += synced.requests;
        folds += usize::from(synced.wrote == Some(Wrote::Fold));
        bases += usize::from(synced.wrote == Some(Wrote::Base));
    }
    let mean = |count: usize| count as f64 / pushes as f64;
    report.bar(
        format!("upload of one small edit of 1,000 keys, mean of {pushes} pushes with folding"),
        Figure::Characters(mean(characters)),
        Figure::Characters(350.0),
    );
    report.note(
        "folds of logs into runs among them",
        Figure::Count(folds as f64),
    );
    report.note(
        "folds into a new base among them",
        Figure::Count(bases as f64),
    );
    report.bar(
        "requests for a push",
        Figure::Count(mean(requests)),
        Figure::Count(2.0),
    );
    let nothing = device.synchronize(&service).requests;
    report.bar(
        "requests with nothing to push",
        Figure::Count(nothing as f64),
        Figure::Count(1.0),
    );
}

fn offline_edits(report: &mut Report) {
    let service = service();
    let (mut random, mut device) = (Random::new(2), Device::new(1));
    device.edit(
        Operation::Put(thousand_keys(&mut random)),
        Durability::Buffered,
    );
    device.synchronize(&service);
    let mut changed = BTreeMap::new();
    while changed.len() < 100 {
        let (key, value) = (key(random.below(1_000)), small_value(&mut random));
        device.put(key.clone(), value.clone());
        changed.insert(key, value);
    }
    let upload = device.synchronize(&service).characters;
    let json = deflated_json(&changed);
    report.note(
        "100 offline edits: deflated JSON of the changed keys",
        Figure::Bytes(json),
    );
    let bar = Figure::Characters(1.4 * json as f64 + 100.0);
    report.bar(
        "100 offline edits: upload",
        Figure::Characters(upload as f64),
        bar,
    );
}

/// Three devices in turns overwrite 1,000 keys, each what it has seen, so that no conflict is left beside the values. All but the last overwrites come a hundred at a time, which shortens the run and
/// leaves no trace: the last 30,000, after which hardly a key is left that was not among them, come one by one.
fn overwrites(mode: Mode, report: &mut Report) {
    let total = mode.times(10_000, 1_000_000);
    let singly = total.min(30_000);
    let service = service();
    let mut random = Random::new(3);
    let mut devices: Vec<Device> = (1..=3).map(Device::new).collect();
    let (mut made, mut now) = (0, devices[0].clock());
    while made < total {
        let who = random.below(3);
        devices[who].set_clock(now);
        devices[who].synchronize(&service);
        for _ in 0..10 {
            let count = if made < total - singly { 100 } else { 1 };
            let mut values = BTreeMap::new();
            while values.len() < count {
                values.insert(key(random.below(1_000)), small_value(&mut random).into());
            }
            devices[who].edit(Operation::Put(values), Durability::Buffered);
            made += count;
        }
        devices[who].synchronize(&service);
        now = devices[who].clock();
    }
    for device in &mut devices {
        device.synchronize(&service);
    }
    let state = devices[0].replica().document().state();
    assert!(
        devices
            .iter()
            .all(|device| device.replica().document().state() == state)
    );
    let live = state
        .keys()
        .filter_map(|key| Some((key.to_owned(), state.get(key)?.as_str()?.to_owned())));
    let json = deflated_json(&live.collect());
    let stored = deflated(&encode(&state.diff(&State::new()), &Clock::new()));
    report.note(
        format!("{total} overwrites of 1,000 keys: deflated JSON of the live data"),
        Figure::Bytes(json),
    );
    report.note(
        format!("{total} overwrites of 1,000 keys: stored state, deflated"),
        Figure::Bytes(stored),
    );
    let ratio = Figure::Ratio(stored as f64 / json as f64);
    report.bar(
        format!("{total} overwrites of 1,000 keys: stored over deflated JSON"),
        ratio,
        Figure::Ratio(1.1),
    );
}
