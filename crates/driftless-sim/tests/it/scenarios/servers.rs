//! The service is taken back to a backup of its own.

use driftless_sim::{Step, Story};

use super::{HOUR, Stage};

#[test]
fn service_restored_from_yesterdays_backup_gets_back_what_the_devices_know() {
    let mut stage = Stage::two(Story::Ends);
    stage.0.wait(24 * HOUR).unwrap();
    stage.put(0, "today", 2);
    stage.increment(0, "count", 10);
    stage.remove(0, "shared");
    stage.sync(0);
    stage.sync(1);
    stage.increment(1, "count", 100);
    stage.write(1, "text", "unsynced");
    // The one push of today.
    stage.take(Step::TakeBack(1));
    stage.sync(1);
    stage.sync(0);
    stage.settle(&["count", "text", "today"]);
    assert_eq!(stage.counter(0, "count"), Some(115));
}

/// Only one device knows of today, and it is the last to come.
#[test]
fn what_one_device_knows_of_a_lost_day_comes_back_with_it() {
    let mut stage = Stage::two(Story::Ends);
    stage.increment(0, "count", 10);
    stage.sync(0);
    stage.take(Step::TakeBack(1));
    stage.increment(1, "count", 100);
    stage.put(1, "today", 1);
    stage.sync(1);
    assert_eq!(stage.counter(1, "count"), Some(105));
    stage.sync(0);
    stage.settle(&["count", "shared", "today"]);
    assert_eq!(stage.counter(0, "count"), Some(115));
}
