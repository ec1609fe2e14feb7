//! The bars on sizes: characters and bytes counted, no time.

use std::io::Write;

use driftless_document::{
    Actor, Body, Clock, Content, Delta, ObjectDelta, ObjectId, OpId, RegisterDelta, State,
};
use driftless_record::{Limits, Wrote, encode};
use flate2::{Compression, write::DeflateEncoder};

use crate::samples::{Dataset, Device, Random, life};

fn key(number: u64) -> String {
    format!("setting.key{number:04}")
}

fn deflated(bytes: &[u8]) -> usize {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap().len()
}

fn json<'a>(entries: impl IntoIterator<Item = (&'a String, &'a String)>) -> Vec<u8> {
    let escape = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let entries = entries
        .into_iter()
        .map(|(key, value)| format!("\"{key}\":\"{}\"", escape(value)));
    format!("{{{}}}", entries.collect::<Vec<_>>().join(",")).into_bytes()
}

/// Returns a state of 1,000 keys with values of 20 to 100 characters, made in one transaction per device.
fn thousand_keys(random: &mut Random) -> State {
    let mut devices = [Device::new(0), Device::new(1), Device::new(2)];
    for number in 0..1_000 {
        let value = random.printable(20, 100);
        devices[random.below(3) as usize].put(&key(number), value);
    }
    devices
        .iter()
        .fold(State::new(), |all, device| all.join(&device.state))
}

#[test]
fn one_small_edit_takes_at_most_350_characters_on_average() {
    let limits = Limits::default();
    let mut random = Random::new(9);
    let mut dataset = Dataset::default();
    let mut device = Device::new(0);
    device.state = thousand_keys(&mut random);
    let first = dataset.plan(life(None, 1), &device.state, &limits).unwrap();
    dataset.apply(&first.patches);
    let (mut stored, mut total) = (first.stored, 0);
    let mut by = [0, 0, 0];
    for number in 0..3_500 {
        device.put(&key(random.below(1_000)), random.printable(20, 100));
        let push = dataset
            .plan(life(Some(&stored), 0), &device.state, &limits)
            .unwrap();
        total += push.text_len();
        for (key, text) in &push.patches {
            let kind = ["log", "run", "base"]
                .iter()
                .position(|kind| key.contains(kind));
            let len = key.len() + text.as_ref().map_or(0, String::len);
            by[kind.unwrap_or(0)] += len;
        }
        assert!(push.patches.len() <= 3 || number % 63 == 0 || push.wrote == Wrote::Base);
        dataset.apply(&push.patches);
        stored = push.stored;
        if number % 500 == 499 {
            let read = dataset.read(&limits, None).unwrap().unwrap();
            assert_eq!((read.tip(), read.state()), (stored.tip(), stored.state()));
        }
    }
    let average = total / 3_500;
    println!(
        "{average} characters a push: logs and heads {}, runs {}, bases {}",
        by[0] / 3_500,
        by[1] / 3_500,
        by[2] / 3_500
    );
    assert!(average <= 350, "{average} characters on average");
}

#[test]
fn a_hundred_offline_edits_take_at_most_1_4_times_their_deflated_json() {
    let limits = Limits::default();
    let mut random = Random::new(5);
    let mut dataset = Dataset::default();
    let mut device = Device::new(0);
    device.state = thousand_keys(&mut random);
    let first = dataset.plan(life(None, 1), &device.state, &limits).unwrap();
    dataset.apply(&first.patches);

    let mut changed = std::collections::BTreeMap::new();
    while changed.len() < 100 {
        let (key, value) = (key(random.below(1_000)), random.printable(20, 100));
        device.put(&key, value.clone());
        changed.insert(key, value);
    }
    let push = dataset
        .plan(life(Some(&first.stored), 0), &device.state, &limits)
        .unwrap();
    let (upload, bar) = (push.text_len(), deflated(&json(&changed)) * 14 / 10 + 100);
    println!("{upload} characters, bar {bar}");
    assert_eq!(push.wrote, Wrote::Run);
    assert!(upload <= bar, "{upload} characters, bar {bar}");
}

/// What stands after n overwrites by 3 devices: each key has the value of its last overwrite, by chance.
#[test]
fn overwrites_leave_at_most_1_1_times_the_deflated_json() {
    for overwrites in [10_000_u32, 1_000_000] {
        let mut random = Random::new(6);
        let actors: [Actor; 3] = std::array::from_fn(|_| Actor::random(random.bytes()));
        let mut last = std::collections::BTreeMap::new();
        let start = 1_790_000_000_000;
        let (mut clock, mut time) = (Clock::new(), start);
        for counter in 1..=overwrites {
            time += random.below(40_000) as i64;
            let id = OpId::new(counter, actors[random.below(3) as usize]);
            clock.insert(id.actor, counter);
            last.insert(key(random.below(1_000)), (id, time));
        }
        let values = last
            .keys()
            .map(|key| (key.clone(), random.printable(20, 100)));
        let values: std::collections::BTreeMap<String, String> = values.collect();
        let keys = last.iter().map(|(key, (id, _))| {
            let added = [(*id, Content::Scalar(values[key].clone().into()))].into();
            (
                key.clone(),
                RegisterDelta {
                    added,
                    ..RegisterDelta::default()
                },
            )
        });
        let delta = Delta {
            clock,
            objects: [(ObjectId::Root, ObjectDelta::Map(keys.collect()))].into(),
            times: last.values().copied().collect(),
            ..Delta::default()
        };
        State::new().apply(&delta).unwrap();
        let (stored, live) = (
            deflated(&encode(&delta, &Clock::new())),
            deflated(&json(&values)),
        );
        println!("after {overwrites}: {stored} bytes, deflated json {live}");
        assert!(
            stored * 10 <= live * 11,
            "{stored} bytes, deflated json {live}"
        );
    }
}

#[test]
fn one_typed_character_takes_at_most_130_characters_without_base_folds() {
    let limits = Limits::default();
    let mut random = Random::new(7);
    let mut dataset = Dataset::default();
    let mut device = Device::new(0);
    let text = device.make_text("text");
    let mut at = None;
    for _ in 0..200 {
        at = Some(device.insert(text, at, Body::characters(random.printable(500, 500))));
    }
    let first = dataset.plan(life(None, 1), &device.state, &limits).unwrap();
    dataset.apply(&first.patches);
    let mut writer = Device {
        state: device.state.clone(),
        ..Device::new(1)
    };
    let (mut stored, mut total, mut all) = (first.stored, 0, 0);
    for _ in 0..1_200 {
        if random.below(20) == 0 {
            let counter = 1 + random.below(device.state.max_counter().into()) as u32;
            at = Some(OpId::new(counter.max(2), device.actor));
        }
        at = Some(writer.insert(text, at, Body::characters(random.printable(1, 1))));
        let push = dataset
            .plan(life(Some(&stored), 0), &writer.state, &limits)
            .unwrap();
        all += push.text_len();
        total += if push.wrote == Wrote::Base {
            0
        } else {
            push.text_len()
        };
        dataset.apply(&push.patches);
        stored = push.stored;
    }
    println!(
        "{} characters a push without base folds, {} with",
        total / 1_200,
        all / 1_200
    );
    assert!(total <= 130 * 1_200 && all <= 260 * 1_200);
}
