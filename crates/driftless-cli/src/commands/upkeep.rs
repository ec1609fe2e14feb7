//! `size` and `compact`: what datasets take, and how they take less.

use driftless::{Dataset, Size, document};
use serde_json::{Value as Json, json};

use crate::args::DatasetArg;
use crate::args::upkeep::SizeArgs;
use crate::commands::sync::{object, runtime};
use crate::exit::{Exit, Failure};
use crate::output::{Output, bytes, table};
use crate::progress;
use crate::settings::{Settings, dataset_or_all, existing};

pub(crate) fn size(settings: &Settings, args: SizeArgs, output: &Output) -> Result<(), Failure> {
    let named = dataset_or_all(args.dataset, args.all)?;
    if let (Some(name), Some(key)) = (&named, &args.key) {
        return settings.with_existing_dataset(name, |dataset| size_of_key(dataset, key, output));
    }
    settings.with_existing_client(|client| {
        let names = match named {
            Some(name) => vec![name],
            None => client.datasets()?,
        };
        let mut sizes = Vec::new();
        for name in names {
            let dataset = existing(client, &name)?;
            sizes.push((name.clone(), dataset.size(), dataset.is_plain_only()));
        }
        output.answer(
            || {
                let object = |(name, size, is_plain_only): &(_, Size, bool)| {
                    json!({
                        "dataset": name,
                        "live": size.live,
                        "dead": size.dead,
                        "clock": size.clock,
                        "inflated": size.inflated,
                        "warned_above": size.warned_above,
                        "refused_above": size.refused_above,
                        "records": size.records,
                        "records_limit": size.records_limit,
                        "plain_only": is_plain_only,
                    })
                };
                json!({ "datasets": sizes.iter().map(object).collect::<Vec<Json>>() })
            },
            || {
                let header = [
                    "dataset",
                    "takes",
                    "deleted parts",
                    "clock",
                    "of",
                    "full",
                    "records",
                    "of",
                ];
                table(header, sizes.iter().map(|(name, size, _)| row(name, size)))
            },
        )
    })
}

fn row(name: &impl ToString, size: &Size) -> [String; 8] {
    [
        name.to_string(),
        bytes(size.live as u64),
        bytes(size.dead as u64),
        bytes(size.clock as u64),
        bytes(size.refused_above as u64),
        format!("{} %", size.live * 100 / size.refused_above.max(1)),
        size.records.to_string(),
        size.records_limit.to_string(),
    ]
}

/// A key has no size of its own in what is stored, which is deflated as a whole: what is told is that of its values.
fn size_of_key(dataset: &Dataset, key: &str, output: &Output) -> Result<(), Failure> {
    let found = dataset.conflicts(key);
    if found.is_empty() {
        return Err(Failure::new(Exit::NotFound, "nothing stands at the key"));
    }
    let taken: usize = found.iter().map(|it| of_value(&it.value)).sum();
    let taken = taken + key.len();
    output.answer(
        || json!({ "dataset": dataset.name(), "key": key, "bytes": taken, "values": found.len() }),
        || format!("{}\n", bytes(taken as u64)),
    )
}

fn of_value(value: &document::Value) -> usize {
    use document::Value;
    match value {
        Value::Scalar(scalar) => scalar.size(),
        Value::Counter(_) => 8,
        Value::Text(text) => text.len(),
        Value::List(values) => values.iter().map(of_value).sum(),
        Value::Map(entries) => {
            let entries = entries.iter();
            entries
                .map(|(key, value)| key.len() + of_value(value))
                .sum()
        }
        Value::Set(members) => members.iter().map(document::Scalar::size).sum(),
        _ => 0,
    }
}

pub(crate) fn compact(
    settings: &Settings,
    args: DatasetArg,
    output: &Output,
) -> Result<(), Failure> {
    settings.check_for_sync()?;
    let runtime = runtime()?;
    settings.with_client(|client| {
        settings.logins.identify(client, &runtime)?;
        let dataset = &client.dataset(args.dataset.as_str())?;
        let before = dataset.size();
        let spinner = progress::spinner(output, format!("compacting {}", dataset.name()));
        let report = runtime.block_on(dataset.compact());
        spinner.finish_and_clear();
        let (report, after) = (report?, dataset.size());
        output.answer(
            || {
                let mut object = object(dataset, &report);
                object["compacted"] = json!(report.compacted);
                object["live_before"] = json!(before.live);
                object["live"] = json!(after.live);
                object
            },
            || match report.compacted {
                true => {
                    let (before, after) = (bytes(before.live as u64), bytes(after.live as u64));
                    format!("{before} became {after}\n")
                }
                false => "there was nothing to leave out\n".to_owned(),
            },
        )?;
        crate::commands::sync::check_fits(dataset, &report)
    })
}
