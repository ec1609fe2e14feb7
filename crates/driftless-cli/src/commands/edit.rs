//! Commands that change a dataset; none of them waits for a network.

use driftless::{Dataset, DatasetName};
use serde_json::json;

use crate::args::{DatasetArg, IncrementArgs, KeyArgs, PutArgs, TextArgs};
use crate::exit::Failure;
use crate::output::Output;
use crate::settings::Settings;
use crate::value;

pub(crate) fn put(settings: &Settings, args: PutArgs, output: &Output) -> Result<(), Failure> {
    let scalar = args.kind.parse(args.value.as_deref())?;
    edit(settings, &args.of.dataset, &args.key, output, |dataset| {
        Ok(dataset.put(&args.key, scalar)?)
    })
}

pub(crate) fn remove(settings: &Settings, args: KeyArgs, output: &Output) -> Result<(), Failure> {
    settings.with_dataset(&args.of.dataset, |dataset| {
        let removed = dataset.remove(&args.key)?;
        output.answer(
            || json!({ "dataset": dataset.name(), "key": args.key, "removed": removed }),
            || {
                if removed {
                    String::new()
                } else {
                    "nothing stood there\n".to_owned()
                }
            },
        )
    })
}

pub(crate) fn increment(
    settings: &Settings,
    args: IncrementArgs,
    output: &Output,
) -> Result<(), Failure> {
    edit(settings, &args.of.dataset, &args.key, output, |dataset| {
        Ok(dataset.increment(&args.key, args.by)?)
    })
}

pub(crate) fn text(settings: &Settings, args: TextArgs, output: &Output) -> Result<(), Failure> {
    edit(settings, &args.of.dataset, &args.key, output, |dataset| {
        let end = || {
            dataset
                .text(&args.key)
                .map_or(0, |text| text.chars().count())
        };
        let insert = args.insert.as_deref().unwrap_or_default();
        let at = args.at.unwrap_or_else(end);
        Ok(dataset.splice_text(&args.key, at, args.delete.unwrap_or(0), insert)?)
    })
}

pub(crate) fn delete(
    settings: &Settings,
    args: DatasetArg,
    output: &Output,
) -> Result<(), Failure> {
    settings.with_dataset(&args.dataset, |dataset| {
        dataset.delete()?;
        output.answer(
            || json!({ "dataset": dataset.name(), "deleted": true }),
            || "deleted here; the next sync deletes it at the service\n".to_owned(),
        )
    })
}

/// Makes an edit; scripts are told what stands at the key then, people nothing.
fn edit(
    settings: &Settings,
    name: &DatasetName,
    key: &str,
    output: &Output,
    edit: impl FnOnce(&Dataset) -> Result<(), Failure>,
) -> Result<(), Failure> {
    settings.with_dataset(name, |dataset| {
        edit(dataset)?;
        let shown = dataset.get(key);
        output.answer(
            || {
                let mut object = shown.as_ref().map_or_else(|| json!({}), value::typed);
                object["dataset"] = json!(dataset.name());
                object["key"] = json!(key);
                object
            },
            String::new,
        )
    })
}
