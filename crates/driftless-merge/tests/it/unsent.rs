//! What an old client on a device had not sent becomes edits that replace what the old client had seen, and nothing else.

use std::collections::BTreeMap;

use driftless_document::Value;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::world::{Disk, Fault, World};

/// A service with records of an old client, and a device that knows nothing of them.
fn old() -> World {
    let mut world = World::new(1);
    world.put_plain("a", "1");
    world.put_plain("b", "2");
    world
}

/// Everything comes to rest, and each key shows these values, the shown one first.
#[track_caller]
fn check(world: &mut World, keys: &[(&str, &[&str])]) {
    world.settle();
    let state = world.state(0);
    let shown: Vec<&str> = state.keys().collect();
    assert_eq!(shown, keys.iter().map(|(key, _)| *key).collect::<Vec<_>>());
    for (key, values) in keys {
        let found = state.conflicts(key).into_iter().map(|it| it.value);
        let mut found: Vec<Value> = found.collect();
        let mut expected: Vec<Value> = values.iter().map(|value| Value::from(*value)).collect();
        found.sort_by_key(|value| format!("{value:?}"));
        expected.sort_by_key(|value| format!("{value:?}"));
        assert_eq!(found, expected, "{key}");
    }
    let plain = world.plain();
    assert_eq!(plain.len(), keys.len());
    for (key, text) in plain {
        assert_eq!(state.get(&key), Some(Value::from(text.as_str())), "{key}");
    }
}

#[test]
fn trap_8_edit_replaces_the_record_that_it_was_made_upon() {
    let mut world = old();
    world.take_unsent(0, 1, &[("a", Some("new"), 1), ("c", Some("3"), 0)]);
    assert_eq!(world.state(0).get("a"), Some(Value::from("new")));
    check(&mut world, &[("a", &["new"]), ("b", &["2"]), ("c", &["3"])]);
}

#[test]
fn edit_stands_beside_what_others_wrote_meanwhile() {
    let mut world = old();
    world.put_plain("a", "theirs");
    world.take_unsent(0, 1, &[("a", Some("mine"), 1)]);
    check(&mut world, &[("a", &["mine", "theirs"]), ("b", &["2"])]);
}

#[test]
fn trap_13_removal_removes_the_record_that_it_was_made_upon() {
    let mut world = old();
    world.take_unsent(0, 1, &[("a", None, 1)]);
    assert!(world.devices[0].replica.has_unsynced());
    world.restart(0);
    check(&mut world, &[("b", &["2"])]);
}

#[test]
fn removal_of_the_last_record_reaches_the_service() {
    let mut world = World::new(1);
    world.put_plain("a", "1");
    world.take_unsent(0, 1, &[("a", None, 1)]);
    check(&mut world, &[]);
    assert!(world.plain().is_empty());
}

#[test]
fn what_others_wrote_meanwhile_stays_where_it_was_removed() {
    let mut world = old();
    world.put_plain("a", "theirs");
    world.take_unsent(0, 1, &[("a", None, 1)]);
    check(&mut world, &[("a", &["theirs"]), ("b", &["2"])]);
}

#[test]
fn trap_10_equal_value_is_no_conflict_whatever_its_count() {
    let mut world = old();
    world.put_plain("a", "same");
    world.take_unsent(0, 1, &[("a", Some("same"), 1), ("b", Some("2"), 0)]);
    check(&mut world, &[("a", &["same"]), ("b", &["2"])]);
}

#[test]
fn edit_replaces_what_a_device_before_it_stored() {
    let mut world = World::new(2);
    world.put_plain("a", "1");
    world.put_plain("b", "2");
    world.sync(1);
    world.take_unsent(0, 1, &[("a", Some("new"), 1), ("b", None, 2)]);
    check(&mut world, &[("a", &["new"])]);
}

