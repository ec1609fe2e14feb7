//! `sync`: one session per dataset, and what it did.

use driftless::{Dataset, Outcome, Report};
use serde_json::{Value as Json, json};
use tokio::runtime::Runtime;

use crate::args::SyncArgs;
use crate::exit::{Exit, Failure};
use crate::output::{Output, bytes, table};
use crate::progress;
use crate::settings::{Settings, dataset_or_default};

pub(crate) fn sync(settings: &Settings, args: SyncArgs, output: &Output) -> Result<(), Failure> {
    settings.check_for_sync()?;
    let named = match args.all {
        true => None,
        false => Some(dataset_or_default(args.dataset, "--all")?),
    };
    let runtime = runtime()?;
    settings.with_client(|client| {
        let names = match named {
            Some(name) => vec![name],
            None => client.datasets()?,
        };
        let mut done = Vec::new();
        for name in names {
            let dataset = client.dataset(name.as_str())?;
            let spinner = progress::spinner(output, format!("syncing {name}"));
            let report = runtime.block_on(dataset.synchronize());
            spinner.finish_and_clear();
            done.push((dataset, report?));
        }
        let objects = || done.iter().map(|(dataset, report)| object(dataset, report));
        output.answer(
            || json!({ "datasets": objects().collect::<Vec<Json>>() }),
            || {
                let header = [
                    "dataset",
                    "requests",
                    "up",
                    "down",
                    "changed here",
                    "changed there",
                ];
                table(
                    header,
                    done.iter().map(|(dataset, report)| row(dataset, report)),
                )
            },
        )?;
        let mut ends = done.iter();
        ends.try_for_each(|(dataset, report)| check_fits(dataset, report))
    })
}

/// Fails if the joined data did not fit.
pub(crate) fn check_fits(dataset: &Dataset, report: &Report) -> Result<(), Failure> {
    let Outcome::Full(size) = report.outcome else {
        return Ok(());
    };
    let message = format!(
        "dataset {} does not fit: it takes {} of {} characters and {} of {} plain records, remove something",
        dataset.name(),
        size.live,
        size.refused_above,
        size.records,
        size.records_limit
    );
    Err(Failure::new(Exit::Full, message))
}

/// Returns the runtime that sessions run in.
pub(crate) fn runtime() -> Result<Runtime, Failure> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    Ok(builder.worker_threads(2).enable_all().build()?)
}

/// Returns what a session did, for scripts.
pub(crate) fn object(dataset: &Dataset, report: &Report) -> Json {
    json!({
        "dataset": dataset.name(),
        "requests": report.requests,
        "bytes_up": report.bytes_up,
        "bytes_down": report.bytes_down,
        "changed_here": report.changed_here,
        "changed_there": report.changed_there,
        "conflicts": report.conflicts,
        "full": matches!(report.outcome, Outcome::Full(_)),
        "plain_only": report.plain_only,
        "began_anew": report.began_anew,
        "repaired": report.repaired,
        "deleted": report.deleted,
        "unsynced": dataset.has_unsynced(),
    })
}

fn row(dataset: &Dataset, report: &Report) -> [String; 6] {
    [
        dataset.name().to_string(),
        report.requests.to_string(),
        bytes(report.bytes_up),
        bytes(report.bytes_down),
        report.changed_here.len().to_string(),
        report.changed_there.len().to_string(),
    ]
}
