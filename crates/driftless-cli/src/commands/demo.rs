//! `demo`: a service and devices in one process, over real HTTP, signatures and disks; then the proof
//! that all agree.
//!
//! Without a trace the devices live a short story of offline edits (`story.rs`); with one they replay
//! a recorded session (`replay.rs`). Both run in a world of their own (`world.rs`), and what they show
//! is compared, with each other and with one automerge document that got all edits (`proof.rs`).

mod proof;
mod replay;
mod report;
mod story;
mod world;

use driftless::Durability;

use crate::args::{DemoArgs, Wait};
use crate::exit::Failure;
use crate::output::Output;

pub(crate) fn demo(args: DemoArgs, output: &Output) -> Result<(), Failure> {
    let wait = match (args.durability, &args.trace) {
        (Some(wait), _) => wait,
        (None, None) => Wait::Disk,
        // A recorded session has too many edits to wait for the disk at each.
        (None, Some(_)) => Wait::Buffered,
    };
    let durability = match wait {
        Wait::Disk => Durability::Disk,
        Wait::Buffered => Durability::Buffered,
    };
    let options = world::Options {
        seed: args.seed,
        durability,
        record: true,
        keep: args.keep.clone(),
    };
    match &args.trace {
        Some(path) => replay::replay(path, &args, options, output),
        None => story::tell(usize::from(args.devices.unwrap_or(3)), options, output),
    }
}
