//! How long does an app wait for its first value when it starts with a full dataset?
//!
//! Full is what is accepted until a put is refused: 85 % of 1,000,000 characters. The dataset is at the service too, so that
//! its records stand in the store beside it, which is how most starts find it. The file is in the system's cache.

use driftless::Durability;
use driftless_benches::{Figure, Loopback, Mode, Report, Times, fill, timed};

fn main() {
    let mode = Mode::from_args();
    let mut report = Report::new("open", mode);
    for synchronized in [false, true] {
        open(mode, synchronized, &mut report);
    }
    report.print();
}

fn open(mode: Mode, synchronized: bool, report: &mut Report) {
    let home = tempfile::tempdir().expect("there is room for a temporary directory");
    let world = Loopback::start();
    let client = world.client(home.path(), |builder| {
        builder.durability(Durability::Buffered)
    });
    let dataset = client.dataset("notes").expect("the name is well-formed");
    let keys = fill(&dataset);
    if synchronized {
        world
            .runtime()
            .block_on(dataset.synchronize())
            .expect("the server answers");
    }
    client.close().expect("the disk takes it");

    let [mut stores, mut datasets, mut gets, mut all, mut edits] =
        [(); 5].map(|()| Times::default());
    for _ in 0..mode.times(2, 30) {
        let (store, client) = timed(|| {
            world.client(home.path(), |builder| {
                builder.durability(Durability::Buffered)
            })
        });
        let (opened, dataset) = timed(|| client.dataset("notes").expect("the dataset is whole"));
        let (get, value) = timed(|| dataset.get(driftless_benches::key(keys / 2)));
        assert!(value.is_some(), "the value is there");
        stores.push(store);
        datasets.push(opened);
        gets.push(get);
        all.push(store + opened + get);
        edits.push(
            timed(|| {
                dataset
                    .put("edited", get.as_nanos() as i64)
                    .expect("there is room")
            })
            .0,
        );
        dataset
            .remove("edited")
            .expect("a removal is always accepted");
        client.close().expect("the disk takes it");
    }
    let kind = if synchronized {
        "synchronized"
    } else {
        "never synchronized"
    };
    let what = format!("full dataset of {keys} keys, {kind}");
    report.note(format!("{what}: open the store: median"), stores.median());
    report.note(
        format!("{what}: open the dataset: median"),
        datasets.median(),
    );
    report.note(format!("{what}: first get: median"), gets.median());
    report.bar(
        format!("{what}: all until the first get: median"),
        all.median(),
        Figure::millis(20),
    );
    report.note(
        format!("{what}: first edit, which loads the automerge document: median"),
        edits.median(),
    );
}
