//! Taking back the last local transaction.
//!
//! What the keys of a transaction showed before it is remembered in memory, and written again by new edits: of an object only
//! what differs, so that an undone increment is a decrement and an undone word is deleted. It cannot bring back the losing
//! values of a conflict that the transaction resolved.

use std::collections::{BTreeMap, BTreeSet};

use driftless_document::{Document, Path, Value};
use driftless_merge::Operation;

/// What the keys of edits showed before them.
#[derive(Debug, Default)]
pub(crate) struct Before(BTreeMap<String, Option<Value>>);

impl Before {
    /// Takes note of what the keys of an operation show, unless they are known already.
    pub(crate) fn note(&mut self, operation: &Operation, document: &Document) {
        for key in operation.keys() {
            if !self.0.contains_key(key) {
                self.0.insert(key.to_owned(), document.get(key));
            }
        }
    }

    /// Returns the operations that bring it back.
    pub(crate) fn restore(&self) -> impl Iterator<Item = Operation> + '_ {
        self.0.iter().map(|(key, value)| match value {
            Some(value) => Operation::PutAt(Path::from(key), value.clone()),
            None => Operation::Remove(Path::from(key)),
        })
    }
}

/// The last local transaction, as far as it can be taken back.
#[derive(Debug)]
pub(crate) struct Last {
    pub(crate) before: Before,
    /// A key of it that others have changed since.
    pub(crate) overtaken: Option<String>,
}

impl Last {
    pub(crate) const fn new(before: Before) -> Self {
        let overtaken = None;
        Self { before, overtaken }
    }

    /// Takes note that others changed keys.
    pub(crate) fn overtake(&mut self, changed: &BTreeSet<String>) {
        let key = self.before.0.keys().find(|key| changed.contains(*key));
        self.overtaken = self.overtaken.take().or_else(|| key.cloned());
    }
}
