//! Datasets end and begin again: deleted here, deleted elsewhere, the server replaced, a store copied.

use driftless_document::{Value, path};
use driftless_merge::{Failure, Input, Operation, Output};
use driftless_wire::Op;

use crate::world::{Fault, World};

/// Two devices that hold `shared` and one life of the dataset.
fn two() -> World {
    let mut world = World::new(2);
    world.put(0, "shared", 1);
    world.sync(0);
    world.sync(1);
    world
}

fn value(world: &World, device: usize, key: &str) -> Option<Value> {
    world.state(device).get(key)
}

#[track_caller]
fn check(world: &mut World, keys: &[&str]) {
    world.settle();
    assert_eq!(world.state(0).keys().collect::<Vec<_>>(), keys);
}

#[test]
fn trap_24_dataset_that_never_was_is_new_and_not_deleted() {
    let mut world = World::new(2);
    world.put(1, "mine", 1);
    for device in 0..2 {
        world.sync(device);
        let summary = world.summary(device);
        assert!(!summary.began_anew && !summary.deleted);
    }
    check(&mut world, &["mine"]);
}

#[test]
fn trap_26_deletion_elsewhere_takes_what_was_synced_and_leaves_what_was_not() {
    let mut world = two();
    world.put(1, "mine", 2);
    world.increment(1, "count", 3);
    world.write(1, "text", "hello");
    world.delete(0);
    world.sync(0);
    assert!(world.summary(0).deleted);
    world.sync(1);
    assert!(world.summary(1).began_anew);
    check(&mut world, &["count", "mine", "text"]);
    assert_eq!(
        world.devices[0].replica.document().counter("count"),
        Some(3)
    );
    assert_eq!(
        world.devices[0].replica.document().text("text").as_deref(),
        Some("hello")
    );
}

#[test]
fn unsynced_part_of_a_counter_and_a_text_is_all_that_survives_a_deletion() {
    let mut world = two();
    world.increment(0, "count", 10);
    world.write(0, "text", "old");
    world.sync(0);
    world.sync(1);
    world.increment(1, "count", 1);
    world.write(1, "text", "new ");
    world.delete(0);
    world.sync(0);
    check(&mut world, &["count", "text"]);
    assert_eq!(
        world.devices[0].replica.document().counter("count"),
        Some(1)
    );
    assert_eq!(
        world.devices[0].replica.document().text("text").as_deref(),
        Some("new ")
    );
}

#[test]
fn objects_that_were_created_and_left_empty_survive_a_deletion() {
    let mut world = two();
    world.increment(1, "count", 0);
    world.write(1, "text", "");
    world.delete(0);
    world.sync(0);
    check(&mut world, &["count", "text"]);
}

#[test]
fn unsynced_value_survives_although_a_deleted_one_had_won_over_it() {
    let mut world = two();
    world.put(1, "key", "mine");
    (0..9).for_each(|number| world.put(0, "key", number));
    world.sync(0);
    // The list is joined, and the push never arrives.
    world.begin(1);
    world.answer(1, Fault::Nothing);
    world.answer(1, Fault::Refused);
    assert_eq!(value(&world, 1, "key"), Some(8.into()));
    world.delete(0);
    world.sync(0);
    check(&mut world, &["key"]);
    assert_eq!(value(&world, 0, "key"), Some("mine".into()));
}

#[test]
fn trap_25_dataset_made_again_is_taken_over_by_a_device_that_was_away() {
    let mut world = two();
    world.put(1, "mine", 2);
    world.remove(1, "shared");
    world.delete(0);
    world.put(0, "again", 3);
    world.put(0, "shared", 4);
    world.sync(0);
    // What was removed was of the old life.
    check(&mut world, &["again", "mine", "shared"]);
}

#[test]
fn put_after_a_deletion_belongs_to_the_next_life() {
    let mut world = two();
    world.delete(0);
    world.put(0, "later", 2);
    assert_eq!(world.sync(0), 4, "list, delete, list, push");
    check(&mut world, &["later"]);
}

#[test]
fn pending_deletion_survives_a_restart() {
    let mut world = two();
    world.delete(0);
    world.put(0, "later", 2);
    world.restart(0);
    assert!(world.devices[0].replica.has_unsynced());
    check(&mut world, &["later"]);
}

