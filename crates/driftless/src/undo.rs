//! Taking back the last local transaction.
//!
//! What the keys of a transaction showed before it is remembered in memory, and written again by new edits: of an object only
//! what differs, so that an undone increment is a decrement and an undone word is deleted. It cannot bring back the losing
//! values of a conflict that the transaction resolved.

use std::collections::{BTreeMap, BTreeSet};

use driftless_document::{Document, Path, Value};
use driftless_merge::Operation;

/// What brings back what edits changed.
#[derive(Debug)]
pub(crate) enum Before {
    /// What the keys of the edits showed before them.
    Values(BTreeMap<String, Option<Value>>),
    /// The edit that takes back a change of one text, which may be long and typed into often.
    Splice(Operation),
}

impl Before {
    /// Takes note of what no edit has changed yet.
    pub(crate) const fn nothing() -> Self {
        Self::Values(BTreeMap::new())
    }

    /// Takes note of what one operation is about to change.
    pub(crate) fn of(operation: &Operation, document: &Document) -> Self {
        splice_back(operation, document).map_or_else(
            || {
                let mut before = Self::nothing();
                before.note(operation, document);
                before
            },
            Self::Splice,
        )
    }

    /// Takes note of what a further operation is about to change.
    pub(crate) fn note(&mut self, operation: &Operation, document: &Document) {
        let Self::Values(values) = self else { return };
        for key in operation.keys() {
            if !values.contains_key(key) {
                values.insert(key.to_owned(), document.get(key));
            }
        }
    }

    /// Returns the operations that bring it back.
    pub(crate) fn restore(&self) -> Vec<Operation> {
        match self {
            Self::Splice(back) => vec![back.clone()],
            Self::Values(values) => values
                .iter()
                .map(|(key, value)| match value {
                    Some(value) => Operation::PutAt(Path::from(key), value.clone()),
                    None => Operation::Remove(Path::from(key)),
                })
                .collect(),
        }
    }

    fn keys(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        match self {
            Self::Values(values) => Box::new(values.keys().map(String::as_str)),
            Self::Splice(back) => back.keys(),
        }
    }
}

/// Returns the edit that takes back a change of a text that is there. Only what it deletes is read.
fn splice_back(operation: &Operation, document: &Document) -> Option<Operation> {
    let Operation::SpliceText {
        path,
        at,
        delete,
        insert,
    } = operation
    else {
        return None;
    };
    if !document.is_text(path) {
        return None;
    }
    let deleted = match delete {
        0 => String::new(),
        delete => document
            .text(path)?
            .chars()
            .skip(*at)
            .take(*delete)
            .collect(),
    };
    Some(Operation::SpliceText {
        path: path.clone(),
        at: *at,
        delete: insert.chars().count(),
        insert: deleted,
    })
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
        let mut keys = self.before.keys();
        let key = keys.find(|key| changed.contains(*key)).map(str::to_owned);
        drop(keys);
        self.overtaken = self.overtaken.take().or(key);
    }
}
