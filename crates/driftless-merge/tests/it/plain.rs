//! Old clients, consoles and Lambdas beside devices: what they wrote is found, read, written and given up.

use driftless_document::{Scalar, Value};
use driftless_merge::Operation;
use driftless_record::Limits;

use crate::world::{Disk, Fault, World, noise};

/// Two devices that keep plain records, with a number, a counter and a text.
fn two() -> World {
    let mut world = World::new(2);
    world.keep_plain(0);
    world.put(0, "number", 1);
    world.increment(0, "count", 5);
    world.write(0, "text", "begin end");
    world.sync(0);
    world.sync(1);
    world
}

fn value(world: &World, key: &str) -> Option<Value> {
    world.state(0).get(key)
}

/// All come to rest, and the records show what the devices show.
#[track_caller]
fn check(world: &mut World, records: &[(&str, &str)]) {
    world.settle();
    let plain = world.plain();
    let plain: Vec<(&str, &str)> = plain
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(plain, records);
    for device in 0..world.devices.len() {
        assert!(world.devices[device].replica.is_plain());
    }
}

#[test]
fn records_of_old_clients_become_keys_and_stay_records() {
    let mut world = World::new(2);
    world.put_plain("name", "Ada");
    world.put_plain("level", "7");
    world.put(1, "mine", true);
    assert_eq!(world.sync(0), 2);
    let changed = &world.summary(0).changed_here;
    assert_eq!(changed.iter().collect::<Vec<_>>(), ["level", "name"]);
    check(
        &mut world,
        &[("level", "7"), ("mine", "true"), ("name", "Ada")],
    );
    assert_eq!(value(&world, "level"), Some(Value::from("7")));
}

#[test]
fn trap_14_removed_record_is_put_again_under_the_count_of_its_tombstone() {
    let mut world = two();
    world.remove(0, "number");
    assert_eq!(world.sync(0), 2);
    world.put(0, "number", 9);
    assert_eq!(world.sync(0), 2);
    assert_eq!(world.summary(0).conflicts, 0);
    check(
        &mut world,
        &[("count", "5"), ("number", "9"), ("text", "begin end")],
    );
}

#[test]
fn two_devices_that_find_them_at_once_import_them_once() {
    let mut world = World::new(2);
    world.put_plain("name", "Ada");
    world.begin(0);
    world.begin(1);
    world.answer(0, Fault::Nothing);
    world.answer(1, Fault::Nothing);
    world.finish(0);
    world.finish(1);
    check(&mut world, &[("name", "Ada")]);
    assert_eq!(world.state(1).conflicts("name").len(), 1);
}

#[test]
fn whatever_has_a_text_has_a_record() {
    let mut world = two();
    world.put(1, "null", Scalar::Null);
    let list = Operation::PutAt("list".into(), Value::list([1, 2]));
    world.edit(1, list);
    world.remove(1, "number");
    world.sync(1);
    check(&mut world, &[("count", "5"), ("text", "begin end")]);
    assert_eq!(world.sync(0), 1);
}

#[test]
fn what_an_old_client_writes_keeps_its_type() {
    let mut world = two();
    world.put_plain("number", "2");
    world.put_plain("text", "begin the end");
    world.put_plain("new", "");
    assert_eq!(world.sync(0), 2);
    check(
        &mut world,
        &[
            ("count", "5"),
            ("new", ""),
            ("number", "2"),
            ("text", "begin the end"),
        ],
    );
    assert_eq!(value(&world, "number"), Some(Value::from(2)));
    assert_eq!(value(&world, "text"), Some(Value::text("begin the end")));
    assert_eq!(value(&world, "new"), Some(Value::from("")));
}

#[test]
fn what_an_old_client_adds_to_a_counter_and_types_into_a_text_merges_with_edits_of_devices() {
    let mut world = two();
    world.put_plain("count", "8");
    world.put_plain("text", "begin the end");
    world.increment(1, "count", 10);
    world.write(1, "text", "> ");
    world.increment(0, "count", 100);
    world.sync(1);
    check(
        &mut world,
        &[
            ("count", "118"),
            ("number", "1"),
            ("text", "> begin the end"),
        ],
    );
}

