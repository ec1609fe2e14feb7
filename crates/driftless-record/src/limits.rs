//! How much a dataset may hold.

use driftless_wire::limits::{DATASET_BYTES_STRICT, RECORDS_PER_DATASET};

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
}
