//! Records to states: torn pushes, damage, other lineages, and what is refused.

use driftless_document::{Actor, Clock, Delta, MAX_COUNTER, OpId, State};
use driftless_record::{Checksum, Earlier, Limits, MAX_JUMP, Push, ReadError, Stored, Wrote};
use proptest::prelude::*;

use crate::samples::{Dataset, Device, Random, begun, histories, life, play};

/// Reads with and without what is known, which must not differ.
#[track_caller]
fn check_read(dataset: &Dataset, known: Option<&Stored>) -> Option<Stored> {
    let limits = Limits::default();
    let read = dataset.read(&limits, None).unwrap();
    let quick = dataset.read(&limits, known).unwrap();
    let facts = |stored: &Stored| {
        let state = stored.state().clone();
        (
            state,
            stored.tip(),
            stored.head().copied(),
            stored.needs_repair(),
            stored.text_len(),
        )
    };
    assert_eq!(read.as_ref().map(facts), quick.as_ref().map(facts));
    read
}

#[track_caller]
fn check_includes(more: &State, less: &State) {
    assert_eq!(more.join(less), *more);
}

/// Pushes edits of a device one by one, and shows the dataset before each push, and the push.
fn push_edits(
    edits: usize,
    seed: u64,
    mut show: impl FnMut(&Dataset, Option<&Stored>, &driftless_record::Push, &State),
) -> (Dataset, Stored) {
    let (limits, mut random) = (Limits::default(), Random::new(seed));
    let (mut dataset, mut device, mut stored) = (Dataset::default(), Device::new(seed), None);
    for _ in 0..edits {
        let key = format!("key {}", random.below(12));
        let (from, to) = if random.below(40) == 0 {
            (4_200, 4_600)
        } else {
            (10, 60)
        };
        match random.below(8) {
            0 if device.state.keys().any(|there| there == key) => device.remove(&key),
            _ => device.put(&key, random.printable(from, to)),
        }
        let push = dataset
            .plan(life(stored.as_ref(), 1), &device.state, &limits)
            .unwrap();
        show(&dataset, stored.as_ref(), &push, &device.state);
        dataset.apply(&push.patches);
        stored = Some(push.stored);
    }
    (dataset, stored.unwrap())
}

/// Whatever of a push is there, what was stored before can be read, nothing is read that was never written, and the next
/// push makes it whole.
#[test]
fn trap_42_and_43_a_torn_push_loses_nothing() {
    let limits = Limits::default();
    let (mut torn, mut wrote) = (0, std::collections::BTreeSet::new());
    for seed in 0..2 {
        push_edits(230, seed, |dataset, before, push, state| {
            wrote.insert(format!("{:?}", push.wrote));
            for subset in 1..(1_u32 << push.patches.len()) - 1 {
                let chosen = push
                    .patches
                    .iter()
                    .enumerate()
                    .filter(|(bit, _)| subset >> bit & 1 == 1);
                let chosen: Vec<_> = chosen.map(|(_, patch)| patch.clone()).collect();
                let mut half = dataset.clone();
                half.apply(&chosen);
                torn += 1;
                let Some(before) = before else {
                    continue;
                };
                let read = check_read(&half, Some(before)).unwrap();
                check_includes(read.state(), before.state());
                check_includes(state, read.state());

                let repair = half.plan(life(Some(&read), 0), state, &limits).unwrap();
                half.apply(&repair.patches);
                let whole = check_read(&half, Some(&repair.stored)).unwrap();
                assert_eq!((whole.state(), whole.needs_repair()), (state, false));
            }
        });
    }
    assert!(torn > 800, "{torn} torn pushes");
    assert_eq!(wrote.len(), 4, "{wrote:?}");
}

