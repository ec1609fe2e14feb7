//! `sync`: one session per dataset, and what it did.

use std::collections::BTreeMap;

use driftless::{Dataset, LeftOver, Outcome, Report};
use serde_json::{Value as Json, json};
use tokio::runtime::Runtime;

use crate::args::SyncArgs;
use crate::exit::{Exit, Failure};
use crate::output::{Output, bytes, table};
use crate::progress;
use crate::settings::{Settings, dataset_or_all};

pub(crate) fn sync(settings: &Settings, args: SyncArgs, output: &Output) -> Result<(), Failure> {
    settings.check_for_sync()?;
    let named = dataset_or_all(args.dataset, args.all)?;
    let runtime = runtime()?;
    settings.with_client(|client| {
        settings.logins.identify(client, &runtime)?;
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
                let mut text = table(
                    header,
                    done.iter().map(|(dataset, report)| row(dataset, report)),
                );
                for (dataset, report) in &done {
                    for note in notes(report) {
                        text += &format!("{}: {note}\n", dataset.name());
                    }
                }
                text
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
    let left_over = report.left_over.iter();
    let left_over: BTreeMap<_, _> = left_over
        .map(|(name, why)| (name.as_str(), left_over_of(*why).0))
        .collect();
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
        "merged": report.merged,
        "left_over": left_over,
        "unsynced": dataset.has_unsynced(),
    })
}

/// Returns what people should know beside the amounts, a line each; nothing after an ordinary session.
fn notes(report: &Report) -> Vec<String> {
    let mut notes = Vec::new();
    let mut note = |is_so: bool, text: &str| {
        if is_so {
            notes.push(text.to_owned());
        }
    };
    note(
        report.repaired,
        "what the service holds was damaged, and is whole again with all that this device knows",
    );
    note(
        report.began_anew,
        "it had been deleted or replaced at the service; unsynchronized edits were written onto what stands there now",
    );
    note(report.deleted, "it was deleted at the service");
    note(
        report.plain_only,
        "it is kept as plain records only, for its state has no room beside them; nothing is lost, and once enough is removed \
         a sync adopts it",
    );
    for child in &report.merged {
        notes.push(format!(
            "{child}, left by a merge of identities, was folded in and deleted at the service"
        ));
    }
    for (child, why) in &report.left_over {
        let why = left_over_of(*why).1;
        notes.push(format!(
            "{child}, left by a merge of identities, is still at the service: {why}; the next sync tries again"
        ));
    }
    notes
}

/// Returns why a merged dataset is still there: the name for scripts, and the text for people.
fn left_over_of(why: LeftOver) -> (&'static str, &'static str) {
    match why {
        LeftOver::Unreachable => ("unreachable", "a request about it failed"),
        LeftOver::Unreadable => (
            "unreadable",
            "it is damaged, of a later version, or exceeds a limit",
        ),
        LeftOver::Contradicts => (
            "contradicts",
            "it tells an operation otherwise than this dataset does",
        ),
        LeftOver::Full => ("full", "what it holds does not fit beside what is here"),
        LeftOver::PlainBeside => (
            "plain-beside",
            "it was folded in, but for plain records under keys that no dataset can have",
        ),
        _ => ("unknown", "it could not be folded in"),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_out_of_the_ordinary_has_a_line() {
        let mut report = Report::default();
        assert_eq!(notes(&report), [""; 0]);
        report.repaired = true;
        report.began_anew = true;
        report.deleted = true;
        report.plain_only = true;
        report.merged.insert("notes.a".parse().unwrap());
        let name = "notes.b".parse().unwrap();
        report.left_over.insert(name, LeftOver::Full);
        let notes = notes(&report);
        let words = [
            "damaged",
            "replaced",
            "deleted",
            "plain records only",
            "notes.a",
            "notes.b",
        ];
        assert_eq!(notes.len(), words.len());
        for (note, word) in notes.iter().zip(words) {
            assert!(note.contains(word), "{note}");
        }
        assert!(notes[5].contains("does not fit"), "{}", notes[5]);
    }
}
