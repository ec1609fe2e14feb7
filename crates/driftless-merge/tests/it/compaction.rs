//! What is stored is written anew without its past: who asks, who was away, and what goes wrong on the way.

use driftless_merge::Operation;
use driftless_record::{Earlier, HEAD_KEY, is_reserved, past_of_state};

use crate::world::{Fault, World};

/// Two devices that hold a text of which much was deleted, a counter, and a key that stands.
fn two() -> World {
    let mut world = World::new(2);
    world.put(0, "stands", 1);
    world.put(0, "goes", 2);
    world.increment(0, "count", 3);
    world.write(0, "text", "begin end");
    for round in 0..30 {
        splice(&mut world, 0, 6, 0, "abcdefgh");
        splice(&mut world, 0, 6, 8, "");
        let device = round % 2;
        world.increment(device, "count", 1);
        world.sync(device);
    }
    world.sync(0);
    world.sync(1);
    world
}

fn splice(world: &mut World, device: usize, at: usize, delete: usize, insert: &str) {
    let operation = Operation::SpliceText {
        path: "text".into(),
        at,
        delete,
        insert: insert.to_owned(),
    };
    world.edit(device, operation);
}

fn text(world: &World, device: usize) -> String {
    world.devices[device]
        .replica
        .document()
        .text("text")
        .unwrap()
}

fn count(world: &World, device: usize) -> Option<i64> {
    world.devices[device].replica.document().counter("count")
}

fn dead(world: &World) -> usize {
    let state = world.stored_state().unwrap();
    past_of_state(&state).dead
}

#[track_caller]
fn check(world: &mut World, expected: &str, total: i64) {
    world.settle();
    assert_eq!(text(world, 0), expected);
    assert_eq!(count(world, 0), Some(total));
}

#[test]
fn compaction_takes_the_past_and_leaves_the_data() {
    let mut world = two();
    assert!(dead(&world) > 50);
    let before = world.devices[0].replica.lineage();
    assert_eq!(world.compact(0), 2);
    assert!(world.summary(0).compacted);
    assert!(world.summary(0).changed_here.is_empty());
    assert_eq!(dead(&world), 0);
    assert_ne!(world.devices[0].replica.lineage(), before);
    assert_eq!(world.sync(1), 2);
    assert!(world.summary(1).began_anew);
    assert!(world.summary(1).changed_here.is_empty());
    check(&mut world, "begin end", 33);
}

#[test]
fn compaction_that_gives_nothing_is_a_synchronization() {
    let mut world = two();
    // The second takes the authors of the life before the first, who are kept as long as that.
    world.compact(0);
    world.compact(0);
    assert_eq!(world.compact(0), 1);
    assert!(!world.summary(0).compacted);
    let mut nothing = World::new(1);
    assert_eq!(nothing.compact(0), 1);
}

#[test]
fn unsynced_edits_of_a_device_that_was_away_are_kept_with_what_it_removed() {
    let mut world = two();
    world.put(1, "mine", 1);
    world.remove(1, "goes");
    world.increment(1, "count", 10);
    splice(&mut world, 1, 6, 0, "<new>");
    splice(&mut world, 1, 0, 1, "B");
    world.compact(0);
    world.sync(1);
    check(&mut world, "Begin <new>end", 43);
    assert_eq!(
        world.state(0).keys().collect::<Vec<_>>(),
        ["count", "mine", "stands", "text"]
    );
}

#[test]
fn edits_made_here_while_the_push_is_on_its_way_are_kept() {
    let mut world = two();
    world.put(0, "before", 1);
    world.begin_compaction(0);
    world.answer(0, Fault::Nothing);
    world.put(0, "meanwhile", 1);
    world.remove(0, "goes");
    world.increment(0, "count", 5);
    splice(&mut world, 0, 6, 0, "x");
    world.finish(0);
    assert!(world.summary(0).compacted);
    // The compaction, and the push of the edits onto the new life.
    assert_eq!(world.devices[0].requests, 4);
    assert!(!world.devices[0].replica.has_unsynced());
    check(&mut world, "begin xend", 38);
    assert_eq!(
        world.state(1).keys().collect::<Vec<_>>(),
        ["before", "count", "meanwhile", "stands", "text"]
    );
}

#[test]
fn lost_answer_is_found_out_and_nothing_is_compacted_twice() {
    let mut world = two();
    world.begin_compaction(0);
    world.answer(0, Fault::Nothing);
    world.answer(0, Fault::LostAfter);
    world.finish(0);
    assert!(world.summary(0).compacted);
    // The list after the loss, and a whole one, for it shows another life.
    assert_eq!(world.devices[0].requests, 4);
    check(&mut world, "begin end", 33);
}

#[test]
fn lost_request_is_sent_again() {
    let mut world = two();
    world.begin_compaction(0);
    world.answer(0, Fault::Nothing);
    world.answer(0, Fault::LostBefore);
    world.finish(0);
    assert!(world.summary(0).compacted);
    assert_eq!(dead(&world), 0);
    check(&mut world, "begin end", 33);
}

