//! What the layouts of the old clients have in common: rows by owner, dataset and key.

use std::collections::BTreeMap;

use driftless_wire::SyncCount;

use crate::local_store::NotUnderstood;

/// All rows of an old store.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// By owner and name, both as the old client wrote them.
    pub(super) datasets: BTreeMap<(String, String), Dataset>,
    /// What is no row.
    pub(super) strange: Vec<NotUnderstood>,
}

/// The rows of one dataset of one owner.
#[derive(Debug, Default)]
pub(super) struct Dataset {
    /// It was deleted, and the service does not know.
    pub(super) is_deleted: bool,
    pub(super) rows: BTreeMap<String, Row>,
}

/// One record as the old client held it.
#[derive(Debug)]
pub(super) struct Row {
    /// `None` is a tombstone.
    pub(super) text: Option<String>,
    /// The count at which it was last seen at the service, 0 if never.
    pub(super) count: SyncCount,
    /// It was changed here, and the service does not know.
    pub(super) is_unsent: bool,
}

impl Rows {
    /// Returns a dataset, which may have no rows.
    pub(super) fn dataset(&mut self, owner: &str, name: &str) -> &mut Dataset {
        let key = (owner.to_owned(), name.to_owned());
        self.datasets.entry(key).or_default()
    }

    /// Adds a row; the layouts have one of each key.
    pub(super) fn add_row(&mut self, owner: &str, name: &str, key: String, row: Row) {
        self.dataset(owner, name).rows.insert(key, row);
    }

    /// Takes note of something that is no row.
    pub(super) fn note(&mut self, place: impl Into<String>, why: impl Into<String>) {
        self.strange.push(NotUnderstood {
            place: place.into(),
            why: why.into(),
        });
    }
}

/// Reads a sync count; none is below zero.
pub(super) fn count_of(number: i64) -> Result<SyncCount, String> {
    SyncCount::try_from(number).map_err(|_| format!("the sync count is {number}"))
}

/// The last sync count of a dataset that was deleted and not yet at the service.
pub(super) const DELETED: i64 = -1;