#[test]
fn edit_keeps_the_type_that_stands_there() {
    let mut world = World::new(2);
    world.keep_plain(1);
    world.put(1, "number", 1);
    world.put(1, "same", 7);
    world.increment(1, "count", 5);
    world.write(1, "text", "begin end");
    world.put(1, "word", 1);
    world.sync(1);
    let edits = [
        ("number", Some("2"), 1),
        ("same", Some("7"), 0),
        ("count", Some("8"), 1),
        ("text", Some("begin the end"), 1),
        ("word", Some("two"), 1),
    ];
    world.take_unsent(0, 1, &edits);
    world.increment(1, "count", 100);
    world.settle();
    let expected = [
        ("count", Value::Counter(108)),
        ("number", Value::from(2)),
        ("same", Value::from(7)),
        ("text", Value::text("begin the end")),
        ("word", Value::from("two")),
    ];
    for (key, value) in expected {
        for device in 0..2 {
            let found = world.state(device).conflicts(key);
            assert_eq!(found.len(), 1, "{key}");
            assert_eq!(found[0].value, value, "{key}");
        }
    }
}

#[test]
fn later_edits_of_the_person_replace_the_record_too() {
    let mut world = old();
    world.take_unsent(0, 1, &[("a", Some("old"), 1), ("b", None, 2)]);
    world.put(0, "a", "newer");
    check(&mut world, &[("a", &["newer"])]);
}

#[test]
fn edit_is_made_upon_what_was_synchronized_before_it() {
    let mut world = old();
    world.sync(0);
    let edits = [("a", Some("new"), 1), ("b", None, 2)];
    assert_eq!(world.take_unsent(0, 1, &edits), Some(vec![]));
    check(&mut world, &[("a", &["new"])]);
}

#[test]
fn edit_stands_beside_what_was_edited_here_since() {
    let mut world = old();
    world.sync(0);
    world.put(0, "a", "newer");
    world.put(0, "b", "newer");
    let edits = [("a", Some("old"), 1), ("b", None, 2)];
    assert_eq!(world.take_unsent(0, 1, &edits), Some(vec!["b".to_owned()]));
    assert_eq!(world.state(0).get("a"), Some(Value::from("newer")));
    check(&mut world, &[("a", &["newer", "old"]), ("b", &["newer"])]);
}

#[test]
fn what_merges_inside_is_not_replaced_and_the_edit_is_told() {
    let mut world = old();
    world.write(0, "text", "typed");
    let edits = [("text", Some("old"), 0)];
    assert_eq!(
        world.take_unsent(0, 1, &edits),
        Some(vec!["text".to_owned()])
    );
}

#[test]
fn it_is_taken_once_also_after_a_restart_and_a_deletion() {
    let mut world = old();
    let edits = [("a", Some("new"), 1)];
    assert!(world.take_unsent(0, 1, &edits).is_some());
    world.restart(0);
    world.put(0, "a", "newer");
    assert_eq!(world.take_unsent(0, 1, &edits), None);
    world.sync(0);
    world.delete(0);
    world.sync(0);
    assert_eq!(world.take_unsent(0, 1, &edits), None);
    assert!(world.take_unsent(0, 2, &edits).is_some());
}

#[test]
fn push_that_lost_compares_the_records_again() {
    let mut world = old();
    world.take_unsent(0, 1, &[("a", None, 1)]);
    world.begin(0);
    world.answer(0, crate::world::Fault::Nothing);
    world.put_plain("a", "theirs");
    world.finish(0);
    assert_eq!(world.summary(0).conflicts, 1);
    check(&mut world, &[("a", &["theirs"]), ("b", &["2"])]);
}

#[test]
fn trap_33_deletion_removes_what_stands_and_keeps_what_came_after_it() {
    let mut world = old();
    assert!(world.take_unsent_deletion(0, 1));
    assert!(!world.take_unsent_deletion(0, 1));
    world.take_unsent(0, 2, &[("c", Some("3"), 0)]);
    world.restart(0);
    assert!(world.devices[0].replica.has_unsynced());
    check(&mut world, &[("c", &["3"])]);
}

#[test]
fn trap_33_deletion_of_a_known_life_deletes_it() {
    let mut world = old();
    world.sync(0);
    assert!(world.take_unsent_deletion(0, 1));
    world.sync(0);
    assert!(world.summary(0).deleted);
    check(&mut world, &[]);
}

