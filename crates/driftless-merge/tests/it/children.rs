//! Merged datasets are folded in, pushed, and only then deleted.

use driftless_merge::{LeftOver, Operation, Output};
use driftless_record::RESERVED_PREFIX;
use driftless_wire::DatasetName;

use crate::world::{CHILD, Fault, World};

/// Devices that hold `shared` and a text, and what a merge left of a guest: a text and a count.
fn world(devices: usize) -> World {
    let mut world = World::new(devices);
    world.put(0, "shared", 1);
    world.write(0, "text", "login ");
    world.sync(0);
    let guest = world.join_guest();
    world.write(guest, "text", "guest ");
    world.increment(guest, "count", 3);
    world.sync(guest);
    world.devices.pop();
    assert!(world.list_of(CHILD).dataset_exists);
    world
}

#[track_caller]
fn check(world: &mut World, keys: &[&str], text: usize, count: Option<i64>) {
    world.settle();
    let document = world.devices[0].replica.document();
    assert_eq!(document.state().keys().collect::<Vec<_>>(), keys);
    assert_eq!(document.text("text").map(|text| text.len()), Some(text));
    assert_eq!(document.counter("count"), count);
    assert!(!world.list_of(CHILD).dataset_exists, "the child is deleted");
}

#[test]
fn trap_27_a_merged_dataset_is_folded_in_and_deleted() {
    let mut world = world(2);
    assert_eq!(world.sync(0), 4, "list, list the child, push, delete");
    let summary = world.summary(0);
    assert_eq!(summary.merged.iter().next().unwrap().as_str(), CHILD);
    assert!(summary.changed_here.contains("count") && summary.changed_there.contains("count"));
    assert_eq!(world.sync(0), 1);
    check(&mut world, &["count", "shared", "text"], 12, Some(3));
}

#[test]
fn merged_dataset_is_deleted_only_once_the_push_stands() {
    let mut world = world(1);
    world.begin(0);
    world.answer(0, Fault::Nothing);
    world.answer(0, Fault::Nothing);
    assert!(matches!(world.devices[0].pending, Some(Output::Update(_))));
    assert_eq!(world.devices[0].replica.document().counter("count"), None);
    world.answer(0, Fault::LostBefore);
    assert!(world.list_of(CHILD).dataset_exists);
    world.finish(0);
    check(&mut world, &["count", "shared", "text"], 12, Some(3));
}

#[test]
fn merged_dataset_is_deleted_only_once_all_of_it_is_on_disk_here() {
    let mut world = world(1);
    world.begin(0);
    while !matches!(world.devices[0].pending, Some(Output::Delete(_))) {
        assert!(world.answer(0, Fault::Nothing), "the session ends");
    }
    assert_eq!(
        world.devices[0].replica.document().counter("count"),
        Some(3)
    );
    assert!(world.devices[0].is_on_disk);
}

#[test]
fn crash_at_any_point_of_a_folding_repeats_harmlessly() {
    for fault in [Fault::Nothing, Fault::LostBefore, Fault::LostAfter] {
        for answers in 0..4 {
            for commits in 0..3 {
                let mut world = world(2);
                world.begin(0);
                for _ in 0..answers {
                    world.answer(0, Fault::Nothing);
                }
                world.answer_and_crash(0, fault, commits);
                world.restart(0);
                check(&mut world, &["count", "shared", "text"], 12, Some(3));
            }
        }
    }
}

/// Both have read the child before one of them pushes; the other one's push conflicts.
#[test]
fn merged_dataset_that_two_devices_fold_in_at_once_is_there_once() {
    for erased in [false, true] {
        let mut world = world(2);
        world.sync(1);
        if erased {
            // Then the guest's text must be written again, by whoever comes first.
            world = self::erased();
        }
        for device in [0, 1] {
            world.begin(device);
            world.answer(device, Fault::Nothing);
            world.answer(device, Fault::Nothing);
        }
        world.finish(1);
        world.finish(0);
        let text = if erased { 6 } else { 12 };
        check(&mut world, &["count", "shared", "text"], text, Some(3));
    }
}

/// As [`world`], but the login has had text and count and removed both.
fn erased() -> World {
    let mut world = World::new(2);
    world.put(0, "shared", 1);
    world.write(0, "text", "login ");
    world.increment(0, "count", 1);
    world.sync(0);
    world.remove(0, "text");
    world.remove(0, "count");
    world.sync(0);
    world.sync(1);
    let guest = world.join_guest();
    world.write(guest, "text", "guest ");
    world.increment(guest, "count", 3);
    world.sync(guest);
    world.devices.pop();
    world
}

#[test]
fn edits_made_while_a_merged_dataset_is_folded_in_stay_unsynced() {
    let mut world = erased();
    world.begin(0);
    world.answer(0, Fault::Nothing);
    world.answer(0, Fault::Nothing);
    world.write(0, "text", "mine ");
    world.increment(0, "count", 10);
    world.finish(0);
    assert!(world.devices[0].replica.has_unsynced());
    check(&mut world, &["count", "shared", "text"], 11, Some(13));
}

