//! The checker checked: every deliberate defect in the product must be noticed, and nothing where there is none.

use driftless_document::mutant::{self, Mutant};
use driftless_sim::{Plan, Shape, Violation, run};

/// How many worlds a defect may go unnoticed.
const SEEDS: u64 = 2_000;

/// How much longer the worlds are than they are drawn: some defects take a while to show.
const LONGER: usize = 2;

/// The most steps and devices of a world: large ones cost more than they find.
const STEPS: usize = 500;
const DEVICES: usize = 6;

/// Reads the name of a defect, in a build that has it.
pub(crate) fn parse(name: &str) -> Result<Mutant, String> {
    has_mutants()?;
    Mutant::parse(name).ok_or_else(|| {
        let names: Vec<_> = Mutant::ALL.iter().map(|mutant| mutant.name()).collect();
        format!("it is none of {}", names.join(", "))
    })
}

fn has_mutants() -> Result<(), String> {
    if cfg!(driftless_mutants) {
        return Ok(());
    }
    Err("defects are only in a build with RUSTFLAGS=\"--cfg driftless_mutants\"".to_owned())
}

/// Prints which check notices each defect, and after how many worlds; tells whether all were noticed, and nothing on the
/// same seeds without one.
pub(crate) fn table(only: Option<Mutant>) -> Result<bool, Box<dyn std::error::Error>> {
    has_mutants()?;
    println!("| defect | what is wrong | noticed by | seeds |");
    println!("| --- | --- | --- | ---: |");
    let (mut seeds, mut escaped) = (0, 0);
    let chosen = Mutant::ALL
        .iter()
        .filter(|mutant| only.is_none_or(|only| only == **mutant));
    for mutant in chosen {
        mutant::choose(Some(*mutant));
        let mut tried = 0;
        let noticed = (0..SEEDS)
            .inspect(|seed| tried = seed + 1)
            .find_map(violation);
        let by = match &noticed {
            Some(violation) => format!("{:?}", violation.check),
            None => "NOTHING".to_owned(),
        };
        let (name, what) = (mutant.name(), mutant.what());
        println!("| `{name}` | {what} | {by} | {tried} |");
        seeds = seeds.max(tried);
        escaped += u32::from(noticed.is_none());
    }
    mutant::choose(None);
    let alarms = (0..seeds).filter(|seed| {
        let violation = violation(*seed);
        if let Some(violation) = &violation {
            let Shape { devices, steps, .. } = shape(*seed);
            println!(
                "--seed {seed} --devices {devices} --steps {steps} without a defect: {violation}"
            );
        }
        violation.is_some()
    });
    let alarms = alarms.count();
    println!(
        "{escaped} of {} defects escaped; {alarms} alarms on {seeds} seeds without one",
        Mutant::ALL.len()
    );
    Ok(escaped == 0 && alarms == 0)
}

fn violation(seed: u64) -> Option<Violation> {
    let shape = shape(seed);
    let plan = Plan::draw(seed, shape.devices, shape.steps, shape.story);
    run(&plan).violation
}

fn shape(seed: u64) -> Shape {
    let mut shape = Shape::draw(seed);
    shape.steps = STEPS.min(LONGER * shape.steps);
    shape.devices = DEVICES.min(shape.devices);
    shape
}
