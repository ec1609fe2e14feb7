//! Datasets of old clients that have no room for a state beside their records: they are read and edited record by record.

use std::collections::BTreeMap;

use driftless_document::{Scalar, Value};
use driftless_merge::{Operation, Output, RefusedEdit, UnsentId};
use driftless_record::{Limits, is_reserved};

use crate::world::{CHILD, Disk, Fault, World, noise};

/// A service of 50 KB on which an old client's dataset takes 30.
fn small(devices: usize) -> World {
    let mut world = World::new(devices);
    world.limits = Limits::default().with_dataset_bytes(50_000);
    (0..devices).for_each(|device| world.restart(device));
    world.put_plain_all(noise(30, 990));
    world
}

/// The devices have found it.
fn found(devices: usize) -> World {
    let world = small(devices);
    with_small(world)
}

fn with_small(mut world: World) -> World {
    let small = [("count", "5"), ("name", "Ada"), ("text", "begin end")];
    world.put_plain_all(small.map(|(key, text)| (key.to_owned(), text.to_owned())));
    world.reference = None;
    (0..world.devices.len()).for_each(|device| _ = world.sync(device));
    world
}

/// The devices synchronize until nobody sends anything, and show what the records say; nothing reserved was ever written.
#[track_caller]
fn check(world: &mut World, expected: &[(&str, Option<&str>)]) {
    rest(world);
    let plain = world.plain();
    for device in 0..world.devices.len() {
        let replica = &world.devices[device].replica;
        assert!(
            replica.is_plain_only() && !replica.has_unsynced(),
            "{device}"
        );
        assert!(replica.unsynced_keys().is_empty());
        assert!(world.summary(device).plain_only);
        assert_eq!(world.summary(device).full, None);
        assert_eq!(texts(world, device), plain, "device {device}");
    }
    let records = world.records();
    assert!(
        !records
            .iter()
            .any(|record| is_reserved(record.key.as_str()))
    );
    for (key, text) in expected {
        assert_eq!(plain.get(*key).map(String::as_str), *text, "at {key}");
    }
}

#[track_caller]
fn rest(world: &mut World) {
    for _ in 0..6 {
        let devices = 0..world.devices.len();
        if devices
            .map(|device| world.sync(device))
            .fold(true, |rest, it| rest & (it == 1))
        {
            return;
        }
    }
    panic!("the devices do not come to rest");
}

fn texts(world: &World, device: usize) -> BTreeMap<String, String> {
    let state = world.state(device);
    let text = |key: &str| Some((key.to_owned(), driftless_record::text_of(&state.get(key)?)?));
    state.keys().filter_map(text).collect()
}

fn value(world: &World, device: usize, key: &str) -> Option<Value> {
    world.state(device).get(key)
}

#[test]
fn dataset_that_fits_twice_is_adopted() {
    let mut world = World::new(2);
    world.put_plain_all(noise(40, 9_990));
    let mut world = with_small(world);
    assert!(!world.devices[0].replica.is_plain_only());
    assert!(!world.summary(0).plain_only);
    world.settle();
    assert!(world.stored_state().is_some());
}

#[test]
fn dataset_that_does_not_fit_twice_is_read_and_edited_as_records() {
    for kilobytes in [600, 900] {
        let mut world = World::new(2);
        world.put_plain_all(noise(kilobytes / 10, 9_990));
        let mut world = with_small(world);
        assert!(world.summary(0).changed_here.contains("name"));
        assert_eq!(world.devices[0].requests, 1);
        world.put(0, "name", "Grace");
        world.put(1, "new", 7);
        world.remove(1, "noise0");
        assert_eq!(world.devices[1].replica.unsynced_keys().len(), 2);
        assert_eq!(world.sync(0), 2);
        let changed = &world.summary(0).changed_there;
        assert_eq!(changed.iter().collect::<Vec<_>>(), ["name"]);
        check(
            &mut world,
            &[
                ("name", Some("Grace")),
                ("new", Some("7")),
                ("noise0", None),
            ],
        );
        let size = world.devices[0].replica.size();
        let bytes: usize = world
            .plain()
            .iter()
            .map(|(key, text)| key.len() + text.len())
            .sum();
        assert_eq!(size.live, bytes + "noise0".len());
        assert_eq!((size.refused_above, size.records_limit), (1_000_000, 1_024));
    }
}

#[test]
fn dataset_of_a_thousand_keys_has_no_room_for_slots() {
    let mut world = World::new(2);
    world.put_plain_all((0..1_000).map(|n| (format!("k{n}"), n.to_string())));
    world.sync(0);
    world.put(0, "k1", "one");
    for number in 0..24 {
        world.put(0, &format!("more{number}"), true);
    }
    let one_more = Operation::Put(BTreeMap::from([("last".to_owned(), 1.into())]));
    let refused = world.try_edit(0, one_more);
    assert!(
        matches!(refused, Err(RefusedEdit::Full { .. })),
        "{refused:?}"
    );
    check(&mut world, &[("k1", Some("one")), ("more23", Some("true"))]);
}

