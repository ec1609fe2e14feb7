//! A delta as bytes, in columns, and back.
//!
//! Values of one kind stand together (all keys, all counters of ids, all strings), because that is what deflate likes. No
//! column says how long it is: how many entries it has follows from the columns before it. `docs/record-format.md` has the
//! bytes; the walk through a delta that orders them is the one of `codec/write.rs`.
//!
//! A delta is coded against the clock of the state that it goes onto: authors that the clock knows are named by their place
//! in it. A whole state is its difference from the empty state, coded against the empty clock.
//!
//! One delta has one encoding: [`decode`] refuses every other. It checks form, and no meaning: that is
//! [`State::apply`](driftless_document::State::apply).

use driftless_document::{Clock, Delta, State};

mod read;
mod write;

/// How many values and elements one state may hold, dead elements too; more is refused.
///
/// A million dead elements take a few bytes here and a hundred megabytes in automerge, so the size of a record bounds
/// nothing.
pub const MAX_ELEMENTS: u32 = 1 << 20;

/// How many values that are no characters, runs of elements and totals of counters one state may hold, each; more is
/// refused.
///
/// A dataset of the service's size has no room for so many at its keys. Without a limit, deflated bytes could say a
/// thousand times as much, and each takes a hundred bytes in memory.
pub const MAX_VALUES: usize = 1 << 17;

/// How many objects one state may hold; more is refused, for the same reason.
pub const MAX_OBJECTS: usize = 1 << 16;

/// Tells whether a state holds no more than any state may.
pub(crate) fn is_within_bounds(state: &State) -> bool {
    let population = state.population();
    let (values, runs, totals) = (population.values, population.runs, population.totals);
    population.total() <= MAX_ELEMENTS as usize
        && population.objects <= MAX_OBJECTS
        && [values, runs, totals]
            .iter()
            .all(|count| *count <= MAX_VALUES)
}

/// Why bytes are no delta.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end before the delta does, or a count promises more than there is.
    #[error("the bytes end at {at}, before the delta does")]
    Short {
        /// How many bytes were read.
        at: usize,
    },
    /// Bytes follow the end of the delta.
    #[error("{bytes} bytes follow the end of the delta")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// A number or name is outside of what it can be.
    #[error("a {what} is out of range")]
    Range {
        /// What the number counts or names.
        what: &'static str,
    },
    /// A string is not UTF-8.
    #[error("a string is not utf-8")]
    Utf8,
    /// A delta inserts or deletes more elements than [`MAX_ELEMENTS`], or has more values, runs, totals or objects than
    /// [`MAX_VALUES`] and [`MAX_OBJECTS`].
    #[error("more changes than any state may hold")]
    Elements,
    /// The delta has another encoding, which is the only one.
    #[error("the encoding is not the canonical one")]
    NotCanonical,
}

/// Returns the bytes of a delta that goes onto a state with the clock `before`; equal deltas have equal bytes.
#[must_use]
pub fn encode(delta: &Delta, before: &Clock) -> Vec<u8> {
    write::write(delta, before)
}

/// Returns the delta whose bytes these are, to be applied onto a state with the clock `before`.
///
/// Time and memory are linear in the bytes, whatever they say.
///
/// # Errors
///
/// [`DecodeError`] for whatever [`encode`] would not have written.
pub fn decode(bytes: &[u8], before: &Clock) -> Result<Delta, DecodeError> {
    let delta = read::read(bytes, before)?;
    if encode(&delta, before) == bytes {
        Ok(delta)
    } else {
        Err(DecodeError::NotCanonical)
    }
}

/// The kinds of content, as one byte each.
mod tag {
    pub(super) const NULL: u8 = 0;
    pub(super) const FALSE: u8 = 1;
    pub(super) const TRUE: u8 = 2;
    pub(super) const INT: u8 = 3;
    pub(super) const UINT: u8 = 4;
    pub(super) const FLOAT: u8 = 5;
    pub(super) const STRING: u8 = 6;
    pub(super) const BYTES: u8 = 7;
    pub(super) const TIMESTAMP: u8 = 8;
    pub(super) const COUNTER: u8 = 9;
    pub(super) const MAP: u8 = 10;
    pub(super) const TABLE: u8 = 11;
    pub(super) const LIST: u8 = 12;
    pub(super) const TEXT: u8 = 13;
    pub(super) const UNKNOWN: u8 = 14;
}

/// The kinds of run, in the low two bits of its body entry.
mod body {
    pub(super) const CHARACTERS: u64 = 0;
    pub(super) const VALUES: u64 = 1;
    pub(super) const DEAD: u64 = 2;
}

/// What goes from a place, in the low two bits of its register entry.
mod removed {
    pub(super) const NOTHING: u64 = 0;
    pub(super) const ALL: u64 = 1;
    pub(super) const SOME: u64 = 2;
}

pub(crate) fn push_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

const fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

const fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}
