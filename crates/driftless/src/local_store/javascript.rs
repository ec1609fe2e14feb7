//! The layout of amazon-cognito-js in localStorage, as one JSON object of strings.
//!
//! ```text
//! "<identity>.<dataset>"  {"<key>": {"Key", "Value", "SyncCount", "Modified", ...}, ...}
//! "_internal._metadata"   {"<identity>": {"<identity>.<dataset>": {"LastSyncCount", ...}, ...}}
//! ```
//!
//! localStorage belongs to the whole site, so other keys are the app's own and not looked at. A removed key has a null value;
//! that the old client pushes `""` as a removal was a fault of its own, and here `""` is a value.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use serde_json::{Map, Number, Value};

use crate::local_store::rows::{DELETED, Row, Rows, count_of};
use crate::local_store::{LocalStoreError, LocalStoreKind, file, is_identity};

/// Browsers give a site five to ten million characters.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Where the old client keeps what it knows of datasets.
const METADATA: &str = "_internal._metadata";

pub(super) fn read(path: &Path) -> Result<Rows, LocalStoreError> {
    parse(&load(path)?)
}

fn load(path: &Path) -> Result<Vec<u8>, LocalStoreError> {
    let mut bytes = Vec::new();
    let (file, _) = file::open(path)?;
    let read = file.take(MAX_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|source| file::failed(path, source))?;
    match bytes.len() as u64 {
        0..=MAX_BYTES => Ok(bytes),
        bytes => Err(LocalStoreError::TooLarge {
            bytes,
            limit: MAX_BYTES,
        }),
    }
}

fn parse(bytes: &[u8]) -> Result<Rows, LocalStoreError> {
    let entries: BTreeMap<String, Value> = serde_json::from_slice(bytes)
        .map_err(|error| other(format!("it is no JSON object: {error}")))?;
    let mut rows = Rows::default();
    let mut is_cognito = false;
    for (name, value) in &entries {
        let dataset = name.split_once('.').filter(|(owner, _)| is_owner(owner));
        if dataset.is_none() && name != METADATA {
            continue;
        }
        is_cognito = true;
        let object = value
            .as_str()
            .map(serde_json::from_str::<Map<String, Value>>);
        match (object, dataset) {
            (Some(Ok(object)), Some((owner, dataset))) => {
                read_dataset(&mut rows, owner, dataset, object);
            }
            (Some(Ok(object)), None) => read_metadata(&mut rows, &object),
            _ => rows.note(name, "it is no JSON object in a string"),
        }
    }
    match is_cognito {
        true => Ok(rows),
        false => Err(other("it has no dataset of amazon-cognito-js".to_owned())),
    }
}

fn other(what: String) -> LocalStoreError {
    LocalStoreError::OtherKind { what }
}

/// Tells the old client's own keys from those of the site, which may look like `user:7.theme`.
fn is_owner(owner: &str) -> bool {
    let has_uuid = |(_, id): (&str, &str)| id.len() == 36;
    (is_identity(owner) && owner.split_once(':').is_some_and(has_uuid))
        || LocalStoreKind::JavaScript.placeholders().contains(&owner)
}

fn read_dataset(rows: &mut Rows, owner: &str, name: &str, records: Map<String, Value>) {
    rows.dataset(owner, name);
    for (key, record) in records {
        match row(&record) {
            Ok(row) => rows.add_row(owner, name, key, row),
            Err(why) => rows.note(format!("{owner}/{name}/{key}"), why),
        }
    }
}

fn row(record: &Value) -> Result<Row, String> {
    let record = record.as_object().ok_or("the record is no object")?;
    let is_unsent = match record.get("Modified") {
        None => false,
        Some(modified) => modified
            .as_bool()
            .ok_or("Modified is neither true nor false")?,
    };
    let count = match record.get("SyncCount") {
        None | Some(Value::Null) => 0,
        Some(count) => count.as_i64().ok_or("SyncCount is no whole number")?,
    };
    let text = match record.get("Value") {
        Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Bool(value)) => Some(value.to_string()),
        Some(Value::Number(number)) => Some(text_of(number)),
        Some(_) => return Err("Value is no text".to_owned()),
        None => return Err("the record has no Value".to_owned()),
    };
    Ok(Row {
        text,
        count: count_of(count)?,
        is_unsent,
    })
}

/// Returns a number as JavaScript writes it, for that is what the service has.
fn text_of(number: &Number) -> String {
    let Some(float) = number.as_f64().filter(|_| number.is_f64()) else {
        return number.to_string();
    };
    match float.abs() {
        size if size == 0.0 || (1e-6..1e21).contains(&size) => float.to_string(),
        _ => {
            let text = format!("{float:e}");
            match text.contains("e-") {
                true => text,
                false => text.replace('e', "e+"),
            }
        }
    }
}

/// Reads which datasets were deleted.
///
/// The old client keeps one cache for all identities, so what stands under one may belong to another.
fn read_metadata(rows: &mut Rows, identities: &Map<String, Value>) {
    for (identity, datasets) in identities {
        let Some(datasets) = datasets.as_object() else {
            rows.note(format!("{METADATA}/{identity}"), "it is no object");
            continue;
        };
        for (name, metadata) in datasets {
            let Some((owner, dataset)) = name.split_once('.') else {
                rows.note(
                    format!("{METADATA}/{identity}/{name}"),
                    "it names no dataset",
                );
                continue;
            };
            let count = metadata.get("LastSyncCount").and_then(Value::as_i64);
            rows.dataset(owner, dataset).is_deleted |= count == Some(DELETED);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_written_as_javascript_does() {
        let written = |json: &str| text_of(&serde_json::from_str(json).unwrap());
        for text in [
            "5",
            "-7",
            "1.5",
            "0.1",
            "9007199254740993",
            "1e+21",
            "1.5e-7",
            "-2e+300",
        ] {
            assert_eq!(written(text), text);
        }
        assert_eq!(written("1.0"), "1");
        assert_eq!(written("0.000001"), "0.000001");
    }

    #[test]
    fn record_that_says_nothing_certain_is_refused() {
        for record in [
            json!(7),
            json!({}),
            json!({ "Value": [1] }),
            json!({ "Value": "a", "SyncCount": 1.5 }),
            json!({ "Value": "a", "SyncCount": -2 }),
            json!({ "Value": "a", "Modified": "yes" }),
        ] {
            assert!(row(&record).is_err(), "{record}");
        }
        assert_eq!(row(&json!({ "Value": null })).unwrap().text, None);
        assert_eq!(
            row(&json!({ "Value": "" })).unwrap().text.as_deref(),
            Some("")
        );
    }
}
