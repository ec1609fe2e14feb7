//! How long does a device work when it synchronizes: after a pull, for one typed character, after a long time offline?
//!
//! Local work is what the engine does with its inputs and what the store does with its commits, which wait for the disk;
//! requests are answered by a service in the same process, outside of the measured time.

use driftless_benches::{
    Device, Figure, Mode, Random, Report, Synced, Times, key, printable_text, service, small_value,
    thousand_keys,
};
use driftless_merge::{Durability, Operation};
use driftless_record::Wrote;
use driftless_server::Service;

fn main() {
    let mode = Mode::from_args();
    let mut report = Report::new("merge", mode);
    pull(mode, &mut report);
    typing(mode, &mut report);
    late_device(mode, &mut report);
    late_writer(mode, &mut report);
    join(mode, &mut report);
    report.print();
}

/// Returns a device with 1,000 keys that are at the service.
fn with_thousand_keys(service: &Service) -> Device {
    let mut device = Device::new(1);
    device.edit(
        Operation::Put(thousand_keys(&mut Random::new(1))),
        Durability::Buffered,
    );
    device.synchronize(service);
    device
}

/// Returns a device with a text of 100,000 characters, made in 1,000 places by two authors, that is at the service.
fn with_long_text(service: &Service) -> Device {
    let (mut first, mut second) = (Device::new(1), Device::new(2));
    let mut random = Random::new(4);
    for part in 0..1_000 {
        let writer = if part < 500 { &mut first } else { &mut second };
        if part == 500 {
            writer.synchronize(service);
        }
        let (at, characters) = (
            random.below(100 * part + 1),
            printable_text(&mut random, 100),
        );
        writer.insert(at, &characters);
        if part == 499 {
            writer.synchronize(service);
        }
    }
    second.synchronize(service);
    second
}

fn pull(mode: Mode, report: &mut Report) {
    let service = service();
    let mut writer = with_thousand_keys(&service);
    let (mut reader, mut editor) = (Device::new(2), Device::new(3));
    reader.synchronize(&service);
    editor.synchronize(&service);
    editor.put(
        key(0),
        "an edit, which loads the automerge document".to_owned(),
    );
    editor.synchronize(&service);
    let mut random = Random::new(5);
    let (mut read, mut edited, mut disk) = (Times::default(), Times::default(), Times::default());
    for _ in 0..mode.times(2, 100) {
        for number in 0..100 {
            writer.put(
                key(number * 10 + random.below(10)),
                small_value(&mut random),
            );
        }
        writer.synchronize(&service);
        read.push(reader.synchronize(&service).work);
        let synced = editor.synchronize(&service);
        edited.push(synced.work);
        disk.push(synced.disk);
        assert_eq!(
            editor.replica().document().state(),
            writer.replica().document().state()
        );
    }
    let bar = Figure::millis(25);
    report.bar(
        "pull of 100 changed keys of 1,000, a device that edits: median",
        edited.median(),
        bar,
    );
    report.note("the same: p99", edited.percentile(99));
    report.note("the same: waiting for the disk: median", disk.median());
    report.bar(
        "pull of 100 changed keys of 1,000, a device that only reads: median",
        read.median(),
        bar,
    );
    report.note("the same: p99", read.percentile(99));
}

