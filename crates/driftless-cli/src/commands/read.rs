//! Commands that show what is in the store, or at the service.

use driftless::{Dataset, Path};
use serde_json::{Value as Json, json};

use crate::args::{ConflictsArgs, KeyArgs, ListArgs};
use crate::commands::sync::runtime;
use crate::exit::{Exit, Failure};
use crate::output::{Output, bytes, shortened, table};
use crate::progress;
use crate::settings::{Settings, dataset_or_default};
use crate::value;

pub(crate) fn get(settings: &Settings, args: KeyArgs, output: &Output) -> Result<(), Failure> {
    settings.with_existing_dataset(&args.of.dataset, |dataset| {
        let Some(shown) = dataset.get(args.path()) else {
            return Err(Failure::new(Exit::NotFound, "nothing stands at the key"));
        };
        output.answer(
            || entry(dataset, &args.path(), &shown),
            || format!("{}\n", value::text(&shown)),
        )
    })
}

pub(crate) fn list(settings: &Settings, args: ListArgs, output: &Output) -> Result<(), Failure> {
    if args.remote {
        return list_remote(settings, output);
    }
    if args.datasets {
        return list_local(settings, output);
    }
    let name = dataset_or_default(args.dataset, "--datasets or --remote")?;
    settings.with_existing_dataset(&name, |dataset| list_keys(dataset, output))
}

fn list_keys(dataset: &Dataset, output: &Output) -> Result<(), Failure> {
    let entries = dataset.entries();
    output.answer(
        || {
            let keys: Vec<Json> = entries
                .iter()
                .map(|(key, shown)| entry(dataset, &Path::from(key), shown))
                .collect();
            json!({ "dataset": dataset.name(), "keys": keys, "unsynced": dataset.has_unsynced() })
        },
        || {
            let rows = entries.iter().map(|(key, shown)| {
                let others = dataset.conflicts(key).len() - 1;
                let conflicts = if others == 0 {
                    String::new()
                } else {
                    others.to_string()
                };
                let kind = value::type_name(shown).to_owned();
                [
                    shortened(key),
                    kind,
                    shortened(&value::text(shown)),
                    conflicts,
                ]
            });
            table(["key", "type", "value", "other values"], rows)
        },
    )
}

fn list_local(settings: &Settings, output: &Output) -> Result<(), Failure> {
    settings.with_existing_client(|client| {
        let mut found = Vec::new();
        for name in client.datasets()? {
            // A damaged dataset is listed as such, for the others are usable.
            found.push((client.dataset(name.as_str()).ok(), name));
        }
        output.answer(
            || {
                let object = |(dataset, name): &(Option<Dataset>, _)| match dataset {
                    Some(dataset) => json!({
                        "name": name, "keys": dataset.len(), "unsynced": dataset.has_unsynced(),
                        "plain_only": dataset.is_plain_only(),
                    }),
                    None => json!({ "name": name, "unreadable": true }),
                };
                json!({ "datasets": found.iter().map(object).collect::<Vec<_>>() })
            },
            || {
                let rows = found.iter().map(|(dataset, name)| match dataset {
                    Some(dataset) => {
                        let unsynced = if dataset.has_unsynced() { "yes" } else { "" };
                        [
                            name.to_string(),
                            dataset.len().to_string(),
                            unsynced.to_owned(),
                        ]
                    }
                    None => [name.to_string(), String::new(), "cannot be read".to_owned()],
                });
                table(["dataset", "keys", "unsynced"], rows)
            },
        )
    })
}

fn list_remote(settings: &Settings, output: &Output) -> Result<(), Failure> {
    settings.check_for_sync()?;
    settings.with_passing_client(|client| {
        let spinner = progress::spinner(output, "asking the service".to_owned());
        let found = runtime()?.block_on(client.refresh());
        spinner.finish_and_clear();
        let entries = found?.datasets.into_values();
        let found: Vec<_> = entries.filter_map(|entry| entry.there).collect();
        output.answer(
            || {
                let object = |dataset: &driftless_wire::Dataset| {
                    json!({
                        "name": dataset.dataset_name,
                        "records": dataset.num_records,
                        "bytes": dataset.data_storage,
                        "modified": dataset.last_modified_date.map(|time| time.as_millis()),
                    })
                };
                json!({ "datasets": found.iter().map(object).collect::<Vec<_>>() })
            },
            || {
                let rows = found.iter().map(|dataset| {
                    let modified = dataset.last_modified_date;
                    [
                        dataset.dataset_name.to_string(),
                        dataset.num_records.to_string(),
                        bytes(dataset.data_storage.unsigned_abs()),
                        modified.map_or_else(String::new, |it| value::moment_text(it.as_millis())),
                    ]
                });
                table(["dataset", "records", "size", "modified"], rows)
            },
        )
    })
}

pub(crate) fn conflicts(
    settings: &Settings,
    args: ConflictsArgs,
    output: &Output,
) -> Result<(), Failure> {
    settings.with_existing_dataset(&args.of.dataset, |dataset| {
        let found: Vec<_> = match &args.key {
            Some(key) => match dataset.conflicts(key) {
                none if none.is_empty() => {
                    return Err(Failure::new(Exit::NotFound, "nothing stands at the key"));
                }
                found => vec![(key.clone(), found)],
            },
            None => {
                let all = dataset
                    .keys()
                    .into_iter()
                    .map(|key| (dataset.conflicts(&key), key));
                all.filter(|(found, _)| found.len() > 1)
                    .map(|(found, key)| (key, found))
                    .collect()
            }
        };
        output.answer(
            || {
                let object = |(key, found): &(String, Vec<_>)| {
                    let values: Vec<Json> = found.iter().map(value::conflict).collect();
                    json!({ "key": key, "values": values })
                };
                let keys: Vec<Json> = found.iter().map(object).collect();
                json!({ "dataset": dataset.name(), "keys": keys })
            },
            || {
                let rows = found.iter().flat_map(|(key, found)| {
                    found.iter().enumerate().map(move |(rank, conflict)| {
                        [
                            shortened(key),
                            shortened(&value::text(&conflict.value)),
                            conflict.author().to_string(),
                            conflict.time.map_or_else(String::new, value::moment_text),
                            if rank == 0 {
                                "shown".to_owned()
                            } else {
                                String::new()
                            },
                        ]
                    })
                });
                table(["key", "value", "author", "time", ""], rows)
            },
        )
    })
}

/// Returns what `get` and `list` tell scripts of a key.
fn entry(dataset: &Dataset, path: &Path, shown: &driftless::Value) -> Json {
    let mut object = value::typed(shown);
    object["key"] = json!(path.root());
    object["values"] = json!(dataset.conflicts(path).len());
    object
}
