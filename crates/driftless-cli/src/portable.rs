//! A dataset as JSON that people can read: what `export` writes and `import` reads.
//!
//! ```text
//! {"version": 1, "dataset": NAME, "entries": {KEY: NODE, …}}
//! NODE  {"type": TYPE, "value": VALUE} and, where several values stand, "conflicts": [NODE, …], the shown one first
//! ```
//!
//! The nodes of conflicts have `author` and `time` too, for people; whoever imports is another author. The rule of the
//! reader: what it does not know, it refuses, so that nothing is lost without a word.

use data_encoding::BASE64;
use driftless::{Conflict, Dataset, Path, Scalar, Value};
use serde_json::{Map, Value as Json, json};

use crate::files::Unambiguous;
use crate::value;

const VERSION: u64 = 1;

/// Why JSON is no exported dataset.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PortableError {
    /// It is no JSON.
    #[error("the file is no JSON")]
    Json(#[from] serde_json::Error),
    /// A later version wrote it, or something else.
    #[error("the file has version {found}, this program knows {VERSION}")]
    Version {
        /// What stands in place of the version.
        found: String,
    },
    /// A member is missing, or of another type.
    #[error("{at} has no usable member {name:?}")]
    Missing {
        /// Where.
        at: String,
        /// Which one.
        name: &'static str,
    },
    /// There is a member that this version does not know.
    #[error("{at} has a member {name:?}, which is not known")]
    Unknown {
        /// Where.
        at: String,
        /// Which one.
        name: String,
    },
    /// A value is of a type that cannot be put.
    #[error("{at} is of type {name:?}, which cannot be put")]
    Type {
        /// Where.
        at: String,
        /// The type.
        name: String,
    },
    /// A value is none of its type.
    #[error("the value of {at} is no {name}")]
    Value {
        /// Where.
        at: String,
        /// The type.
        name: String,
    },
}

/// What stands at a key: the shown value, and every place in it where several stand.
#[derive(Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) value: Value,
    /// A place comes before those inside of it.
    pub(crate) conflicts: Vec<(Path, Vec<Value>)>,
}

impl Entry {
    /// Returns what stands at a key, or `None` if nothing does; `conflicts` reads a place.
    pub(crate) fn read(key: &str, conflicts: impl Fn(&Path) -> Vec<Conflict>) -> Option<Self> {
        let path = Path::from(key);
        let value = conflicts(&path).into_iter().next()?.value;
        let mut entry = Self {
            value: value.clone(),
            conflicts: Vec::new(),
        };
        visit(&path, &value, &mut |path| {
            let found = conflicts(path);
            if found.len() > 1 {
                let values = found.into_iter().map(|it| it.value).collect();
                entry.conflicts.push((path.clone(), values));
            }
        });
        Some(entry)
    }
}

fn visit(path: &Path, value: &Value, see: &mut impl FnMut(&Path)) {
    see(path);
    match value {
        Value::List(items) => {
            let items = items.iter().enumerate();
            items.for_each(|(index, item)| visit(&path.clone().index(index), item, see));
        }
        Value::Map(members) => {
            let members = members.iter();
            members.for_each(|(key, member)| visit(&path.clone().key(key), member, see));
        }
        _ => {}
    }
}

/// Returns a dataset with all that concurrent writers left in it.
pub(crate) fn export(dataset: &Dataset) -> Json {
    let entries = dataset.entries().into_iter().map(|(key, shown)| {
        let object = node(dataset, &Path::from(&key), &shown);
        (key, object)
    });
    let entries: Map<String, Json> = entries.collect();
    json!({ "version": VERSION, "dataset": dataset.name(), "entries": entries })
}

fn node(dataset: &Dataset, path: &Path, shown: &Value) -> Json {
    let mut object = value::typed(shown);
    match shown {
        Value::List(items) => {
            let items = items.iter().enumerate();
            object["value"] = items
                .map(|(index, item)| node(dataset, &path.clone().index(index), item))
                .collect();
        }
        Value::Map(members) => {
            let members = members.iter();
            object["value"] = members
                .map(|(key, member)| (key.clone(), node(dataset, &path.clone().key(key), member)))
                .collect();
        }
        _ => {}
    }
    let conflicts = dataset.conflicts(path);
    if conflicts.len() > 1 {
        object["conflicts"] = conflicts.iter().map(value::conflict).collect();
    }
    object
}

