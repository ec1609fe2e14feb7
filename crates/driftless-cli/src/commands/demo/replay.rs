//! A recorded session, typed once more by devices that sync.
//!
//! In **bursts**, which rotate over the devices: each burst after a sync and followed by one, so that
//! every device ends with the trace's end content. Or **overlapping**: all devices type from one base
//! before any syncs. Then positions are not those of the recording (they are kept inside the text),
//! and the end is what one automerge document shows that got the same edits.

use std::path::Path;
use std::time::{Duration, Instant};

use driftless_cli::graph;
use driftless_cli::trace::{Concurrent, Patch, Sequential, Trace};
use indicatif::ProgressBar;
use serde_json::{Value as Json, json};

use super::proof;
use super::report;
use super::world::{Options, World};
use crate::args::DemoArgs;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::progress;

/// The key of the text.
const KEY: &str = "text";

/// A session in one order.
struct Script {
    start: String,
    end: String,
    /// Who types what; without an agent, whoever has the turn.
    lines: Vec<(Option<usize>, Vec<Patch>)>,
    devices: usize,
    /// What is told of how the order came about.
    graph: Option<Json>,
}

pub(crate) fn replay(
    path: &Path,
    args: &DemoArgs,
    options: Options,
    output: &Output,
) -> Result<(), Failure> {
    let script = match Trace::read(path)? {
        Trace::Sequential(trace) => sequential(trace, args),
        Trace::Concurrent(trace) => concurrent(&trace, args, output)?,
    };
    let options = Options {
        record: args.overlap.is_some(),
        ..options
    };
    let mut world = World::start(script.devices, options)?;
    let bar = progress::bar(output, "typing", script.lines.len());
    if !script.start.is_empty() {
        world.devices[0]
            .dataset
            .splice_text(KEY, 0, 0, &script.start)?;
        world.sync(0)?;
    }
    let costs = match args.overlap {
        Some(chunk) => overlapping(&mut world, &script, chunk as usize, &bar)?,
        None => bursts(&mut world, &script, args.burst as usize, &bar)?,
    };
    bar.finish_and_clear();
    world.sync_until_quiet(|_| ())?;
    let fresh = world.add_device()?;
    world.sync(fresh)?;
    if args.overlap.is_some() {
        proof::prove(&world)?;
    } else {
        proof::check_texts(&world, KEY, &script.end)?;
    }
    show(&world, &script, &costs, args, output)?;
    world.stop()
}

fn sequential(trace: Sequential, args: &DemoArgs) -> Script {
    let Sequential {
        start,
        mut end,
        mut transactions,
    } = trace;
    if let Some(limit) = args.limit.filter(|limit| *limit < transactions.len()) {
        transactions.truncate(limit);
        let mut text: Vec<char> = start.chars().collect();
        for Patch(at, delete, insert) in transactions.iter().flatten() {
            text.splice(*at..at + delete, insert.chars());
        }
        end = text.into_iter().collect();
    }
    let lines = transactions
        .into_iter()
        .map(|patches| (None, patches))
        .collect();
    Script {
        start,
        end,
        lines,
        devices: usize::from(args.devices.unwrap_or(2)),
        graph: None,
    }
}

/// Merges a trace from its graph, checks that, and flattens it.
fn concurrent(trace: &Concurrent, args: &DemoArgs, output: &Output) -> Result<Script, Failure> {
    if args.limit.is_some() || args.devices.is_some() {
        let message = "--limit and --devices are for sequential traces: a graph is replayed whole, \
                       with one device per agent";
        return Err(Failure::usage(message));
    }
    let bar = progress::bar(output, "merging the graph", trace.transactions.len());
    let merged = graph::merge(trace, || bar.inc(1))?;
    bar.finish_and_clear();
    for (what, text) in [
        ("the joined state", &merged.text),
        ("automerge", &merged.reference),
    ] {
        if *text != trace.end {
            let message = format!("the text of {what} is not the trace's end content");
            return Err(Failure::new(Exit::Disagree, message));
        }
    }
    let apart = merged
        .edits
        .iter()
        .filter(|edit| !edit.joined)
        .map(|edit| edit.took);
    let costs = Costs::of(apart.collect());
    output.tell(format_args!(
        "Merged from its graph by joining states: {} transactions, {} forks, {} merges, {} authors. \
         The joined\ntext is as recorded, and so is that of one automerge document.\n{}",
        trace.transactions.len(),
        merged.forks,
        merged.merges,
        merged.documents,
        costs.text()
    ))?;
    let graph = json!({
        "forks": merged.forks,
        "merges": merged.merges,
        "authors": merged.documents,
        "edit_cost": costs.object(),
    });
    Ok(Script {
        start: String::new(),
        end: trace.end.clone(),
        lines: merged
            .flat
            .into_iter()
            .map(|line| (Some(line.agent), line.patches))
            .collect(),
        devices: trace.agents,
        graph: Some(graph),
    })
}

/// Types the lines in bursts of at most `longest`: all of one agent, or the turn goes round.
fn bursts(
    world: &mut World,
    script: &Script,
    longest: usize,
    bar: &ProgressBar,
) -> Result<Costs, Failure> {
    let mut costs = Vec::new();
    let mut turn = 0;
    for same_agent in script.lines.chunk_by(|a, b| a.0 == b.0) {
        for burst in same_agent.chunks(longest) {
            let device = burst[0].0.unwrap_or(turn % script.devices);
            turn += 1;
            world.sync(device)?;
            for (at, (_, patches)) in burst.iter().enumerate() {
                let took = type_patches(world, device, patches)?;
                // The first one after a sync may pay for what the sync brought.
                costs.extend((at > 0).then_some(took));
                bar.inc(1);
            }
            world.sync(device)?;
        }
    }
    Ok(Costs::of(costs))
}

