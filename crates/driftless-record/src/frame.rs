//! Frames: the bytes of one slot, and the text that carries them.
//!
//! ```text
//! frame    magic 0xd7 | version << 4, flags, kind | header by kind | raw length, if deflated | body | checksum
//! checksum blake3(checksum before, if any | everything before the checksum)[..8]
//! text     Z85 of the frame
//! ```
//!
//! Reading is strict (one frame has one text) and takes memory for nothing but what it was given; [`inflate`] takes no more
//! than its caller allows. What the body means is none of this file's business.

use driftless_wire::SyncCount;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::codec::push_varint;
use crate::head::{Earlier, Head, Predecessor};
use crate::lineage::{Checksum, Lineage};

const MAGIC: u8 = 0xd7;
const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 8;

const HEAD: u8 = 0;
const LOG: u8 = 1;
const RUN: u8 = 2;
const BASE: u8 = 3;
const KIND: u8 = 3;
/// The body is deflated, and its length as it was stands before it.
const DEFLATED: u8 = 4;
/// A run stands for logs, whose last checksum its header names.
const FOLDED: u8 = 8;

const PLAIN: u8 = 1;
const PREDECESSOR: u8 = 2;
const MENDED: u8 = 4;
const BEGINS: u8 = 8;
const EARLIER: u8 = 16;

/// The most parts that a base can have.
pub(crate) const MAX_PARTS: u8 = 64;

/// What a frame is for, with the part of its header that only its kind has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The head.
    Head(Head),
    /// A delta.
    Log {
        /// Its number on the base, from 1.
        sequence: u32,
    },
    /// Logs folded into one delta.
    Run {
        /// The number of the last log.
        sequence: u32,
        /// How many logs were folded.
        logs: u32,
        /// The checksum of the last log, if it ever stood in a slot of its own.
        end: Option<Checksum>,
    },
    /// A part of a whole state.
    Base {
        /// Which life of the dataset this is.
        lineage: Lineage,
        /// Which base of that life.
        generation: u32,
        /// The number of this part, from 0.
        part: u8,
        /// How many parts there are.
        parts: u8,
    },
}

/// The decoded text of one slot; its checksum may still be that of other bytes.
#[derive(Clone, Debug)]
pub struct Frame {
    kind: Kind,
    raw_len: Option<u64>,
    bytes: Vec<u8>,
    body: usize,
}

/// Why a text is no frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The text is not Z85.
    #[error("the text is not z85")]
    Text(#[source] Z85Error),
    /// The frame was written by a version that this one doesn't know; its checksum is right.
    #[error("format version {0} is not known")]
    Version(u8),
    /// The bytes are no frame.
    #[error("the header is not that of a frame")]
    Header,
}

/// What is wrong with a Z85 text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Z85Error(String);

impl Frame {
    /// Returns the frame that a text carries. Whether its checksum is right can only be asked with the one before it:
    /// [`follows`](Self::follows).
    ///
    /// # Errors
    ///
    /// [`FrameError`] if the text is no frame.
    pub fn decode(text: &str) -> Result<Self, FrameError> {
        let bytes =
            z85::decode(text).map_err(|error| FrameError::Text(Z85Error(error.to_string())))?;
        let (kind, raw_len, body) = {
            let covered = bytes
                .len()
                .checked_sub(CHECKSUM_BYTES)
                .ok_or(FrameError::Header)?;
            let mut input = Input(&bytes[..covered]);
            if input.byte()? != MAGIC {
                return Err(FrameError::Header);
            }
            let marks = input.byte()?;
            if marks >> 4 != VERSION {
                return Err(unknown_version(&bytes, marks >> 4));
            }
            let kind = input.kind(marks)?;
            let raw_len = if marks & DEFLATED == 0 {
                None
            } else {
                Some(input.varint()?)
            };
            (kind, raw_len, covered - input.0.len())
        };
        let has_body = body + CHECKSUM_BYTES < bytes.len() || raw_len.is_some();
        // Comparing with what would be written refuses long varints and flags that the kind doesn't have.
        if header(kind, raw_len) != bytes[..body] || has_body && matches!(kind, Kind::Head(_)) {
            return Err(FrameError::Header);
        }
        Ok(Self {
            kind,
            raw_len,
            bytes,
            body,
        })
    }

    /// Returns the frame of this kind with this body, which follows on a point of the chain.
    pub(crate) fn new(kind: Kind, body: &Payload<'_>, before: Option<Checksum>) -> Self {
        let mut bytes = header(kind, body.raw_len);
        let at = bytes.len();
        bytes.extend(body.bytes);
        let checksum = Checksum::of(before, &bytes);
        bytes.extend(checksum.to_bytes());
        Self {
            kind,
            raw_len: body.raw_len,
            bytes,
            body: at,
        }
    }

