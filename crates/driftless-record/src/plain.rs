//! Values as plain records: what old clients, consoles and Lambdas read and write.
//!
//! A plain record has the user's key and the value's text. Every scalar, counter and text at a root key has one, apart from
//! null; lists, maps and sets have none. A text that came from elsewhere keeps the type of what stands at its key if it says
//! the same in that type's own form, so that whoever reads a number goes on reading a number.

use data_encoding::BASE64;
use driftless_document::{Scalar, Value};

/// Returns the text of a value in its one form, or `None` if it has no plain record.
#[must_use]
pub fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Scalar(scalar) => text_of_scalar(scalar),
        Value::Counter(total) => Some(total.to_string()),
        Value::Text(text) => Some(text.clone()),
        _ => None,
    }
}

fn text_of_scalar(scalar: &Scalar) -> Option<String> {
    match scalar {
        Scalar::Bool(value) => Some(value.to_string()),
        Scalar::Int(number) | Scalar::Timestamp(number) => Some(number.to_string()),
        Scalar::Uint(number) => Some(number.to_string()),
        // The shortest form that reads back as the same number, with a point or an exponent.
        Scalar::Float(number) => Some(format!("{number:?}")),
        Scalar::String(text) => Some(text.clone()),
        Scalar::Bytes(bytes) => Some(BASE64.encode(bytes)),
        _ => None,
    }
}

/// Returns what a text says where `stands` stood: a value of that type if this is how it is written, else the text itself.
#[must_use]
pub fn scalar_of(text: &str, stands: &Scalar) -> Scalar {
    let read = match stands {
        Scalar::Bool(_) => text.parse().ok().map(Scalar::Bool),
        Scalar::Int(_) => text.parse().ok().map(Scalar::Int),
        Scalar::Uint(_) => text.parse().ok().map(Scalar::Uint),
        Scalar::Float(_) => text.parse().ok().map(Scalar::Float),
        Scalar::Timestamp(_) => text.parse().ok().map(Scalar::Timestamp),
        Scalar::Bytes(_) => BASE64.decode(text.as_bytes()).ok().map(Scalar::Bytes),
        _ => None,
    };
    let is_its_form = |scalar: &Scalar| text_of_scalar(scalar).as_deref() == Some(text);
    read.filter(is_its_form)
        .unwrap_or_else(|| Scalar::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(scalar: Scalar, text: &str) {
        let value = Value::Scalar(scalar.clone());
        assert_eq!(text_of(&value).as_deref(), Some(text));
        assert_eq!(scalar_of(text, &scalar), scalar);
    }

    #[test]
    fn each_type_has_one_form_which_reads_back() {
        check(Scalar::from(true), "true");
        check(Scalar::from(-7), "-7");
        check(Scalar::from(1.0), "1.0");
        check(Scalar::from(-0.0), "-0.0");
        check(Scalar::from(1e300), "1e300");
        check(Scalar::Float(f64::INFINITY), "inf");
        check(Scalar::from("7"), "7");
        check(Scalar::from(""), "");
        check(Scalar::from(vec![0, 255]), "AP8=");
        check(Scalar::Timestamp(1_700_000_000_000), "1700000000000");
    }

    #[test]
    fn other_forms_are_the_text_itself() {
        for text in ["007", "+7", "7.0", "", "seven", "99999999999999999999"] {
            assert_eq!(scalar_of(text, &Scalar::from(7)), Scalar::from(text));
        }
        assert_eq!(scalar_of("1", &Scalar::from(1.0)), Scalar::from("1"));
        assert_eq!(scalar_of("True", &Scalar::from(true)), Scalar::from("True"));
        assert_eq!(
            scalar_of("AP8", &Scalar::from(vec![0])),
            Scalar::from("AP8")
        );
        assert_eq!(scalar_of("null", &Scalar::Null), Scalar::from("null"));
    }

    #[test]
    fn null_and_what_has_an_inside_have_none() {
        assert_eq!(text_of(&Value::Scalar(Scalar::Null)), None);
        assert_eq!(text_of(&Value::list([1, 2])), None);
    }
}
