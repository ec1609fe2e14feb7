//! Who uses a device changes.

use driftless::IdentityId;
use driftless::wire::Operation;
use driftless_sim::{End, Step, Stop, Story, World};

use super::Stage;

fn guest() -> IdentityId {
    "us-east-1:00000000-0000-0000-0000-00000000000b"
        .parse()
        .unwrap()
}

fn log_in(stage: &mut Stage, device: usize, identity: Option<IdentityId>) {
    stage.0.log_in(device, identity).unwrap();
}

/// The identities come from the app, so nobody says that the guest became the login: only what was made before any identity
/// moves.
#[test]
fn guest_logout_guest_again_and_login_see_each_their_own() {
    let mut stage = Stage::new(3, Story::Plain);
    log_in(&mut stage, 0, None);
    stage.put(0, "nobody's", 1);
    log_in(&mut stage, 0, Some(guest()));
    assert_eq!(stage.dataset(0).keys(), ["nobody's"], "adopted");
    stage.put(0, "guest's", 2);
    stage.increment(0, "count", 1);
    stage.sync(0);

    log_in(&mut stage, 0, None);
    assert!(stage.dataset(0).is_empty());
    log_in(&mut stage, 0, Some(guest()));
    assert_eq!(stage.dataset(0).keys(), ["count", "guest's", "nobody's"]);
    assert!(!stage.dataset(0).has_unsynced());
    stage.increment(0, "count", 10);

    log_in(&mut stage, 0, Some(World::identity()));
    assert!(stage.dataset(0).is_empty());
    stage.put(0, "login's", 3);
    stage.increment(0, "count", 100);
    stage.sync(0);
    stage.sync(1);
    assert_eq!(stage.dataset(1).keys(), ["count", "login's"]);
    assert_eq!(stage.counter(1, "count"), Some(100));

    // What the guest did last is still there, and goes where the rest of it is.
    log_in(&mut stage, 0, Some(guest()));
    assert!(stage.dataset(0).has_unsynced());
    stage.sync(0);
    log_in(&mut stage, 2, Some(guest()));
    stage.sync(2);
    assert_eq!(stage.counter(2, "count"), Some(11));
    assert_eq!(stage.dataset(2).keys(), ["count", "guest's", "nobody's"]);
    for device in [0, 2] {
        log_in(&mut stage, device, Some(World::identity()));
    }
    stage.settle(&["count", "login's"]);
    assert_eq!(stage.counter(2, "count"), Some(100));
}

/// A session of the person before is stopped at the service, and its answer comes to the next one.
#[test]
fn answer_to_the_person_before_reaches_nobody() {
    let mut stage = Stage::new(2, Story::Plain);
    log_in(&mut stage, 0, Some(guest()));
    stage.put(0, "guest's", 1);
    stage.sync_until_stopped(0, Operation::UpdateRecords, Stop::Answer);
    log_in(&mut stage, 0, Some(World::identity()));
    stage.put(0, "login's", 2);
    stage.let_go(0);
    stage.sync(0);
    stage.sync(1);
    assert_eq!(stage.dataset(1).keys(), ["login's"]);
    log_in(&mut stage, 0, Some(guest()));
    assert_eq!(stage.sync(0).requests, 1, "the push stood");
    assert_eq!(stage.dataset(0).keys(), ["guest's"]);
    log_in(&mut stage, 0, Some(World::identity()));
    stage.settle(&["login's"]);
}

/// The guest had a count and a text, and so has the login; one device crashes while it folds the guest's in, and the other
/// one does so at the same time.
#[test]
fn what_a_merged_guest_had_is_there_once_after_two_devices_of_which_one_crashes() {
    for at in [
        Operation::ListRecords,
        Operation::UpdateRecords,
        Operation::DeleteDataset,
    ] {
        for stop in [Stop::Request, Stop::Answer] {
            let mut stage = Stage::new(3, Story::Plain);
            log_in(&mut stage, 2, Some(guest()));
            stage.increment(2, "count", 5);
            stage.put(2, "guest's", 1);
            stage.sync(2);
            log_in(&mut stage, 2, Some(World::identity()));
            stage.increment(0, "count", 100);
            stage.put(0, "login's", 2);
            stage.sync(0);
            stage.0.merge_guest(&guest());
            stage.put(0, "mine", 3);
            stage.sync_until_stopped(0, at, stop);
            stage.take(Step::Restart(0, End::PowerLost));
            stage.increment(1, "count", 1_000);
            stage.sync(1);
            stage.let_go(0);
            stage.sync(0);
            stage.settle(&["count", "guest's", "login's", "mine"]);
            for device in 0..3 {
                assert_eq!(stage.counter(device, "count"), Some(1_105));
            }
            assert_eq!(stage.0.remote_datasets().len(), 1, "the child is deleted");
        }
    }
}

#[test]
fn merged_child_is_deleted_once_by_two_devices_of_which_one_crashes() {
    let mut stage = Stage::two(Story::Plain);
    stage.take(Step::MergeChild);
    stage.put(0, "mine", 2);
    stage.sync_until_stopped(0, Operation::UpdateRecords, Stop::Answer);
    stage.take(Step::Restart(0, End::PowerLost));
    stage.put(1, "theirs", 3);
    stage.sync(1);
    stage.let_go(0);
    stage.sync(0);
    stage.settle(&["count", "mine", "shared", "theirs"]);
    assert_eq!(stage.0.remote_datasets().len(), 1);
}
