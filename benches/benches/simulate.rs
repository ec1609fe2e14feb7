//! How long does the simulator take for a sync, on one core: the more worlds a second, the more of them are seen?

use driftless_benches::{Figure, Mode, Random, Report, key, small_value, timed};
use driftless_sim::{Setting, World};

const DEVICES: usize = 8;

fn main() {
    let mode = Mode::from_args();
    let mut report = Report::new("simulate", mode);
    let syncs = mode.times(100, 20_000);
    let (took, pushes) = timed(|| simulate(syncs));
    let each = took / u32::try_from(syncs).expect("so many are not simulated");
    report.bar(
        "a sync of 20 keys, half of them with a push, mean",
        Figure::Time(each),
        Figure::Time(std::time::Duration::from_millis(1)),
    );
    report.note("of these with a push", Figure::Count(pushes as f64));
    report.print();
}

/// Returns how many of the syncs pushed.
fn simulate(syncs: usize) -> usize {
    let mut world = World::new(Setting::quiet(1, DEVICES)).expect("the devices start");
    let mut random = Random::new(1);
    let mut pushes = 0;
    for sync in 0..syncs {
        let device = random.below(DEVICES);
        if sync % 2 == 0 {
            let (key, value) = (key(random.below(20)), small_value(&mut random));
            let put = world.edit(device, |dataset| dataset.put(key, value));
            assert!(put.expect("what is seen is as it must be"), "a value fits");
        }
        let synced = world.synchronize(device).expect("the call ends");
        let synced = synced.expect("the service answers");
        pushes += usize::from(synced.wrote.is_some());
    }
    pushes
}
