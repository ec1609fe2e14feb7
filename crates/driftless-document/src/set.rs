//! The members of a set.
//!
//! A set is a map (`kind.rs` tells how the two are told apart) that has a key for each member and holds `true` there. The key
//! is the member's canonical text, so that two devices that add one member put one key; a key that is no such text is no
//! member, and is not shown.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::state::Register;
use crate::value::Scalar;

/// What stands at the key of a member.
pub(crate) const PRESENT: Scalar = Scalar::Bool(true);

/// Returns the key of a member: a letter for its type, then its text; `None` if it cannot be one.
pub(crate) fn key_of(member: &Scalar) -> Option<String> {
    Some(match member {
        Scalar::Null => "n".to_owned(),
        Scalar::Bool(false) => "0".to_owned(),
        Scalar::Bool(true) => "1".to_owned(),
        Scalar::Int(number) => format!("i{number}"),
        Scalar::Uint(number) => format!("u{number}"),
        Scalar::Float(number) => format!("f{:016x}", number.to_bits()),
        Scalar::Timestamp(time) => format!("t{time}"),
        Scalar::String(text) => format!("s{text}"),
        Scalar::Bytes(bytes) => {
            let mut key = "b".to_owned();
            for byte in bytes {
                write!(key, "{byte:02x}").expect("a string takes all that is written");
            }
            key
        }
        Scalar::Counter(_) | Scalar::Unknown { .. } => return None,
    })
}

/// Returns the member that has a key.
fn member_of(key: &str) -> Option<Scalar> {
    let text = key.get(1..)?;
    let member = match key.as_bytes()[0] {
        b'n' => Scalar::Null,
        b'0' => Scalar::Bool(false),
        b'1' => Scalar::Bool(true),
        b'i' => Scalar::Int(text.parse().ok()?),
        b'u' => Scalar::Uint(text.parse().ok()?),
        b'f' => Scalar::Float(f64::from_bits(u64::from_str_radix(text, 16).ok()?)),
        b't' => Scalar::Timestamp(text.parse().ok()?),
        b's' => Scalar::String(text.to_owned()),
        b'b' => Scalar::Bytes(bytes_of(text)?),
        _ => return None,
    };
    (key_of(&member)? == key).then_some(member)
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let byte = |pair: &[u8]| Some((digit(pair[0])? << 4 | digit(*pair.get(1)?)?) as u8);
    hex.as_bytes().chunks(2).map(byte).collect()
}

/// Returns the members in the map of a set.
pub(crate) fn members(keys: &BTreeMap<String, Register>) -> impl Iterator<Item = Scalar> {
    keys.keys().filter_map(|key| member_of(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn member_has_one_key_and_the_key_one_member() {
        let members = [
            Scalar::Null,
            Scalar::Bool(true),
            Scalar::Int(-7),
            Scalar::Uint(u64::MAX),
            Scalar::Float(-0.0),
            Scalar::Timestamp(i64::MIN),
            Scalar::String(String::new()),
            Scalar::String("é".to_owned()),
            Scalar::Bytes(vec![0, 0xab]),
        ];
        for member in members {
            let key = key_of(&member).expect("it is plain");
            assert_eq!(member_of(&key), Some(member), "{key}");
        }
        assert_eq!(key_of(&Scalar::Counter(1)), None);
    }

    #[test]
    fn key_in_another_than_the_canonical_form_is_no_member() {
        for key in ["", "i+7", "i07", "f0", "bAB", "babc", "é", "x", "n1"] {
            assert_eq!(member_of(key), None, "{key}");
        }
    }
}
