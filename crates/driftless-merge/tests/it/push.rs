//! Pushes: how many requests a session takes, races, unknown outcomes, room, and servers that cannot be trusted.

use std::collections::BTreeMap;
use std::time::Duration;

use driftless_document::{Value, path};
use driftless_merge::{Failure, Input, Operation, Output, RefusedEdit, SessionError};
use driftless_record::Limits;
use driftless_wire::{ListRecordsResponse, Record, RecordPatch, SyncCount, UpdateRecordsResponse};

use crate::world::{Fault, World};

#[test]
fn requests_are_one_without_a_change_and_two_with_a_push() {
    let mut world = World::new(2);
    assert_eq!(world.sync(1), 1, "nothing anywhere");
    world.put(0, "a", 1);
    assert_eq!(world.sync(0), 2);
    assert_eq!(world.sync(0), 1);
    assert_eq!(world.sync(1), 1, "a device that has nothing of its own");
    world.put(1, "b", 2);
    assert_eq!(world.sync(1), 2);
    assert_eq!(world.sync(0), 1);
    world.settle();
}

#[test]
fn what_looks_the_same_everywhere_is_not_unsynced() {
    let mut world = World::new(1);
    world.put(0, "a", 1);
    assert!(world.devices[0].replica.has_unsynced());
    world.restart(0);
    assert!(world.devices[0].replica.has_unsynced());
    world.remove(0, "a");
    assert_eq!(
        world.sync(0),
        1,
        "a key that came and went before anybody knew"
    );
    assert!(!world.devices[0].replica.has_unsynced());
    world.put(0, "a", 1);
    world.sync(0);
    world.remove(0, "a");
    assert!(world.devices[0].replica.has_unsynced());
    world.settle();
}

#[test]
fn trap_9_edit_made_between_list_and_push_waits_for_the_next_session() {
    let mut world = World::new(2);
    world.put(0, "a", 1);
    world.begin(0);
    world.answer(0, Fault::Nothing);
    world.put(0, "b", 2);
    world.finish(0);
    assert!(world.devices[0].replica.has_unsynced());
    assert!(world.stored_state().unwrap().get("b").is_none());
    assert_eq!(world.sync(0), 2, "it does not conflict with its own push");
    world.settle();
    assert_eq!(world.state(1).get("b"), Some(Value::from(2)));
}

#[test]
fn trap_19_push_that_had_landed_is_not_sent_again() {
    let mut world = World::new(2);
    world.increment(0, "count", 1);
    world.begin(0);
    world.answer(0, Fault::Nothing);
    world.answer(0, Fault::LostAfter);
    assert!(matches!(world.devices[0].pending, Some(Output::Wait(_))));
    assert_eq!(world.finish(0), 3, "list, push, list");
    world.settle();
    assert_eq!(
        world.devices[1].replica.document().counter("count"),
        Some(1)
    );
}

#[test]
fn push_that_had_landed_before_a_crash_is_known_again() {
    let mut world = World::new(2);
    world.increment(0, "count", 1);
    world.begin(0);
    world.answer(0, Fault::Nothing);
    let actor = world.devices[0].replica.document().actor();
    world.answer_and_crash(0, Fault::Nothing, 0);
    world.increment(0, "count", 10);
    world.sync(1);
    world.increment(1, "count", 100);
    world.settle();
    assert_eq!(
        world.devices[0].replica.document().actor(),
        actor,
        "it is no copy"
    );
    assert_eq!(
        world.devices[0].replica.document().counter("count"),
        Some(111)
    );
    world.check_reference();
}

/// Lets a device lose each race until its session ends; returns how long it waited after each. Sessions before are of other
/// seeds.
fn lose_races(sessions_before: usize) -> Vec<Duration> {
    let mut world = World::new(2);
    for _ in 0..sessions_before {
        world.sync(1);
    }
    world.put(0, "a", 0);
    world.begin(0);
    let (mut races, mut waits) = (0, Vec::new());
    while world.devices[0].outcome.is_none() {
        match world.devices[0].pending {
            Some(Output::Update(_)) => {
                world.put(1, "b", races);
                world.sync(1);
                races += 1;
            }
            Some(Output::Wait(wait)) => waits.push(wait),
            _ => {}
        }
        world.answer(0, Fault::Nothing);
    }
    assert!(matches!(world.error(0), SessionError::Contended));
    assert_eq!(races, 8);
    assert!(world.devices[0].replica.has_unsynced());
    world.settle();
    waits
}

