//! `export` and `import`: a dataset as JSON, and back.

use driftless::{Dataset, Transaction};
use serde_json::json;

use crate::args::{ExportArgs, ImportArgs};
use crate::exit::{Exit, Failure};
use crate::files;
use crate::output::Output;
use crate::portable::{self, Entry};
use crate::settings::Settings;

/// A larger file is refused: a dataset has a megabyte, and as JSON hardly more than ten.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;

pub(crate) fn export(
    settings: &Settings,
    args: ExportArgs,
    output: &Output,
) -> Result<(), Failure> {
    settings.with_existing_dataset(&args.of.dataset, |dataset| {
        let object = portable::export(dataset);
        let Some(file) = &args.output else {
            return output.answer(|| object.clone(), || format!("{object:#}\n"));
        };
        files::replace(file, format!("{object:#}\n").as_bytes())?;
        output.answer(
            || json!({ "dataset": dataset.name(), "file": file }),
            || format!("{} keys are in {}\n", dataset.len(), file.display()),
        )
    })
}

/// Makes the keys of a file look as they look there; keys that are not in it stay.
pub(crate) fn import(
    settings: &Settings,
    args: ImportArgs,
    output: &Output,
) -> Result<(), Failure> {
    let (name, entries) = portable::parse(&files::read(&args.file, MAX_FILE_BYTES)?)?;
    let name = match args.dataset {
        Some(name) => name,
        None => name
            .parse()
            .map_err(|error| Failure::new(Exit::Input, error))?,
    };
    let may_double = settings.has_service()? && !args.unsynced;
    settings.with_dataset(&name, |dataset| {
        if may_double {
            check_synced(dataset)?;
        }
        let changed = make_equal(dataset, &entries)?;
        output.answer(
            || json!({ "dataset": name, "keys": entries.len(), "changed": changed }),
            || format!("{changed} of {} keys were changed\n", entries.len()),
        )
    })
}

/// Refuses an import where nobody can tell what differs, for what the service holds was never seen here.
///
/// The next sync would join both: counters, texts and lists of a backup of the same dataset would stand twice. Who has edits
/// here that wait began the dataset here, or imported into it before.
fn check_synced(dataset: &Dataset) -> Result<(), Failure> {
    if dataset.last_sync().is_some() || dataset.has_unsynced() {
        return Ok(());
    }
    let name = dataset.name();
    let message = format!(
        "dataset {name} was never synchronized with this store, so that counters, texts and lists would double if the service \
         holds them already; nothing was imported; run `driftless sync --dataset {name}` first, or give --unsynced if the \
         service holds nothing of it"
    );
    Err(Failure::new(Exit::Refused, message))
}

/// Writes what differs, all of it or nothing, and tells at how many keys.
fn make_equal(dataset: &Dataset, entries: &[(String, Entry)]) -> Result<usize, Failure> {
    dataset.transaction(|edit| {
        let mut changed = 0;
        for (key, entry) in entries {
            if standing(edit, key).as_ref() != Some(entry) {
                write(edit, key, entry)?;
                changed += 1;
            }
        }
        Ok(changed)
    })
}

fn standing(edit: &Transaction<'_, '_>, key: &str) -> Option<Entry> {
    Entry::read(key, |path| edit.conflicts(path))
}

/// Writes one key, and looks whether it stands there as it should.
fn write(edit: &mut Transaction<'_, '_>, key: &str, entry: &Entry) -> Result<(), Failure> {
    edit.put(key, entry.value.clone())?;
    for place in &entry.conflicts {
        edit.put_concurrently(vec![place.clone()])?;
    }
    if standing(edit, key).as_ref() == Some(entry) {
        return Ok(());
    }
    let message = format!("what the file has at {key:?} cannot be kept as it is there");
    Err(Failure::new(Exit::Input, message))
}
