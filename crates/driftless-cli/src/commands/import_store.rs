//! `import-store`: what an old Cognito Sync client had not sent, out of the file that it left.

use std::sync::Arc;

use driftless::{ImportedDataset, LocalStoreReport};
use serde_json::{Value as Json, json};

use crate::args::upkeep::ImportStoreArgs;
use crate::exit::{Exit, Failure};
use crate::output::{Output, shortened, table};
use crate::settings::Settings;

pub(crate) fn import_store(
    settings: &Settings,
    args: ImportStoreArgs,
    output: &Output,
) -> Result<(), Failure> {
    settings.with_client(|client| {
        let report = client.import_local_store(&args.file, args.kind.kind())?;
        output.answer(|| object(&report), || text(&report))?;
        check_whole(&report)
    })
}

/// Fails if anything stays in the old store that was not sent.
fn check_whole(report: &LocalStoreReport) -> Result<(), Failure> {
    for (name, dataset) in &report.datasets {
        if let Some(why) = why_not(dataset) {
            let message = format!("not all was taken of dataset {name}: {why}");
            return Err(Failure::new(Exit::Incomplete, message));
        }
    }
    match report.not_understood.len() {
        0 => Ok(()),
        passed => {
            let message = format!("{passed} things in the file were not understood");
            Err(Failure::new(Exit::Incomplete, message))
        }
    }
}

/// Tells why nothing was taken of a dataset, or not all.
fn why_not(found: &ImportedDataset) -> Option<String> {
    let failure = match (&found.not_opened, &found.refused) {
        (Some(error), _) => Failure::new(Exit::Incomplete, Arc::clone(error)),
        (None, Some(error)) => Failure::from(error.clone()),
        (None, None) => return None,
    };
    Some(failure.messages().join(": "))
}

fn object(report: &LocalStoreReport) -> Json {
    let dataset = |(name, found): (_, &ImportedDataset)| {
        let overtaken = found.overtaken.iter();
        let overtaken = overtaken.map(|it| json!({ "key": it.key, "text": it.text }));
        json!({
            "dataset": name,
            "edits": found.edits,
            "removals": found.removals,
            "deleted": found.deleted,
            "clean": found.clean,
            "was_taken": found.was_taken,
            "overtaken": overtaken.collect::<Vec<Json>>(),
            "refused": found.refused.as_ref().map(ToString::to_string),
            "not_opened": found.not_opened.as_ref().map(ToString::to_string),
        })
    };
    let strange = report.not_understood.iter();
    let strange = strange.map(|it| json!({ "place": it.place, "why": it.why }));
    json!({
        "datasets": report.datasets.iter().map(dataset).collect::<Vec<Json>>(),
        "other_identities": report.other_identities,
        "not_understood": strange.collect::<Vec<Json>>(),
    })
}

fn text(report: &LocalStoreReport) -> String {
    let rows = report.datasets.iter().map(|(name, found)| {
        [
            name.to_string(),
            found.edits.to_string(),
            found.removals.to_string(),
            found.clean.to_string(),
            state(found).to_owned(),
        ]
    });
    let mut text = table(["dataset", "edits", "removals", "sent before", ""], rows);
    for (name, found) in &report.datasets {
        for it in &found.overtaken {
            let (key, old) = (shortened(&it.key), it.text.as_deref().map(shortened));
            let old = old.unwrap_or_else(|| "removed".to_owned());
            text += &format!("{name}/{key}: something newer stands there; it was {old}\n");
        }
    }
    for (identity, rows) in &report.other_identities {
        text +=
            &format!("{rows} unsent rows are of {identity}; its own client takes them, or did\n");
    }
    for it in &report.not_understood {
        text += &format!("not understood: {}: {}\n", shortened(&it.place), it.why);
    }
    text
}

const fn state(found: &ImportedDataset) -> &'static str {
    match found {
        ImportedDataset {
            not_opened: Some(_),
            ..
        } => "not opened",
        ImportedDataset {
            refused: Some(_), ..
        } => "refused",
        ImportedDataset { deleted: true, .. } => "deleted",
        ImportedDataset {
            was_taken: true, ..
        } => "taken before",
        _ => "",
    }
}