#[test]
fn old_clients_put_and_a_devices_put_are_a_conflict() {
    let mut world = two();
    world.put_plain("number", "2");
    world.put(1, "number", 3);
    world.sync(1);
    world.settle();
    assert_eq!(world.state(0).conflicts("number").len(), 2);
    let winner = value(&world, "number").unwrap().as_i64().unwrap();
    assert_eq!(world.plain()["number"], winner.to_string());
    // Whoever writes next ends it.
    world.put_plain("number", "9");
    world.sync(0);
    world.settle();
    assert_eq!(value(&world, "number"), Some(Value::from(9)));
    assert_eq!(world.state(0).conflicts("number").len(), 2);
}

#[test]
fn what_an_old_client_removes_is_removed() {
    let mut world = two();
    world.remove_plain("number");
    world.remove_plain("text");
    world.put(1, "other", 1);
    world.sync(1);
    check(&mut world, &[("count", "5"), ("other", "1")]);
    assert_eq!(value(&world, "text"), None);
}

#[test]
fn what_comes_between_a_list_and_a_push_is_imported_once() {
    let mut world = two();
    world.put_plain("count", "6");
    world.begin(0);
    world.answer(0, Fault::Nothing);
    world.put_plain("count", "7");
    world.finish(0);
    check(
        &mut world,
        &[("count", "7"), ("number", "1"), ("text", "begin end")],
    );
}

#[test]
fn import_whose_answer_is_lost_is_made_once() {
    for fault in [Fault::LostAfter, Fault::LostBefore] {
        let mut world = two();
        world.put_plain("count", "8");
        world.increment(0, "count", 1);
        world.begin(0);
        world.answer(0, Fault::Nothing);
        world.answer(0, fault);
        world.increment(0, "count", 1);
        world.finish(0);
        check(
            &mut world,
            &[("count", "10"), ("number", "1"), ("text", "begin end")],
        );
    }
}

#[test]
fn crash_while_importing_loses_and_doubles_nothing() {
    for at in 0..2 {
        for commits in 0..3 {
            let mut world = two();
            world.put_plain("count", "8");
            world.increment(0, "count", 1);
            world.begin(0);
            (0..at).for_each(|_| _ = world.answer(0, Fault::Nothing));
            world.answer_and_crash(0, Fault::Nothing, commits);
            world.restart(0);
            world.increment(0, "count", 1);
            check(
                &mut world,
                &[("count", "10"), ("number", "1"), ("text", "begin end")],
            );
        }
    }
}

#[test]
fn what_an_old_client_wrote_before_head_was_damaged_is_imported() {
    let mut world = two();
    world.put_plain("new", "1");
    world.spoil_head();
    check(
        &mut world,
        &[
            ("count", "5"),
            ("new", "1"),
            ("number", "1"),
            ("text", "begin end"),
        ],
    );
}

#[test]
fn import_after_damage_takes_nothing_that_was_imported_before() {
    let mut world = two();
    world.put_plain("first", "1");
    world.sync(0);
    // The log that brought it.
    world.rewrite(|record| {
        let is_log = record.key.as_str() == "_driftless.log.1";
        is_log.then(|| Some("spoilt".to_owned()))
    });
    world.put_plain("second", "2");
    check(
        &mut world,
        &[
            ("count", "5"),
            ("first", "1"),
            ("number", "1"),
            ("second", "2"),
            ("text", "begin end"),
        ],
    );
}

#[test]
fn dataset_that_was_deleted_is_kept_as_plain_records_again() {
    let mut world = two();
    world.delete(0);
    world.put(0, "next", 1);
    world.sync(0);
    check(&mut world, &[("next", "1")]);
}

#[test]
fn what_stood_there_before_the_dataset_was_plain_is_imported() {
    let mut world = World::new(2);
    world.put(0, "number", 1);
    world.sync(0);
    world.put_plain("old", "1");
    world.put(1, "other", 1);
    world.sync(1);
    world.keep_plain(0);
    check(&mut world, &[("number", "1"), ("old", "1"), ("other", "1")]);
}

