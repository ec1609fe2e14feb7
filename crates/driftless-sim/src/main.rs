//! The simulator's command line: one world, many worlds, one that was kept, or worlds of devices with defects.

mod mutants;

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use driftless_document::branch;
use driftless_document::mutant::{self, Mutant};
use driftless_sim::{Edit, Plan, Story, Tally, Verdict, Violation, run, run_with, shrink};

/// Runs Driftless devices in a simulated world, and tells whether they agree.
///
/// A failure prints the seed, the command that replays it, and a smaller plan that fails in the same way.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The seed of the world, or of the first of several.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How many worlds, with consecutive seeds.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// How many devices a world has; drawn for each, from 2 to 50, if it is not given.
    #[arg(long)]
    devices: Option<usize>,
    /// How many steps a world has; drawn for each, from 20 to 20,000, if it is not given.
    #[arg(long)]
    steps: Option<usize>,
    /// What happens on purpose; drawn for each world if it is not given.
    #[arg(long, value_enum)]
    story: Option<Tale>,
    /// Runs a plan that was kept in a file instead.
    #[arg(long)]
    plan: Option<PathBuf>,
    /// Writes a plan that fails, made smaller, into this file.
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Prints what happens, line by line.
    #[arg(long)]
    print: bool,
    /// Reports a failure as it is, without making it smaller.
    #[arg(long)]
    no_shrink: bool,
    /// Says nothing about seeds that went well until the end.
    #[arg(long)]
    quiet: bool,
    /// Runs with this deliberate defect in the product, in a build that has it.
    #[arg(long, value_parser = mutants::parse)]
    mutant: Option<Mutant>,
    /// Tells for each deliberate defect, or for the given one, how many worlds it takes until it is noticed.
    #[arg(long)]
    mutants: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Tale {
    Plain,
    Ends,
    Copies,
}

impl From<Tale> for Story {
    fn from(tale: Tale) -> Self {
        match tale {
            Tale::Plain => Self::Plain,
            Tale::Ends => Self::Ends,
            Tale::Copies => Self::Copies,
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if !arguments.print {
        // A panic is a verdict, which is printed with its seed.
        std::panic::set_hook(Box::new(|_| {}));
    }
    match simulate(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("driftless-sim: {error}");
            ExitCode::from(2)
        }
    }
}

/// Runs what was asked for, and tells whether all went well.
fn simulate(arguments: &Arguments) -> Result<bool, Box<dyn std::error::Error>> {
    if arguments.mutants {
        return mutants::table(arguments.mutant);
    }
    mutant::choose(arguments.mutant);
    if let Some(path) = &arguments.plan {
        let plan: Plan = serde_json::from_str(&fs::read_to_string(path)?)?;
        let verdict = run_with(&plan, arguments.print, Edit::apply, |_| Ok(()));
        print!("{}", verdict.tally);
        print_branches();
        conclude(1, u64::from(!verdict.is_clean()));
        if let Some(violation) = &verdict.violation {
            println!("{violation}");
        }
        return Ok(verdict.is_clean());
    }
    let mut tally = Tally::default();
    let mut failed = 0;
    for seed in arguments.seed..arguments.seed.saturating_add(arguments.seeds) {
        let plan = plan_of(seed, arguments);
        let verdict = run_with(&plan, arguments.print, Edit::apply, |_| Ok(()));
        tally.merge(&verdict.tally);
        tally.merge(&sizes(&plan));
        if let Some(violation) = &verdict.violation {
            failed += 1;
            report(&plan, violation, arguments)?;
        } else if arguments.seeds == 1 {
            println!("trace {}", hex(&verdict));
        } else if !arguments.quiet && seed % 1_000 == 999 {
            eprintln!("seed {seed}: {failed} failed so far");
        }
    }
    print!("{tally}");
    print_branches();
    conclude(arguments.seeds, failed);
    Ok(failed == 0)
}

/// Tells which decisions of the engine were taken, in a build that counts them.
fn print_branches() {
    if cfg!(driftless_mutants) {
        println!("decisions of the engine:");
        for (branch, hits) in branch::hits() {
            println!("{hits:>12}  {}: {}", branch.name(), branch.what());
        }
    }
}

fn conclude(seeds: u64, failed: u64) {
    let verdict = if failed == 0 { "AGREED" } else { "FAILED" };
    println!("{verdict}: {seeds} seeds, {failed} failed");
}

/// Draws what is not given: most worlds are small, one in a hundred is long, one in ten has many devices.
fn plan_of(seed: u64, arguments: &Arguments) -> Plan {
    let shape = driftless_sim::Shape::draw(seed);
    Plan::draw(
        seed,
        arguments.devices.unwrap_or(shape.devices).max(1),
        arguments.steps.unwrap_or(shape.steps),
        arguments.story.map_or(shape.story, Story::from),
    )
}

/// Counts worlds by size.
fn sizes(plan: &Plan) -> Tally {
    let mut tally = Tally::default();
    let kinds = [
        (true, "worlds"),
        (
            plan.setting.devices >= 10,
            "worlds with ten devices or more",
        ),
        (
            plan.steps.len() >= 10_000,
            "worlds with 10,000 steps or more",
        ),
    ];
    for (_, name) in kinds.into_iter().filter(|(is_so, _)| *is_so) {
        tally.count(name);
    }
    tally
}

/// Says how a plan failed, how to see it again, and what a smaller one does.
fn report(
    plan: &Plan,
    violation: &Violation,
    arguments: &Arguments,
) -> Result<(), Box<dyn std::error::Error>> {
    let setting = &plan.setting;
    println!("seed {}: {violation}", setting.seed);
    println!(
        "  replay: cargo run --release -p driftless-sim -- --seed {} --devices {} --steps {} --story {}",
        setting.seed,
        setting.devices,
        plan.steps.len(),
        format!("{:?}", setting.story).to_lowercase(),
    );
    if arguments.no_shrink {
        return Ok(());
    }
    let (small, violation) = shrink(plan, violation, |plan| run(plan).violation);
    println!(
        "  smaller: {} steps, {} devices, {} faults: {violation}",
        small.steps.len(),
        small.setting.devices,
        small.setting.faults.len(),
    );
    let text = serde_json::to_string_pretty(&small)?;
    match &arguments.keep {
        Some(path) => fs::write(path, text)?,
        None => println!("{text}"),
    }
    Ok(())
}

fn hex(verdict: &Verdict) -> String {
    verdict
        .trace_hash
        .iter()
        .fold(String::new(), |mut text, byte| {
            // Writing into a text never fails.
            let written = write!(text, "{byte:02x}");
            debug_assert!(written.is_ok());
            text
        })
}