#[test]
fn trap_20_eight_lost_races_end_a_session_and_devices_wait_differently() {
    let [one, other] = [0, 1].map(lose_races);
    assert_eq!([one.len(), other.len()], [7, 7]);
    for (number, (one, other)) in (1..).zip(one.iter().zip(&other)) {
        let most = Duration::from_millis(100) * 2_u32.pow(number);
        for wait in [one, other] {
            assert!(most / 10 <= *wait && *wait <= most, "{number}: {wait:?}");
        }
        assert_ne!(one, other, "after race {number}");
    }
}

#[test]
fn trap_1_second_conflict_lists_everything() {
    let mut world = World::new(2);
    world.put(0, "first", 0);
    world.sync(0);
    world.put(0, "a", 0);
    world.begin(0);
    for from in [false, true] {
        world.answer(0, Fault::Nothing);
        world.put(1, "b", from);
        world.sync(1);
        world.answer(0, Fault::Nothing);
        assert!(matches!(world.devices[0].pending, Some(Output::Wait(_))));
        world.answer(0, Fault::Nothing);
        let Some(Output::List(list)) = &world.devices[0].pending else {
            unreachable!()
        };
        assert_eq!(list.last_sync_count.is_none(), from);
    }
    world.finish(0);
    assert_eq!(world.summary(0).conflicts, 2);
    world.settle();
}

#[test]
fn unknown_outcomes_do_not_pile_up() {
    let mut world = World::new(1);
    world.put(0, "a", 1);
    for _ in 0..5 {
        world.begin(0);
        while world.devices[0].outcome.is_none() {
            let is_push = matches!(world.devices[0].pending, Some(Output::Update(_)));
            world.answer(
                0,
                if is_push {
                    Fault::LostBefore
                } else {
                    Fault::Nothing
                },
            );
        }
        assert!(matches!(world.error(0), SessionError::Request));
    }
    let row = world.devices[0].disk.rows.sync.clone().unwrap();
    assert!(row.len() < 400, "{}", String::from_utf8_lossy(&row));
    world.settle();
}

#[test]
fn trap_2_count_does_not_pass_over_a_write_between_list_and_push() {
    let mut world = World::new(2);
    world.put(0, "a", 1);
    world.begin(0);
    world.answer(0, Fault::Nothing);
    world.put_plain("plain", "between");
    world.finish(0);
    world.begin(0);
    let Some(Output::List(list)) = &world.devices[0].pending else {
        unreachable!()
    };
    assert!(
        list.last_sync_count.is_none(),
        "the plain record has not been listed"
    );
    world.finish(0);
    assert!(
        world.devices[0]
            .disk
            .rows
            .records
            .keys()
            .any(|key| key.as_str() == "plain")
    );
    world.settle();
}

/// An update that changes nothing does not raise the count of a dataset.
#[test]
fn trap_3_push_that_raised_no_count_does_not_advance_it() {
    let mut world = World::new(1);
    world.put(0, "a", 1);
    world.sync(0);
    world.put(0, "a", 2);
    world.begin(0);
    world.answer(0, Fault::Nothing);
    let Some(Output::Update(update)) = world.devices[0].pending.take() else {
        unreachable!()
    };
    // As sent, under the count that stood there before.
    let as_sent = |patch: &RecordPatch| Record {
        value: patch.value.clone(),
        ..record(patch.key.as_str(), "")
    };
    let records = update.record_patches.iter().map(as_sent).collect();
    let answer = Input::Updated(Ok(UpdateRecordsResponse { records }));
    world.input(0, answer, usize::MAX);
    world.begin(0);
    let Some(Output::List(list)) = &world.devices[0].pending else {
        unreachable!()
    };
    assert_eq!(list.last_sync_count, Some(SyncCount::from(1)));
}

#[test]
fn trap_11_first_session_lists_before_it_writes() {
    let mut world = World::new(2);
    world.put(0, "title", "first");
    world.keep_plain(0);
    world.sync(0);
    // Of its head, its log and its plain record this device knows no count.
    world.put(1, "title", "second");
    assert_eq!(world.sync(1), 2);
    assert_eq!(world.summary(1).conflicts, 0);
    world.settle();
}

