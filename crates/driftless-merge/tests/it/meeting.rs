//! The datasets of one identity move to another on the device.

use driftless_merge::Replica;

use crate::world::{CHILD, World};

/// Moves what the last device has, a guest's, into what the first one has, and lets the guest go.
fn move_in(world: &mut World, guest: usize) {
    let now = world.now();
    let device = world.devices.remove(guest);
    let met = world.devices[0].replica.meet(&device.replica, now).unwrap();
    world.devices[0].disk.keep(met.commit);
}

fn text(replica: &Replica) -> Option<String> {
    replica.document().text("text")
}

#[test]
fn what_was_never_synchronized_moves_and_is_unsynced() {
    let mut world = World::new(2);
    world.put(1, "login", 1);
    world.sync(1);
    let guest = world.join_guest();
    world.write(guest, "text", "guest");
    move_in(&mut world, guest);
    assert!(world.devices[0].replica.has_unsynced());
    world.restart(0);
    world.settle();
    assert_eq!(text(&world.devices[1].replica).as_deref(), Some("guest"));
}

#[test]
fn second_move_after_a_crash_changes_nothing() {
    let mut world = World::new(1);
    let guest = world.join_guest();
    world.write(guest, "text", "guest");
    world.write(0, "text", "login");
    world.remove(0, "text");
    world.sync(0);
    for _ in 0..2 {
        let now = world.now();
        let [device, guest] = world.devices.as_mut_slice() else {
            unreachable!("there are two")
        };
        let met = device.replica.meet(&guest.replica, now).unwrap();
        device.disk.keep(met.commit);
        world.restart(0);
        assert_eq!(text(&world.devices[0].replica).as_deref(), Some("guest"));
    }
}

/// The guest's device moves what it has, and the merge at the service leaves the same as a merged dataset.
#[test]
fn what_moves_and_what_is_folded_in_are_one() {
    for synced in [false, true] {
        let mut world = World::new(2);
        world.write(1, "text", "login ");
        world.sync(1);
        if synced {
            world.remove(1, "text");
            world.sync(1);
        }
        let guest = world.join_guest();
        world.write(guest, "text", "guest ");
        world.increment(guest, "count", 3);
        world.sync(guest);
        world.increment(guest, "count", 10);
        move_in(&mut world, guest);
        world.sync(1);
        world.settle();
        let document = world.devices[1].replica.document();
        assert_eq!(document.counter("count"), Some(13));
        let length = if synced { 6 } else { 12 };
        assert_eq!(document.text("text").map(|text| text.len()), Some(length));
        assert!(!world.list_of(CHILD).dataset_exists);
    }
}

#[test]
fn guest_dataset_whose_deletion_was_pending_does_not_come_back() {
    let mut world = World::new(1);
    let guest = world.join_guest();
    world.put(guest, "secret", 1);
    world.sync(guest);
    world.delete(guest);
    world.put(guest, "later", 2);
    move_in(&mut world, guest);
    world.restart(0);
    world.sync(0);
    assert_eq!(world.state(0).keys().collect::<Vec<_>>(), ["later"]);
    assert!(!world.list_of(CHILD).dataset_exists);
}

#[test]
fn dataset_that_was_to_be_plain_before_any_identity_is_plain_after_the_move() {
    let mut world = World::new(1);
    let guest = world.join_guest();
    world.keep_plain(guest);
    world.put(guest, "key", "text");
    move_in(&mut world, guest);
    world.restart(0);
    world.sync(0);
    assert_eq!(world.plain()["key"], "text");
}

/// It was taken before anybody was known, and replaces what the old client had seen all the same.
#[test]
fn what_an_old_client_had_not_sent_moves_with_what_it_replaces() {
    let mut world = World::new(1);
    world.put_plain("a", "1");
    world.put_plain("b", "2");
    let guest = world.join_guest();
    world.take_unsent(guest, 1, &[("a", Some("new"), 1), ("b", None, 2)]);
    move_in(&mut world, guest);
    world.restart(0);
    // A second call, as the identity, does nothing.
    world.take_unsent(0, 1, &[("a", Some("new"), 1)]);
    world.settle();
    let values = world.state(0).conflicts("a").into_iter();
    let values: Vec<_> = values.map(|conflict| conflict.value).collect();
    assert_eq!(values, ["new".into()]);
    assert_eq!(world.state(0).keys().collect::<Vec<_>>(), ["a"]);
    assert_eq!(world.plain()["a"], "new");
}