    /// Returns the frame of a head.
    pub(crate) fn head(head: Head) -> Self {
        Self::new(
            Kind::Head(head),
            &Payload {
                raw_len: None,
                bytes: &[],
            },
            None,
        )
    }

    /// Returns the text.
    #[must_use]
    pub fn encode(&self) -> String {
        z85::encode(&self.bytes)
    }

    /// Returns what the frame is for.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the checksum that the frame carries.
    #[must_use]
    pub fn checksum(&self) -> Checksum {
        let bytes = &self.bytes[self.bytes.len() - CHECKSUM_BYTES..];
        Checksum::from_bytes(bytes.try_into().expect("the last eight bytes are eight"))
    }

    /// Tells whether the frame is whole and follows on this point of the chain, or begins one.
    #[must_use]
    pub fn follows(&self, before: Option<Checksum>) -> bool {
        self.checksum() == Checksum::of(before, &self.bytes[..self.bytes.len() - CHECKSUM_BYTES])
    }

    /// Returns the body as it is stored.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.bytes[self.body..self.bytes.len() - CHECKSUM_BYTES]
    }

    /// Returns how long the body says it is when inflated, or `None` if it isn't deflated.
    #[must_use]
    pub const fn raw_len(&self) -> Option<u64> {
        self.raw_len
    }
}

/// Tells a version to come from damage: every version ends a head and the first part of a base in this checksum.
fn unknown_version(bytes: &[u8], version: u8) -> FrameError {
    let (covered, checksum) = bytes.split_at(bytes.len() - CHECKSUM_BYTES);
    if Checksum::of(None, covered).to_bytes() == checksum {
        FrameError::Version(version)
    } else {
        FrameError::Header
    }
}

fn header(kind: Kind, raw_len: Option<u64>) -> Vec<u8> {
    let deflated = if raw_len.is_some() { DEFLATED } else { 0 };
    let mut out = vec![MAGIC, VERSION << 4 | deflated];
    match kind {
        Kind::Head(head) => {
            out[1] |= HEAD;
            let earlier = head.predecessor.map(|before| before.earlier);
            let earlier: Vec<Lineage> = earlier.iter().flat_map(Earlier::iter).collect();
            let flags = [
                (PLAIN, head.plain),
                (PREDECESSOR, head.predecessor.is_some()),
                (MENDED, head.mended),
                (BEGINS, head.begins),
                (EARLIER, !earlier.is_empty()),
            ];
            let set = flags.iter().filter(|(_, is_set)| *is_set);
            out.push(set.map(|(flag, _)| flag).sum());
            out.extend(head.lineage.to_bytes());
            push_varint(&mut out, head.generation.into());
            out.push(head.parts);
            push_varint(&mut out, head.sequence.into());
            out.extend(head.tip.to_bytes());
            push_varint(&mut out, head.seen.get().unsigned_abs());
            if let Some(before) = head.predecessor {
                out.extend(before.lineage.to_bytes());
                push_varint(&mut out, before.counter.into());
            }
            if !earlier.is_empty() {
                out.push(earlier.len() as u8);
                out.extend(earlier.iter().flat_map(|life| life.to_bytes()));
            }
        }
        Kind::Log { sequence } => {
            out[1] |= LOG;
            push_varint(&mut out, sequence.into());
        }
        Kind::Run {
            sequence,
            logs,
            end,
        } => {
            out[1] |= RUN | if end.is_some() { FOLDED } else { 0 };
            push_varint(&mut out, sequence.into());
            push_varint(&mut out, logs.into());
            out.extend(end.iter().flat_map(|end| end.to_bytes()));
        }
        Kind::Base {
            lineage,
            generation,
            part,
            parts,
        } => {
            out[1] |= BASE;
            out.extend(lineage.to_bytes());
            push_varint(&mut out, generation.into());
            out.extend([part, parts]);
        }
    }
    raw_len.iter().for_each(|len| push_varint(&mut out, *len));
    out
}