#[test]
fn trap_18_each_push_has_the_token_of_a_list_of_its_own() {
    let mut world = World::new(2);
    world.put(0, "a", 0);
    world.begin(0);
    let mut tokens = Vec::new();
    while world.devices[0].outcome.is_none() {
        if let Some(Output::Update(update)) = &world.devices[0].pending {
            assert!(!tokens.contains(&update.sync_session_token));
            tokens.push(update.sync_session_token.clone());
            if tokens.len() < 4 {
                world.put(1, "b", tokens.len() as i64);
                world.sync(1);
            }
        }
        world.answer(0, Fault::Nothing);
    }
    assert_eq!(tokens.len(), 4);
    world.settle();
}

#[test]
fn trap_38_devices_that_hold_the_same_have_nothing_to_push_at_each_other() {
    let mut world = World::new(2);
    for device in 0..2 {
        world.put(device, "title", device as i64);
        world.increment(device, "count", 1);
        world.write(device, "text", "both");
    }
    assert_eq!((world.sync(0), world.sync(1)), (2, 2));
    for device in [0, 1, 0, 1] {
        assert_eq!(world.sync(device), 1);
    }
    world.settle();
}

#[test]
fn trap_39_push_that_lacks_what_came_is_refused_and_the_next_contains_it() {
    let mut world = World::new(2);
    world.put(0, "a", 0);
    world.settle();
    world.put(1, "mine", 1);
    world.begin(1);
    world.answer(1, Fault::Nothing);
    world.put(0, "theirs", 2);
    world.sync(0);
    assert_eq!(world.finish(1), 4, "list, push, list, push");
    assert_eq!(world.summary(1).conflicts, 1);
    let stored = world.stored_state().unwrap();
    assert_eq!(stored.keys().collect::<Vec<_>>(), ["a", "mine", "theirs"]);
    world.settle();
}

#[test]
fn trap_6_pages_are_one_list() {
    let mut world = World::new(2);
    world.page = Some(1);
    for number in 0..4 {
        world.put(0, &format!("k{number}"), number);
        world.sync(0);
    }
    world.begin(1);
    world.answer(1, Fault::Nothing);
    // A push between two pages belongs to another moment.
    world.put(0, "late", 1);
    world.sync(0);
    world.finish(1);
    assert_eq!(world.state(1).get("late"), Some(Value::from(1)));
    world.settle();
}

#[test]
fn lists_that_never_agree_end_a_session() {
    let mut world = World::new(1);
    world.put(0, "a", 1);
    world.begin(0);
    for number in 1..100_u32 {
        let Some(Output::List(_)) = world.devices[0].pending.take() else {
            break;
        };
        let mut page = page(Vec::new(), number);
        page.next_token = Some("more".to_owned());
        world.input(0, Input::Listed(Ok(page)), usize::MAX);
    }
    assert!(matches!(world.error(0), SessionError::Answer(_)));
}

#[test]
fn endless_list_ends_a_session() {
    let mut world = World::new(1);
    world.begin(0);
    for _ in 0..2_000 {
        let Some(Output::List(_)) = world.devices[0].pending.take() else {
            break;
        };
        let mut page = page(Vec::new(), 1);
        page.next_token = Some("more".to_owned());
        world.input(0, Input::Listed(Ok(page)), usize::MAX);
    }
    assert!(matches!(world.error(0), SessionError::Answer(_)));
}

#[test]
fn huge_list_is_refused_and_nothing_of_it_kept() {
    let mut world = World::new(1);
    world.limits = Limits::default().with_dataset_bytes(10_000);
    world.restart(0);
    world.begin(0);
    world.devices[0].pending = None;
    let records = (0..100)
        .map(|number| record(&format!("k{number}"), &"x".repeat(1_000)))
        .collect();
    world.input(0, Input::Listed(Ok(page(records, 1))), usize::MAX);
    assert!(matches!(world.error(0), SessionError::Answer(_)));
    assert!(world.devices[0].disk.rows.records.is_empty());
}

#[test]
fn later_format_is_refused_and_left_alone() {
    let mut world = World::new(2);
    world.put(0, "a", 1);
    world.sync(0);
    let later = later_version(&world.records());
    world.rewrite(|record| {
        record
            .key
            .as_str()
            .ends_with("head")
            .then(|| Some(later.clone()))
    });
    let before = world.records();
    for device in 0..2 {
        world.put(device, "b", 2);
        world.sync(device);
        assert!(matches!(world.error(device), SessionError::Stored(_)));
        world.restart(device);
        world.sync(device);
        assert!(matches!(world.error(device), SessionError::Stored(_)));
        assert!(world.devices[device].replica.has_unsynced());
    }
    assert_eq!(world.records(), before);
}

