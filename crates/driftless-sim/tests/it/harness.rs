//! The harness for apps: it finds what does not hold, makes it small, says how to see it again, and
//! lets pass what holds.

use driftless::{Dataset, PutError};
use driftless_sim::{Check, Counterexample, Harness, Setting, Step};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestError, TestRunner};

fn count(edit: &u8, dataset: &Dataset) -> Result<(), PutError> {
    dataset.increment("count", i64::from(*edit))
}

fn is_below(dataset: &Dataset, limit: i64) -> Result<(), String> {
    match dataset.counter("count").unwrap_or(0) {
        count if count < limit => Ok(()),
        count => Err(format!("the count is {count}")),
    }
}

/// Counts that fail once they reach 9: by one device, or only together.
fn at_most_nine() -> Harness<u8> {
    Harness::new(0..5_u8, count).at_rest(|dataset| is_below(dataset, 9))
}

fn fails(harness: &Harness<u8>) -> Counterexample<u8> {
    *harness.run().expect_err("the check does not hold")
}

#[test]
fn edits_and_steps_of_a_failure_are_as_few_and_small_as_can_be() {
    let found = fails(&at_most_nine());
    assert_eq!(found.violation.check, Check::App);
    let edits = found.plan.steps.len();
    assert!((3..=9).contains(&edits), "{found}");
    assert!(found.steps > edits);
    let is_below_again = found.violation.what.ends_with("the count is 9");
    assert!(is_below_again, "{found}");
    assert!(found.plan.setting.faults.is_empty(), "{found}");
}

#[test]
fn seed_of_a_failure_gives_it_again() {
    let found = fails(&at_most_nine());
    let again = fails(&at_most_nine().seed(found.seed).worlds(1));
    assert_eq!(found.plan, again.plan);
    assert_eq!(found.violation, again.violation);
    let told = found.to_string();
    assert!(told.contains("edits: "), "{told}");
    assert!(
        told.ends_with(&format!(
            "To see it again: `.seed({}).worlds(1)`.",
            found.seed
        )),
        "{told}"
    );
}

#[test]
fn check_at_every_moment_finds_what_is_gone_at_rest() {
    let is_off = |dataset: &Dataset| match dataset.get("light").and_then(|value| value.as_i64()) {
        None | Some(0) => Ok(()),
        Some(_) => Err("there is light".to_owned()),
    };
    let harness = || Harness::new(0..2_i64, |light, dataset| dataset.put("light", *light));
    let tree = harness().plans().new_tree(&mut TestRunner::deterministic());
    let mut plan = tree.unwrap().current();
    plan.setting = Setting::quiet(1, 1);
    plan.setting.marks = false;
    plan.steps = vec![(0, Step::Edit(0, 1)), (0, Step::Edit(0, 0))];
    assert!(harness().at_rest(is_off).verdict(&plan).is_clean());
    let violation = harness().always(is_off).verdict(&plan).violation.unwrap();
    assert_eq!((violation.check, violation.step), (Check::App, 1));
    assert_eq!(violation.what, "device 0: there is light");
}

#[test]
fn plans_run_in_a_runner_of_proptests_own() {
    let harness = at_most_nine();
    let config = Config {
        cases: 64,
        failure_persistence: None,
        ..Config::default()
    };
    let ran = TestRunner::new(config).run(&harness.plans(), |plan| harness.test(&plan).map(drop));
    let Err(TestError::Fail(reason, plan)) = ran else {
        panic!("the check does not hold: {ran:?}");
    };
    assert!(reason.message().contains("the count is"), "{reason}");
    assert!(harness.test(&plan).is_err());
}

#[test]
fn nothing_but_edits_puts_keys() {
    let harness = Harness::new(0..3_u8, |number, dataset| {
        dataset.put(number.to_string(), i64::from(*number))
    });
    let tally = harness
        .always(|dataset| {
            let keys = dataset.keys();
            let mut foreign = keys.iter().filter(|key| key.len() > 1);
            foreign
                .next()
                .map_or(Ok(()), |key| Err(format!("{key} is foreign")))
        })
        .worlds(12)
        .check();
    assert!(tally.get("edits") > 0 && tally.get("syncs") > 0);
}