/// What is left of a header.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], FrameError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(FrameError::Header)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, FrameError> {
        Ok(self.take::<1>()?[0])
    }

    fn varint(&mut self) -> Result<u64, FrameError> {
        let mut number = 0;
        for shift in (0..63).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(FrameError::Header)
    }

    fn number(&mut self) -> Result<u32, FrameError> {
        u32::try_from(self.varint()?).map_err(|_| FrameError::Header)
    }

    fn kind(&mut self, marks: u8) -> Result<Kind, FrameError> {
        let kind = match marks & KIND {
            HEAD => Kind::Head(self.head()?),
            LOG => Kind::Log {
                sequence: self.number()?,
            },
            RUN => {
                let (sequence, logs) = (self.number()?, self.number()?);
                let folded = marks & FOLDED != 0;
                let end = if folded {
                    Some(Checksum::from_bytes(self.take()?))
                } else {
                    None
                };
                Kind::Run {
                    sequence,
                    logs,
                    end,
                }
            }
            _ => Kind::Base {
                lineage: Lineage::from_bytes(self.take()?),
                generation: self.number()?,
                part: self.byte()?,
                parts: self.byte()?,
            },
        };
        let possible = match kind {
            Kind::Head(head) => (1..=MAX_PARTS).contains(&head.parts),
            Kind::Log { sequence } => sequence > 0,
            Kind::Run { sequence, logs, .. } => (1..=sequence).contains(&logs),
            Kind::Base { part, parts, .. } => part < parts && parts <= MAX_PARTS,
        };
        if possible {
            Ok(kind)
        } else {
            Err(FrameError::Header)
        }
    }

    fn earlier(&mut self) -> Result<Earlier, FrameError> {
        let count = usize::from(self.byte()?);
        if !(1..=Earlier::MAX).contains(&count) {
            return Err(FrameError::Header);
        }
        let lives = (0..count).map(|_| Ok(Lineage::from_bytes(self.take()?)));
        let lives: Vec<Lineage> = lives.collect::<Result<_, FrameError>>()?;
        Ok(Earlier::of(lives))
    }

    fn head(&mut self) -> Result<Head, FrameError> {
        let flags = self.byte()?;
        Ok(Head {
            lineage: Lineage::from_bytes(self.take()?),
            generation: self.number()?,
            parts: self.byte()?,
            sequence: self.number()?,
            tip: Checksum::from_bytes(self.take()?),
            seen: i64::try_from(self.varint()?)
                .ok()
                .and_then(|seen| SyncCount::try_from(seen).ok())
                .ok_or(FrameError::Header)?,
            predecessor: if flags & PREDECESSOR == 0 {
                None
            } else {
                Some(Predecessor {
                    lineage: Lineage::from_bytes(self.take()?),
                    counter: self.number()?,
                    earlier: if flags & EARLIER == 0 {
                        Earlier::default()
                    } else {
                        self.earlier()?
                    },
                })
            },
            plain: flags & PLAIN != 0,
            mended: flags & MENDED != 0,
            begins: flags & BEGINS != 0,
        })
    }
}

/// A body as it is stored: deflated where that is shorter.
#[derive(Clone, Copy)]
pub(crate) struct Payload<'a> {
    /// The length before it was deflated.
    pub(crate) raw_len: Option<u64>,
    pub(crate) bytes: &'a [u8],
}

/// Returns the bytes deflated, if that is shorter with the length that has to stand before them.
pub(crate) fn deflate(raw: &[u8]) -> Option<Vec<u8>> {
    let mut length = Vec::new();
    push_varint(&mut length, raw.len() as u64);
    let room = raw.len().saturating_sub(length.len() + 1);
    let mut out = Vec::with_capacity(room);
    let mut deflate = Compress::new(Compression::best(), false);
    let status = deflate.compress_vec(raw, &mut out, FlushCompress::Finish);
    matches!(status, Ok(Status::StreamEnd)).then_some(out)
}

/// Returns the bytes that were deflated, if they are exactly as long as stated, and nothing follows them.
///
/// Takes memory for `len` bytes at most: the caller bounds it. Deflate can't make more than 1,032 bytes of one, so short
/// bytes that promise more are refused before anything is kept for them.
pub(crate) fn inflate(bytes: &[u8], len: usize) -> Option<Vec<u8>> {
    if len / 1_032 > bytes.len() {
        return None;
    }
    let mut out = Vec::with_capacity(len);
    let mut inflate = Decompress::new(false);
    let status = inflate.decompress_vec(bytes, &mut out, FlushDecompress::Finish);
    let ended = matches!(status, Ok(Status::StreamEnd)) && inflate.total_in() == bytes.len() as u64;
    (ended && out.len() == len).then_some(out)
}

/// Returns how many characters of text so many bytes take.
pub(crate) const fn text_len(bytes: usize) -> usize {
    bytes.div_ceil(4) * 5
}
