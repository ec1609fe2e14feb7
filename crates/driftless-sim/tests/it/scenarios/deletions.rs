//! A dataset is deleted and made again, and some devices hear of it late, or never.

use driftless::store::MemoryStore;
use driftless::wire::Operation;
use driftless_sim::{End, Step, Stop, Story};

use super::{HOUR, Stage};

/// What a device does that is away while the dataset is deleted.
fn edit_while_away(stage: &mut Stage) {
    stage.put(1, "mine", 2);
    stage.increment(1, "count", 3);
    stage.write(1, "text", "typed");
}

/// All that was synchronized goes; what the device did while it was away stays.
#[track_caller]
fn check_away(stage: &mut Stage) {
    check_away_with(stage, &["again", "count", "mine", "text"]);
}

fn check_away_with(stage: &mut Stage, keys: &[&str]) {
    stage.settle(keys);
    assert_eq!(stage.counter(0, "count"), Some(3));
    assert_eq!(stage.text(0, "text").as_deref(), Some("typed"));
}

#[test]
fn device_that_was_away_meets_a_deletion_and_the_next_life() {
    let mut stage = Stage::two(Story::Ends);
    edit_while_away(&mut stage);
    stage.edit(0, |dataset| dataset.delete());
    stage.put(0, "again", 1);
    let report = stage.sync(0);
    assert!(report.deleted);
    assert_eq!(report.requests, 4, "list, delete, list, push");
    stage.0.wait(100 * HOUR).unwrap();
    assert!(stage.sync(1).began_anew);
    check_away(&mut stage);
}

#[test]
fn flag_of_a_deletion_that_never_arrived_is_told_again() {
    let mut stage = Stage::two(Story::Ends);
    edit_while_away(&mut stage);
    stage.edit(0, |dataset| dataset.delete());
    stage.sync(0);
    stage.sync_until_stopped(1, Operation::ListRecords, Stop::Answer);
    stage.put(0, "again", 1);
    stage.sync(0);
    stage.take(Step::Restart(1, End::PowerLost));
    stage.0.give_up(1);
    assert!(stage.sync(1).began_anew);
    check_away(&mut stage);
}

/// Neither a flag nor a count tells of the deletion, only the lineage in the records.
#[test]
fn counts_that_started_again_hide_no_deletion() {
    let mut stage = Stage::two(Story::Ends);
    edit_while_away(&mut stage);
    // From here on the service counts beyond what the device knows.
    stage.take(Step::Empty);
    let fresh = stage.0.join(MemoryStore::new()).unwrap();
    stage.put(fresh, "again", 1);
    stage.sync(fresh);
    assert!(stage.sync(1).began_anew);
    assert!(stage.sync(0).began_anew);
    // The record of the old client that went on there was found, and is a key now.
    check_away_with(&mut stage, &["again", "busy", "count", "mine", "text"]);
}

#[test]
fn delete_whose_answer_was_lost_spares_the_next_life_hours_later() {
    let mut stage = Stage::two(Story::Ends);
    stage.edit(0, |dataset| dataset.delete());
    stage.sync_until_stopped(0, Operation::DeleteDataset, Stop::Answer);
    stage.take(Step::Network(0, false));
    stage.0.give_up(0);
    stage.0.wait(HOUR).unwrap();
    assert!(stage.dataset(0).has_unsynced(), "the deletion is pending");

    stage.put(1, "again", 1);
    assert!(stage.sync(1).began_anew);
    stage.take(Step::Restart(0, End::PowerLost));
    stage.0.wait(5 * HOUR).unwrap();
    stage.take(Step::Network(0, true));
    assert!(stage.sync(0).deleted);
    assert!(!stage.dataset(0).has_unsynced());
    stage.settle(&["again"]);
}

/// The service has no compare-and-swap for deletions, so that what was synchronized meanwhile goes too.
#[test]
fn delete_that_arrives_late_leaves_what_was_not_synchronized() {
    let mut stage = delete_that_waits();
    stage.0.wait(60_000).unwrap();
    stage.put(1, "synced", 2);
    assert!(!stage.sync(1).began_anew);
    stage.put(1, "unsynced", 3);
    stage.let_go(0);
    assert!(stage.sync(1).began_anew);
    stage.settle(&["unsynced"]);
}

/// A signature is good for five minutes; the device asks again, and learns that others went on.
#[test]
fn delete_that_arrives_hours_late_is_refused_for_its_signature() {
    let mut stage = delete_that_waits();
    stage.0.wait(5 * HOUR).unwrap();
    stage.let_go(0);
    assert!(!stage.sync(1).began_anew);
    assert_eq!(stage.dataset(1).keys(), ["count", "shared"]);
    stage.take(Step::Network(0, true));
    assert!(stage.sync(0).deleted);
    stage.settle(&[]);
}

/// A device's delete stands at the door of the service, and the device is offline and gave up.
fn delete_that_waits() -> Stage {
    let mut stage = Stage::two(Story::Ends);
    stage.edit(0, |dataset| dataset.delete());
    stage.sync_until_stopped(0, Operation::DeleteDataset, Stop::Request);
    stage.take(Step::Network(0, false));
    stage.0.give_up(0);
    stage
}

#[test]
fn push_that_was_planned_before_a_deletion_is_not_taken_for_the_next_life() {
    let mut stage = Stage::two(Story::Ends);
    stage.put(1, "mine", 2);
    stage.sync_until_stopped(1, Operation::UpdateRecords, Stop::Request);
    stage.edit(0, |dataset| dataset.delete());
    stage.put(0, "again", 1);
    stage.sync(0);
    stage.let_go(1);
    assert!(!stage.dataset(1).has_unsynced());
    stage.settle(&["again", "mine"]);
}
