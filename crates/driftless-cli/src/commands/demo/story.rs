//! The short story: devices that know each other's data go offline, edit, and sync in any order.
//!
//! Among the edits are all that can meet: increments of one counter, two who begin one text, two who
//! put different values at one key, one who puts what another removes; then some at random.

use driftless::{Dataset, PutError};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use serde_json::json;

use super::proof::{self, Proof};
use super::report;
use super::world::{Options, World};
use crate::exit::{Exit, Failure};
use crate::output::{Output, shortened, table};
use crate::portable::export;
use crate::value;

/// How many edits each device makes at random.
const RANDOM_EDITS: usize = 12;

/// An edit of the story: which device, what it does, and how that is told.
type Scene = (
    usize,
    &'static str,
    Box<dyn Fn(&Dataset) -> Result<(), PutError>>,
);

pub(crate) fn tell(devices: usize, options: Options, output: &Output) -> Result<(), Failure> {
    let seed = options.seed;
    let mut random = StdRng::seed_from_u64(seed);
    let mut world = World::start(devices, options)?;
    output.tell(format_args!(
        "A service on a loopback port, and {devices} devices with a store each (seed {seed}).\n"
    ))?;

    play(&mut world, &beginning())?;
    world.sync_until_quiet(|order| order.shuffle(&mut random))?;

    let scenes = offline(devices);
    play(&mut world, &scenes)?;
    let name = |device: usize| world.devices[device].name.clone();
    let told = scenes
        .iter()
        .map(|(device, what, _)| [name(*device), (*what).to_owned()]);
    output.tell(format_args!(
        "All are in sync, then go offline and edit:\n{}",
        table(["device", "edit"], told)
    ))?;
    for device in 0..devices {
        edit_at_random(&mut world, device, &mut random)?;
    }
    output.tell(format_args!(
        "and {RANDOM_EDITS} more edits each, at random. Then they sync, in any order."
    ))?;
    world.sync_until_quiet(|order| order.shuffle(&mut random))?;
    let quiet = world.sync(0)?;
    if quiet.requests != 1 {
        let message = format!("a sync without news took {} requests", quiet.requests);
        return Err(Failure::new(Exit::Disagree, message));
    }

    let fresh = world.add_device()?;
    world.sync(fresh)?;
    let proof = proof::prove(&world)?;
    show(&world, proof, seed, output)?;
    world.stop()
}

fn beginning() -> Vec<Scene> {
    vec![
        (0, "", Box::new(|dataset| dataset.put("title", "Draft"))),
        (0, "", Box::new(|dataset| dataset.put("colour", "blue"))),
        (0, "", Box::new(|dataset| dataset.increment("visits", 100))),
    ]
}

fn offline(devices: usize) -> Vec<Scene> {
    let last = devices - 1;
    let mut scenes: Vec<Scene> = vec![
        (
            0,
            "puts title = Groceries",
            Box::new(|dataset| dataset.put("title", "Groceries")),
        ),
        (
            1,
            "puts title = Party",
            Box::new(|dataset| dataset.put("title", "Party")),
        ),
        (
            0,
            "begins the text note: milk,",
            Box::new(|d| d.splice_text("note", 0, 0, "milk, ")),
        ),
        (
            1,
            "begins the text note: bread,",
            Box::new(|d| d.splice_text("note", 0, 0, "bread, ")),
        ),
        (
            0,
            "puts colour = green",
            Box::new(|dataset| dataset.put("colour", "green")),
        ),
        (
            last,
            "removes colour",
            Box::new(|dataset| dataset.remove("colour").map(drop)),
        ),
    ];
    for device in 0..devices {
        scenes.push((
            device,
            "adds 1 to visits",
            Box::new(|dataset| dataset.increment("visits", 1)),
        ));
    }
    scenes
}

fn play(world: &mut World, scenes: &[Scene]) -> Result<(), Failure> {
    for (device, _, edit) in scenes {
        let device = &mut world.devices[*device];
        edit(&device.dataset)?;
        device.totals.edits += 1;
    }
    Ok(())
}

fn edit_at_random(world: &mut World, device: usize, random: &mut StdRng) -> Result<(), Failure> {
    let device = &mut world.devices[device];
    let dataset = &device.dataset;
    for _ in 0..RANDOM_EDITS {
        let number = random.random_range(0..4);
        match random.random_range(0..4) {
            0 => dataset.put(format!("item {number}"), random.random_range(0..100_i64))?,
            1 => drop(dataset.remove(format!("item {number}"))?),
            2 => dataset.increment(format!("count {number}"), random.random_range(-9..10))?,
            _ => {
                let len = dataset.text("story").unwrap_or_default().chars().count();
                let at = random.random_range(0..=len);
                let delete = random.random_range(0..=(len - at).min(2));
                let word = ["né ", "ja ", "😀", "oui "][number];
                dataset.splice_text("story", at, delete, word)?;
            }
        }
        device.totals.edits += 1;
    }
    Ok(())
}

fn show(world: &World, proof: Proof, seed: u64, output: &Output) -> Result<(), Failure> {
    let dataset = &world.devices[0].dataset;
    let verdict = || {
        format!(
            "AGREED: all {} devices, the last of which only joined at the end, and one automerge \
             document\nthat got every edit show the same {} values at {} keys.\n",
            proof.devices, proof.values, proof.keys
        )
    };
    output.answer(
        || {
            json!({
                "agreed": true,
                "seed": seed,
                "keys": proof.keys,
                "values": proof.values,
                "devices": report::objects(&world.devices),
                "data": export(dataset),
            })
        },
        || {
            let rows = dataset.entries().into_iter().map(|(key, shown)| {
                let all = dataset.conflicts(&key).into_iter().skip(1);
                let others: Vec<String> = all.map(|other| value::text(&other.value)).collect();
                let kind = value::type_name(&shown).to_owned();
                [
                    key,
                    kind,
                    shortened(&value::text(&shown)),
                    shortened(&others.join(", ")),
                ]
            });
            format!(
                "\nWhat every device shows:\n{}\nWhat it took:\n{}\n{}",
                table(["key", "type", "value", "lost to it"], rows),
                report::devices(&world.devices),
                verdict()
            )
        },
    )
}
