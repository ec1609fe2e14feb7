//! How many characters of records a state takes, and what in it takes them.

use driftless_document::{Body, Clock, Delta, ObjectDelta, State};

use crate::codec;
use crate::frame::{self, deflate, text_len};

/// Bytes of a base's part, as stored: 163,900 characters or less, far below what a value may have.
pub(crate) const PART_BYTES: usize = 128 * 1024;

/// Returns the characters that a fresh base of a state takes with head, keys included.
///
/// Linear in the state, and not cheap: it is the encoding itself, without its text.
#[must_use]
pub fn size_of_state(state: &State) -> usize {
    base_len(&state.diff(&State::new())) + HEAD_LEN
}

/// Returns what of that is for the past: elements of lists and texts that are deleted, and the clock.
///
/// Compacting gives back the first, and of the second whatever belongs to authors of whom nothing lives. It costs two more
/// encodings.
#[must_use]
pub fn past_of_state(state: &State) -> Past {
    let delta = state.diff(&State::new());
    Past {
        dead: dead_len(&delta),
        clock: clock_len(&delta),
    }
}

/// Returns by how much a state would take less without what stands at a key of the dataset.
///
/// What is alike deflates together, so the keys' shares sum up to less than the state takes. It costs four encodings.
#[must_use]
pub fn share_of_key(state: &State, key: &str) -> Share {
    let (all, others) = (state.diff(&State::new()), state.without(key));
    Share {
        live: base_len(&all).saturating_sub(base_len(&others)),
        dead: dead_len(&all).saturating_sub(dead_len(&others)),
    }
}

/// What a key takes of a state, in characters of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Share {
    /// In all.
    pub live: usize,
    /// What of it is for elements of lists and texts that are deleted.
    pub dead: usize,
}

/// What a state takes for its past, in characters of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Past {
    /// For elements of lists and texts that are deleted.
    pub dead: usize,
    /// For the clock.
    pub clock: usize,
}

/// The characters of the longest head and its key.
pub(crate) const HEAD_LEN: usize = 15 + 120;

/// An encoded delta, deflated where that is shorter.
pub(crate) struct Encoded {
    pub(crate) raw: usize,
    bytes: Vec<u8>,
    is_deflated: bool,
}

impl Encoded {
    pub(crate) fn new(delta: &Delta, before: &Clock) -> Self {
        let bytes = codec::encode(delta, before);
        let raw = bytes.len();
        match deflate(&bytes) {
            Some(bytes) => Self {
                raw,
                bytes,
                is_deflated: true,
            },
            None => Self {
                raw,
                bytes,
                is_deflated: false,
            },
        }
    }

    pub(crate) fn payload(&self) -> frame::Payload<'_> {
        let raw_len = self.is_deflated.then_some(self.raw as u64);
        frame::Payload {
            raw_len,
            bytes: &self.bytes,
        }
    }
}

fn base_len(delta: &Delta) -> usize {
    base_text(Encoded::new(delta, &Clock::new()).bytes.len())
}

/// Returns the characters of the records of a base whose body has so many bytes; at most 40 a part too many.
pub(crate) fn base_text(body: usize) -> usize {
    let parts = body.div_ceil(PART_BYTES);
    text_len(body) + parts * PART_OVERHEAD
}

/// The characters of the longest key, header and checksum of a part.
const PART_OVERHEAD: usize = 20 + text_len(2 + 8 + 5 + 2 + 4 + 8) + 5;

/// Returns what dead elements add to the size of a state.
pub(crate) fn dead_len(delta: &Delta) -> usize {
    let mut alive = delta.clone();
    for changed in alive.objects.values_mut() {
        if let ObjectDelta::Sequence(changed) = changed {
            changed
                .inserted
                .retain(|run| !matches!(run.body, Body::Dead(_)));
        }
    }
    base_len(delta).saturating_sub(base_len(&alive))
}

/// Returns what the clock takes in a state.
pub(crate) fn clock_len(delta: &Delta) -> usize {
    base_len(&Delta {
        clock: delta.clock.clone(),
        ..Delta::default()
    })
}

#[cfg(test)]
mod tests {
    use driftless_wire::SyncCount;

    use super::*;
    use crate::frame::{Frame, MAX_PARTS};
    use crate::head::{Earlier, Head, Predecessor};
    use crate::lineage::{Checksum, Lineage};
    use crate::slots::HEAD_KEY;

    #[test]
    fn no_head_is_longer() {
        let lineage = Lineage::from_bytes([255; 8]);
        let head = Head {
            lineage,
            generation: u32::MAX,
            parts: MAX_PARTS,
            sequence: u32::MAX,
            tip: Checksum::from_bytes([255; 8]),
            predecessor: Some(Predecessor {
                lineage,
                counter: u32::MAX,
                earlier: Earlier::of([lineage; Earlier::MAX]),
            }),
            seen: SyncCount::try_from(i64::MAX).unwrap(),
            plain: true,
            mended: true,
            begins: true,
        };
        let text = Frame::head(head).encode();
        assert_eq!(HEAD_KEY.len() + text.len(), HEAD_LEN);
        let read = Frame::decode(&text).unwrap();
        assert!(matches!(read.kind(), crate::Kind::Head(it) if it == head));
    }
}
