//! How much memory does an open, full dataset take?
//!
//! An allocator counts what the whole process holds on the heap: the client, its store with its caches, and the dataset. A
//! benchmark of its own, since counting takes time.

use driftless::Durability;
use driftless_benches::{Figure, Loopback, Mode, Report, fill, key};
use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

fn main() {
    let mut report = Report::new("memory", Mode::from_args());
    let home = tempfile::tempdir().expect("there is room for a temporary directory");
    let world = Loopback::start();
    let open = || {
        world.client(home.path(), |builder| {
            builder.durability(Durability::Buffered)
        })
    };
    let client = open();
    let dataset = client.dataset("notes").expect("the name is well-formed");
    let keys = fill(&dataset);
    world
        .runtime()
        .block_on(dataset.synchronize())
        .expect("the server answers");
    client.close().expect("the disk takes it");
    drop((client, dataset));

    let before = HEAP.current_usage();
    HEAP.reset_peak_usage();
    let held = || HEAP.current_usage().saturating_sub(before);
    let peak = || HEAP.peak_usage().saturating_sub(before);
    let client = open();
    report.note("an open store: held", Figure::Bytes(held()));
    let dataset = client.dataset("notes").expect("the dataset is whole");
    assert!(dataset.get(key(keys / 2)).is_some(), "the value is there");
    let bar = Figure::Bytes(16_000_000);
    report.bar(
        format!("full dataset of {keys} keys, read only: held"),
        Figure::Bytes(held()),
        bar,
    );
    report.note("full dataset, read only: peak", Figure::Bytes(peak()));
    dataset.put("edited", 1).expect("there is room");
    report.bar(
        "full dataset after an edit, automerge document in memory: held",
        Figure::Bytes(held()),
        bar,
    );
    report.note("full dataset after an edit: peak", Figure::Bytes(peak()));
    world
        .runtime()
        .block_on(dataset.synchronize())
        .expect("the server answers");
    report.bar(
        "full dataset after a push, server of this process included: held",
        Figure::Bytes(held()),
        bar,
    );
    report.note("full dataset after a push: peak", Figure::Bytes(peak()));
    report.print();
    client.close().expect("the disk takes it");
}