#[test]
fn edits_of_two_devices_and_an_old_client_meet_in_the_records() {
    let mut world = found(2);
    world.increment(0, "count", 10);
    world.increment(1, "count", 100);
    world.write(0, "text", "> ");
    world.put(0, "name", "Grace");
    world.put(1, "name", "Barbara");
    world.put_plain("count", "1005");
    world.put_plain("text", "begin the end");
    world.put_plain("noise1", "short");
    world.sync(0);
    // The last one to synchronize wins where nothing merges, as among old clients.
    check(
        &mut world,
        &[
            ("count", Some("1115")),
            ("name", Some("Barbara")),
            ("text", Some("> begin the end")),
            ("noise1", Some("short")),
        ],
    );
    assert_eq!(value(&world, 0, "count"), Some(Value::Counter(1_115)));
    world.remove_plain("count");
    world.remove_plain("name");
    world.put(1, "name", "Edith");
    check(&mut world, &[("count", None), ("name", Some("Edith"))]);
}

#[test]
fn what_was_edited_before_the_records_were_known_is_made_upon_them() {
    let mut world = small(1);
    world.put_plain("count", "5");
    world.increment(0, "count", 2);
    world.put(0, "mine", 1);
    world.sync(0);
    check(&mut world, &[("count", Some("7")), ("mine", Some("1"))]);
}

#[test]
fn what_an_old_client_had_not_sent_is_made_upon_the_record_that_it_had_seen() {
    let mut world = small(1);
    world.put_plain_all(["a", "b", "c"].map(|key| (key.to_owned(), "old".to_owned())));
    world.put_plain("c", "newer");
    let unsent = [("a", Some("new"), 2), ("b", None, 2), ("c", None, 2)];
    world.take_unsent(0, 1, &unsent);
    world.sync(0);
    check(
        &mut world,
        &[("a", Some("new")), ("b", None), ("c", Some("newer"))],
    );
    // Once the records are known, edits are compared with them at once.
    world.take_unsent(0, 2, &[("a", None, 4), ("noise1", Some("short"), 1)]);
    check(&mut world, &[("a", None), ("noise1", Some("short"))]);
}

#[test]
fn answer_that_is_lost_doubles_nothing() {
    for fault in [Fault::LostAfter, Fault::LostBefore] {
        for is_overtaken in [false, true] {
            let mut world = found(2);
            world.increment(0, "count", 10);
            world.write(0, "text", "> ");
            world.put(0, "name", "Grace");
            world.begin(0);
            world.answer(0, Fault::Nothing);
            world.answer(0, fault);
            world.abandon(0);
            world.restart(0);
            world.increment(0, "count", 1_000);
            let mut count = 1_015;
            if is_overtaken {
                // Another record of the push still shows it.
                world.sync(1);
                world.increment(1, "count", 100);
                world.sync(1);
                count += 100;
            }
            let count = count.to_string();
            check(
                &mut world,
                &[
                    ("count", Some(&count)),
                    ("name", Some("Grace")),
                    ("text", Some("> begin end")),
                ],
            );
        }
    }
}

#[test]
fn equal_counts_of_two_devices_are_two() {
    let mut world = found(2);
    (0..2).for_each(|device| world.increment(device, "count", 1));
    world.begin(0);
    world.answer(0, Fault::Nothing);
    world.answer(0, Fault::LostBefore);
    world.abandon(0);
    world.sync(1);
    check(&mut world, &[("count", Some("7"))]);
}

#[test]
fn counter_that_was_written_over_in_doubt_is_counted_once() {
    let mut world = found(2);
    world.increment(0, "count", 10);
    world.begin(0);
    world.answer(0, Fault::Nothing);
    world.answer(0, Fault::LostAfter);
    world.abandon(0);
    world.sync(1);
    world.increment(1, "count", 1);
    world.sync(1);
    check(&mut world, &[("count", Some("16"))]);
}

#[test]
fn push_that_loses_is_made_again_upon_what_came() {
    let mut world = found(2);
    world.increment(0, "count", 10);
    world.begin(0);
    world.answer(0, Fault::Nothing);
    world.increment(1, "count", 100);
    world.sync(1);
    world.finish(0);
    assert_eq!(world.summary(0).conflicts, 1);
    check(&mut world, &[("count", Some("115"))]);
}