#[test]
fn deletion_of_a_known_life_leaves_one_that_began_since() {
    let mut world = old();
    world.join_device(Disk::default());
    world.sync(1);
    world.take_unsent(0, 1, &[("a", Some("mine"), 1)]);
    world.begin(0);
    world.answer(0, Fault::Nothing);
    world.answer(0, Fault::LostBefore);
    world.delete(0);
    world.delete(1);
    world.sync(1);
    world.put(1, "new", "here");
    world.sync(1);
    check(&mut world, &[("new", &["here"])]);
}

#[test]
fn deletion_of_what_was_not_known_takes_once() {
    let mut world = old();
    assert!(world.take_unsent_deletion(0, 1));
    world.begin(0);
    world.answer(0, Fault::Nothing);
    world.answer(0, Fault::LostAfter);
    world.abandon(0);
    world.restart(0);
    world.join_device(Disk::default());
    world.put(1, "new", "here");
    world.sync(1);
    check(&mut world, &[("new", &["here"])]);
}

/// What became of one key: what an old client had seen there, what others wrote since, and what it had not sent.
#[derive(Clone, Debug)]
struct Story {
    seen: bool,
    since: Option<Option<u8>>,
    unsent: Option<Option<u8>>,
}

fn stories() -> impl Strategy<Value = Vec<Story>> {
    let text = || option::weighted(0.7, 0..3_u8);
    let story = (
        any::<bool>(),
        option::weighted(0.4, text()),
        option::weighted(0.8, text()),
    );
    vec(
        story.prop_map(|(seen, since, unsent)| Story {
            seen,
            since: since.filter(|since| seen || since.is_some()),
            unsent,
        }),
        1..6,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    /// Each value and removal replaces what the old client had seen; what others wrote since is lost nowhere, and equal values
    /// are one, whoever stored them before and whenever the device restarts.
    #[test]
    fn nothing_is_lost_and_nothing_stands_twice(
        stories in stories(),
        stored_before in any::<bool>(),
        stored_since in any::<bool>(),
        restarts in any::<bool>(),
    ) {
        let mut world = World::new(2);
        let keys: Vec<String> = (0..stories.len()).map(|number| format!("k{number}")).collect();
        let told = || keys.iter().zip(&stories);
        for (key, _) in told().filter(|(_, story)| story.seen) {
            world.put_plain(key, "seen");
        }
        if stored_before {
            world.sync(1);
        }
        let records = world.records().into_iter();
        let counts: BTreeMap<String, u32> = records
            .map(|record| (record.key.into(), record.sync_count.get() as u32))
            .collect();
        for (key, story) in told() {
            match story.since {
                Some(Some(text)) => world.put_plain(key, &text.to_string()),
                Some(None) => world.remove_plain(key),
                None => {}
            }
        }
        if stored_since {
            world.sync(1);
        }
        let texts: Vec<Option<Option<String>>> = stories
            .iter()
            .map(|story| story.unsent.map(|text| text.map(|text| text.to_string())))
            .collect();
        let unsent: Vec<(&str, Option<&str>, u32)> = keys
            .iter()
            .zip(&texts)
            .filter_map(|(key, text)| {
                let count = counts.get(key).copied().unwrap_or(0);
                Some((key.as_str(), text.as_ref()?.as_deref(), count))
            })
            .collect();
        world.take_unsent(0, 1, &unsent);
        if restarts {
            world.restart(0);
        }
        world.settle();
        for (key, story) in told() {
            let theirs = match story.since {
                Some(text) => text.map(|text| text.to_string()),
                None => story.seen.then(|| "seen".to_owned()),
            };
            let mine = story.unsent.map(|text| text.map(|text| text.to_string()));
            let mut expected: Vec<String> = match (mine, story.since) {
                (None, _) | (Some(None), Some(_)) => theirs.into_iter().collect(),
                (Some(mine), None) => mine.into_iter().collect(),
                (Some(Some(mine)), Some(_)) => theirs.into_iter().chain([mine]).collect(),
            };
            expected.sort();
            expected.dedup();
            for device in 0..2 {
                let found = world.state(device).conflicts(key).into_iter();
                let mut found: Vec<Value> = found.map(|it| it.value).collect();
                found.sort_by_key(|value| format!("{value:?}"));
                let expected: Vec<Value> = expected.iter().map(|it| Value::from(it.as_str())).collect();
                prop_assert_eq!(&found, &expected, "{} on device {}: {:?}", key, device, story);
            }
        }
    }
}