#[test]
fn deletion_whose_answer_was_lost_spares_the_next_life() {
    let mut world = two();
    world.delete(0);
    world.begin(0);
    world.answer(0, Fault::Nothing);
    assert!(matches!(world.devices[0].pending, Some(Output::Delete(_))));
    world.answer(0, Fault::LostAfter);
    world.put(1, "again", 2);
    world.sync(1);
    world.restart(0);
    world.sync(0);
    assert!(world.summary(0).deleted);
    check(&mut world, &["again"]);
    assert!(!world.devices[0].replica.has_unsynced());
}

#[test]
fn deletion_that_is_done_already_is_not_pending_after_a_restart() {
    let mut world = two();
    world.delete(0);
    world.delete(1);
    world.sync(1);
    world.sync(0);
    world.restart(0);
    assert!(!world.devices[0].replica.has_unsynced());
}

#[test]
fn dataset_that_was_never_synced_is_deleted_without_the_server() {
    let mut world = World::new(2);
    world.put(0, "mine", 1);
    world.delete(0);
    assert!(!world.devices[0].replica.has_unsynced());
    world.put(1, "theirs", 2);
    world.sync(1);
    assert_eq!(world.sync(0), 1);
    check(&mut world, &["theirs"]);
}

#[test]
fn deletion_means_a_first_push_too_of_which_nobody_heard() {
    let mut world = World::new(1);
    world.put(0, "secret", 1);
    world.begin(0);
    world.answer(0, Fault::Nothing);
    world.answer(0, Fault::LostAfter);
    world.abandon(0);
    world.delete(0);
    world.restart(0);
    check(&mut world, &[]);
    assert!(world.stored_state().is_none());
}

#[test]
fn trap_4_emptied_server_is_listed_anew_and_taken_for_a_deletion() {
    let mut world = two();
    world.put(1, "mine", 2);
    world.replace_server(0);
    assert_eq!(world.sync(1), 3, "no such count, list, push");
    // Equal counts would hide the replacement from device 0 until it is too late.
    world.put(1, "more", 2);
    world.sync(1);
    check(&mut world, &["m0", "m1", "m2", "mine", "more"]);
}

#[test]
fn older_server_gets_back_what_the_devices_know() {
    let mut world = two();
    world.put(0, "late", 2);
    world.increment(0, "count", 5);
    world.sync(0);
    world.sync(1);
    world.increment(1, "count", 1);
    world.replace_server(1);
    world.sync(1);
    world.put(1, "more", 1);
    world.sync(1);
    world.sync(0);
    assert_eq!(
        world.devices[0].replica.document().counter("count"),
        Some(6)
    );
    assert_eq!(value(&world, 0, "late"), Some(2.into()));
}

#[test]
fn device_is_no_copy_of_itself_after_the_server_was_taken_back() {
    let mut world = two();
    world.increment(0, "count", 5);
    world.sync(0);
    world.sync(1);
    world.replace_server(1);
    // Device 0 sees the older server, does not get through to it, and starts again.
    world.begin(0);
    world.answer(0, Fault::Nothing);
    world.answer(0, Fault::Nothing);
    world.answer(0, Fault::Refused);
    world.restart(0);
    let actor = world.devices[0].replica.document().actor();
    world.sync(1);
    world.sync(0);
    assert_eq!(world.devices[0].replica.document().actor(), actor);
    assert_eq!(
        world.devices[0].replica.document().counter("count"),
        Some(5)
    );
}

#[test]
fn removed_slots_are_repaired_in_the_same_life() {
    let mut world = two();
    world.increment(0, "count", 5);
    world.sync(0);
    world.sync(1);
    world.put_plain("plain", "old");
    world.remove_slots();
    world.put(1, "mine", 2);
    let lineage = world.devices[1].replica.lineage();
    // Device 1 sees the damage, another one repairs it first.
    world.begin(1);
    world.answer(1, Fault::Nothing);
    world.answer(1, Fault::Nothing);
    world.sync(0);
    assert!(world.summary(0).repaired);
    world.finish(1);
    assert_eq!(world.devices[1].replica.lineage(), lineage);
    // Without head, a record that stands there says that the dataset is plain.
    check(&mut world, &["count", "mine", "plain", "shared"]);
    assert_eq!(
        world.devices[0].replica.document().counter("count"),
        Some(5)
    );
}