/// A base that is written upon the old one is the one push that can lose what no living device holds; it never brings what
/// was not written, and the pushing device makes it whole.
#[test]
fn a_torn_base_upon_the_old_one_is_repaired() {
    let limits = Limits::default().with_dataset_bytes(9_000);
    let (mut random, mut torn) = (Random::new(2), 0);
    let (mut dataset, mut device) = (Dataset::default(), Device::new(0));
    let mut stored: Option<Stored> = None;
    while torn < 60 {
        device.put(
            &format!("key {}", random.below(40)),
            random.printable(140, 140),
        );
        let push = dataset
            .plan(life(stored.as_ref(), 1), &device.state, &limits)
            .unwrap();
        let before = stored.as_ref().and_then(Stored::generation);
        if push.stored.generation() == before.map(|before| before + 2) {
            for _ in 0..12 {
                let mut half = dataset.clone();
                let patches = push.patches.iter().filter(|_| random.below(2) == 0);
                half.apply(&patches.cloned().collect::<Vec<_>>());
                torn += 1;
                let read = half.read(&limits, stored.as_ref()).unwrap().unwrap();
                check_includes(&device.state, read.state());
                let repair = half
                    .plan(life(Some(&read), 0), &device.state, &limits)
                    .unwrap();
                half.apply(&repair.patches);
                let whole = half.read(&limits, None).unwrap().unwrap();
                assert_eq!(
                    (whole.state(), whole.needs_repair()),
                    (&device.state, false)
                );
            }
        }
        dataset.apply(&push.patches);
        stored = Some(push.stored);
    }
}

#[test]
fn what_a_push_leaves_is_what_it_said() {
    push_edits(250, 4, |dataset, before, push, state| {
        let mut after = dataset.clone();
        after.apply(&push.patches);
        let read = check_read(&after, before).unwrap();
        assert_eq!((read.state(), read.needs_repair()), (state, false));
        assert_eq!(read.tip(), push.stored.tip());
        assert_eq!(read.head(), push.stored.head());
        assert_eq!(read.text_len(), push.stored.text_len());
        check_read(&after, Some(&push.stored));
    });
}

#[test]
fn each_record_may_be_damaged_or_missing() {
    let (dataset, stored) = push_edits(150, 5, |_, _, _, _| {});
    for key in dataset
        .keys()
        .into_iter()
        .map(str::to_owned)
        .collect::<Vec<_>>()
    {
        let text = dataset.records[&key].clone().unwrap();
        for broken in [
            None,
            Some(String::new()),
            Some(text[..text.len() - 5].to_owned()),
            Some("plain".into()),
        ] {
            let mut damaged = dataset.clone();
            damaged.records.insert(key.clone(), broken);
            let read = check_read(&damaged, Some(&stored)).unwrap();
            check_includes(stored.state(), read.state());
            let is_whole = read.state() == stored.state() && read.head() == stored.head();
            assert!(is_whole || read.needs_repair(), "{key}");
        }
    }
}

#[test]
fn a_delta_is_not_applied_past_a_hole() {
    let limits = Limits::default();
    let (mut dataset, mut device) = (Dataset::default(), Device::new(1));
    let (mut stored, mut states) = (None, Vec::new());
    for number in 0..6 {
        device.put("a", number);
        let push = dataset
            .plan(life(stored.as_ref(), 1), &device.state, &limits)
            .unwrap();
        dataset.apply(&push.patches);
        stored = Some(push.stored);
        states.push(device.state.clone());
    }
    dataset.records.insert("_driftless.log.3".to_owned(), None);
    let read = check_read(&dataset, stored.as_ref()).unwrap();
    assert_eq!((read.state(), read.needs_repair()), (&states[2], true));
}

#[test]
fn logs_of_another_life_are_stale_though_their_numbers_fit() {
    let limits = Limits::default();
    let (old, _) = push_edits(5, 1, |_, _, _, _| {});
    let mut device = Device::new(77);
    device.put("new", "life");
    let mut dataset = Dataset::default();
    let push = dataset.plan(life(None, 2), &device.state, &limits).unwrap();
    dataset.apply(&push.patches);
    for (key, text) in &old.records {
        dataset.records.entry(key.clone()).or_insert(text.clone());
    }
    let read = check_read(&dataset, None).unwrap();
    assert_eq!((read.state(), read.needs_repair()), (&device.state, false));
}

#[test]
fn the_head_of_another_life_decides() {
    let (old, stored) = push_edits(5, 1, |_, _, _, _| {});
    let mut device = Device::new(77);
    device.put("new", "life");
    let mut dataset = old;
    let push = dataset
        .plan(begun(2, Some(&stored)), &device.state, &Limits::default())
        .unwrap();
    let head = push
        .patches
        .iter()
        .position(|(key, _)| key.ends_with("head"))
        .unwrap();
    let mut without_head = push.patches.clone();
    without_head.remove(head);
    let mut torn = dataset.clone();
    torn.apply(&without_head);
    // The new base alone changes nothing: head still names the old life.
    assert_eq!(
        check_read(&torn, Some(&stored)).unwrap().lineage(),
        stored.lineage()
    );

    dataset.apply(&push.patches);
    let read = check_read(&dataset, Some(&stored)).unwrap();
    assert_eq!((read.state(), read.needs_repair()), (&device.state, false));
    let predecessor = read.head().unwrap().predecessor.unwrap();
    assert_eq!(predecessor.lineage, stored.lineage());
    assert_eq!(predecessor.counter, stored.state().max_counter());

    // Without a readable head the highest complete generation tells the life.
    dataset.records.insert("_driftless.head".to_owned(), None);
    let read = check_read(&dataset, None).unwrap();
    assert_eq!((read.state(), read.needs_repair()), (&device.state, true));
}