#[test]
fn plain_merged_dataset_becomes_concurrent_puts_and_is_imported_once() {
    let mut world = World::new(2);
    world.reference = None;
    world.put(0, "kept", "ours");
    world.sync(0);
    world.sync(1);
    world.put_plain_in(CHILD, "kept", "theirs");
    world.put_plain_in(CHILD, "plain", "text");
    for device in [0, 1] {
        world.begin(device);
        world.answer(device, Fault::Nothing);
        world.answer(device, Fault::Nothing);
    }
    world.finish(0);
    world.remove(0, "plain");
    world.sync(0);
    world.finish(1);
    world.settle();
    let state = world.state(1);
    assert_eq!(
        state.keys().collect::<Vec<_>>(),
        ["kept"],
        "not brought back"
    );
    assert_eq!(state.conflicts("kept").len(), 2);
    assert!(!world.list_of(CHILD).dataset_exists);
}

#[test]
fn unreadable_merged_dataset_is_left_alone_and_reported() {
    let mut world = World::new(1);
    world.reference = None;
    world.put(0, "mine", 1);
    let junk = format!("{RESERVED_PREFIX}head");
    world.put_plain_in(CHILD, &junk, "junk");
    assert_eq!(world.sync(0), 3);
    let left: Vec<_> = world.summary(0).left_over.values().copied().collect();
    assert_eq!(left, [LeftOver::Unreadable]);
    assert!(!world.devices[0].replica.has_unsynced());
    assert!(world.list_of(CHILD).dataset_exists);
}

/// As [`world`], but the guest's dataset is plain, so that old clients read its count.
fn plain() -> World {
    let mut world = World::new(2);
    let guest = world.join_guest();
    world.keep_plain(guest);
    world.write(guest, "text", "guest ");
    world.increment(guest, "count", 3);
    world.put(guest, "gone", 1);
    world.sync(guest);
    world.devices.pop();
    world
}

#[test]
fn mirrored_records_of_a_plain_merged_dataset_are_no_edits_and_go_with_it() {
    let mut world = plain();
    world.put(0, "mine", 1);
    world.sync(0);
    assert!(world.summary(0).left_over.is_empty());
    assert_eq!(world.plain()["count"], "3", "old clients go on with it");
    let state = world.state(0);
    assert_eq!(state.conflicts("gone").len(), 1);
    check(&mut world, &["count", "gone", "mine", "text"], 6, Some(3));
}

#[test]
fn what_an_old_client_wrote_into_a_plain_merged_dataset_is_folded_in_once() {
    let mut world = plain();
    world.put_plain_in(CHILD, "count", "5");
    world.put_plain_in(CHILD, "text", "old guest ");
    world.remove_plain_in(CHILD, "gone");
    world.put_plain_in(CHILD, "new", "late");
    // Both have read it before one of them pushes.
    for device in [0, 1] {
        world.begin(device);
        world.answer(device, Fault::Nothing);
        world.answer(device, Fault::Nothing);
    }
    world.finish(1);
    world.finish(0);
    assert!(world.summary(0).left_over.is_empty());
    check(&mut world, &["count", "new", "text"], 10, Some(5));
}

#[test]
fn what_an_old_client_wrote_beside_a_merged_state_stands_beside_its_values() {
    let mut world = world(1);
    world.put_plain_in(CHILD, "plain", "late");
    world.put_plain_in(CHILD, "shared", "other");
    world.sync(0);
    assert!(world.summary(0).left_over.is_empty());
    let state = world.state(0);
    assert_eq!(state.conflicts("shared").len(), 2);
    check(
        &mut world,
        &["count", "plain", "shared", "text"],
        12,
        Some(3),
    );
}

#[test]
fn merged_dataset_with_a_key_that_no_dataset_can_have_is_folded_in_and_stays() {
    let mut world = world(1);
    world.put_plain_in(CHILD, "plain", "late");
    world.put_plain_in(CHILD, &"k".repeat(200), "long");
    for requests in [3, 2] {
        assert_eq!(world.sync(0), requests, "nothing is pushed again");
        let left: Vec<_> = world.summary(0).left_over.values().copied().collect();
        assert_eq!(left, [LeftOver::PlainBeside]);
        assert!(world.state(0).get("plain").is_some());
        assert!(world.list_of(CHILD).dataset_exists);
    }
}

#[test]
fn merged_dataset_that_is_found_by_a_deletion_is_folded_into_the_next_life() {
    let mut world = world(1);
    world.delete(0);
    world.sync(0);
    assert!(world.summary(0).deleted);
    check(&mut world, &["count", "text"], 6, Some(3));
}

