//! What does not fit.

use driftless::{Outcome, PutError, RefusedEdit};
use driftless_sim::Story;

use super::Stage;

/// Text that hardly deflates.
fn noise(mut seed: u64, length: usize) -> String {
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'!' + ((seed >> 33) % 90) as u8)
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn two_devices_that_fit_alone_and_not_together_agree_once_something_is_removed() {
    let mut stage = Stage::with(2, Story::Plain, |setting| setting.dataset_bytes = 12_000);
    for device in 0..2 {
        for number in 0..6 {
            let text = noise(10 * device as u64 + number, 1_100);
            stage.edit(device, |dataset| {
                dataset.put(format!("{device}.{number}"), text)
            });
        }
    }
    assert_eq!(stage.sync(0).outcome, Outcome::Synced);
    let before = stage.0.records();
    let Outcome::Full(size) = stage.sync(1).outcome else {
        panic!("both fit: {:?}", stage.dataset(1).size());
    };
    assert!(size.live > 10_000, "{size:?}");
    // Everything can be read here, nothing was pushed in part, and nothing is lost.
    assert_eq!(stage.dataset(1).len(), 12);
    assert_eq!(stage.0.records(), before);
    assert!(stage.dataset(1).has_unsynced());

    let grown = stage.dataset(1).put("more", noise(99, 3_000));
    let Err(PutError::Refused(RefusedEdit::Full { .. })) = grown else {
        panic!("{grown:?}");
    };
    for number in 0..4 {
        stage.remove(1, &format!("1.{number}"));
    }
    assert_eq!(stage.sync(1).outcome, Outcome::Synced);
    stage.settle(&["0.0", "0.1", "0.2", "0.3", "0.4", "0.5", "1.4", "1.5"]);
}