#[test]
fn crash_at_any_commit_repeats_harmlessly() {
    for answers in 0..4 {
        for commits in 0..3 {
            let mut world = found(2);
            world.join_device(Disk::default());
            world.increment(0, "count", 10);
            world.put(2, "mine", 1);
            world.put_plain("count", "1005");
            for device in [0, 2] {
                world.begin(device);
                for answer in 0..=answers {
                    let commits = if answer == answers {
                        commits
                    } else {
                        usize::MAX
                    };
                    if !world.answer_and_crash(device, Fault::Nothing, commits) {
                        break;
                    }
                }
                world.restart(device);
            }
            check(&mut world, &[("count", Some("1015")), ("mine", Some("1"))]);
        }
    }
}

#[test]
fn lambda_that_changes_a_record_is_followed() {
    let mut world = found(2);
    world.put(0, "name", "Grace");
    world.begin(0);
    world.answer(0, Fault::Nothing);
    world.answer(0, Fault::Lambda);
    assert_eq!(value(&world, 0, "name"), Some("spoilt".into()));
    check(&mut world, &[("name", Some("spoilt"))]);
}

#[test]
fn values_without_a_text_are_refused_and_older_ones_stay() {
    let mut world = small(1);
    world.put_at(0, "list", Value::list([1]));
    world.sync(0);
    assert!(world.summary(0).full.is_some() && world.summary(0).plain_only);
    assert!(world.devices[0].replica.has_unsynced());
    assert_eq!(value(&world, 0, "list"), Some(Value::list([1])));
    let refused = [
        Operation::Put(BTreeMap::from([("null".to_owned(), Scalar::Null)])),
        Operation::PutAt("map".into(), Value::map([("a", 1)])),
        Operation::Add("set".into(), 1.into()),
        Operation::Insert {
            path: "list".into(),
            at: None,
            values: vec![2.into()],
        },
    ];
    for operation in refused {
        let refused = world.try_edit(0, operation);
        assert!(matches!(refused, Err(RefusedEdit::NoText)), "{refused:?}");
    }
    world.remove(0, "list");
    check(&mut world, &[]);
}

#[test]
fn dataset_is_adopted_once_there_is_room() {
    let mut world = found(3);
    world.increment(0, "count", 10);
    world.sync(0);
    // What this device did not send goes onto the state that another one wrote.
    world.increment(1, "count", 100);
    world.put(1, "name", "Grace");
    world.write(1, "text", "> ");
    for number in 0..15 {
        world.remove(0, &format!("noise{number}"));
    }
    world.sync(0);
    assert!(!world.devices[0].replica.is_plain_only());
    world.put(2, "late", 1);
    world.restart(2);
    world.settle();
    let expected = [
        ("count", "115"),
        ("late", "1"),
        ("name", "Grace"),
        ("text", "> begin end"),
    ];
    for (key, text) in expected {
        assert_eq!(world.plain()[key], text);
        assert_eq!(texts(&world, 2)[key], text);
        assert_eq!(world.state(0).conflicts(key).len(), 1, "at {key}");
    }
    assert_eq!(world.plain().len(), texts(&world, 0).len());
    world.put_at(1, "list", Value::list([1]));
    world.settle();
}

#[test]
fn adoption_whose_answer_is_lost_is_made_once() {
    for fault in [Fault::LostAfter, Fault::LostBefore] {
        let mut world = found(2);
        (0..15).for_each(|number| world.remove_plain(&format!("noise{number}")));
        world.increment(0, "count", 10);
        world.begin(0);
        world.answer(0, Fault::Nothing);
        world.answer(0, fault);
        world.abandon(0);
        world.restart(0);
        world.increment(0, "count", 100);
        world.settle();
        assert!(world.stored_state().is_some());
        assert_eq!(world.plain()["count"], "115");
    }
}

#[test]
fn adoption_that_is_torn_loses_nothing() {
    // A slot, head and two records, from the second bit on.
    for bits in (0..32).step_by(2) {
        for is_first in [false, true] {
            let mut world = found(3);
            (0..15).for_each(|number| world.remove_plain(&format!("noise{number}")));
            world.increment(0, "count", 10);
            world.put(0, "adopter", 1);
            world.put(1, "unsent", 1);
            world.begin(0);
            world.answer(0, Fault::Nothing);
            world.put_plain("old", "1");
            world.answer(0, Fault::Torn(bits));
            world.abandon(0);
            // Whoever comes first goes on with what has come.
            world.sync(if is_first { 0 } else { 1 });
            world.put(2, "late", 1);
            world.settle();
            for key in ["adopter", "unsent", "old", "late"] {
                let plain = world.plain();
                assert_eq!(
                    plain.get(key).map(String::as_str),
                    Some("1"),
                    "{key} of {bits}"
                );
                assert_eq!(texts(&world, 1)[key], "1");
            }
            assert_eq!(world.plain()["count"], "15", "{bits}");
        }
    }
}