#[test]
fn repair_of_removed_slots_claims_nothing_of_what_was_made_and_removed_unseen() {
    for is_made_again in [false, true] {
        let mut world = two();
        world.increment(0, "count", 1);
        world.remove(0, "count");
        if is_made_again {
            world.increment(0, "count", 5);
        }
        world.increment(1, "count", 3);
        world.sync(1);
        // Device 0 never learns of that from the slots.
        world.remove_slots();
        for device in [0, 1, 0] {
            world.sync(device);
        }
        let expected = if is_made_again { 8 } else { 3 };
        for device in &world.devices {
            assert_eq!(device.replica.document().counter("count"), Some(expected));
        }
    }
}

/// The records that showed the counter are gone, and the device is restarted before it repairs them.
#[test]
fn removal_of_what_others_saw_stands_where_damage_hid_it_before_a_restart() {
    let mut world = two();
    world.increment(0, "count", 5);
    world.sync(0);
    world.sync(1);
    world.remove_slots();
    // What has changed is listed, then everything, and then the repair does not arrive.
    world.begin(0);
    world.answer(0, Fault::Nothing);
    world.answer(0, Fault::Nothing);
    world.answer(0, Fault::LostBefore);
    world.restart(0);
    let mirrored = &world.devices[0].disk.rows.records;
    assert!(mirrored.values().all(|record| record.value.is_none()));
    world.remove(0, "count");
    check(&mut world, &["shared"]);
}

#[test]
fn junk_in_every_slot_is_repaired_by_a_device_that_knows_the_life() {
    let mut world = two();
    world.join_device(Default::default());
    world.rewrite(|_| Some(Some("junk".to_owned())));
    world.sync(2);
    assert!(matches!(
        world.error(2),
        driftless_merge::SessionError::Stored(_)
    ));
    check(&mut world, &["shared"]);
}

#[test]
fn objects_created_offline_on_two_devices_are_one() {
    let mut world = World::new(2);
    world.write(0, "text", "a");
    world.write(1, "text", "b");
    world.increment(0, "count", 1);
    world.increment(1, "count", 2);
    world.settle();
    assert_eq!(
        world.devices[0].replica.document().counter("count"),
        Some(3)
    );
    assert_eq!(
        world.devices[0]
            .replica
            .document()
            .text("text")
            .unwrap()
            .len(),
        2
    );
    world.check_reference();
}

#[test]
fn object_created_and_removed_offline_leaves_its_namesake_alive() {
    let mut world = World::new(2);
    world.write(0, "text", "theirs");
    world.sync(0);
    world.write(1, "text", "mine");
    world.remove(1, "text");
    world.settle();
    assert_eq!(
        world.devices[1].replica.document().text("text").as_deref(),
        Some("theirs")
    );
}

#[test]
fn object_created_offline_survives_that_its_namesake_was_removed() {
    for number in 0..2 {
        let mut world = World::new(2);
        world.write(0, "text", "theirs");
        world.increment(0, "count", 1);
        if number == 0 {
            world.sync(0);
        }
        world.remove(0, "text");
        world.remove(0, "count");
        world.put(0, "other", 1);
        world.sync(0);
        world.write(1, "text", "mine");
        world.increment(1, "count", 7);
        world.settle();
        assert_eq!(
            world.devices[0].replica.document().text("text").as_deref(),
            Some("mine")
        );
        assert_eq!(
            world.devices[0].replica.document().counter("count"),
            Some(7)
        );
    }
}

#[test]
fn generations_that_collide_are_one_object_in_the_end() {
    let mut world = World::new(2);
    world.increment(0, "count", 1);
    world.remove(0, "count");
    world.increment(0, "count", 10);
    world.sync(0);
    world.increment(1, "count", 100);
    world.settle();
    assert_eq!(
        world.devices[0].replica.document().counter("count"),
        Some(110)
    );
}

