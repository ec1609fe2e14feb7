//! Worlds drawn from fixed seeds; the soak draws many more.

use driftless_sim::{Plan, Shape, Story, run};

/// Runs worlds of consecutive seeds.
fn check(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let shape = Shape::draw(seed);
        let (devices, steps) = (shape.devices.min(12), shape.steps.min(300));
        let verdict = run(&Plan::draw(seed, devices, steps, shape.story));
        if let Some(violation) = verdict.violation {
            panic!("seed {seed}, {devices} devices, {steps} steps, {shape:?}: {violation}");
        }
    }
}

#[test]
fn worlds_of_fixed_seeds_agree() {
    check(0..150);
}

/// The same seed gives the same trace, whatever ran before it.
#[test]
fn same_seed_gives_the_same_trace() {
    for (seed, story) in (500..).zip(Story::ALL) {
        let plan = Plan::draw(seed, 6, 200, story);
        let first = run(&plan);
        assert!(first.is_clean(), "seed {seed}: {:?}", first.violation);
        assert_ne!(
            first.trace_hash,
            run(&Plan::draw(seed + 10, 6, 200, story)).trace_hash
        );
        assert_eq!(first.trace_hash, run(&plan).trace_hash, "seed {seed}");
    }
}
