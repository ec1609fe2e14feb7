//! The order of scalars, the same on every device and across their types.

use std::cmp::Ordering;

use crate::value::Scalar;

/// First by what it is: null, truth values, numbers, timestamps, strings, bytes, values of unknown types, counters. Numbers
/// of all types compare by what they stand for, exactly; of equal ones the integer comes before the unsigned one and that
/// before the floating one, and -0.0 before 0.0. NaNs come before or behind all numbers, as their sign says. Strings compare
/// by their bytes.
impl Ord for Scalar {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::String(a), Self::String(b)) => a.cmp(b),
            (Self::Bytes(a), Self::Bytes(b)) => a.cmp(b),
            (Self::Timestamp(a), Self::Timestamp(b)) | (Self::Counter(a), Self::Counter(b)) => {
                a.cmp(b)
            }
            (
                Self::Unknown {
                    type_code: a,
                    bytes: x,
                },
                Self::Unknown {
                    type_code: b,
                    bytes: y,
                },
            ) => (a, x).cmp(&(b, y)),
            (Self::Float(a), Self::Float(b)) => a.total_cmp(b),
            _ => self
                .compare_numbers(other)
                .then(self.type_rank().cmp(&other.type_rank())),
        }
    }
}

impl PartialOrd for Scalar {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Scalar {
    /// Compares two numbers by what they stand for; everything else is equal here.
    fn compare_numbers(&self, other: &Self) -> Ordering {
        match (self.as_integer(), other.as_integer(), self, other) {
            (Some(a), Some(b), ..) => a.cmp(&b),
            (Some(a), _, _, Self::Float(b)) => compare(a, *b),
            (_, Some(b), Self::Float(a), _) => compare(b, *a).reverse(),
            _ => Ordering::Equal,
        }
    }

    fn as_integer(&self) -> Option<i128> {
        match self {
            Self::Int(number) => Some((*number).into()),
            Self::Uint(number) => Some((*number).into()),
            _ => None,
        }
    }

    const fn type_rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Int(_) => 2,
            Self::Uint(_) => 3,
            Self::Float(_) => 4,
            Self::Timestamp(_) => 5,
            Self::String(_) => 6,
            Self::Bytes(_) => 7,
            Self::Unknown { .. } => 8,
            Self::Counter(_) => 9,
        }
    }
}

/// Compares an integer of 64 bits with a floating number.
fn compare(integer: i128, float: f64) -> Ordering {
    if float.is_nan() {
        return if float.is_sign_negative() {
            Ordering::Greater
        } else {
            Ordering::Less
        };
    }
    // Beyond 128 bits this ends at the widest integer, which is far from any of 64 bits.
    let whole = float.trunc() as i128;
    let rest = float.fract();
    integer.cmp(&whole).then_with(|| {
        if rest > 0.0 {
            Ordering::Less
        } else if rest < 0.0 {
            Ordering::Greater
        } else {
            Ordering::Equal
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_one_across_all_types() {
        let ascending = [
            Scalar::Null,
            Scalar::Bool(false),
            Scalar::Bool(true),
            Scalar::Float(-f64::NAN),
            Scalar::Float(f64::NEG_INFINITY),
            Scalar::Int(i64::MIN),
            Scalar::Float(-1.5),
            Scalar::Int(-1),
            Scalar::Int(0),
            Scalar::Uint(0),
            Scalar::Float(-0.0),
            Scalar::Float(0.0),
            Scalar::Float(0.5),
            Scalar::Int(1),
            Scalar::Int((1 << 53) + 1),
            Scalar::Float(((1_i64 << 53) + 2) as f64),
            Scalar::Int(i64::MAX),
            Scalar::Float(9_223_372_036_854_775_808.0),
            Scalar::Uint(u64::MAX),
            Scalar::Float(f64::INFINITY),
            Scalar::Float(f64::NAN),
            Scalar::Timestamp(-1),
            Scalar::Timestamp(5),
            Scalar::String(String::new()),
            Scalar::String("é".to_owned()),
            Scalar::Bytes(vec![]),
            Scalar::Counter(0),
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(a.cmp(b), i.cmp(&j), "{a:?} {b:?}");
            }
        }
    }
}
