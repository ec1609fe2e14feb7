//! What a dataset can hold: scalars, and objects that merge inside.
//!
//! [`Content`] is what an operation writes, [`Value`] what a reader sees (a counter's total, a text's characters).

use std::collections::{BTreeMap, BTreeSet};

use crate::id::OpId;

/// A value that is replaced as a whole.
///
/// Equality is by bytes, so that a NaN equals itself: a state must equal its own copy.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Scalar {
    /// Nothing, but present.
    Null,
    /// A truth value.
    Bool(bool),
    /// A signed number.
    Int(i64),
    /// An unsigned number; Driftless never writes one, other automerge programs do.
    Uint(u64),
    /// A floating-point number.
    Float(f64),
    /// Text that is replaced as a whole.
    String(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Milliseconds since 1970-01-01T00:00:00Z.
    Timestamp(i64),
    /// The number that a counter started with; its total is this plus all increments.
    Counter(i64),
    /// A value of a type that this version does not know, kept as it came.
    Unknown {
        /// automerge's number of the type, from 10 to 15.
        type_code: u8,
        /// The bytes of the value.
        bytes: Vec<u8>,
    },
}

impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b))
            | (Self::Timestamp(a), Self::Timestamp(b))
            | (Self::Counter(a), Self::Counter(b)) => a == b,
            (Self::Uint(a), Self::Uint(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits(),
            (Self::String(a), Self::String(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (
                Self::Unknown {
                    type_code: a,
                    bytes: x,
                },
                Self::Unknown {
                    type_code: b,
                    bytes: y,
                },
            ) => a == b && x == y,
            _ => false,
        }
    }
}

impl Eq for Scalar {}

impl Scalar {
    /// Tells whether an unknown type is none that automerge knows, so that the value reads back as it was.
    pub(crate) const fn has_type(&self) -> bool {
        match self {
            Self::Unknown { type_code, .. } => matches!(*type_code, 10..=15),
            _ => true,
        }
    }

    /// Tells whether it can be put as a value, and be a member of a set.
    pub(crate) const fn is_plain(&self) -> bool {
        !matches!(self, Self::Counter(_) | Self::Unknown { .. })
    }

    /// Returns the bytes that the value itself takes, without any framing.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Int(_)
            | Self::Uint(_)
            | Self::Float(_)
            | Self::Timestamp(_)
            | Self::Counter(_) => 8,
            Self::String(text) => text.len(),
            Self::Bytes(bytes) | Self::Unknown { bytes, .. } => bytes.len(),
        }
    }
}

macro_rules! scalar_from {
    ($($from:ty => |$x:ident| $make:expr),* $(,)?) => {
        $(impl From<$from> for Scalar {
            fn from($x: $from) -> Self {
                $make
            }
        })*
    };
}

scalar_from! {
    bool => |x| Self::Bool(x),
    i32 => |x| Self::Int(x.into()),
    u32 => |x| Self::Int(x.into()),
    i64 => |x| Self::Int(x),
    f64 => |x| Self::Float(x),
    &str => |x| Self::String(x.to_owned()),
    String => |x| Self::String(x),
    Vec<u8> => |x| Self::Bytes(x),
    &[u8] => |x| Self::Bytes(x.to_vec()),
}

/// The kind of an object that merges inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectType {
    /// String keys to values.
    Map,
    /// A map that its author means as a table; merges as a map.
    Table,
    /// Values in order.
    List,
    /// Characters in order.
    Text,
}

impl ObjectType {
    /// Tells whether elements are in order and have no keys.
    #[must_use]
    pub const fn is_sequence(self) -> bool {
        matches!(self, Self::List | Self::Text)
    }
}

/// What one operation put in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A scalar, or a counter's start.
    Scalar(Scalar),
    /// A new object, whose id is the operation's.
    Object(ObjectType),
}

