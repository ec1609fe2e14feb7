//! How long do states take to become records, records to become states, and a log to become a snapshot?

use std::collections::BTreeMap;

use driftless_benches::{
    Device, Mode, Random, Report, Times, key, printable_text, small_value, timed,
};
use driftless_document::{Clock, State};
use driftless_record::{Life, Limits, Lineage, Push, Standing, decode, encode, plan, read};

fn main() {
    let mode = Mode::from_args();
    let mut report = Report::new("encode", mode);
    of("1,000 keys", keys(1_000), mode.times(3, 100), &mut report);
    of("8,000 keys", keys(8_000), mode.times(1, 30), &mut report);
    of(
        "text of 100,000 in 1,000 places",
        text(),
        mode.times(1, 30),
        &mut report,
    );
    report.print();
}

fn keys(count: usize) -> Device {
    let mut random = Random::new(1);
    let mut device = Device::new(1);
    for number in 0..count {
        device.put(key(number), small_value(&mut random));
    }
    device
}

fn text() -> Device {
    let mut random = Random::new(2);
    let mut device = Device::new(1);
    for part in 0..1_000 {
        let at = random.below(100 * part + 1);
        device.insert(at, &printable_text(&mut random, 100));
    }
    device
}

fn of(what: &str, device: Device, runs: usize, report: &mut Report) {
    let state = device.replica().document().state();
    let (nothing, empty) = (State::new(), Clock::new());
    let whole = state.diff(&nothing);
    let bytes = encode(&whole, &empty);
    let push = base(state);
    let records: BTreeMap<&str, &str> = push
        .patches
        .iter()
        .filter_map(|(key, text)| Some((key.as_str(), text.as_deref()?)))
        .collect();
    let read_all = || {
        read(
            records.iter().map(|(key, text)| (*key, *text)),
            &Limits::default(),
            None,
        )
    };
    assert_eq!(
        read_all()
            .ok()
            .flatten()
            .as_ref()
            .map(|stored| stored.state()),
        Some(state)
    );

    let mut note =
        |how: &str, times: Times| report.note(format!("{what}: {how}: median"), times.median());
    note(
        "encode",
        Times::of(runs, || encode(&state.diff(&nothing), &empty)),
    );
    note(
        "decode and apply",
        Times::of(runs, || {
            decode(&bytes, &empty).map(|delta| State::new().apply(&delta))
        }),
    );
    note(
        "fold into a base, as records",
        Times::of(runs, || base(state)),
    );
    note("read a base from records", Times::of(runs, read_all));
    let mut replica = device.into_replica();
    note(
        "fold a log into a snapshot",
        (0..runs).map(|_| timed(|| replica.fold()).0).collect(),
    );
}

/// Returns the push that writes a state as a new base.
fn base(state: &State) -> Push {
    let life = Life::Begun {
        lineage: Lineage::from_bytes([7; 8]),
        predecessor: None,
        over: None,
    };
    plan(life, state, &Standing::NOTHING, &Limits::default()).expect("the sample fits")
}
