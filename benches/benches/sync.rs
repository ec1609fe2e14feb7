//! How long does `synchronize` take where the network costs nothing: a real server, HTTP and signatures over loopback?

use driftless::{Client, Dataset, Durability, Report as Synced};
use driftless_benches::{
    Figure, Loopback, Mode, Random, Report, Times, key, small_value, thousand_keys, timed,
};

fn main() {
    let mode = Mode::from_args();
    let mut report = Report::new("sync", mode);
    let home = tempfile::tempdir().expect("there is room for a temporary directory");
    let world = Loopback::start();
    let open = |name: &str| {
        let client = world.client(&home.path().join(name), |builder| {
            builder.durability(Durability::Disk)
        });
        let dataset = client.dataset("notes").expect("the name is well-formed");
        (client, dataset)
    };
    let ((phone, a), (tablet, b)) = (open("phone"), open("tablet"));
    a.put_all(thousand_keys(&mut Random::new(1)))
        .expect("1,000 keys fit");
    let (begun, all) = timed(|| synchronize(&world, &a));
    report.note("first push of 1,000 keys", Figure::Time(begun));
    report.note(
        "first push of 1,000 keys: bytes up",
        Figure::Bytes(all.bytes_up as usize),
    );
    let (joined, _) = timed(|| synchronize(&world, &b));
    report.note("first pull of 1,000 keys", Figure::Time(joined));
    steady(mode, &world, &a, &b, &mut report);
    report.print();
    close(&[phone, tablet]);
}

fn synchronize(world: &Loopback, dataset: &Dataset) -> Synced {
    world
        .runtime()
        .block_on(dataset.synchronize())
        .expect("the server answers")
}

/// One device puts a small value and pushes it, the other one pulls it, and then nothing is to be done.
fn steady(mode: Mode, world: &Loopback, a: &Dataset, b: &Dataset, report: &mut Report) {
    let mut random = Random::new(2);
    let mut sums = [(); 3].map(|()| Sum::default());
    for _ in 0..mode.times(5, 1_000) {
        let value = small_value(&mut random);
        a.put(key(random.below(1_000)), value)
            .expect("a small value fits");
        sums[0].add(timed(|| synchronize(world, a)));
        sums[1].add(timed(|| synchronize(world, b)));
        sums[2].add(timed(|| synchronize(world, b)));
    }
    assert_eq!(a.state(), b.state());
    for (sum, (what, bar)) in sums.iter().zip([
        ("push of one small edit", 2.0),
        ("pull of one small edit", 1.0),
        ("nothing to do", 1.0),
    ]) {
        report.note(format!("{what}: median"), sum.times.median());
        report.note(format!("{what}: p99"), sum.times.percentile(99));
        report.note(
            format!("{what}: bytes of bodies up, mean"),
            Figure::Bytes(sum.mean(sum.up)),
        );
        report.note(
            format!("{what}: bytes of bodies down, mean"),
            Figure::Bytes(sum.mean(sum.down)),
        );
        report.bar(
            format!("{what}: most requests"),
            Figure::Count(f64::from(sum.requests)),
            Figure::Count(bar),
        );
    }
}

/// What many synchronizations of one kind took.
#[derive(Default)]
struct Sum {
    times: Times,
    runs: u64,
    up: u64,
    down: u64,
    requests: u32,
}

impl Sum {
    fn add(&mut self, (time, synced): (std::time::Duration, Synced)) {
        self.times.push(time);
        self.runs += 1;
        self.up += synced.bytes_up;
        self.down += synced.bytes_down;
        self.requests = self.requests.max(synced.requests);
    }

    fn mean(&self, bytes: u64) -> usize {
        (bytes / self.runs) as usize
    }
}

fn close(clients: &[Client]) {
    clients
        .iter()
        .for_each(|client| client.close().expect("the disk takes it"));
}