/// A device with an unsynced increment on the first generation, which it pushes in vain before others replace it.
#[test]
fn creation_that_others_saw_and_removed_stays_removed() {
    let mut world = World::new(2);
    world.increment(0, "count", 1);
    world.begin(0);
    world.answer(0, Fault::Nothing);
    world.answer(0, Fault::LostAfter);
    world.abandon(0);
    world.sync(1);
    world.remove(1, "count");
    world.sync(1);
    world.restart(0);
    check(&mut world, &[]);
}

#[test]
fn copies_of_a_store_part_and_keep_their_edits() {
    let mut world = two();
    let disk = world.devices[0].disk.clone();
    world.join_device(disk);
    let actor = world.devices[0].replica.document().actor();
    world.increment(0, "count", 1);
    world.put(0, "a", 1);
    world.sync(0);
    world.increment(2, "count", 2);
    world.put(2, "b", 2);
    world.remove(2, "shared");
    world.sync(2);
    assert_ne!(world.devices[2].replica.document().actor(), actor);
    assert_eq!(world.devices[0].replica.document().actor(), actor);
    check(&mut world, &["a", "b", "count"]);
    assert_eq!(
        world.devices[0].replica.document().counter("count"),
        Some(3)
    );
}

/// Both copies give the same ids to what they type; the second one must not take the first one's letters for its own.
#[test]
fn what_two_copies_typed_under_the_same_ids_is_all_there() {
    let mut world = two();
    world.write(0, "text", "shared ");
    world.sync(0);
    let disk = world.devices[0].disk.clone();
    world.join_device(disk.clone());
    world.join_device(disk);
    world.write(2, "text", "one ");
    world.sync(2);
    world.write(3, "text", "two ");
    check(&mut world, &["shared", "text"]);
    let text = world.devices[0].replica.document().text("text");
    assert_eq!(text.as_deref(), Some("two one shared "));
}

#[test]
fn removal_by_a_copy_spares_what_came_since() {
    let mut world = two();
    let disk = world.devices[0].disk.clone();
    world.join_device(disk);
    world.put(0, "shared", "new");
    world.sync(0);
    world.remove(2, "shared");
    check(&mut world, &["shared"]);
}

#[test]
fn deletion_in_the_middle_of_a_list_is_listed_again() {
    let mut world = two();
    world.page = Some(1);
    world.join_device(Default::default());
    world.put(2, "mine", 1);
    world.begin(2);
    world.answer(2, Fault::Nothing);
    world.delete(0);
    world.sync(0);
    world.finish(2);
    assert!(world.devices[2].outcome.as_ref().unwrap().is_ok());
    check(&mut world, &["mine"]);
}

#[test]
fn answers_that_no_session_waits_for_change_nothing() {
    let mut world = two();
    world.put(0, "mine", 2);
    world.begin(0);
    world.input(0, Input::Deleted(Ok(())), usize::MAX);
    world.input(0, Input::Waited, usize::MAX);
    world.input(0, Input::Updated(Err(Failure::Conflict)), usize::MAX);
    world.answer(0, Fault::Nothing);
    let Some(Output::Update(update)) = &world.devices[0].pending else {
        unreachable!()
    };
    assert!(
        update
            .record_patches
            .iter()
            .all(|patch| patch.op == Op::Replace)
    );
    world.input(0, Input::Listed(Err(Failure::Refused)), usize::MAX);
    world.input(0, Input::Deleted(Ok(())), usize::MAX);
    world.finish(0);
    assert_eq!(world.devices[0].requests, 2);
    assert_eq!(world.summary(0).conflicts, 0);
    check(&mut world, &["mine", "shared"]);
}

#[test]
fn unsynced_part_of_lists_maps_and_sets_is_all_that_survives_a_deletion() {
    let mut world = two();
    world.insert(0, "list", "old");
    world.put_at(0, path!["map", "in", "old"], 1);
    world.add(0, path!["map", "set"], "old");
    world.sync(0);
    world.sync(1);
    world.insert(1, "list", Value::map([("title", Value::text("new"))]));
    world.put_at(1, path!["map", "in", "new"], 2);
    world.add(1, path!["map", "set"], "new");
    world.edit(1, Operation::Increment(path!["map", "in", "n"], 3));
    world.add(1, "alone", "a");
    world.delete(0);
    world.sync(0);
    check(&mut world, &["alone", "list", "map"]);
    let item = Value::map([("title", Value::text("new"))]);
    let inner = Value::map([("n", Value::Counter(3)), ("new", 2.into())]);
    let map = Value::map([("in", inner), ("set", Value::set(["new"]))]);
    assert_eq!(value(&world, 0, "list"), Some(Value::list([item])));
    assert_eq!(value(&world, 0, "map"), Some(map));
    assert_eq!(value(&world, 0, "alone"), Some(Value::set(["a"])));
}

