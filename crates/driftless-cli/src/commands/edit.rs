//! Commands that change a dataset; none of them waits for a network.

use driftless::{Dataset, Scalar, Value};
use serde_json::json;

use crate::args::{DatasetArg, IncrementArgs, InsertArgs, KeyArgs, PutArgs, TextArgs};
use crate::exit::Failure;
use crate::files;
use crate::output::Output;
use crate::settings::Settings;
use crate::value;

/// A longer value is refused: a dataset has a megabyte, and no form of a value needs more than some of them.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;

pub(crate) fn put(settings: &Settings, args: PutArgs, output: &Output) -> Result<(), Failure> {
    let value = value_of(&args)?;
    edit(settings, &args.place, output, |dataset| {
        Ok(dataset.put(args.place.path(), value)?)
    })
}

pub(crate) fn insert(
    settings: &Settings,
    args: InsertArgs,
    output: &Output,
) -> Result<(), Failure> {
    let InsertArgs { put, at } = args;
    let value = value_of(&put)?;
    edit(settings, &put.place, output, |dataset| {
        Ok(dataset.insert_all(put.place.path(), at, [value])?)
    })
}

pub(crate) fn add(settings: &Settings, args: PutArgs, output: &Output) -> Result<(), Failure> {
    let member = member(&args)?;
    edit(settings, &args.place, output, |dataset| {
        dataset.add(args.place.path(), member)?;
        Ok(())
    })
}

pub(crate) fn discard(settings: &Settings, args: PutArgs, output: &Output) -> Result<(), Failure> {
    let member = member(&args)?;
    edit(settings, &args.place, output, |dataset| {
        dataset.discard(args.place.path(), member)?;
        Ok(())
    })
}

/// Reads the value, which is an argument or the content of a file: arguments are bounded by the system, often at 128 KiB.
fn value_of(args: &PutArgs) -> Result<Value, Failure> {
    let Some(file) = &args.file else {
        return args.kind.parse(args.value.as_deref());
    };
    let text = args.kind.of_file(files::read_text(file, MAX_FILE_BYTES)?);
    args.kind.parse(Some(&text))
}

fn member(args: &PutArgs) -> Result<Scalar, Failure> {
    match value_of(args)? {
        Value::Scalar(scalar) => Ok(scalar),
        _ => Err(Failure::usage(
            "a member of a set is no list or map".to_owned(),
        )),
    }
}

pub(crate) fn remove(settings: &Settings, args: KeyArgs, output: &Output) -> Result<(), Failure> {
    settings.with_dataset(&args.of.dataset, |dataset| {
        let removed = dataset.remove(args.path())?;
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
    edit(settings, &args.place, output, |dataset| {
        Ok(dataset.increment(args.place.path(), args.by)?)
    })
}

pub(crate) fn text(settings: &Settings, args: TextArgs, output: &Output) -> Result<(), Failure> {
    edit(settings, &args.place, output, |dataset| {
        let path = args.place.path();
        let end = || {
            let text = dataset.text(&path);
            text.map_or(0, |text| text.chars().count())
        };
        let insert = args.insert.as_deref().unwrap_or_default();
        let at = args.at.unwrap_or_else(end);
        Ok(dataset.splice_text(&path, at, args.delete.unwrap_or(0), insert)?)
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

/// Makes an edit; scripts are told what stands there then, people nothing.
fn edit(
    settings: &Settings,
    place: &KeyArgs,
    output: &Output,
    edit: impl FnOnce(&Dataset) -> Result<(), Failure>,
) -> Result<(), Failure> {
    settings.with_dataset(&place.of.dataset, |dataset| {
        edit(dataset)?;
        let shown = dataset.get(place.path());
        output.answer(
            || {
                let mut object = shown.as_ref().map_or_else(|| json!({}), value::typed);
                object["dataset"] = json!(dataset.name());
                object["key"] = json!(place.key);
                object
            },
            String::new,
        )
    })
}