#[test]
fn push_of_another_device_comes_first_and_is_in() {
    let mut world = two();
    world.begin_compaction(0);
    world.answer(0, Fault::Nothing);
    world.increment(1, "count", 7);
    world.sync(1);
    world.finish(0);
    assert!(world.summary(0).compacted);
    assert_eq!(world.summary(0).conflicts, 1);
    check(&mut world, "begin end", 40);
}

#[test]
fn crash_before_the_push_is_known_to_stand_loses_nothing() {
    for commits in 0..3 {
        let mut world = two();
        world.increment(0, "count", 1);
        world.begin_compaction(0);
        world.answer(0, Fault::Nothing);
        world.answer_and_crash(0, Fault::Nothing, commits);
        world.restart(0);
        world.increment(0, "count", 1);
        check(&mut world, "begin end", 35);
    }
}

#[test]
fn torn_compaction_is_repaired_and_takes_nothing_that_a_device_holds() {
    for bits in 0..8 {
        let mut world = two();
        world.begin_compaction(0);
        world.answer(0, Fault::Nothing);
        world.answer(0, Fault::Torn(bits));
        world.finish(0);
        check(&mut world, "begin end", 33);
    }
}

#[test]
fn push_of_another_device_whose_answer_was_lost_is_in_once() {
    let mut world = two();
    world.put(1, "mine", 1);
    world.increment(1, "count", 10);
    splice(&mut world, 1, 6, 0, "<new>");
    world.begin(1);
    world.answer(1, Fault::Nothing);
    world.answer(1, Fault::LostAfter);
    world.abandon(1);
    world.increment(1, "count", 5);
    splice(&mut world, 1, 6, 0, "!");
    world.compact(0);
    world.put(0, "mine", 2);
    world.sync(0);
    check(&mut world, "begin !<new>end", 48);
    assert_eq!(world.state(0).get("mine"), Some(2.into()));
}

#[test]
fn push_of_another_device_that_never_came_is_made_again() {
    let mut world = two();
    world.increment(1, "count", 10);
    splice(&mut world, 1, 6, 0, "<new>");
    world.begin(1);
    world.answer(1, Fault::Nothing);
    world.answer(1, Fault::LostBefore);
    world.abandon(1);
    world.compact(0);
    check(&mut world, "begin <new>end", 43);
}

#[test]
fn copy_of_a_store_takes_nothing_of_its_original_for_its_own() {
    let mut world = two();
    let disk = world.devices[1].disk.clone();
    world.join_device(disk);
    world.increment(1, "count", 10);
    world.increment(1, "count", 10);
    world.sync(1);
    world.increment(2, "count", 5);
    world.compact(0);
    check(&mut world, "begin end", 58);
}

#[test]
fn what_damage_took_comes_back_from_whoever_knows_it() {
    let mut world = two();
    world.put(0, "late", 1);
    world.increment(0, "late count", 4);
    world.increment(0, "count", 1);
    world.sync(0);
    // Device 1 repairs without knowing of the last push, and compacts.
    world.remove_slots();
    world.compact(1);
    assert!(world.summary(1).repaired && world.summary(1).compacted);
    check(&mut world, "begin end", 34);
    assert_eq!(world.state(1).get("late"), Some(1.into()));
    assert_eq!(
        world.devices[1].replica.document().counter("late count"),
        Some(4)
    );
}

/// Removes the base and what stands on it, and leaves head.
fn remove_base(world: &mut World) {
    world.rewrite(|record| {
        let key = record.key.as_str();
        let is_head = !is_reserved(key) || key == HEAD_KEY;
        (!is_head && record.value.is_some()).then_some(None)
    });
}

/// Compacts on device 0 so many times, each of which gives something back.
fn compact_often(world: &mut World, times: usize) {
    for _ in 0..times {
        // A new author each time, who goes with the next compaction.
        world.put(0, "busy", 1);
        world.remove(0, "busy");
        world.sync(0);
        world.compact(0);
        assert!(world.summary(0).compacted);
    }
}

/// A device compacts, and all that comes of the push is head.
fn compact_in_vain(world: &mut World, device: usize) {
    world.begin_compaction(device);
    world.answer(device, Fault::Nothing);
    // The bits count from 1, and head is the first of the patches.
    world.answer(device, Fault::Torn(0b10));
    world.abandon(device);
}

#[test]
fn compaction_of_which_only_head_came_is_passed_over_with_both_lives_damaged() {
    let mut world = two();
    let life = world.devices[1].replica.lineage();
    compact_in_vain(&mut world, 0);
    remove_base(&mut world);
    world.increment(1, "count", 1);
    world.sync(1);
    assert_eq!(world.devices[1].replica.lineage(), life);
    check(&mut world, "begin end", 34);
}

#[test]
fn deletion_that_is_pending_deletes_the_life_of_a_compaction_that_never_began() {
    let mut world = two();
    world.delete(1);
    compact_in_vain(&mut world, 0);
    remove_base(&mut world);
    world.sync(1);
    assert!(world.summary(1).deleted && world.records().is_empty());
}

