//! A store is copied, and both copies go on under one author and the same counters.

use driftless_sim::Story;

use super::Stage;

#[test]
fn backup_restored_while_the_original_went_on_loses_nothing_of_either() {
    let mut stage = Stage::two(Story::Copies);
    let backup = stage.0.store(0);
    stage.increment(0, "count", 10);
    stage.put(0, "original", 1);
    stage.sync(0);
    stage.increment(0, "count", 100);
    let restored = stage.0.join(backup).unwrap();
    stage.increment(restored, "count", 1_000);
    stage.put(restored, "restored", 2);
    stage.remove(restored, "shared");
    stage.sync(restored);
    stage.settle(&["count", "original", "restored"]);
    assert_eq!(stage.counter(0, "count"), Some(1_115));
}

/// Whoever synchronizes first keeps the author; in each of the six orders all edits are in.
#[test]
fn two_clones_and_their_original_keep_their_edits_in_any_order() {
    for order in [
        [0, 2, 3],
        [0, 3, 2],
        [2, 0, 3],
        [2, 3, 0],
        [3, 0, 2],
        [3, 2, 0],
    ] {
        let mut stage = Stage::two(Story::Copies);
        let store = stage.0.store(0);
        assert_eq!(stage.0.join(store.copy()).unwrap(), 2);
        assert_eq!(stage.0.join(store).unwrap(), 3);
        for (device, name) in [(0, "a"), (2, "b"), (3, "c")] {
            stage.increment(device, "count", 10_i64.pow(device as u32));
            stage.write(device, "text", name);
            stage.put(device, name, device as i64);
        }
        for device in order {
            stage.sync(device);
        }
        stage.settle(&["a", "b", "c", "count", "shared", "text"]);
        assert_eq!(
            stage.counter(0, "count"),
            Some(5 + 1 + 100 + 1_000),
            "{order:?}"
        );
        let mut letters: Vec<char> = stage.text(0, "text").unwrap().chars().collect();
        letters.sort_unstable();
        assert_eq!(letters, ['a', 'b', 'c'], "{order:?}");
    }
}

/// The copy cannot know that its original has synchronized the same edit and put something else since: its own counters say
/// nothing about which edits both have. So it writes again what it had not synchronized, and that is later. An old value
/// may come back so; the other way an edit of the copy would be lost.
#[test]
fn what_a_copy_had_not_synchronized_is_put_again_over_what_the_original_put_since() {
    let mut stage = Stage::new(1, Story::Copies);
    stage.put(0, "key", 1);
    let store = stage.0.store(0);
    stage.put(0, "key", 2);
    stage.sync(0);
    let copy = stage.0.join(store).unwrap();
    stage.sync(copy);
    stage.settle(&["key"]);
    assert_eq!(stage.number(0, "key"), Some(1));
}
