//! Names of 8 bytes: which life of a dataset, and which point of its chain of frames.

use std::fmt;

/// The name of one life of a stored dataset: 8 random bytes.
///
/// It is minted when a state is first written where none stands (new, deleted, compacted) and kept by folds and repairs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lineage([u8; 8]);

/// The checksum of a frame, which covers the checksum before it, so that it names a point of the chain.
///
/// It finds damage and what is stale; it keeps no secret and stops nobody who may write records.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Checksum([u8; 8]);

macro_rules! eight_bytes {
    ($name:ident) => {
        impl $name {
            /// Returns the name whose bytes these are.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 8]) -> Self {
                Self(bytes)
            }

            /// Returns the bytes.
            #[must_use]
            pub const fn to_bytes(self) -> [u8; 8] {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }
    };
}

eight_bytes!(Lineage);
eight_bytes!(Checksum);

impl Checksum {
    /// Returns the checksum of bytes that follow on a point of the chain, or that begin one.
    pub(crate) fn of(before: Option<Self>, bytes: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new();
        if let Some(Self(before)) = before {
            hasher.update(&before);
        }
        hasher.update(bytes);
        let mut checksum = [0; 8];
        checksum.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        Self(checksum)
    }
}