/// Returns the dataset's name in a file, and its entries.
pub(crate) fn parse(bytes: &[u8]) -> Result<(String, Vec<(String, Entry)>), PortableError> {
    let Unambiguous(file) = serde_json::from_slice(bytes)?;
    let at = "the file";
    let members = object(&file, at, &["version", "dataset", "entries"])?;
    match members.get("version") {
        Some(version) if version.as_u64() == Some(VERSION) => {}
        found => {
            let found = found.map_or_else(|| "none".to_owned(), Json::to_string);
            return Err(PortableError::Version { found });
        }
    }
    let name = members.get("dataset").and_then(Json::as_str);
    let name = name.ok_or_else(|| missing(at, "dataset"))?.to_owned();
    let entries = members.get("entries").and_then(Json::as_object);
    let entries = entries.ok_or_else(|| missing(at, "entries"))?.iter();
    let entry = |(key, json): (&String, &Json)| {
        let mut conflicts = Vec::new();
        let value = read(json, &Path::from(key), &mut conflicts)?;
        Ok::<_, PortableError>((key.clone(), Entry { value, conflicts }))
    };
    Ok((name, entries.map(entry).collect::<Result<_, _>>()?))
}

/// Reads a node, and takes note of the places in it where several values stand.
fn read(
    json: &Json,
    path: &Path,
    conflicts: &mut Vec<(Path, Vec<Value>)>,
) -> Result<Value, PortableError> {
    let at = path.to_string();
    let members = object(json, &at, &["type", "value", "conflicts"])?;
    if let Some(found) = members.get("conflicts") {
        let found = found.as_array().filter(|found| found.len() > 1);
        let found = found.ok_or_else(|| missing(&at, "conflicts"))?.iter();
        let values = found.map(|one| {
            let members = object(one, &at, &["type", "value", "author", "time"])?;
            winners(&at, |inside| value_of(members, path, inside))
        });
        conflicts.push((path.clone(), values.collect::<Result<_, _>>()?));
    }
    value_of(members, path, conflicts)
}

fn value_of(
    node: &Map<String, Json>,
    path: &Path,
    conflicts: &mut Vec<(Path, Vec<Value>)>,
) -> Result<Value, PortableError> {
    let at = path.to_string();
    let name = node.get("type").and_then(Json::as_str);
    let name = name.ok_or_else(|| missing(&at, "type"))?;
    let json = node.get("value").ok_or_else(|| missing(&at, "value"))?;
    let is_none = || PortableError::Value {
        at: at.clone(),
        name: name.to_owned(),
    };
    Ok(match name {
        "counter" => Value::Counter(json.as_i64().ok_or_else(is_none)?),
        "text" => Value::Text(json.as_str().ok_or_else(is_none)?.to_owned()),
        "list" => {
            let items = json.as_array().ok_or_else(is_none)?.iter().enumerate();
            let item = |(index, item)| read(item, &path.clone().index(index), conflicts);
            Value::List(items.map(item).collect::<Result<_, _>>()?)
        }
        "map" => {
            let members = json.as_object().ok_or_else(is_none)?.iter();
            let member = |(key, member): (&String, &Json)| {
                let value = read(member, &path.clone().key(key), conflicts)?;
                Ok::<_, PortableError>((key.clone(), value))
            };
            Value::Map(members.map(member).collect::<Result<_, _>>()?)
        }
        "set" => {
            let members = json.as_array().ok_or_else(is_none)?.iter();
            let member = |member| match winners(&at, |inside| read(member, path, inside))? {
                Value::Scalar(member) => Ok(member),
                _ => Err(is_none()),
            };
            Value::Set(members.map(member).collect::<Result<_, _>>()?)
        }
        "null" | "bool" | "int" | "uint" | "float" | "string" | "bytes" | "timestamp" => {
            scalar(name, json).ok_or_else(is_none)?.into()
        }
        other => {
            let name = other.to_owned();
            return Err(PortableError::Type { at, name });
        }
    })
}

/// Reads a value in which nothing stands beside another, since there is no place for that in what is read.
fn winners(
    at: &str,
    read: impl FnOnce(&mut Vec<(Path, Vec<Value>)>) -> Result<Value, PortableError>,
) -> Result<Value, PortableError> {
    let mut inside = Vec::new();
    let value = read(&mut inside)?;
    match inside.is_empty() {
        true => Ok(value),
        false => Err(PortableError::Unknown {
            at: at.to_owned(),
            name: "conflicts".to_owned(),
        }),
    }
}

