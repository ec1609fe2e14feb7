//! Values as they are typed in, shown and exported.

use clap::ValueEnum;
use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use driftless::{Conflict, Scalar, Value};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::exit::Failure;
use crate::files::Unambiguous;

/// What the text of a NaN begins with that is not the common one; its bits follow in hexadecimal digits.
pub(crate) const NAN_PREFIX: &str = "NaN:";

/// What a typed-in value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Type {
    /// Text that is replaced as a whole
    String,
    /// A whole number of 64 bits
    Int,
    /// A floating-point number
    Float,
    /// `true` or `false`
    Bool,
    /// Bytes in Base64
    Bytes,
    /// Bytes in hexadecimal digits
    Hex,
    /// A moment: RFC 3339, or milliseconds since 1970
    Timestamp,
    /// Nothing, but present
    Null,
    /// JSON: an object is a map, an array a list; they merge inside
    Json,
}

impl Type {
    /// Returns the value that a text stands for; only `null` needs none.
    pub(crate) fn parse(self, text: Option<&str>) -> Result<Value, Failure> {
        let value = match text {
            Some(text) if self == Self::Json => {
                let Unambiguous(json) = serde_json::from_str(text)
                    .map_err(|error| Failure::usage(format!("the value is no json: {error}")))?;
                from_json(json)
            }
            Some(text) => self.scalar(text).map(Value::Scalar),
            None => (self == Self::Null).then_some(Value::Scalar(Scalar::Null)),
        };
        let message = || match text {
            Some(_) => format!("the value is no {}", self.name()),
            None => format!("give the {} to put", self.name()),
        };
        value.ok_or_else(|| Failure::usage(message()))
    }

    fn scalar(self, text: &str) -> Option<Scalar> {
        match self {
            Self::String => Some(text.into()),
            Self::Int => text.parse().ok().map(Scalar::Int),
            Self::Float => float(text).map(Scalar::Float),
            Self::Bool => text.parse().ok().map(Scalar::Bool),
            Self::Bytes => BASE64.decode(text.as_bytes()).ok().map(Scalar::Bytes),
            Self::Hex => HEXLOWER_PERMISSIVE
                .decode(text.as_bytes())
                .ok()
                .map(Scalar::Bytes),
            Self::Timestamp => moment(text).map(Scalar::Timestamp),
            Self::Null | Self::Json => None,
        }
    }

    /// Returns what of a file is the value: of a string all of it, of the others no line breaks around it, or within digits.
    pub(crate) fn of_file(self, mut text: String) -> String {
        match self {
            Self::String => {}
            Self::Bytes | Self::Hex => text.retain(|c| !c.is_ascii_whitespace()),
            _ => text = text.trim_ascii().to_owned(),
        }
        text
    }

    fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |it| it.get_name().to_owned())
    }
}

/// Reads a number; one that is too large is none, for `1e999` would become the infinite that only `inf` means.
fn float(text: &str) -> Option<f64> {
    let number: f64 = text.parse().ok()?;
    let has_digits = text.contains(|c: char| c.is_ascii_digit());
    (number.is_finite() || !has_digits).then_some(number)
}

fn from_json(json: serde_json::Value) -> Option<Value> {
    Some(match json {
        serde_json::Value::Null => Scalar::Null.into(),
        serde_json::Value::Bool(value) => value.into(),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => number.into(),
            (None, Some(number)) => Scalar::Uint(number).into(),
            (None, None) => number.as_f64()?.into(),
        },
        serde_json::Value::String(text) => text.into(),
        serde_json::Value::Array(values) => {
            Value::List(values.into_iter().map(from_json).collect::<Option<_>>()?)
        }
        serde_json::Value::Object(entries) => {
            let entries = entries.into_iter();
            let entry = |(key, json)| Some((key, from_json(json)?));
            Value::Map(entries.map(entry).collect::<Option<_>>()?)
        }
    })
}

fn moment(text: &str) -> Option<i64> {
    let millis = || {
        let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        i64::try_from(time.unix_timestamp_nanos().div_euclid(1_000_000)).ok()
    };
    text.parse().ok().or_else(millis)
}

/// Returns a moment in RFC 3339, or in milliseconds where that cannot say it.
pub(crate) fn moment_text(millis: i64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| millis.to_string())
}

/// Returns the name of a value's type.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Counter(_) => "counter",
        Value::Text(_) => "text",
        Value::List(_) => "list",
        Value::Map(_) => "map",
        Value::Set(_) => "set",
        Value::Scalar(scalar) => match scalar {
            Scalar::Null => "null",
            Scalar::Bool(_) => "bool",
            Scalar::Int(_) => "int",
            Scalar::Uint(_) => "uint",
            Scalar::Float(_) => "float",
            Scalar::String(_) => "string",
            Scalar::Bytes(_) => "bytes",
            Scalar::Timestamp(_) => "timestamp",
            _ => "unknown",
        },
        _ => "unknown",
    }
}