#[test]
fn old_client_goes_on_at_a_service_whose_counts_began_anew() {
    let mut before = two();
    for number in 0..20 {
        before.put(0, "number", number);
        before.sync(0);
    }
    let mut world = World::new(2);
    world.migrate_from(&before);
    world.put_plain("number", "77");
    check(
        &mut world,
        &[("count", "5"), ("number", "77"), ("text", "begin end")],
    );
}

#[test]
fn equal_text_is_no_change() {
    let mut world = two();
    world.put_plain("number", "2");
    world.put_plain("number", "1");
    assert_eq!(world.sync(0), 1);
    check(
        &mut world,
        &[("count", "5"), ("number", "1"), ("text", "begin end")],
    );
}

#[test]
fn lambda_that_changes_a_plain_record_is_followed_once() {
    let mut world = two();
    world.put(0, "z", "mine");
    world.begin(0);
    world.answer(0, Fault::Nothing);
    // It spoils the last patch, which is the plain record.
    world.answer(0, Fault::Lambda);
    world.finish(0);
    assert_eq!(world.devices[0].requests, 4);
    check(
        &mut world,
        &[
            ("count", "5"),
            ("number", "1"),
            ("text", "begin end"),
            ("z", "spoilt"),
        ],
    );
}

#[test]
fn old_client_that_clears_everything_removes_the_keys_and_not_the_life() {
    let mut world = two();
    let life = world.devices[0].replica.lineage();
    world.rewrite(|record| record.value.is_some().then_some(None));
    world.put(1, "mine", 1);
    world.sync(1);
    check(&mut world, &[("mine", "1")]);
    assert_eq!(world.devices[0].replica.lineage(), life);
}

#[test]
fn torn_push_is_no_edit_of_an_old_client() {
    for bits in 0..=255 {
        let mut world = two();
        world.put(0, "number", 2);
        world.increment(0, "count", 1);
        world.write(0, "text", "> ");
        world.begin(0);
        world.answer(0, Fault::Nothing);
        world.answer(0, Fault::Torn(bits));
        world.finish(0);
        world.settle();
        assert_eq!(value(&world, "number"), Some(Value::from(2)), "{bits}");
        assert_eq!(world.plain()["number"], "2");
    }
}

#[test]
fn records_that_are_given_up_are_removed_once_others_know() {
    let mut world = two();
    world.retire_plain(0);
    assert_eq!(world.sync(0), 2);
    assert_eq!(world.plain().len(), 3);
    world.sync(1);
    assert!(!world.devices[1].replica.is_plain());
    assert_eq!(world.sync(0), 2);
    assert_eq!(world.plain().len(), 0);
    world.put(1, "number", 2);
    world.sync(1);
    world.settle();
    assert_eq!(world.plain().len(), 0);
    assert_eq!(world.state(0).keys().count(), 3);
    // What an old client writes then is left alone.
    world.put_plain("number", "7");
    world.settle();
    assert_eq!(value(&world, "number"), Some(Value::from(2)));
    assert_eq!(world.plain()["number"], "7");
}

#[test]
fn what_an_old_client_wrote_is_not_removed_with_the_records_that_are_given_up() {
    let mut world = two();
    world.retire_plain(0);
    world.sync(0);
    world.put_plain("late", "1");
    world.put_plain("number", "9");
    world.sync(0);
    world.settle();
    let plain = world.plain();
    let plain: Vec<(&str, &str)> = plain
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(plain, [("late", "1"), ("number", "9")]);
}

#[test]
fn what_no_dataset_can_have_as_a_key_stays_a_record() {
    let mut world = World::new(1);
    let long = "k".repeat(200);
    world.put_plain(&long, "1");
    world.put_plain("short", "2");
    assert_eq!(world.sync(0), 2);
    check(&mut world, &[(&long, "1"), ("short", "2")]);
    assert_eq!(world.sync(0), 1);
    assert_eq!(world.state(0).keys().collect::<Vec<_>>(), ["short"]);
}