fn scalar(name: &str, json: &Json) -> Option<Scalar> {
    Some(match name {
        "bool" => Scalar::Bool(json.as_bool()?),
        "int" => Scalar::Int(json.as_i64()?),
        "uint" => Scalar::Uint(json.as_u64()?),
        "float" => Scalar::Float(float(json)?),
        "string" => Scalar::String(json.as_str()?.to_owned()),
        "bytes" => Scalar::Bytes(BASE64.decode(json.as_str()?.as_bytes()).ok()?),
        "timestamp" => Scalar::Timestamp(json.as_i64()?),
        _ => json.is_null().then_some(Scalar::Null)?,
    })
}

/// Reads what JSON cannot say as a number from its text.
fn float(json: &Json) -> Option<f64> {
    let Some(text) = json.as_str() else {
        return json.as_f64();
    };
    match text.strip_prefix(value::NAN_PREFIX) {
        Some(bits) => {
            Some(f64::from_bits(u64::from_str_radix(bits, 16).ok()?)).filter(|it| it.is_nan())
        }
        None => text.parse().ok().filter(|number: &f64| !number.is_finite()),
    }
}

/// Returns the members of an object that has no others than these.
fn object<'a>(
    json: &'a Json,
    at: &str,
    known: &[&'static str],
) -> Result<&'a Map<String, Json>, PortableError> {
    let members = json.as_object().ok_or_else(|| missing(at, known[0]))?;
    let mut names = members.keys();
    match names.find(|name| !known.contains(&name.as_str())) {
        None => Ok(members),
        Some(name) => Err(PortableError::Unknown {
            at: at.to_owned(),
            name: name.clone(),
        }),
    }
}

fn missing(at: &str, name: &'static str) -> PortableError {
    let at = at.to_owned();
    PortableError::Missing { at, name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(node: &str, expected: &str) {
        let file = format!(r#"{{"version":1,"dataset":"d","entries":{{"k":{node}}}}}"#);
        let message = parse(file.as_bytes()).err().map(|error| error.to_string());
        assert_eq!(message.as_deref().unwrap_or("fine"), expected);
    }

    #[test]
    fn what_is_not_known_is_refused_with_its_place() {
        check(r#"{"type":"int","value":1}"#, "fine");
        check(
            r#"{"type":"int","value":1,"colour":"red"}"#,
            r#"k has a member "colour", which is not known"#,
        );
        check(
            r#"{"type":"unknown","code":12,"value":"AA=="}"#,
            r#"k has a member "code", which is not known"#,
        );
        check(r#"{"type":"int","value":1.5}"#, "the value of k is no int");
        check(
            r#"{"type":"set","value":[{"type":"list","value":[]}]}"#,
            "the value of k is no set",
        );
        check(
            r#"{"type":"decimal","value":1}"#,
            r#"k is of type "decimal", which cannot be put"#,
        );
        check(r#"{"value":1}"#, r#"k has no usable member "type""#);
        let inside = r#"{"type":"int","value":1,"conflicts":[{"type":"int","value":1},{"type":"int","value":2}]}"#;
        let lost = r#"k has a member "conflicts", which is not known"#;
        check(&format!(r#"{{"type":"set","value":[{inside}]}}"#), lost);
        let list = format!(r#"{{"type":"list","value":[{inside}]}}"#);
        check(&list, "fine");
        check(
            &format!(
                r#"{{"type":"int","value":1,"conflicts":[{{"type":"int","value":1}},{list}]}}"#
            ),
            lost,
        );
        check(
            r#"{"type":"int","value":1,"conflicts":[]}"#,
            r#"k has no usable member "conflicts""#,
        );
    }

    #[test]
    fn numbers_that_json_cannot_say_read_back() {
        for bits in [
            0x7ff8_0000_0000_0001,
            f64::NAN.to_bits(),
            f64::NEG_INFINITY.to_bits(),
        ] {
            let number = f64::from_bits(bits);
            let typed = value::typed(&number.into());
            assert_eq!(
                scalar("float", &typed["value"]),
                Some(Scalar::Float(number))
            );
        }
        assert_eq!(scalar("float", &json!("1.5")), None);
    }

    #[test]
    fn key_that_stands_twice_is_refused() {
        let one = r#"{"type":"int","value":1}"#;
        let file =
            format!(r#"{{"version":1,"dataset":"d","entries":{{"k":{one},"l":{one},"k":{one}}}}}"#);
        assert!(matches!(
            parse(file.as_bytes()),
            Err(PortableError::Json(_))
        ));
    }

    #[test]
    fn later_version_is_refused() {
        let error = parse(br#"{"version":2,"dataset":"d","entries":{}}"#).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the file has version 2, this program knows 1"
        );
    }
}