#[test]
fn nested_object_created_offline_survives_that_its_namesake_was_removed() {
    let mut world = two();
    world.put_at(0, path!["map", "key"], 1);
    world.insert(0, "list", Value::map([("key", 1)]));
    world.sync(0);
    world.sync(1);
    for path in [path!["map"], path!["list", 0]] {
        world.insert(0, path.clone().key("inner"), "theirs");
        world.sync(0);
        world.edit(0, Operation::Remove(path.clone().key("inner")));
        world.put(0, "other", 1);
        world.sync(0);
        world.insert(1, path.clone().key("inner"), "mine");
        world.add(1, path.key("tags"), "mine");
    }
    world.settle();
    let map = |key| Value::map([("inner", Value::list(["mine"])), ("key", key)]);
    let tagged = |key| match map(key) {
        Value::Map(mut entries) => {
            entries.insert("tags".to_owned(), Value::set(["mine"]));
            Value::Map(entries)
        }
        other => other,
    };
    assert_eq!(value(&world, 0, "map"), Some(tagged(1.into())));
    assert_eq!(
        value(&world, 0, "list"),
        Some(Value::list([tagged(1.into())]))
    );
}

#[test]
fn nested_object_created_and_removed_offline_leaves_its_namesake_alive() {
    let mut world = two();
    world.insert(0, path!["map", "in", "list"], "theirs");
    world.sync(0);
    world.insert(1, path!["map", "in", "list"], "mine");
    world.remove(1, "map");
    world.settle();
    let list = Value::map([("list", Value::list(["theirs"]))]);
    assert_eq!(value(&world, 1, "map"), Some(Value::map([("in", list)])));
}

#[test]
fn whole_object_that_collides_is_written_again_with_all_that_is_in_it() {
    let mut world = two();
    world.add(0, path!["map", "set"], "theirs");
    world.sync(0);
    world.remove(0, "map");
    world.add(0, path!["map", "set"], "next life");
    world.sync(0);
    world.add(1, path!["map", "set"], "mine");
    world.insert(1, path!["map", "list"], Value::list([1, 2]));
    world.settle();
    let map = Value::map([
        ("list", Value::list([Value::list([1, 2])])),
        ("set", Value::set(["mine", "next life"])),
    ]);
    assert_eq!(value(&world, 0, "map"), Some(map));
}

#[test]
fn copies_keep_what_both_edited_inside_of_what_they_share() {
    let mut world = World::new(1);
    world.insert(0, "list", Value::map([("done", false)]));
    world.insert(0, "list", "second");
    world.add(0, path!["map", "set"], "old");
    world.sync(0);
    let disk = world.devices[0].disk.clone();
    world.join_device(disk);
    for (device, name) in [(0, "one"), (1, "two")] {
        world.insert(device, "list", name);
        world.put_at(device, path!["list", 0, name], true);
        world.edit(device, Operation::Increment(path!["list", 0, "n"], 1));
        world.add(device, path!["map", "set"], name);
    }
    world.edit(1, Operation::Remove(path!["list", 1]));
    world.edit(1, Operation::Discard(path!["map", "set"], "old".into()));
    world.settle();
    let item = Value::map([
        ("done", Value::from(false)),
        ("n", Value::Counter(2)),
        ("one", true.into()),
        ("two", true.into()),
    ]);
    let elements = match value(&world, 0, "list") {
        Some(Value::List(values)) => values,
        other => panic!("{other:?}"),
    };
    assert_eq!(elements.len(), 3);
    assert!(elements.contains(&item), "{elements:?}");
    assert!(
        ["one", "two"]
            .iter()
            .all(|name| elements.contains(&(*name).into()))
    );
    let set = Value::map([("set", Value::set(["one", "two"]))]);
    assert_eq!(value(&world, 0, "map"), Some(set));
}