#[test]
fn dataset_that_is_not_plain_leaves_records_alone() {
    let mut world = World::new(2);
    world.put(0, "number", 1);
    world.sync(0);
    world.put_plain("number", "2");
    world.sync(1);
    world.settle();
    assert_eq!(value(&world, "number"), Some(Value::from(1)));
    assert_eq!(world.plain()["number"], "2");
}

/// Whoever brings nothing begins no life where another one stood: a device that knows it repairs it.
#[test]
fn fresh_device_leaves_cleared_slots_to_those_who_know_them() {
    let mut world = two();
    world.mark(1);
    world.sync(1);
    world.remove_slots();
    world.join_device(Disk::default());
    assert_eq!(world.sync(2), 1);
    world.settle();
    assert_eq!(world.state(2).keys().count(), 4);
}

#[test]
fn device_that_deleted_the_dataset_leaves_cleared_slots_to_others_too() {
    let mut world = two();
    world.edit(1, Operation::PutAt("list".into(), Value::list([1, 2])));
    world.sync(1);
    world.sync(0);
    world.remove_slots();
    world.delete(0);
    assert_eq!(world.sync(0), 1);
    world.settle();
    assert_eq!(value(&world, "list"), Some(Value::list([1, 2])));
}

/// Whoever repairs may not have known that the dataset was plain; the records that stand there tell.
#[test]
fn device_that_missed_that_the_dataset_is_plain_imports_what_stands_when_slots_are_cleared() {
    let mut world = World::new(2);
    world.put(1, "number", 1);
    world.sync(1);
    world.keep_plain(0);
    world.sync(0);
    world.put_plain("new", "5");
    world.remove_slots();
    world.sync(1);
    check(&mut world, &[("new", "5"), ("number", "1")]);
}

/// Head of a compacted life says that all records were seen.
#[test]
fn what_an_old_client_wrote_is_imported_before_a_compaction() {
    let mut world = two();
    world.edit(
        0,
        Operation::SpliceText {
            path: "text".into(),
            at: 5,
            delete: 4,
            insert: String::new(),
        },
    );
    world.sync(0);
    world.put_plain("new", "5");
    world.compact(0);
    assert!(world.summary(0).compacted);
    check(
        &mut world,
        &[
            ("count", "5"),
            ("new", "5"),
            ("number", "1"),
            ("text", "begin"),
        ],
    );
}

/// The record of a counter shows what others counted, who bring it themselves.
#[test]
fn counter_is_not_imported_where_slots_were_cleared() {
    let mut world = two();
    world.increment(1, "count", 2);
    world.sync(1);
    world.remove_slots();
    world.sync(0);
    world.settle();
    assert_eq!(value(&world, "count"), Some(Value::Counter(7)));
}

/// It asked for plain records with a push whose answer it never got; another device gave them up since. Its wish stands: a
/// push that came in part looks the same.
#[test]
fn records_that_were_given_up_are_no_removals_to_the_device_that_asked_for_them() {
    let mut world = World::new(2);
    world.keep_plain(0);
    world.put(0, "number", 1);
    world.begin(0);
    world.answer(0, Fault::Nothing);
    world.answer(0, Fault::LostAfter);
    world.restart(0);
    world.sync(1);
    world.retire_plain(1);
    world.sync(1);
    world.sync(1);
    assert_eq!(world.plain().len(), 0);
    world.sync(0);
    world.settle();
    // That they are absent says nothing.
    check(&mut world, &[("number", "1")]);
}

/// Between the push that gives records up and the one that removes them, they lag.
#[test]
fn records_that_lag_because_they_were_given_up_are_not_imported_when_they_are_wanted_again() {
    let mut world = two();
    world.retire_plain(0);
    world.sync(0);
    world.sync(1);
    world.put(1, "number", 2);
    world.sync(1);
    assert_eq!(world.plain()["number"], "1");
    world.keep_plain(1);
    check(
        &mut world,
        &[("count", "5"), ("number", "2"), ("text", "begin end")],
    );
}

