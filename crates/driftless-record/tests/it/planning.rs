//! What a push writes, and that it keeps to the limits.

use driftless_record::{Limits, PlanError, Wrote, size_of_state};

use crate::samples::{Dataset, Device, Random, begun, life};

#[track_caller]
fn check_limits(dataset: &Dataset, limits: &Limits) {
    assert!(
        dataset.bytes() <= limits.dataset_bytes(),
        "{} bytes",
        dataset.bytes()
    );
    assert!(
        dataset.records.len() <= limits.records(),
        "{} records",
        dataset.records.len()
    );
}

/// Pushes so many edits of 40 keys under these limits, and returns how often each way was taken.
fn check_edits(edits: usize, longest: u64, limits: &Limits) -> [usize; 5] {
    let mut random = Random::new(longest);
    let (mut dataset, mut device, mut stored) = (Dataset::default(), Device::new(0), None);
    let mut wrote = [0; 5];
    for number in 0..edits {
        let key = format!("a key {:02}", random.below(40));
        device.put(&key, random.printable(0, longest));
        let push = dataset
            .plan(life(stored.as_ref(), 1), &device.state, limits)
            .unwrap();
        dataset.apply(&push.patches);
        check_limits(&dataset, limits);
        wrote[push.wrote as usize] += 1;
        let known = if number % 10 == 0 {
            None
        } else {
            stored.as_ref()
        };
        let read = dataset.read(limits, known).unwrap().unwrap();
        assert_eq!(
            (read.state(), read.tip()),
            (&device.state, push.stored.tip())
        );
        assert!(!read.needs_repair());
        stored = Some(if number % 3 == 0 { read } else { push.stored });
    }
    wrote
}

#[test]
fn two_thousand_pushes_with_room_are_mostly_logs() {
    let [heads, logs, folds, runs, bases] = check_edits(2_000, 60, &Limits::default());
    assert_eq!((heads, runs), (0, 0));
    assert!(
        logs > 1_900 && folds + bases > 25,
        "{logs} logs, {folds} folds, {bases} bases"
    );
}

#[test]
fn trap_44_pushes_keep_to_limits_that_press() {
    // A base of 40 values of up to 200 characters takes some 6,300 characters.
    for limit in [20_000, 12_000, 9_500] {
        let limits = Limits::default().with_dataset_bytes(limit).with_records(84);
        let wrote = check_edits(400, 200, &limits);
        assert!(wrote[Wrote::Base as usize] > 0);
    }
}

#[test]
fn trap_15_few_records_are_enough() {
    let limits = Limits::default().with_records(6);
    check_edits(100, 60, &limits);
}

#[test]
fn what_does_not_fit_is_refused_with_sizes_until_it_is_removed() {
    let limits = Limits::default().with_dataset_bytes(20_000);
    let mut random = Random::new(3);
    let (mut dataset, mut device, mut stored) = (Dataset::default(), Device::new(0), None);
    let refused = (0..).find_map(|number| {
        device.put(&format!("key {number}"), random.printable(300, 300));
        match dataset.plan(life(stored.as_ref(), 1), &device.state, &limits) {
            Ok(push) => {
                dataset.apply(&push.patches);
                check_limits(&dataset, &limits);
                stored = Some(push.stored);
                None
            }
            Err(error) => Some((number, error)),
        }
    });
    let (number, PlanError::Full { live, limit, .. }) = refused.unwrap() else {
        unreachable!()
    };
    assert_eq!(limit, 17_000);
    assert!(live > limit, "{live} of {limit}");
    assert!(live.abs_diff(size_of_state(&device.state)) < 100);

    for number in number - 10..=number {
        device.remove(&format!("key {number}"));
    }
    let push = dataset
        .plan(life(stored.as_ref(), 1), &device.state, &limits)
        .unwrap();
    dataset.apply(&push.patches);
    check_limits(&dataset, &limits);
}

