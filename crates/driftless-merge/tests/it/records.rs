//! The service's limit of records in a plain dataset, where each key has a record of its own beside the slots.

use std::collections::BTreeMap;

use driftless_merge::{Operation, RefusedEdit};
use driftless_record::Limits;

use crate::world::World;

/// A world of plain datasets with room for so many plain records.
fn with_room_for(plain: usize, devices: usize) -> World {
    let mut world = World::new(devices);
    let slots = 1_024 - Limits::default().plain_records();
    world.limits = Limits::default().with_records(slots + plain);
    assert_eq!(world.limits.plain_records(), plain);
    (0..devices).for_each(|device| world.restart(device));
    world.keep_plain(0);
    world.put(0, "first", 1);
    world.sync(0);
    (1..devices).for_each(|device| _ = world.sync(device));
    world
}

fn try_put(world: &mut World, device: usize, key: &str) -> Result<bool, RefusedEdit> {
    let put = Operation::Put(BTreeMap::from([(key.to_owned(), 1.into())]));
    world.try_edit(device, put)
}

#[test]
fn trap_40_put_that_needs_a_record_too_many_is_refused_and_not_dropped() {
    let mut world = with_room_for(4, 1);
    for key in ["a", "b", "c"] {
        assert!(try_put(&mut world, 0, key).unwrap());
    }
    let refused = try_put(&mut world, 0, "d").unwrap_err();
    let RefusedEdit::Full { size, .. } = &refused else {
        unreachable!()
    };
    assert_eq!((size.records, size.records_limit), (4, 4));
    assert!(size.live < size.refused_above);
    assert!(refused.to_string().contains("4 of 4 plain records"));
    // What needs no record of its own is taken.
    world.put(0, "first", 2);
    world.insert(0, "list", 1);
    world.remove(0, "a");
    assert!(try_put(&mut world, 0, "d").unwrap());
    world.settle();
    assert_eq!(world.plain().len(), 4);
    // A record that was removed at the service stays as a tombstone, and its key can be put again.
    world.remove(0, "b");
    world.sync(0);
    assert!(try_put(&mut world, 0, "e").is_err());
    assert!(try_put(&mut world, 0, "b").unwrap());
    world.restart(0);
    assert!(try_put(&mut world, 0, "e").is_err());
    world.settle();
}

#[test]
fn keys_of_two_devices_that_need_too_many_records_are_full_until_unsynced_ones_go() {
    let mut world = with_room_for(6, 2);
    for number in 0..4 {
        assert!(try_put(&mut world, 0, &format!("0.{number}")).unwrap());
        assert!(try_put(&mut world, 1, &format!("1.{number}")).unwrap());
    }
    world.sync(0);
    world.sync(1);
    let size = world.summary(1).full.unwrap();
    assert_eq!((size.records, size.records_limit), (9, 6));
    assert_eq!(world.state(1).keys().count(), 9, "the join stays");
    // What stands there is no help: its record would stay as a tombstone.
    world.remove(1, "0.0");
    world.sync(1);
    assert!(world.summary(1).full.is_some());
    (0..3).for_each(|number| world.remove(1, &format!("1.{number}")));
    world.settle();
    assert_eq!(world.state(0).keys().count(), 5);
}

#[test]
fn dataset_with_many_tombstones_goes_on_pushing_its_state() {
    let mut world = with_room_for(6, 2);
    let key = |number| (format!("old{number}"), String::new());
    // An old client knows of no slots, and takes all records that the service gives.
    let left = world.limits.records() - world.records().len();
    world.put_plain_all((0..left).map(key));
    world.rewrite(|record| record.key.as_str().starts_with("old").then_some(None));
    for number in 0..200 {
        world.put(number % 2, "first", number as i64);
        world.sync(number % 2);
        assert_eq!(world.summary(number % 2).full, None, "{number}");
    }
    world.settle();
    assert_eq!(world.records().len(), world.limits.records());
    assert!(try_put(&mut world, 0, "more").is_err());
}
