//! The service's version number of a record and of a dataset.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How many successful updates a dataset had when a record was last changed.
///
/// A record's count in a patch is the compare-and-swap of the service (UpdateRecords, `SyncCount`:
/// "Last known server sync count for this record. Set to 0 if unknown").
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(into = "i64", try_from = "i64")]
pub struct SyncCount(i64);

/// A sync count below zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("sync count {0} is below zero")]
pub struct NegativeSyncCount(i64);

impl SyncCount {
    /// "Unknown" in a patch, "from the beginning" in a list, "empty" in an answer.
    pub const ZERO: Self = Self(0);

    /// Returns the number.
    #[must_use]
    pub fn get(self) -> i64 {
        self.0
    }

    /// Returns the count after one more update; the highest count stays where it is.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl TryFrom<i64> for SyncCount {
    type Error = NegativeSyncCount;

    fn try_from(count: i64) -> Result<Self, NegativeSyncCount> {
        if count < 0 {
            Err(NegativeSyncCount(count))
        } else {
            Ok(Self(count))
        }
    }
}

impl From<u32> for SyncCount {
    fn from(count: u32) -> Self {
        Self(i64::from(count))
    }
}

impl From<SyncCount> for i64 {
    fn from(count: SyncCount) -> Self {
        count.0
    }
}

impl fmt::Display for SyncCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn count_below_zero_is_refused() {
        assert_eq!(SyncCount::try_from(-1_i64), Err(NegativeSyncCount(-1)));
        assert!(serde_json::from_str::<SyncCount>("-1").is_err());
    }

    #[test]
    fn trap_5_count_needs_more_than_32_bits() {
        let count: SyncCount = serde_json::from_str("4294967296").unwrap();
        assert_eq!(count.next().get(), 4_294_967_297);
    }
}
