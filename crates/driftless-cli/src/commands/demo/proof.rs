//! What "agree" means: the same keys, and at each the same values with the same ids, winner first.
//!
//! Texts, totals of counters and conflict sets are among the values, so equal lists of them are all
//! that a user could see.

use driftless::document::State;

use super::world::World;
use crate::exit::{Exit, Failure};

/// What was found equal everywhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Proof {
    pub(crate) devices: usize,
    pub(crate) keys: usize,
    /// All values at all keys, those that lost included.
    pub(crate) values: usize,
}

/// Compares all devices with the first, and that with one automerge document that got all edits.
pub(crate) fn prove(world: &World) -> Result<Proof, Failure> {
    let first = world.devices[0].dataset.state();
    for device in &world.devices[1..] {
        compare(&first, &device.dataset.state(), &device.name)?;
    }
    compare(&first, &world.reference().state(), "automerge")?;
    Ok(Proof {
        devices: world.devices.len(),
        keys: first.keys().count(),
        values: first.keys().map(|key| first.conflicts(key).len()).sum(),
    })
}

fn compare(first: &State, other: &State, name: &str) -> Result<(), Failure> {
    let key = first
        .keys()
        .chain(other.keys())
        .find(|key| first.conflicts(key) != other.conflicts(key));
    match key {
        None => Ok(()),
        Some(key) => {
            let message = format!("device 1 and {name} show different data at {key:?}");
            Err(Failure::new(Exit::Disagree, message))
        }
    }
}

/// Compares the text of every device with what it must be.
pub(crate) fn check_texts(world: &World, key: &str, expected: &str) -> Result<(), Failure> {
    for device in &world.devices {
        if device.dataset.text(key).unwrap_or_default() != expected {
            let message = format!("the text of {} is not the trace's end content", device.name);
            return Err(Failure::new(Exit::Disagree, message));
        }
    }
    Ok(())
}