impl Content {
    pub(crate) const fn is_counter(&self) -> bool {
        matches!(self, Self::Scalar(Scalar::Counter(_)))
    }
}

/// Contents by op id, ascending.
///
/// Nearly every place gets one, so they lie in one piece: a map of its own for each place would take ten times as much, and
/// a delta of others may have a hundred thousand places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents(Vec<(OpId, Content)>);

impl Contents {
    /// Returns how many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the ids, ascending.
    pub fn keys(&self) -> impl Iterator<Item = &OpId> {
        self.0.iter().map(|(id, _)| id)
    }

    /// Returns the contents in the order of their ids.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Content> {
        self.0.iter_mut().map(|(_, content)| content)
    }

    /// Returns ids and contents, ascending.
    pub fn iter(&self) -> std::slice::Iter<'_, (OpId, Content)> {
        self.0.iter()
    }
}

/// Of several with one id the last one stays.
impl Extend<(OpId, Content)> for Contents {
    fn extend<T: IntoIterator<Item = (OpId, Content)>>(&mut self, more: T) {
        let more = more.into_iter();
        self.0.reserve_exact(more.size_hint().0);
        let last = self.0.len().saturating_sub(1);
        self.0.extend(more);
        if !self.0[last..].is_sorted_by(|(a, _), (b, _)| a < b) {
            self.0.sort_by_key(|(id, _)| *id);
            self.0.dedup_by(|later, earlier| {
                let is_one = later.0 == earlier.0;
                if is_one {
                    std::mem::swap(later, earlier);
                }
                is_one
            });
        }
    }
}

impl FromIterator<(OpId, Content)> for Contents {
    fn from_iter<T: IntoIterator<Item = (OpId, Content)>>(contents: T) -> Self {
        let mut all = Self::default();
        all.extend(contents);
        all
    }
}

impl<const N: usize> From<[(OpId, Content); N]> for Contents {
    fn from(contents: [(OpId, Content); N]) -> Self {
        contents.into_iter().collect()
    }
}

impl<'a> IntoIterator for &'a Contents {
    type Item = &'a (OpId, Content);
    type IntoIter = std::slice::Iter<'a, (OpId, Content)>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// A value as a reader sees it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// A scalar that is not a counter.
    Scalar(Scalar),
    /// The total of a counter.
    Counter(i64),
    /// The characters of a text.
    Text(String),
    /// The values of a list.
    List(Vec<Self>),
    /// The values of a nested map or table.
    Map(BTreeMap<String, Self>),
    /// The members of a set.
    Set(BTreeSet<Scalar>),
}

impl Value {
    /// Returns a text, whose characters merge.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Returns a list of these values.
    #[must_use]
    pub fn list<T: Into<Self>>(values: impl IntoIterator<Item = T>) -> Self {
        Self::List(values.into_iter().map(Into::into).collect())
    }

    /// Returns a map of these values.
    #[must_use]
    pub fn map<K: Into<String>, T: Into<Self>>(entries: impl IntoIterator<Item = (K, T)>) -> Self {
        let entries = entries.into_iter();
        Self::Map(
            entries
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
        )
    }

    /// Returns a set of these members.
    #[must_use]
    pub fn set<T: Into<Scalar>>(members: impl IntoIterator<Item = T>) -> Self {
        Self::Set(members.into_iter().map(Into::into).collect())
    }

    /// Returns the text of a string or a text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Scalar(Scalar::String(text)) | Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the number of an integer or a counter.
    #[must_use]
    pub const fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Scalar(Scalar::Int(number)) | Self::Counter(number) => Some(*number),
            _ => None,
        }
    }

    /// Returns the truth value.
    #[must_use]
    pub const fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Scalar(Scalar::Bool(value)) => Some(*value),
            _ => None,
        }
    }
}

impl<T: Into<Scalar>> From<T> for Value {
    fn from(value: T) -> Self {
        Self::Scalar(value.into())
    }
}
