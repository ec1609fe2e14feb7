//! How long does an app wait for `put`, and how much of that is the disk?
//!
//! A put that waits for the disk is compared with the least it could cost: one fdatasync of as many bytes, in turns with
//! it, into a file of the same directory whose length is set beforehand, as the store's journal's is.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use driftless::{Client, Dataset, Durability};
use driftless_benches::{
    Figure, IDENTITY, Mode, POOL, Random, Report, Times, key, small_value, thousand_keys, timed,
};

/// What a put writes, as counted on Linux, for systems that do not count it.
const TYPICAL_BYTES: usize = 320;

fn main() {
    let mode = Mode::from_args();
    let mut report = Report::new("put", mode);
    buffered(mode, &mut report);
    on_disk(mode, &mut report);
    report.print();
}

fn open(path: &Path, durability: Durability) -> (Client, Dataset) {
    let builder = Client::builder(path)
        .pool(POOL.parse().expect("the pool is well-formed"))
        .identity(IDENTITY.parse().expect("the identity is well-formed"))
        .durability(durability);
    let client = builder.open().expect("the directory is empty");
    let dataset = client.dataset("notes").expect("the name is well-formed");
    dataset
        .put_all(thousand_keys(&mut Random::new(1)))
        .expect("1,000 keys fit");
    (client, dataset)
}

fn put(dataset: &Dataset, random: &mut Random) -> Duration {
    let (key, value) = (key(random.below(1_000)), small_value(random));
    timed(|| dataset.put(&key, value).expect("a small value fits")).0
}

fn buffered(mode: Mode, report: &mut Report) {
    let home = tempfile::tempdir().expect("there is room for a temporary directory");
    let (client, dataset) = open(home.path(), Durability::Buffered);
    let mut random = Random::new(2);
    let times: Times = (0..mode.times(200, 50_000))
        .map(|_| put(&dataset, &mut random))
        .collect();
    report.note("put, buffered, 1,000 keys: median", times.median());
    report.note("put, buffered, 1,000 keys: p95", times.percentile(95));
    report.bar(
        "put, buffered, 1,000 keys: p99",
        times.percentile(99),
        Figure::Time(Duration::from_micros(150)),
    );
    client.close().expect("the disk takes it");
}

fn on_disk(mode: Mode, report: &mut Report) {
    let home = tempfile::tempdir().expect("there is room for a temporary directory");
    let (client, dataset) = open(&home.path().join("store"), Durability::Disk);
    let mut random = Random::new(3);
    let runs = mode.times(20, 2_000);
    let mut counted: Vec<usize> = (0..runs)
        .filter_map(|_| {
            let before = bytes_written()?;
            put(&dataset, &mut random);
            Some(bytes_written()? - before)
        })
        .collect();
    counted.sort_unstable();
    let bytes = vec![
        0x5a;
        counted
            .get(counted.len() / 2)
            .copied()
            .unwrap_or(TYPICAL_BYTES)
    ];

    let mut file = File::create(home.path().join("bytes")).expect("the directory is ours");
    file.set_len(64 << 20).expect("there is room for a file");
    let (mut puts, mut syncs) = (Times::default(), Times::default());
    for _ in 0..runs {
        puts.push(put(&dataset, &mut random));
        let (time, ()) = timed(|| {
            file.write_all(&bytes).expect("there is room in the file");
            file.sync_data().expect("the disk takes it");
        });
        syncs.push(time);
    }
    report.note(
        "put, on disk, 1,000 keys: bytes written: median",
        Figure::Bytes(bytes.len()),
    );
    report.note("put, on disk, 1,000 keys: median", puts.median());
    report.note("put, on disk, 1,000 keys: p99", puts.percentile(99));
    report.note("one fdatasync of so many bytes: median", syncs.median());
    report.note("one fdatasync of so many bytes: p99", syncs.percentile(99));
    report.bar(
        "put, on disk, over one fdatasync, medians",
        puts.over(&syncs),
        Figure::Ratio(1.5),
    );
    client.close().expect("the disk takes it");
}

/// Returns how many bytes this process has written to files so far, or nothing where the system does not count them.
fn bytes_written() -> Option<usize> {
    let counters = std::fs::read_to_string("/proc/self/io").ok()?;
    counters
        .lines()
        .find_map(|line| line.strip_prefix("wchar: ")?.parse().ok())
}
