//! How much a dataset may hold.

use driftless_wire::limits::{DATASET_BYTES_STRICT, RECORDS_PER_DATASET};

use crate::size::PART_BYTES;
use crate::slots::{LOG_SLOTS, RUN_SLOTS};

/// What the service allows in one dataset; configuration, since its quotas are adjustable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    dataset_bytes: usize,
    records: usize,
}

impl Default for Limits {
    /// Returns 1,000,000 bytes, which is "1 MB" read strictly, and 1,024 records.
    fn default() -> Self {
        Self {
            dataset_bytes: DATASET_BYTES_STRICT,
            records: RECORDS_PER_DATASET,
        }
    }
}

impl Limits {
    /// Sets the bytes of a dataset: keys and values as UTF-8, summed, tombstones' keys included.
    ///
    /// It also bounds what a frame may say it inflates to, and so the memory that reading takes.
    #[must_use]
    pub const fn with_dataset_bytes(self, dataset_bytes: usize) -> Self {
        Self {
            dataset_bytes,
            ..self
        }
    }

    /// Sets the records of a dataset, tombstones included.
    #[must_use]
    pub const fn with_records(self, records: usize) -> Self {
        Self { records, ..self }
    }

    /// Returns the bytes of a dataset.
    #[must_use]
    pub const fn dataset_bytes(&self) -> usize {
        self.dataset_bytes
    }

    /// Returns the records of a dataset.
    #[must_use]
    pub const fn records(&self) -> usize {
        self.records
    }

    /// Returns the bytes of live data (a fresh base and the plain records) from which on people should be warned: 70 %.
    #[must_use]
    pub const fn warn_bytes(&self) -> usize {
        self.dataset_bytes / 100 * 70
    }

    /// Returns the bytes of live data above which a state is refused: 85 %, which leaves room for the log.
    #[must_use]
    pub const fn live_bytes(&self) -> usize {
        self.dataset_bytes / 100 * 85
    }

    /// Returns how many plain records a dataset may have, tombstones included, before a new one is refused: it leaves room for
    /// all slots, which are head, the logs, the runs and the parts of two bases. That is 933 by default.
    ///
    /// A record that the service took once stays for ever, as a tombstone at least, so that what is given away here never
    /// comes back.
    #[must_use]
    pub const fn plain_records(&self) -> usize {
        // Base64 takes four characters for three bytes.
        let parts = (self.live_bytes() / 4 * 3).div_ceil(PART_BYTES);
        let slots = 1 + LOG_SLOTS as usize + RUN_SLOTS as usize + 2 * parts;
        self.records.saturating_sub(slots)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_records_leave_room_for_every_slot() {
        assert_eq!(Limits::default().plain_records(), 1024 - (1 + 64 + 16 + 10));
        let small = Limits::default().with_dataset_bytes(20_000);
        assert_eq!(small.plain_records(), 1024 - (1 + 64 + 16 + 2));
        assert_eq!(small.with_records(50).plain_records(), 0);
    }
}