#[test]
fn push_to_records_that_is_torn_is_completed() {
    // Five patches, from the second bit on.
    for bits in (0..64).step_by(2) {
        for is_adopted in [false, true] {
            let mut world = found(2);
            (0..4).for_each(|number| world.put(0, &format!("key{number}"), number));
            world.increment(0, "count", 10);
            world.begin(0);
            world.answer(0, Fault::Nothing);
            world.answer(0, Fault::Torn(bits));
            world.abandon(0);
            world.restart(0);
            if is_adopted {
                (0..15).for_each(|number| world.remove_plain(&format!("noise{number}")));
            }
            world.put(1, "name", "Grace");
            world.sync(1);
            rest(&mut world);
            for number in 0..4 {
                let plain = world.plain();
                let text = plain.get(&format!("key{number}"));
                assert_eq!(text, Some(&number.to_string()), "{bits}");
            }
            // Where somebody had counted on, nobody could tell whether that was upon what was torn.
            assert_eq!(world.plain()["count"], "15", "{bits}, adopted {is_adopted}");
            assert_eq!(world.plain(), texts(&world, 0));
            assert_eq!(world.plain(), texts(&world, 1));
        }
    }
}

#[test]
fn dataset_that_is_deleted_there_goes_but_for_unsynced_edits() {
    let mut world = found(2);
    world.put(1, "name", "Grace");
    world.delete(0);
    world.sync(0);
    world.settle();
    let left: Vec<_> = texts(&world, 0).into_iter().collect();
    assert_eq!(left, [("name".to_owned(), "Grace".to_owned())]);
    assert_eq!(world.plain().len(), 1);
}

#[test]
fn deletion_of_an_old_client_is_taken() {
    let mut world = found(1);
    assert!(world.take_unsent_deletion(0, 3));
    assert!(
        world.devices[0]
            .replica
            .has_taken(UnsentId::from_bytes([3; 8]))
    );
    world.settle();
    assert!(world.plain().is_empty());
}

#[test]
fn records_that_are_all_there_is_are_not_given_up() {
    let mut world = found(1);
    assert!(world.devices[0].replica.retire_plain_records().is_none());
}

#[test]
fn edit_that_is_refused_leaves_nothing_behind() {
    let mut world = found(1);
    let beyond = Operation::SpliceText {
        path: "name".into(),
        at: 100,
        delete: 0,
        insert: "x".to_owned(),
    };
    world.try_edit(0, beyond).unwrap_err();
    world.put(0, "count", i64::MAX);
    world
        .try_edit(0, Operation::Increment("count".into(), 1))
        .unwrap_err();
    assert_eq!(value(&world, 0, "name"), Some("Ada".into()));
    world.put(0, "mine", 1);
    world.restart(0);
    check(&mut world, &[("mine", Some("1")), ("name", Some("Ada"))]);
}

#[test]
fn adoption_whose_answer_is_lost_folds_merged_datasets_in_all_the_same() {
    for fault in [Fault::LostAfter, Fault::LostBefore, Fault::Nothing] {
        let mut world = found(2);
        (0..15).for_each(|number| world.remove_plain(&format!("noise{number}")));
        let guest = world.join_guest();
        world.put(guest, "theirs", "1");
        world.increment(guest, "count", 100);
        world.sync(guest);
        world.devices.pop();
        world.put(0, "mine", 1);
        world.begin(0);
        while !matches!(world.devices[0].pending, Some(Output::Update(_))) {
            world.answer(0, Fault::Nothing);
        }
        world.answer(0, fault);
        if fault != Fault::Nothing {
            world.abandon(0);
            world.restart(0);
        }
        world.finish(0);
        world.settle();
        for device in [0, 1] {
            assert_eq!(value(&world, device, "theirs"), Some("1".into()));
        }
        assert!(!world.list_of(CHILD).dataset_exists);
    }
}

#[test]
fn what_others_made_of_a_value_without_a_text_stays_when_the_adoption_was_in_doubt() {
    let mut world = small(2);
    world.reference = None;
    world.put_at(0, "list", Value::list([1]));
    world.sync(0);
    (0..15).for_each(|number| world.remove_plain(&format!("noise{number}")));
    world.begin(0);
    world.answer(0, Fault::Nothing);
    world.answer(0, Fault::LostAfter);
    world.abandon(0);
    world.restart(0);
    world.sync(1);
    world.insert(1, "list", 2);
    world.sync(1);
    world.settle();
    assert_eq!(value(&world, 0, "list"), Some(Value::list([1, 2])));
}

#[test]
fn deletion_that_is_asked_for_twice_takes_no_more_than_once() {
    let mut world = found(2);
    world.delete(1);
    world.restart(1);
    world.delete(1);
    world.put(0, "mine", 1);
    world.sync(0);
    world.settle();
    let left: Vec<_> = texts(&world, 0).into_iter().collect();
    assert_eq!(left, [("mine".to_owned(), "1".to_owned())]);
}
