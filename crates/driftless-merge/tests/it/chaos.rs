//! Random histories with every fault there is; whatever happened, the devices agree in the end and nothing is lost.

use driftless_document::{Value, path};
use driftless_merge::Operation;
use proptest::prelude::*;

use crate::world::{Fault, World};

#[derive(Clone, Debug)]
enum Step {
    Put(usize, u8, i64),
    Remove(usize, u8),
    Increment(usize, u8, i64),
    Type(usize, u8, u8, u8, String),
    Mark(usize),
    MarkInside(usize),
    /// A kind of edit of a list, map or set, which one, and what it needs else.
    Inside(usize, u8, u8, u8),
    Vain(usize),
    Begin(usize),
    Answer(usize, Fault),
    Crash(usize, Fault, usize),
    /// A push gets lost that may arrive later, and one arrives.
    Hold(usize),
    Deliver(usize),
    Sync(usize),
    Restart(usize),
    Abandon(usize),
    Fold(usize),
    PutPlain(u8),
    RemoveSlots,
    /// Only in histories that forget: the next ones lose data on purpose.
    RemoveTyped(usize, u8),
    Delete(usize),
    Clone(usize),
    OlderServer(usize),
    EmptyServer,
}

fn play(world: &mut World, step: &Step) {
    let count = world.devices.len();
    let at = |device: usize| device % count;
    match step {
        Step::Put(device, key, value) => world.put(at(*device), &format!("s{key}"), *value),
        Step::Remove(device, key) => world.remove(at(*device), &format!("s{key}")),
        Step::Increment(device, key, by) => world.increment(at(*device), &format!("c{key}"), *by),
        Step::Type(device, key, place, delete, text) => {
            let key = format!("t{key}");
            let len = world.devices[at(*device)]
                .replica
                .document()
                .text(&key)
                .map_or(0, |t| t.chars().count());
            let place = usize::from(*place) % (len + 1);
            let delete = usize::from(*delete).min(len - place);
            let insert = text.clone();
            world.edit(
                at(*device),
                Operation::SpliceText {
                    path: key.into(),
                    at: place,
                    delete,
                    insert,
                },
            );
        }
        Step::Mark(device) => world.mark(at(*device)),
        Step::MarkInside(device) => world.mark_inside(at(*device)),
        Step::Inside(device, kind, key, value) => {
            edit_inside(world, at(*device), *kind, *key, *value)
        }
        Step::Vain(device) => {
            world.edit_in_vain(at(*device), Operation::Increment("c0".into(), 1_000))
        }
        Step::Begin(device) => world.begin(at(*device)),
        Step::Answer(device, fault) => {
            world.answer(at(*device), *fault);
        }
        Step::Crash(device, fault, commits) => {
            world.answer_and_crash(at(*device), *fault, *commits);
        }
        Step::Hold(device) => world.hold_push(at(*device)),
        Step::Deliver(push) => world.deliver(*push),
        Step::Sync(device) => {
            world.sync(at(*device));
        }
        Step::Restart(device) => world.restart(at(*device)),
        Step::Abandon(device) => world.abandon(at(*device)),
        Step::Fold(device) => world.fold(at(*device)),
        Step::PutPlain(key) => world.put_plain(&format!("p{key}"), "old"),
        Step::RemoveSlots => world.remove_slots(),
        Step::RemoveTyped(device, key) => {
            let kind = ["c", "t", "l", "o", "e"][usize::from(key / 2)];
            world.remove(at(*device), &format!("{kind}{}", key % 2));
        }
        Step::Delete(device) => world.delete(at(*device)),
        Step::Clone(device) if count < 4 => {
            let disk = world.devices[at(*device)].disk.clone();
            world.join_device(disk);
        }
        Step::Clone(_) => {}
        Step::OlderServer(writes) => {
            let before = world.writes();
            world.replace_server(before.saturating_sub(*writes));
            world.pass_counts(before);
        }
        Step::EmptyServer => {
            let before = world.writes();
            world.replace_server(0);
            world.pass_counts(before);
        }
    }
}

/// Edits a list, map or set of which every device may have another one.
fn edit_inside(world: &mut World, device: usize, kind: u8, key: u8, value: u8) {
    let (list, map, set) = (format!("l{key}"), format!("o{key}"), format!("e{key}"));
    let elements = match world.state(device).get(&list) {
        Some(Value::List(values)) => values.len(),
        _ => 0,
    };
    let at = usize::from(value).checked_rem(elements).unwrap_or(0);
    let number = i64::from(value);
    let member = (number % 4).into();
    match kind {
        0 => world.insert(device, list, number),
        1 => world.insert(device, list, Value::map([("n", Value::Counter(number))])),
        2 if elements > 0 => world.put_at(device, path![list, at], number),
        3 if elements > 0 => world.edit(device, Operation::Remove(path![list, at])),
        4 if elements > 0 => {
            world.edit(device, Operation::Increment(path![list, at, "n"], 1));
        }
        5 => world.put_at(device, path![map, "in", format!("k{}", value % 3)], number),
        6 => world.edit(device, Operation::Add(path![map, "tags"], member)),
        7 => world.edit(device, Operation::Discard(path![set], member)),
        _ => world.edit(device, Operation::Add(path![set], member)),
    }
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        8 => Just(Fault::Nothing),
        2 => Just(Fault::LostBefore),
        2 => Just(Fault::LostAfter),
        2 => any::<u8>().prop_map(Fault::Torn),
        1 => Just(Fault::Lambda),
        1 => Just(Fault::Refused),
    ]
}