/// Returns a value for people, whole.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Text(text) | Value::Scalar(Scalar::String(text)) => text.clone(),
        Value::Scalar(Scalar::Timestamp(millis)) => moment_text(*millis),
        other => match plain(other) {
            serde_json::Value::String(text) => text,
            plain => plain.to_string(),
        },
    }
}

/// Returns a value with its type, so that an export tells `1` from `"1"`.
pub(crate) fn typed(value: &Value) -> serde_json::Value {
    let plain = match value {
        Value::List(items) => items.iter().map(typed).collect(),
        Value::Map(members) => members
            .iter()
            .map(|(key, value)| (key.clone(), typed(value)))
            .collect(),
        Value::Set(members) => members
            .iter()
            .map(|member| typed(&Value::Scalar(member.clone())))
            .collect(),
        other => plain(other),
    };
    let mut object = json!({ "type": type_name(value), "value": plain });
    if let Value::Scalar(Scalar::Unknown { type_code, .. }) = value {
        object["code"] = json!(type_code);
    }
    object
}

/// Returns a value without types: bytes in Base64, moments in milliseconds, numbers that JSON cannot say as text.
fn plain(value: &Value) -> serde_json::Value {
    match value {
        Value::Counter(total) => json!(total),
        Value::Text(text) => json!(text),
        Value::List(items) => items.iter().map(plain).collect(),
        Value::Map(members) => members
            .iter()
            .map(|(key, value)| (key.clone(), plain(value)))
            .collect(),
        Value::Set(members) => members
            .iter()
            .map(|member| plain(&Value::Scalar(member.clone())))
            .collect(),
        Value::Scalar(scalar) => match scalar {
            Scalar::Bool(value) => json!(value),
            Scalar::Int(number) | Scalar::Timestamp(number) => json!(number),
            Scalar::Uint(number) => json!(number),
            Scalar::Float(number) if number.is_finite() => json!(number),
            Scalar::Float(number) if number.is_nan() && number.to_bits() != f64::NAN.to_bits() => {
                json!(format!("{NAN_PREFIX}{:x}", number.to_bits()))
            }
            Scalar::Float(number) => json!(number.to_string()),
            Scalar::String(text) => json!(text),
            Scalar::Bytes(bytes) | Scalar::Unknown { bytes, .. } => json!(BASE64.encode(bytes)),
            _ => serde_json::Value::Null,
        },
        _ => serde_json::Value::Null,
    }
}

/// Returns one of several values at a key: what it is, and who put it when.
pub(crate) fn conflict(conflict: &Conflict) -> serde_json::Value {
    let mut object = typed(&conflict.value);
    object["author"] = json!(conflict.author().to_string());
    object["time"] = json!(conflict.time);
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: Type, typed_in: &str, expected: Option<Scalar>) {
        assert_eq!(
            kind.parse(Some(typed_in)).ok(),
            expected.map(Value::Scalar),
            "{kind:?} {typed_in}"
        );
    }

    #[test]
    fn text_becomes_the_value_of_its_type() {
        check(Type::String, "", Some("".into()));
        check(Type::Int, "-7", Some(Scalar::Int(-7)));
        check(Type::Int, "7.0", None);
        check(Type::Float, "1e3", Some(Scalar::Float(1000.0)));
        check(Type::Float, "1e999", None);
        check(Type::Float, "-inf", Some(Scalar::Float(f64::NEG_INFINITY)));
        check(Type::Bool, "yes", None);
        check(Type::Bytes, "AP8=", Some(Scalar::Bytes(vec![0, 255])));
        check(Type::Hex, "00fF", Some(Scalar::Bytes(vec![0, 255])));
        check(Type::Hex, "0", None);
        check(
            Type::Timestamp,
            "1970-01-01T00:00:01.5Z",
            Some(Scalar::Timestamp(1500)),
        );
        check(Type::Timestamp, "-1", Some(Scalar::Timestamp(-1)));
        check(Type::Null, "x", None);
    }

    #[test]
    fn json_that_would_lose_something_is_refused() {
        let message = |json| {
            let failure = Type::Json.parse(Some(json)).unwrap_err();
            failure.error.to_string()
        };
        let twice = message(r#"{"a":1,"a":2}"#);
        assert!(twice.contains(r#"there are two members "a""#), "{twice}");
        assert!(message("[1e999]").contains("out of range"));
        let largest = Type::Json.parse(Some("[18446744073709551615]")).unwrap();
        assert_eq!(largest, Value::List(vec![Scalar::Uint(u64::MAX).into()]));
    }

    #[test]
    fn export_tells_types_apart_and_keeps_large_numbers() {
        let check = |value: Scalar, expected: &str| {
            assert_eq!(typed(&value.into()).to_string(), expected);
        };
        check(
            Scalar::Int(i64::MAX),
            r#"{"type":"int","value":9223372036854775807}"#,
        );
        check("1".into(), r#"{"type":"string","value":"1"}"#);
        check(Scalar::Float(f64::NAN), r#"{"type":"float","value":"NaN"}"#);
    }
}