#[test]
fn an_empty_change_writes_head_only() {
    let (mut dataset, mut device) = (Dataset::default(), Device::new(0));
    device.put("a", 1);
    let first = dataset
        .plan(life(None, 1), &device.state, &Limits::default())
        .unwrap();
    dataset.apply(&first.patches);
    let push = dataset
        .plan(
            life(Some(&first.stored), 0),
            &device.state,
            &Limits::default(),
        )
        .unwrap();
    assert_eq!((push.wrote, push.patches.len()), (Wrote::Head, 1));
    assert_eq!(push.stored.tip(), first.stored.tip());
}

/// Pushes puts until a push writes a base for the second time.
fn until_folded(longest: u64, limits: &Limits) -> (Dataset, Device, driftless_record::Push) {
    let mut random = Random::new(1);
    let (mut dataset, mut device) = (Dataset::default(), Device::new(0));
    device.put("a", "first");
    let mut push = dataset.plan(life(None, 1), &device.state, limits).unwrap();
    loop {
        dataset.apply(&push.patches);
        device.put(
            &format!("key {}", random.below(40)),
            random.printable(longest, longest),
        );
        push = dataset
            .plan(life(Some(&push.stored), 0), &device.state, limits)
            .unwrap();
        if push.wrote == Wrote::Base {
            return (dataset, device, push);
        }
    }
}

#[test]
fn a_new_base_stands_beside_the_old_one_which_the_next_push_removes() {
    let limits = Limits::default();
    let (mut dataset, mut device, push) = until_folded(100, &limits);
    assert_eq!(push.stored.generation(), Some(1));
    dataset.apply(&push.patches);
    assert!(dataset.keys().contains("_driftless.base.0.0"));
    assert!(dataset.keys().contains("_driftless.base.1.0"));

    device.put("a", "next");
    let next = dataset
        .plan(life(Some(&push.stored), 0), &device.state, &limits)
        .unwrap();
    assert_eq!(next.patches.len(), 3);
    dataset.apply(&next.patches);
    assert!(!dataset.keys().contains("_driftless.base.0.0"));
}

#[test]
fn a_new_base_without_room_beside_the_old_one_stands_upon_it() {
    let limits = Limits::default().with_dataset_bytes(9_000);
    let (mut dataset, device, push) = until_folded(140, &limits);
    dataset.apply(&push.patches);
    check_limits(&dataset, &limits);
    // The base of one key left room for that of many; the one after that has none.
    let mut random = Random::new(2);
    let (mut device, mut stored) = (device, push.stored);
    loop {
        device.put(
            &format!("key {}", random.below(40)),
            random.printable(140, 140),
        );
        let push = dataset
            .plan(life(Some(&stored), 0), &device.state, &limits)
            .unwrap();
        let before = stored.generation().unwrap();
        dataset.apply(&push.patches);
        check_limits(&dataset, &limits);
        stored = push.stored;
        if push.wrote == Wrote::Base && stored.generation() == Some(before + 2) {
            break;
        }
    }
    assert_eq!(
        dataset.read(&limits, None).unwrap().unwrap().state(),
        &device.state
    );
}

#[test]
fn a_repair_is_written_beside_the_base_that_can_be_read() {
    let limits = Limits::default();
    let (mut dataset, device, push) = until_folded(100, &limits);
    // The push of the new base is torn: the old base and its runs and logs stand, and a new base that is empty.
    let (key, text) = push
        .patches
        .iter()
        .find(|(key, _)| key.contains("base"))
        .unwrap();
    dataset
        .records
        .insert(key.clone(), text.as_ref().map(|text| text[..40].to_owned()));
    let head = push
        .patches
        .iter()
        .find(|(key, _)| key.ends_with("head"))
        .unwrap();
    dataset.apply(std::slice::from_ref(head));
    let torn = dataset.read(&limits, None).unwrap().unwrap();
    assert_eq!((torn.needs_repair(), torn.generation()), (true, Some(0)));

    let state = torn.state().join(&device.state);
    let repair = dataset.plan(life(Some(&torn), 0), &state, &limits).unwrap();
    assert_eq!(repair.stored.generation(), Some(3));
    assert!(
        repair
            .patches
            .iter()
            .all(|(key, _)| !key.contains("base.0"))
    );
}