fn typing(mode: Mode, report: &mut Report) {
    let service = service();
    let mut device = with_long_text(&service);
    let mut random = Random::new(6);
    let [mut edits, mut pushes, mut disk, mut both] = [(); 4].map(|()| Times::default());
    let (mut small, mut all, mut at) = (0, 0, 0);
    let runs = mode.times(20, 1_200);
    for number in 0..runs {
        at = if random.below(20) == 0 {
            random.below(100_000)
        } else {
            at + 1
        };
        let edit = device.splice(at, &printable_text(&mut random, 1), Durability::Disk);
        let Synced {
            work,
            disk: waited,
            characters,
            wrote,
            requests,
        } = device.synchronize(&service);
        assert_eq!(requests, 2, "one list and one push for character {number}");
        edits.push(edit);
        pushes.push(work);
        disk.push(waited);
        both.push(edit + work);
        all += characters;
        small += if wrote == Some(Wrote::Base) {
            0
        } else {
            characters
        };
    }
    let mean = |characters: usize| Figure::Characters(characters as f64 / runs as f64);
    report.note(
        "one character typed into a text of 100,000, kept on disk: median",
        edits.median(),
    );
    report.note(
        "one character typed, its synchronization: median",
        pushes.median(),
    );
    report.note(
        "one character typed, its synchronization: waiting for the disk: median",
        disk.median(),
    );
    report.bar(
        "one character typed until pushed: median",
        both.median(),
        Figure::millis(20),
    );
    report.note("one character typed until pushed: p99", both.percentile(99));
    report.bar(
        "one character typed: upload without base folds, mean",
        mean(small),
        Figure::Characters(130.0),
    );
    report.bar(
        "one character typed: upload with base folds, mean",
        mean(all),
        Figure::Characters(260.0),
    );
}

/// Pushes until what is stored stands in a new base.
fn fold_there(writer: &mut Device, service: &Service) {
    let mut random = Random::new(7);
    let folded = (0..1_000).find(|_| {
        (0..100).for_each(|_| writer.put(key(random.below(1_000)), small_value(&mut random)));
        writer.synchronize(service).wrote == Some(Wrote::Base)
    });
    assert!(folded.is_some(), "enough was written for a new base");
}

fn late_device(mode: Mode, report: &mut Report) {
    let mut work = Times::default();
    for _ in 0..mode.times(1, 5) {
        let service = service();
        let mut writer = with_thousand_keys(&service);
        let mut late = Device::new(2);
        late.synchronize(&service);
        let mut random = Random::new(8);
        (0..10_000).for_each(|_| late.put(key(random.below(1_000)), small_value(&mut random)));
        fold_there(&mut writer, &service);
        work.push(late.synchronize(&service).work);
        writer.synchronize(&service);
        assert_eq!(
            late.replica().document().state(),
            writer.replica().document().state()
        );
    }
    report.bar(
        "10,000 unsynced puts join a folded dataset: median",
        work.median(),
        Figure::millis(250),
    );
}

fn late_writer(mode: Mode, report: &mut Report) {
    let mut work = Times::default();
    for _ in 0..mode.times(1, 5) {
        let service = service();
        let mut writer = with_thousand_keys(&service);
        writer.insert(0, &printable_text(&mut Random::new(9), 10_000));
        writer.synchronize(&service);
        let mut late = Device::new(2);
        late.synchronize(&service);
        let mut random = Random::new(8);
        for number in 0..10_000 {
            late.insert(
                random.below(10_000 + number),
                &printable_text(&mut random, 1),
            );
        }
        fold_there(&mut writer, &service);
        work.push(late.synchronize(&service).work);
        writer.synchronize(&service);
        assert_eq!(
            late.replica().document().state(),
            writer.replica().document().state()
        );
    }
    let what = "10,000 unsynced characters, typed all over a text of 10,000, join a folded dataset: median";
    report.bar(what, work.median(), Figure::millis(250));
}

fn join(mode: Mode, report: &mut Report) {
    let service = service();
    let (mut one, mut other) = (with_thousand_keys(&service), Device::new(2));
    other.synchronize(&service);
    let mut random = Random::new(10);
    for _ in 0..100 {
        one.put(key(random.below(1_000)), small_value(&mut random));
        other.put(key(random.below(1_000)), small_value(&mut random));
    }
    let (one, other) = (
        one.replica().document().state(),
        other.replica().document().state(),
    );
    let joined = one.join(other);
    let runs = mode.times(3, 300);
    report.note(
        "join of two states of 1,000 keys, 100 changed in each: median",
        Times::of(runs, || one.join(other)).median(),
    );
    report.note(
        "difference of the join to one of them: median",
        Times::of(runs, || joined.diff(one)).median(),
    );
}