#[test]
fn spoilt_frames_are_repaired() {
    let mut world = World::new(2);
    world.put(0, "a", 1);
    world.sync(0);
    world.put(0, "b", 2);
    world.sync(0);
    world.sync(1);
    world.rewrite(|record| {
        record
            .key
            .as_str()
            .contains(".base.")
            .then(|| Some("spoilt".to_owned()))
    });
    world.sync(1);
    assert!(world.summary(1).repaired);
    world.settle();
    assert_eq!(world.state(0).keys().collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn trap_17_value_that_a_lambda_changed_is_not_believed() {
    let mut world = World::new(2);
    world.put(0, "a", 1);
    world.begin(0);
    world.answer(0, Fault::Nothing);
    world.answer(0, Fault::Lambda);
    world.finish(0);
    assert!(world.devices[0].outcome.as_ref().unwrap().is_ok());
    world.settle();
}

#[test]
fn lambda_that_spoils_every_push_ends_a_session() {
    let mut world = World::new(1);
    world.put(0, "a", 1);
    world.begin(0);
    let mut answers = 0;
    while world.answer(0, Fault::Lambda) {
        answers += 1;
        assert!(answers < 50);
    }
    assert!(matches!(world.error(0), SessionError::Answer(_)));
    world.settle();
}

/// Another value behind the one that was sent, in one answer.
#[test]
fn answer_with_two_values_of_one_record_is_not_believed() {
    let mut world = World::new(1);
    world.put(0, "a", 1);
    world.begin(0);
    world.answer(0, Fault::Nothing);
    let Some(Output::Update(update)) = world.devices[0].pending.take() else {
        unreachable!()
    };
    let shown = |patch: &RecordPatch| record(patch.key.as_str(), patch.value.as_ref().unwrap());
    let mut records: Vec<Record> = update.record_patches.iter().map(shown).collect();
    records.push(record("_driftless.head", "another"));
    world.input(
        0,
        Input::Updated(Ok(UpdateRecordsResponse { records })),
        usize::MAX,
    );
    assert!(matches!(world.devices[0].pending, Some(Output::List(_))));
    assert!(world.devices[0].disk.rows.records.is_empty());
    world.finish(0);
    world.settle();
}

#[test]
fn full_dataset_takes_removals_and_then_fits_again() {
    let limits = Limits::default().with_dataset_bytes(4_000);
    let mut world = World::new(2);
    world.limits = limits;
    (0..2).for_each(|device| world.restart(device));
    // Each device alone keeps to the limit; together they do not.
    for device in 0..2 {
        for number in 0..12_u64 {
            world.put(
                device,
                &format!("{device}.{number}"),
                noise(device as u64 * 100 + number),
            );
        }
    }
    world.sync(0);
    world.sync(1);
    let size = world.summary(1).full.unwrap();
    assert!(size.live > size.refused_above);
    assert!(world.devices[1].replica.has_unsynced());
    assert_eq!(world.state(1).keys().count(), 24, "the join stays");
    world.restart(1);
    let refused = world.try_edit(
        1,
        Operation::Put(BTreeMap::from([("more".to_owned(), 1.into())])),
    );
    assert!(matches!(refused, Err(RefusedEdit::Full { .. })));
    (0..12).for_each(|number| world.remove(1, &format!("0.{number}")));
    world.settle();
    assert_eq!(world.state(0).keys().count(), 12);
}

/// Whatever was accepted alone can be pushed, plain records beside it included.
#[test]
fn accepted_edits_fit() {
    for beside in [0, 1_000] {
        let mut world = World::new(1);
        world.limits = Limits::default().with_dataset_bytes(4_000);
        world.restart(0);
        if beside > 0 {
            world.put_plain("plain", &"x".repeat(beside));
            world.sync(0);
        }
        let mut number = 0;
        while world
            .try_edit(
                0,
                Operation::Put(BTreeMap::from([(
                    format!("k{number}"),
                    noise(number).into(),
                )])),
            )
            .is_ok()
        {
            number += 1;
        }
        world.sync(0);
        assert_eq!(world.summary(0).full, None, "{number} keys");
        world.settle();
    }
}

#[test]
fn accepted_edits_inflate_to_no_more_than_readers_take() {
    let mut world = World::new(1);
    world.limits = Limits::default().with_dataset_bytes(20_000);
    world.restart(0);
    let value = "a".repeat(1_500);
    let mut number = 0;
    while world
        .try_edit(
            0,
            Operation::Put(BTreeMap::from([(
                format!("k{number}"),
                value.as_str().into(),
            )])),
        )
        .is_ok()
    {
        number += 1;
    }
    assert!(number > 10, "deflated, they are short: {number}");
    world.sync(0);
    assert_eq!(world.summary(0).full, None);
    world.settle();
}

#[test]
fn refused_request_ends_the_session_and_keeps_the_edits() {
    let mut world = World::new(1);
    world.put(0, "a", 1);
    world.begin(0);
    world.answer(0, Fault::Nothing);
    world.answer(0, Fault::Refused);
    assert!(matches!(world.error(0), SessionError::Request));
    world.begin(0);
    world.devices[0].pending = None;
    world.input(0, Input::Listed(Err(Failure::NoSuchSyncCount)), usize::MAX);
    assert!(
        matches!(world.error(0), SessionError::Request),
        "0 is always a count"
    );
    world.settle();
}

fn record(key: &str, value: &str) -> Record {
    Record {
        key: key.to_owned().try_into().unwrap(),
        value: Some(value.to_owned()),
        sync_count: SyncCount::from(1),
        last_modified_date: None,
        last_modified_by: None,
        device_last_modified_date: None,
    }
}

fn page(records: Vec<Record>, count: u32) -> ListRecordsResponse {
    ListRecordsResponse {
        count: records.len() as i64,
        records,
        next_token: None,
        dataset_sync_count: SyncCount::from(count),
        last_modified_by: None,
        merged_dataset_names: Vec::new(),
        dataset_exists: true,
        dataset_deleted_after_requested_sync_count: false,
        sync_session_token: None,
    }
}

/// Text that does not deflate.
fn noise(mut number: u64) -> String {
    let digit = |_| {
        number = number
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        char::from(b'!' + (number >> 33) as u8 % 90)
    };
    (0..150).map(digit).collect()
}

/// Returns the head as a version 2 of the format might write it: the magic, the version and a right checksum.
fn later_version(records: &[Record]) -> String {
    let head = records
        .iter()
        .find(|record| record.key.as_str().ends_with("head"))
        .unwrap();
    let mut bytes = z85::decode(head.value.as_ref().unwrap()).unwrap();
    let covered = bytes.len() - 8;
    bytes[1] = (bytes[1] & 0x0f) | 0x20;
    let checksum = blake3::hash(&bytes[..covered]);
    bytes[covered..].copy_from_slice(&checksum.as_bytes()[..8]);
    z85::encode(bytes)
}

#[test]
fn push_that_arrives_late_is_contradicted_by_nothing_that_was_removed_since() {
    let mut world = World::new(2);
    world.put(0, "x", 1);
    world.settle();
    world.increment(0, "count", 2);
    world.insert(0, "list", Value::map([("n", Value::Counter(1))]));
    world.begin(0);
    world.answer(0, Fault::Nothing);
    world.hold_push(0);
    // Nobody is known to have seen these, but for the push that may still arrive.
    world.remove(0, "count");
    world.put_at(0, path!["list", 0], 7);
    world.begin(0);
    world.answer(0, Fault::Nothing);
    world.deliver(0);
    world.finish(0);
    assert_eq!(world.summary(0).conflicts, 1);
    world.settle();
    assert_eq!(world.state(0).get("list"), Some(Value::list([7])));
    world.check_reference();
}

/// A counter that one device made, removed when its push was held up; and its namesake on another one.
fn with_namesakes() -> World {
    let mut world = World::new(2);
    world.put(0, "x", 1);
    world.settle();
    world.increment(0, "count", 2);
    world.begin(0);
    world.answer(0, Fault::Nothing);
    world.hold_push(0);
    world.remove(0, "count");
    world.increment(1, "count", 5);
    world
}

#[test]
fn what_a_push_that_can_arrive_no_more_brought_leaves_no_trace() {
    let mut world = with_namesakes();
    world.sync(1);
    world.settle();
    assert_eq!(world.state(0).get("count"), Some(Value::Counter(5)));
}

/// A push of another device came without head, so that one of ours might still arrive as far as head tells.
#[test]
fn namesake_beyond_head_is_nothing_that_a_push_in_doubt_brought() {
    let mut world = with_namesakes();
    world.begin(1);
    world.answer(1, Fault::Nothing);
    // Head is the first of the two patches, and the log the second.
    world.answer(1, Fault::Torn(0b100));
    world.abandon(1);
    world.sync(0);
    world.settle();
    assert_eq!(world.state(0).get("count"), Some(Value::Counter(5)));
}