#[test]
fn compacted_life_that_went_on_and_is_damaged_is_not_taken_for_one_that_never_began() {
    let mut world = two();
    world.compact(0);
    world.mark(0);
    world.sync(0);
    // The repair writes a base without logs, as a compaction does.
    remove_base(&mut world);
    world.sync(0);
    assert!(world.summary(0).repaired);
    remove_base(&mut world);
    world.mark(1);
    world.sync(1);
    assert_eq!(
        world.devices[1].replica.lineage(),
        world.devices[0].replica.lineage()
    );
    // What each of the two writes again of texts and counters stands twice; nothing that only one knows is lost.
    world.settle();
}

/// What only device 1 knows was lost by damage, and the dataset compacted so many times since.
fn damaged_and_compacted(times: usize) -> World {
    let mut world = two();
    world.mark(1);
    world.sync(1);
    world.remove_slots();
    world.sync(0);
    world.remove(1, "stands");
    compact_often(&mut world, times);
    world
}

#[test]
fn device_that_was_away_for_several_compactions_brings_back_what_damage_took() {
    for times in 1..=Earlier::MAX + 1 {
        let mut world = damaged_and_compacted(times);
        check(&mut world, "begin end", 33);
        assert_eq!(world.state(0).get("stands"), None, "{times}");
    }
}

#[test]
fn device_that_was_away_for_more_compactions_than_head_names_keeps_what_it_added() {
    let mut world = two();
    world.remove(1, "stands");
    world.mark(1);
    compact_often(&mut world, Earlier::MAX + 2);
    check(&mut world, "begin end", 33);
    assert!(world.state(1).get("stands").is_some());
}

#[test]
fn head_that_was_spoilt_in_a_compaction_still_tells_where_that_came_from() {
    for restarts in [false, true] {
        let mut world = two();
        world.begin_compaction(0);
        world.answer(0, Fault::Nothing);
        world.answer(0, Fault::LostAfter);
        world.spoil_head();
        if restarts {
            world.restart(0);
            world.sync(0);
        } else {
            world.finish(0);
        }
        assert!(world.summary(0).repaired);
        // Only a device that comes from the life before writes its removes again.
        world.remove(1, "stands");
        check(&mut world, "begin end", 33);
        assert_eq!(world.state(0).get("stands"), None);
    }
}

#[test]
fn head_that_is_spoilt_later_is_written_again_with_where_its_life_came_from() {
    let mut world = two();
    world.compact(0);
    for _ in 0..2 {
        world.spoil_head();
        world.begin(0);
        world.answer(0, Fault::Nothing);
        // What was listed is remembered, and head cannot be read there any more.
        world.restart(0);
        world.sync(0);
        assert!(world.summary(0).repaired);
    }
    world.remove(1, "stands");
    check(&mut world, "begin end", 33);
    assert_eq!(world.state(0).get("stands"), None);
}

#[test]
fn head_of_a_compaction_that_never_began_says_that_there_are_no_plain_records() {
    let mut world = two();
    world.keep_plain(0);
    world.sync(0);
    world.sync(1);
    world.retire_plain(0);
    // The first says so, the second removes them.
    world.sync(0);
    world.sync(0);
    assert!(world.plain().is_empty());
    compact_in_vain(&mut world, 0);
    // Nothing that it does not find was removed by an old client.
    world.sync(1);
    check(&mut world, "begin end", 33);
    assert!(world.state(1).get("stands").is_some());
}

#[test]
fn authors_of_the_life_before_go_with_the_next_compaction() {
    let mut world = two();
    let author = world.devices[1].replica.document().actor();
    world.compact(0);
    world.sync(1);
    assert_ne!(world.devices[1].replica.document().actor(), author);
    assert!(world.stored_state().unwrap().clock().contains_key(&author));
    world.increment(1, "count", 1);
    world.sync(1);
    world.compact(0);
    assert!(!world.stored_state().unwrap().clock().contains_key(&author));
    check(&mut world, "begin end", 34);
}

#[test]
fn both_devices_compact_at_once() {
    let mut world = two();
    world.put(1, "mine", 1);
    world.begin_compaction(0);
    world.begin_compaction(1);
    world.answer(0, Fault::Nothing);
    world.answer(1, Fault::Nothing);
    world.finish(0);
    world.finish(1);
    check(&mut world, "begin end", 33);
    assert!(world.state(0).get("mine").is_some());
}

#[test]
fn deletion_that_is_pending_is_not_taken_back_by_compactions() {
    for times in 1..=1 + Earlier::MAX {
        let mut world = two();
        world.delete(1);
        world.put(1, "since", 1);
        compact_often(&mut world, times);
        world.sync(1);
        assert!(world.summary(1).deleted);
        world.settle();
        assert_eq!(world.state(0).keys().collect::<Vec<_>>(), ["since"]);
    }
}