/// Lets every device type so many lines from one base, then syncs, in one order and in the other by
/// turns.
fn overlapping(
    world: &mut World,
    script: &Script,
    chunk: usize,
    bar: &ProgressBar,
) -> Result<Costs, Failure> {
    let mut costs = Vec::new();
    let devices: Vec<usize> = (0..script.devices).collect();
    for device in &devices {
        world.sync(*device)?;
    }
    for (number, round) in script.lines.chunks(chunk * devices.len()).enumerate() {
        for (device, lines) in round.chunks(chunk).enumerate() {
            let text = world.devices[device].dataset.text(KEY).unwrap_or_default();
            let mut len = text.chars().count();
            for (at, (_, patches)) in lines.iter().enumerate() {
                let inside: Vec<Patch> = patches
                    .iter()
                    .map(|it| moved_inside(it, &mut len))
                    .collect();
                let took = type_patches(world, device, &inside)?;
                costs.extend((at > 0).then_some(took));
                bar.inc(1);
            }
        }
        let mut order = devices.clone();
        if number % 2 == 1 {
            order.reverse();
        }
        // The last of the first pass has everything already.
        let again = order[..order.len() - 1].to_vec();
        for device in order.into_iter().chain(again) {
            world.sync(device)?;
        }
    }
    Ok(Costs::of(costs))
}

/// Returns a patch as near to its place as the text allows, and the text's length after it.
fn moved_inside(Patch(at, delete, insert): &Patch, len: &mut usize) -> Patch {
    let at = (*at).min(*len);
    let delete = (*delete).min(*len - at);
    *len = *len - delete + insert.chars().count();
    Patch(at, delete, insert.clone())
}

/// Makes one transaction, and returns what it took.
fn type_patches(world: &mut World, device: usize, patches: &[Patch]) -> Result<Duration, Failure> {
    let device = &mut world.devices[device];
    let started = Instant::now();
    match patches {
        // A transaction copies the state, in case it fails.
        [Patch(at, delete, insert)] => device.dataset.splice_text(KEY, *at, *delete, insert)?,
        several => device.dataset.transaction(|transaction| {
            several.iter().try_for_each(|Patch(at, delete, insert)| {
                transaction.splice_text(KEY, *at, *delete, insert)
            })
        })?,
    }
    device.totals.edits += 1;
    Ok(started.elapsed())
}

/// What a transaction cost early and late: medians of the second and of the last thousand.
struct Costs {
    medians: Option<(Duration, Duration)>,
}

impl Costs {
    const SPAN: usize = 1_000;

    fn of(costs: Vec<Duration>) -> Self {
        let median = |part: &[Duration]| {
            let mut part = part.to_vec();
            part.sort_unstable();
            part[part.len() / 2]
        };
        let enough = costs.len() >= 3 * Self::SPAN;
        let medians = enough.then(|| {
            let late = &costs[costs.len() - Self::SPAN..];
            (median(&costs[Self::SPAN..2 * Self::SPAN]), median(late))
        });
        Self { medians }
    }

    fn ratio(&self) -> Option<f64> {
        self.medians
            .map(|(early, late)| late.as_secs_f64() / early.as_secs_f64().max(1e-9))
    }

    fn text(&self) -> String {
        match (self.medians, self.ratio()) {
            (Some((early, late)), Some(ratio)) => format!(
                "An edit took {early:.1?} in the second thousand and {late:.1?} in the last (medians, \
                 ratio {ratio:.2}).\n"
            ),
            _ => String::new(),
        }
    }

    fn object(&self) -> Json {
        match (self.medians, self.ratio()) {
            (Some((early, late)), Some(ratio)) => json!({
                "early_ns": u64::try_from(early.as_nanos()).unwrap_or(u64::MAX),
                "late_ns": u64::try_from(late.as_nanos()).unwrap_or(u64::MAX),
                "ratio": ratio,
            }),
            _ => Json::Null,
        }
    }
}

fn show(
    world: &World,
    script: &Script,
    costs: &Costs,
    args: &DemoArgs,
    output: &Output,
) -> Result<(), Failure> {
    let text = world.devices[0].dataset.text(KEY).unwrap_or_default();
    let chars = text.chars().count();
    output.answer(
        || {
            json!({
                "agreed": true,
                "transactions": script.lines.len(),
                "characters": chars,
                "overlap": args.overlap,
                "graph": script.graph,
                "edit_cost": costs.object(),
                "devices": report::objects(&world.devices),
            })
        },
        || {
            let like = match args.overlap {
                Some(_) => "one automerge document that got every edit",
                None => "the recording's end content",
            };
            format!(
                "Typed {} transactions by {} devices.\n{}\n{}\n\
                 AGREED: all {} devices, the last of which only joined at the end, show the same \
                 {chars} characters\nas {like}.\n",
                script.lines.len(),
                script.devices,
                costs.text(),
                report::devices(&world.devices),
                world.devices.len(),
            )
        },
    )
}