#[test]
fn compaction_folds_a_merged_dataset_in_too() {
    let mut world = world(1);
    world.put(0, "gone", 1);
    world.sync(0);
    let guest = world.join_guest();
    world.increment(guest, "count", 4);
    world.sync(guest);
    world.devices.pop();
    world.remove(0, "gone");
    world.begin_compaction(0);
    world.finish(0);
    check(&mut world, &["count", "shared", "text"], 12, Some(7));
}

/// Returns letters that do not deflate to less than two thirds.
fn large(seed: u32, length: usize) -> String {
    let mut x = seed;
    let next = |_| {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'a' + (x >> 24) as u8 % 26)
    };
    (0..length).map(next).collect()
}

/// Returns which of so many merged datasets of 100,000 letters stay beside so many letters here, by their numbers.
fn stay_beside(mine: usize, count: u32) -> Vec<u32> {
    let mut world = World::new(1);
    world.reference = None;
    for number in 0..5 {
        world.put(0, &format!("mine{number}"), large(number, mine / 5));
    }
    world.sync(0);
    let names = (0..count).map(|number| format!("notes.us-east-1:0{number}"));
    for (number, name) in (0..).zip(names) {
        let text = large(10 + number, 100_000 + number as usize);
        world.put_plain_in(&name, &format!("theirs{number}"), &text);
    }
    world.sync(0);
    assert!(world.summary(0).full.is_none());
    let (left, merged) = (&world.summary(0).left_over, &world.summary(0).merged);
    assert_eq!(left.len() + merged.len(), count as usize);
    let number = |name: &DatasetName| name.as_str()[name.as_str().len() - 1..].parse().unwrap();
    left.keys().map(number).collect()
}

#[test]
fn only_the_largest_merged_datasets_stay_that_do_not_fit() {
    for mine in [880_000, 650_000, 500_000] {
        let fit = 6 - stay_beside(mine, 6).len() as u32;
        assert!(0 < fit && fit < 6, "{fit} fit beside {mine}");
        assert!(stay_beside(mine, 6).into_iter().eq(fit..6));
        assert_eq!(stay_beside(mine, fit + 1), [fit]);
        assert!(stay_beside(mine, fit).is_empty());
    }
}

#[test]
fn merged_dataset_that_does_not_fit_stays_and_the_rest_is_synchronized() {
    let mut world = World::new(1);
    world.reference = None;
    for number in 0..3 {
        world.put(0, &format!("mine{number}"), large(number, 220_000));
    }
    world.sync(0);
    world.put_plain_in(CHILD, "theirs", &large(7, 400_000));
    world.put_plain_in(CHILD, "more", &large(8, 400_000));
    let other = "notes.us-east-1:0d";
    world.put_plain_in(other, "other", "fits");
    world.put(0, "small", 1);
    world.sync(0);
    let left: Vec<_> = world.summary(0).left_over.iter().collect();
    assert_eq!(left, [(&CHILD.parse().unwrap(), &LeftOver::Full)]);
    assert!(world.summary(0).full.is_none() && !world.devices[0].replica.has_unsynced());
    assert!(world.list_of(CHILD).dataset_exists);
    assert!(world.state(0).get("other").is_some() && !world.list_of(other).dataset_exists);
}

#[test]
fn merged_dataset_that_cannot_be_reached_does_not_stop_the_session() {
    let mut world = world(1);
    world.put(0, "mine", 1);
    world.begin(0);
    world.answer(0, Fault::Nothing);
    world.answer(0, Fault::Refused);
    world.finish(0);
    let left: Vec<_> = world.summary(0).left_over.values().copied().collect();
    assert_eq!(left, [LeftOver::Unreachable]);
    assert!(!world.devices[0].replica.has_unsynced());
    check(
        &mut world,
        &["count", "mine", "shared", "text"],
        12,
        Some(3),
    );
}

#[test]
fn compaction_does_not_bring_back_what_was_removed_of_a_merged_dataset_that_stays() {
    let mut world = World::new(1);
    world.put(0, "shared", 1);
    let guest = world.join_guest();
    world.increment(guest, "count", 3);
    world.sync(guest);
    world.devices.pop();
    world.put_plain_in(CHILD, &"k".repeat(200), "long");
    world.sync(0);
    world.remove(0, "count");
    world.sync(0);
    let delete = Operation::SpliceText {
        path: "text".into(),
        at: 0,
        delete: 1,
        insert: String::new(),
    };
    let mut compactions = 0;
    for _ in 0..4 {
        world.write(0, "text", "xy");
        world.sync(0);
        world.edit(0, delete.clone());
        world.sync(0);
        world.compact(0);
        compactions += usize::from(world.summary(0).compacted);
        assert_eq!(world.devices[0].replica.document().counter("count"), None);
    }
    assert!(world.list_of(CHILD).dataset_exists);
    assert_eq!(compactions, 1, "the next one would forget whom it has met");
}