#[test]
fn a_compacted_life_is_written_beside_the_old_one() {
    let limits = Limits::default();
    let (mut dataset, mut device) = (Dataset::default(), Device::new(0));
    let text = device.make_text("text");
    device.insert(
        text,
        None,
        driftless_document::Body::characters("a text".repeat(900)),
    );
    let push = dataset.plan(life(None, 1), &device.state, &limits).unwrap();
    dataset.apply(&push.patches);

    let mut compacted = Device::new(1);
    compacted.put("a", "all that lives");
    let push = dataset
        .plan(begun(2, Some(&push.stored)), &compacted.state, &limits)
        .unwrap();
    assert_eq!(push.stored.generation(), Some(1));
    dataset.apply(&push.patches);
    let read = dataset.read(&limits, None).unwrap().unwrap();
    assert_eq!(
        (read.state(), read.needs_repair()),
        (&compacted.state, false)
    );
}

#[test]
fn a_long_base_has_parts_and_a_shorter_one_removes_them() {
    let limits = Limits::default();
    let mut random = Random::new(4);
    let (mut dataset, mut device) = (Dataset::default(), Device::new(0));
    (0..3).for_each(|number| {
        device.put(&format!("key {number}"), random.printable(120_000, 120_000))
    });
    let long = dataset
        .plan(begun(1, None), &device.state, &limits)
        .unwrap();
    dataset.apply(&long.patches);
    assert_eq!(long.stored.head().unwrap().parts, 3);
    let read = dataset.read(&limits, None).unwrap().unwrap();
    assert_eq!(read.state(), &device.state);

    for part in 0..3 {
        let mut damaged = dataset.clone();
        damaged
            .records
            .insert(format!("_driftless.base.0.{part}"), None);
        let read = damaged.read(&limits, Some(&long.stored)).unwrap().unwrap();
        assert_eq!((read.tip(), read.needs_repair()), (None, true));
    }

    let mut short = Device::new(1);
    short.put("a", "short");
    let mut over = long.stored;
    for lineage in [2, 3] {
        let push = dataset
            .plan(begun(lineage, Some(&over)), &short.state, &limits)
            .unwrap();
        dataset.apply(&push.patches);
        over = push.stored;
    }
    assert_eq!(over.generation(), Some(2));
    let bases: Vec<&str> = dataset
        .keys()
        .into_iter()
        .filter(|key| key.contains("base"))
        .collect();
    assert_eq!(bases, ["_driftless.base.0.0", "_driftless.base.1.0"]);
}

/// Parts of a base that a torn push left beside the one that stands go with the next push.
#[test]
fn parts_of_a_torn_base_are_removed() {
    let limits = Limits::default();
    let (mut dataset, mut device) = (Dataset::default(), Device::new(0));
    device.put("a", "first");
    let push = dataset.plan(life(None, 1), &device.state, &limits).unwrap();
    dataset.apply(&push.patches);
    let key = "_driftless.base.1.0".to_owned();
    dataset.records.insert(key.clone(), Some("torn".to_owned()));
    let read = dataset.read(&limits, None).unwrap().unwrap();
    assert!(!read.needs_repair());

    device.put("a", "next");
    let next = dataset
        .plan(life(Some(&read), 0), &device.state, &limits)
        .unwrap();
    assert_eq!(next.wrote, Wrote::Log);
    assert!(next.patches.contains(&(key, None)));
}

#[test]
fn dead_elements_are_told_when_nothing_fits() {
    let mut device = Device::new(0);
    let text = device.make_text("text");
    let mut at = None;
    let mut random = Random::new(8);
    for _ in 0..400 {
        at = Some(device.insert(
            text,
            at,
            driftless_document::Body::characters("ab".to_owned()),
        ));
        // Another author in between, so that runs stay short.
        device.actor = driftless_document::Actor::random(random.bytes());
    }
    let limits = Limits::default().with_dataset_bytes(5_000);
    let error = Dataset::default()
        .plan(begun(1, None), &device.state, &limits)
        .unwrap_err();
    let PlanError::Full {
        live,
        dead,
        clock,
        limit,
    } = error
    else {
        unreachable!()
    };
    assert!(
        clock > 400 * 8 && clock < live && dead == 0 && live > limit,
        "{error}"
    );
}