/// A life, and what stands once another one was compacted out of it.
fn compacted() -> (Dataset, Stored, Push) {
    let (mut dataset, stored) = push_edits(5, 1, |_, _, _, _| {});
    let plan = dataset.plan(begun(2, Some(&stored)), stored.state(), &Limits::default());
    let push = plan.unwrap();
    dataset.apply(&push.patches);
    (dataset, stored, push)
}

fn remove_bases(dataset: &mut Dataset, side: &str) {
    let bases = dataset.records.iter_mut();
    let bases = bases.filter(|(key, _)| key.starts_with(&format!("_driftless.base{side}")));
    bases.for_each(|(_, text)| *text = None);
}

#[test]
fn head_of_a_compaction_that_came_in_part_tells_of_the_life_before() {
    let (mut dataset, stored, push) = compacted();
    let head = push.stored.head().unwrap();
    assert!(head.begins && !push.stored.needs_repair());
    remove_bases(&mut dataset, ".1");
    let read = check_read(&dataset, None).unwrap();
    assert_eq!(
        (read.lineage(), read.state()),
        (stored.lineage(), stored.state())
    );
    assert!(read.needs_repair() && read.lacks_pushes());
    let told = read.head().unwrap();
    assert_eq!((told.lineage, told.begins), (stored.lineage(), false));
    assert_eq!((told.seen, told.predecessor), (head.seen, None));

    // Nothing of either can be read.
    remove_bases(&mut dataset, "");
    let read = check_read(&dataset, None).unwrap();
    assert_eq!((read.lineage(), read.tip()), (push.stored.lineage(), None));
    let before = read.before_vain_compaction().unwrap();
    assert_eq!((before.lineage(), before.tip()), (stored.lineage(), None));
    assert!(before.needs_repair() && before.before_vain_compaction().is_none());
}

#[test]
fn compaction_that_came_and_is_damaged_was_not_in_vain() {
    let (dataset, _, push) = compacted();
    let is_vain = |dataset: &Dataset| {
        let read = check_read(dataset, None).unwrap();
        assert_eq!(read.tip(), None);
        read.before_vain_compaction().is_some()
    };
    let base = "_driftless.base.1.0";
    let mut damaged = dataset.clone();
    remove_bases(&mut damaged, "");
    assert!(is_vain(&damaged));
    // A part that is there and no frame.
    let spoilt = Some("spoilt".to_owned());
    damaged.records.insert(base.to_owned(), spoilt);
    assert!(!is_vain(&damaged));
    // A part that is there and has other bytes.
    let mut damaged = dataset.clone();
    damaged
        .records
        .insert("_driftless.base.0.0".to_owned(), None);
    let text = damaged.records.get_mut(base).unwrap().as_mut().unwrap();
    let last = text.pop().unwrap();
    text.push(if last == '0' { '1' } else { '0' });
    assert!(!is_vain(&damaged));

    // A push upon it: of its head, or of its log alone.
    let mut device = Device::new(9);
    device.state = push.stored.state().clone();
    device.put("later", true);
    let plan = dataset.plan(
        life(Some(&push.stored), 0),
        &device.state,
        &Limits::default(),
    );
    let later = plan.unwrap();
    assert!(!later.stored.head().unwrap().begins);
    for keys in [["_driftless.head"], ["_driftless.log.1"]] {
        let mut damaged = dataset.clone();
        let came = later
            .patches
            .iter()
            .filter(|(key, _)| keys.contains(&key.as_str()));
        damaged.apply(&came.cloned().collect::<Vec<_>>());
        remove_bases(&mut damaged, "");
        assert!(!is_vain(&damaged), "{keys:?}");
    }
}

