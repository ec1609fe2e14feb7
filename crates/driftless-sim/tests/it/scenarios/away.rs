//! A device comes back after others went on without it for long.

use driftless_sim::{Step, Story};

use super::Stage;

/// In a debug build a thirtieth of the edits; CI runs all of them in a release build.
const EDITS: i64 = if cfg!(debug_assertions) {
    3_000
} else {
    100_000
};

/// What the device did itself is in, what it missed is there, and it costs two requests.
#[test]
fn device_that_returns_after_very_many_edits_of_others_agrees_with_two_requests() {
    let mut stage = Stage::two(Story::Plain);
    stage.take(Step::Network(1, false));
    stage.increment(1, "count", 1_000_000_000);
    stage.put(1, "mine", 7);
    stage.write(1, "text", "away ");
    for number in 0..EDITS {
        match number % 4 {
            0 => stage.increment(0, "count", 1),
            1 => stage.put(0, &format!("key {}", number % 100), number),
            2 if number % 300 == 2 => stage.write(0, "text", "x"),
            _ => stage.put(0, "shared", number),
        }
        if number % (EDITS / 200) == 0 {
            stage.sync(0);
        }
    }
    stage.sync(0);
    stage.take(Step::Network(1, true));
    let report = stage.sync(1);
    assert_eq!(report.requests, 2);
    assert!(!report.began_anew && !report.repaired);
    assert_eq!(stage.number(1, "shared"), Some(EDITS - 1));
    stage.0.settle().unwrap();
    let total = 1_000_000_005 + EDITS / 4;
    assert_eq!(stage.counter(0, "count"), Some(total));
    assert_eq!(stage.number(0, "mine"), Some(7));
    assert!(stage.text(0, "text").unwrap().contains("away "));
}