/// The backup of the service says that the dataset is not plain, for it is older than the wish.
#[test]
fn service_that_was_taken_back_to_before_the_dataset_was_plain_does_not_end_that() {
    let mut world = World::new(2);
    world.put(1, "number", 1);
    world.sync(1);
    let before = world.writes();
    world.sync(0);
    world.keep_plain(0);
    world.put(0, "other", 2);
    world.sync(0);
    let after = world.writes();
    world.replace_server(before);
    world.pass_counts(after);
    world.put_plain("new", "5");
    world.sync(0);
    world.settle();
    assert!(world.devices[0].replica.is_plain());
    assert_eq!(value(&world, "new"), Some(Value::from("5")));
}

#[test]
fn wish_for_records_without_room_keeps_nothing_else_back() {
    for is_stored in [true, false] {
        let mut world = World::new(2);
        world.limits = Limits::default().with_dataset_bytes(50_000);
        (0..2).for_each(|device| world.restart(device));
        if is_stored {
            world.put(0, "first", 1);
            world.sync(0);
        }
        for (key, text) in noise(25, 1_000) {
            world.put(0, &key, text);
        }
        world.keep_plain(0);
        world.sync(0);
        assert!(world.summary(0).full.is_some());
        assert_eq!(world.sync(0), 1, "nothing is pushed again");
        world.sync(1);
        assert!(world.state(1).get("noise24").is_some());
        assert!(world.plain().is_empty());
        (0..10).for_each(|number| world.remove(1, &format!("noise{number}")));
        world.sync(1);
        world.settle();
        assert_eq!(world.plain().len(), 15 + usize::from(is_stored));
    }
}

/// Returns a device with a plain dataset in which an old client put records that have no room in the state as well.
fn overfilled() -> World {
    let mut world = World::new(1);
    world.limits = Limits::default().with_dataset_bytes(50_000);
    world.restart(0);
    world.keep_plain(0);
    world.put(0, "mine", 1);
    world.sync(0);
    for (key, text) in noise(3, 10_000) {
        world.put_plain(&key, &text);
    }
    world
}

#[test]
fn size_that_is_told_counts_what_old_clients_wrote_and_has_no_room() {
    let mut world = overfilled();
    assert_eq!(world.sync(0), 1);
    let told = world.summary(0).full.unwrap();
    assert!(told.live > told.refused_above, "{told:?}");
    assert!(world.devices[0].replica.size().live < told.refused_above);
    assert_eq!(world.state(0).get("noise0"), None);
    // An old client makes room.
    for key in ["noise1", "noise2"] {
        world.remove_plain_in("notes", key);
    }
    world.sync(0);
    assert_eq!(world.summary(0).full, None);
    let (_, text) = noise(1, 10_000).next().unwrap();
    assert_eq!(value(&world, "noise0"), Some(Value::from(text.as_str())));
}

#[test]
fn records_that_have_no_room_stay_when_plain_records_are_given_up() {
    let mut world = overfilled();
    world.retire_plain(0);
    world.put(0, "more", 2);
    world.sync(0);
    world.sync(0);
    assert_eq!(world.summary(0).full, None);
    assert!(!world.devices[0].replica.has_unsynced());
    assert_eq!(world.plain().len(), 3);
}

#[test]
fn what_old_clients_have_is_not_given_up_before_it_is_known() {
    for is_wished in [true, false] {
        let mut world = World::new(2);
        if is_wished {
            world.keep_plain(0);
            world.retire_plain(0);
        }
        world.put(0, "mine", 1);
        world.put_plain("name", "Ada");
        world.sync(0);
        check(&mut world, &[("mine", "1"), ("name", "Ada")]);
    }
}

#[test]
fn what_old_clients_put_after_a_deletion_is_not_given_up_with_what_was_there_before() {
    let mut world = two();
    world.retire_plain(0);
    world.delete(1);
    world.sync(1);
    world.put_plain("name", "Ada");
    world.sync(0);
    check(&mut world, &[("name", "Ada")]);
}