#[test]
fn head_remembers_the_last_lives_before_its_own() {
    let (mut dataset, mut stored) = push_edits(5, 1, |_, _, _, _| {});
    let mut lives = vec![stored.lineage()];
    for life in 2..9 {
        let plan = dataset.plan(
            begun(life, Some(&stored)),
            stored.state(),
            &Limits::default(),
        );
        let push = plan.unwrap();
        dataset.apply(&push.patches);
        stored = check_read(&dataset, None).unwrap();
        assert_eq!(stored.head(), push.stored.head());
        let before = stored.head().unwrap().predecessor.unwrap();
        let expected = lives.iter().rev().take(1 + Earlier::MAX);
        assert!(before.lives().eq(expected.copied()));
        lives.push(stored.lineage());
    }
}

#[test]
fn no_reserved_record_is_no_state_and_garbage_is_an_error() {
    let mut dataset = Dataset::default();
    dataset
        .records
        .insert("mine".to_owned(), Some("text".to_owned()));
    assert!(check_read(&dataset, None).is_none());

    dataset
        .records
        .insert("_driftless.log.1".to_owned(), Some("garbage".to_owned()));
    let error = dataset.read(&Limits::default(), None).unwrap_err();
    assert_eq!(error, ReadError::Unreadable { records: 1 });
}

#[test]
fn a_head_without_any_base_is_an_empty_state_to_repair() {
    let (mut dataset, stored) = push_edits(3, 1, |_, _, _, _| {});
    dataset
        .records
        .insert("_driftless.base.0.0".to_owned(), None);
    let read = check_read(&dataset, Some(&stored)).unwrap();
    assert_eq!((read.lineage(), read.tip()), (stored.lineage(), None));
    assert!(read.state().clock().is_empty() && read.needs_repair());
}

/// Writes a record again with other bytes and the checksum that they need.
fn rewrite(dataset: &mut Dataset, key: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = z85::decode(dataset.records[key].as_ref().unwrap()).unwrap();
    bytes.truncate(bytes.len() - 8);
    change(&mut bytes);
    let checksum = blake3::hash(&bytes);
    bytes.extend(&checksum.as_bytes()[..8]);
    dataset
        .records
        .insert(key.to_owned(), Some(z85::encode(bytes)));
}

#[test]
fn a_newer_version_is_refused_and_is_told_from_damage() {
    for key in ["_driftless.head", "_driftless.base.0.0"] {
        let (mut dataset, _) = push_edits(3, 1, |_, _, _, _| {});
        rewrite(&mut dataset, key, |bytes| bytes[1] = bytes[1] & 0x0f | 0x20);
        let error = dataset.read(&Limits::default(), None).unwrap_err();
        assert_eq!(
            error,
            ReadError::Version {
                key: key.to_owned(),
                version: 2
            }
        );

        let text = dataset.records[key].clone().unwrap();
        let last = if text.ends_with('0') { '1' } else { '0' };
        let damaged = format!("{}{last}", &text[..text.len() - 1]);
        dataset.records.insert(key.to_owned(), Some(damaged));
        assert!(check_read(&dataset, None).unwrap().needs_repair());
    }
}

#[test]
fn a_state_above_the_limit_is_refused_before_it_is_inflated() {
    let mut device = Device::new(0);
    device.put("a", "so compressible ".repeat(3_000));
    let mut dataset = Dataset::default();
    let push = dataset
        .plan(life(None, 1), &device.state, &Limits::default())
        .unwrap();
    dataset.apply(&push.patches);
    assert!(dataset.bytes() < 1_000);
    let error = dataset
        .read(&Limits::default().with_dataset_bytes(40_000), None)
        .unwrap_err();
    assert!(
        matches!(
            error,
            ReadError::Bytes {
                bytes: 48_000..,
                limit: 40_000,
                ..
            }
        ),
        "{error}"
    );
}

/// Puts a log into its slot, on the tip of what is stored.
fn write_log(dataset: &mut Dataset, stored: &Stored, delta: &Delta) {
    let sequence = stored.head().unwrap().sequence as u8 + 1;
    let mut bytes = vec![0xd7, 0x11, sequence];
    bytes.extend(driftless_record::encode(delta, stored.state().clock()));
    let tip = stored.tip().unwrap().to_bytes();
    let checksum = blake3::hash(&[tip.as_slice(), &bytes].concat());
    bytes.extend(&checksum.as_bytes()[..8]);
    let key = format!("_driftless.log.{sequence}");
    dataset.records.insert(key, Some(z85::encode(bytes)));
}