/// What histories do on purpose beside editing, synchronizing and failing.
#[derive(Clone, Copy)]
enum Story {
    Plain,
    /// Datasets end, and servers are replaced.
    Ends,
    /// Datasets end, and stores are copied. What hides edits from a copy is not for these: removed slots, older servers, and
    /// pushes without an answer, which explain whatever stands under an equal counter.
    Copies,
}

fn steps(story: Story) -> impl Strategy<Value = Vec<Step>> {
    let (damage, wild, copies, servers) = match story {
        Story::Plain => (2, 0, 1, 1),
        Story::Ends => (2, 15, 0, 2),
        Story::Copies => (0, 15, 3, 0),
    };
    let device = || 0..4_usize;
    let tame = prop_oneof![
        3 => (device(), 0..2_u8, -9..9_i64).prop_map(|(d, k, v)| Step::Put(d, k, v)),
        1 => (device(), 0..2_u8).prop_map(|(d, k)| Step::Remove(d, k)),
        2 => (device(), 0..2_u8, -9..9_i64).prop_map(|(d, k, v)| Step::Increment(d, k, v)),
        3 => (device(), 0..2_u8, any::<u8>(), 0..3_u8, "[a-d]{0,3}").prop_map(|(d, k, a, b, t)| Step::Type(d, k, a, b, t)),
        2 => device().prop_map(Step::Mark),
        2 => device().prop_map(Step::MarkInside),
        6 => (device(), 0..8_u8, 0..2_u8, any::<u8>()).prop_map(|(d, k, o, v)| Step::Inside(d, k, o, v)),
        1 => device().prop_map(Step::Vain),
        4 => device().prop_map(Step::Begin),
        9 => (device(), fault()).prop_map(|(d, f)| Step::Answer(d, f)),
        2 => (device(), fault(), 0..2_usize).prop_map(|(d, f, c)| Step::Crash(d, f, c)),
        2 => device().prop_map(Step::Hold),
        2 => (0..3_usize).prop_map(Step::Deliver),
        4 => device().prop_map(Step::Sync),
        1 => device().prop_map(Step::Restart),
        1 => device().prop_map(Step::Abandon),
        1 => device().prop_map(Step::Fold),
        1 => (0..2_u8).prop_map(Step::PutPlain),
    ];
    let wild_steps = prop_oneof![
        3 => (device(), 0..10_u8).prop_map(|(d, k)| Step::RemoveTyped(d, k)),
        2 => device().prop_map(Step::Delete),
        copies => device().prop_map(Step::Clone),
        servers => (1..4_usize).prop_map(Step::OlderServer),
        servers => Just(Step::EmptyServer),
    ];
    let step = prop_oneof![80 => tame, damage => Just(Step::RemoveSlots), wild => wild_steps];
    let is_answered = move |step: &Step| match story {
        Story::Copies => !matches!(
            step,
            Step::Begin(_) | Step::Answer(..) | Step::Crash(..) | Step::Hold(_)
        ),
        Story::Plain | Story::Ends => true,
    };
    let answered = move |steps: Vec<Step>| steps.into_iter().filter(is_answered).collect();
    proptest::collection::vec(step, 0..60).prop_map(answered)
}

/// After any history all devices come to rest, equal, with nothing lost; then they edit once more and still agree.
fn check(story: Story, steps: &[Step], page: Option<u32>) -> World {
    let mut world = World::new(3);
    world.page = page;
    world.reference = world.reference.filter(|_| matches!(story, Story::Plain));
    for step in steps {
        play(&mut world, step);
    }
    world.settle();
    for device in 0..world.devices.len() {
        world.restart(device);
        world.mark(device);
        world.increment(device, "c0", 1);
        world.write(device, "t0", "end");
    }
    world.settle();
    world
}

fn cases() -> ProptestConfig {
    let cases = std::env::var("DRIFTLESS_CHAOS")
        .ok()
        .and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: cases.unwrap_or(64),
        failure_persistence: None,
        max_shrink_iters: 4_000,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases())]

    /// Without deletions and copies, what all devices show is what a document shows that merged every edit.
    #[test]
    fn devices_agree_with_the_reference(steps in steps(Story::Plain), page in proptest::option::of(1..4_u32)) {
        let world = check(Story::Plain, &steps, page);
        if world.lost.is_empty() {
            world.check_reference();
        }
    }

    /// With deletions and replaced servers too, devices agree, and no unsynced edit is lost.
    #[test]
    fn devices_agree_whatever_happened(steps in steps(Story::Ends), page in proptest::option::of(1..4_u32)) {
        drop(check(Story::Ends, &steps, page));
    }

    /// Copies of a store part from each other, and no unsynced edit of either is lost.
    #[test]
    fn copies_agree(steps in steps(Story::Copies), page in proptest::option::of(1..4_u32)) {
        drop(check(Story::Copies, &steps, page));
    }
}
