//! The mark file: whether the store was closed, and what it has acknowledged.
//!
//! The database cannot tell a journal that lost its end from one that never had it. So the number of the last commit
//! that was acknowledged as on disk stands in a file of its own. It is written over in place after each such commit,
//! without a sync of its own, which would double the cost of a commit: after the death of the process the number is
//! exact, after a loss of power it may be too low but never too high, for a commit is on disk before its number is
//! written.
//!
//! ```text
//! magic "driftls!" | version u8 | status u8 | 0 [6] | acknowledged u64 LE | checksum [8]
//! ```
//!
//! The checksum is the first eight bytes of blake3 over what stands before it. The 32 bytes lie in one sector.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

const MAGIC: [u8; 8] = *b"driftls!";
const VERSION: u8 = 1;
const BODY_BYTES: usize = 24;
const MARK_BYTES: usize = BODY_BYTES + 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Status {
    Open = 1,
    Closed = 2,
    /// Open since a start that found a loss, which its caller may not have dealt with before the process died.
    Unsettled = 3,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) status: Status,
    pub(crate) acknowledged: u64,
}

impl Mark {
    pub(crate) fn to_bytes(self) -> [u8; MARK_BYTES] {
        let mut bytes = [0; MARK_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8] = VERSION;
        bytes[9] = self.status as u8;
        bytes[16..BODY_BYTES].copy_from_slice(&self.acknowledged.to_le_bytes());
        let checksum = blake3::hash(&bytes[..BODY_BYTES]);
        bytes[BODY_BYTES..].copy_from_slice(&checksum.as_bytes()[..8]);
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let status = match bytes.get(9)? {
            1 => Status::Open,
            2 => Status::Closed,
            3 => Status::Unsettled,
            _ => return None,
        };
        let acknowledged = u64::from_le_bytes(*bytes.get(16..)?.first_chunk()?);
        let mark = Self {
            status,
            acknowledged,
        };
        (mark.to_bytes() == bytes).then_some(mark)
    }
}

/// The mark file, held open.
#[derive(Debug)]
pub(crate) struct MarkFile(File);

impl MarkFile {
    /// Opens the mark at `path` and reads it; `None` if there is none or it cannot be made out.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, Option<Mark>)> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        let mut bytes = Vec::with_capacity(MARK_BYTES + 1);
        Read::by_ref(&mut file)
            .take(MARK_BYTES as u64 + 1)
            .read_to_end(&mut bytes)?;
        Ok((Self(file), Mark::from_bytes(&bytes)))
    }

    /// Writes the mark over the one before, to the operating system only.
    pub(crate) fn write(&mut self, mark: Mark) -> io::Result<()> {
        self.0.seek(SeekFrom::Start(0))?;
        self.0.write_all(&mark.to_bytes())
    }

    /// Writes the mark over the one before, and puts it on disk.
    pub(crate) fn write_through(&mut self, mark: Mark) -> io::Result<()> {
        self.write(mark)?;
        self.0.set_len(MARK_BYTES as u64)?;
        self.0.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_comes_back_and_nothing_else_is_taken_for_one() {
        let mark = Mark {
            status: Status::Open,
            acknowledged: 7,
        };
        let bytes = mark.to_bytes();
        assert_eq!(Mark::from_bytes(&bytes), Some(mark));
        assert_eq!(Mark::from_bytes(&[bytes.as_slice(), &[0]].concat()), None);
        for bit in 0..bytes.len() * 8 {
            let mut rotten = bytes;
            rotten[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Mark::from_bytes(&rotten), None, "bit {bit}");
        }
        for end in 0..bytes.len() {
            assert_eq!(Mark::from_bytes(&bytes[..end]), None);
        }
    }
}