#[test]
fn a_clock_that_jumps_too_far_is_refused_in_a_log_and_written_as_a_base() {
    for (jump, is_refused) in [(MAX_JUMP, false), (MAX_JUMP + 1, true)] {
        let (mut dataset, stored) = push_edits(3, 1, |_, _, _, _| {});
        let counter = stored.state().max_counter() + jump;
        let delta = Delta {
            clock: Clock::from([(Actor::random([9; 8]), counter)]),
            ..Delta::default()
        };
        let state = stored.state().clone().apply(&delta).unwrap();
        let push = dataset
            .plan(life(Some(&stored), 0), &state, &Limits::default())
            .unwrap();
        assert_eq!(
            push.wrote,
            if is_refused { Wrote::Base } else { Wrote::Log }
        );

        write_log(&mut dataset, &stored, &delta);
        let read = dataset.read(&Limits::default(), None);
        let refused = matches!(read, Err(ReadError::Counter { to, .. }) if to == counter);
        assert_eq!(refused, is_refused);
        assert!(is_refused || *read.unwrap().unwrap().state() == state);
    }
}

#[test]
fn a_counter_above_the_highest_is_refused() {
    let (mut dataset, stored) = push_edits(3, 1, |_, _, _, _| {});
    let clock = Clock::from([(Actor::random([9; 8]), MAX_COUNTER + 1)]);
    write_log(
        &mut dataset,
        &stored,
        &Delta {
            clock,
            ..Delta::default()
        },
    );
    let error = dataset.read(&Limits::default(), None).unwrap_err();
    assert!(matches!(error, ReadError::Counter { .. }), "{error}");
}

#[test]
fn a_log_that_makes_no_sense_ends_the_chain() {
    let (mut dataset, stored) = push_edits(3, 1, |_, _, _, _| {});
    let times = [(OpId::new(1, Actor::random([9; 8])), 0)].into();
    write_log(
        &mut dataset,
        &stored,
        &Delta {
            times,
            ..Delta::default()
        },
    );
    let read = check_read(&dataset, Some(&stored)).unwrap();
    assert_eq!((read.state(), read.tip()), (stored.state(), stored.tip()));
}

#[test]
fn what_is_known_of_another_dataset_does_no_harm() {
    let (dataset, _) = push_edits(90, 1, |_, _, _, _| {});
    let (_, other) = push_edits(90, 2, |_, _, _, _| {});
    check_read(&dataset, Some(&other));
}

#[test]
fn a_device_that_was_away_goes_on_from_what_it_knows() {
    let mut kept: Vec<Stored> = Vec::new();
    push_edits(140, 6, |dataset, before, _, _| {
        for known in kept.iter().rev().step_by(17) {
            check_read(dataset, Some(known));
        }
        kept.extend(before.cloned());
    });
}

#[test]
fn tips_differ_from_push_to_push() {
    let mut tips: Vec<Checksum> = Vec::new();
    push_edits(140, 7, |_, _, push, _| tips.extend(push.stored.tip()));
    let all = tips.len();
    tips.sort_unstable();
    tips.dedup();
    assert_eq!(tips.len(), all);
}

proptest! {
    /// Any history is read as it was written, on whatever way it got there.
    #[test]
    fn any_history_is_read_as_written(history in histories(50)) {
        let (mut dataset, mut stored) = (Dataset::default(), None);
        play(&history, |_, state| {
            let push = dataset.plan(life(stored.as_ref(), 1), state, &Limits::default()).unwrap();
            dataset.apply(&push.patches);
            let read = check_read(&dataset, stored.as_ref()).unwrap();
            assert_eq!((read.state(), read.needs_repair()), (state, false));
            stored = Some(push.stored);
        });
    }

    /// Whatever stands in the records, reading ends.
    #[test]
    fn changed_records_never_panic(
        which in any::<prop::sample::Index>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), b' '..=b'~'), 1..5),
    ) {
        let (mut dataset, stored) = push_edits(70, 8, |_, _, _, _| {});
        let keys: Vec<String> = dataset.keys().into_iter().map(str::to_owned).collect();
        let text = dataset.records.get_mut(which.get(&keys)).unwrap();
        let mut bytes = text.clone().unwrap().into_bytes();
        for (at, byte) in changes {
            *at.get_mut(&mut bytes) = byte;
        }
        *text = String::from_utf8(bytes).ok();
        let read = check_read(&dataset, Some(&stored)).unwrap();
        check_includes(stored.state(), read.state());
    }
}
