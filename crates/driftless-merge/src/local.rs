//! An edit of this device on its way to the disk.
//!
//! It is checked (key, room), made in the document, and comes out as a [`Commit`]: what must become durable before the edit
//! is acknowledged. Nothing here waits for anything.

use std::collections::{BTreeMap, BTreeSet};

use driftless_document::{Clock, Document, Edit, EditError, Scalar, branch};
use driftless_record::{RESERVED_PREFIX, is_reserved};
use driftless_wire::Timestamp;

use crate::commit::Commit;
use crate::replica::{Replica, Saved};
use crate::room::Size;

/// What one operation and its ids take at most, in bytes, beside key and value.
const OPERATION_BYTES: usize = 40;

/// One edit.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Operation {
    /// Puts scalars at keys.
    Put(BTreeMap<String, Scalar>),
    /// Removes what stands at a key.
    Remove(String),
    /// Adds to the counter at a key.
    Increment(String, i64),
    /// Changes the text at a key.
    SpliceText {
        /// The key.
        key: String,
        /// The first character, in Unicode code points.
        at: usize,
        /// How many characters go.
        delete: usize,
        /// What comes in their place.
        insert: String,
    },
}

/// Why an edit was refused; nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefusedEdit {
    /// The document cannot hold it.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// The key is reserved for the records that hold the state.
    #[error("keys that begin with {RESERVED_PREFIX} are reserved")]
    ReservedKey,
    /// It does not fit: remove something first. Removals are always accepted.
    #[error(
        "{wanted} more bytes do not fit: the dataset takes {} of {} characters, {} of {} bytes inflated",
        size.live, size.refused_above, size.inflated, size.inflated_limit
    )]
    Full {
        /// The bytes of the edit, at most.
        wanted: usize,
        /// What the dataset takes and may take.
        size: Size,
    },
}

/// An edit that is made in memory and not yet durable.
#[derive(Debug)]
#[must_use = "the edit is lost at a restart unless the commit is kept"]
pub struct LocalEdit {
    /// What must become durable.
    pub commit: Commit,
    /// The edit as operations, for a [`Reference`](driftless_document::Reference).
    pub edit: Edit,
    /// The keys that look different now.
    pub changed: BTreeSet<String>,
}

impl Operation {
    /// Returns the bytes by which this can grow the encoded state, or `None` if it can only shrink.
    fn growth(&self) -> Option<usize> {
        match self {
            Self::Put(values) => Some(
                values
                    .iter()
                    .map(|(key, value)| key.len() + value.size() + OPERATION_BYTES)
                    .sum(),
            ),
            Self::Remove(_) => None,
            Self::Increment(key, _) => Some(key.len() + 2 * OPERATION_BYTES),
            // Each deleted character may cut a run in two.
            Self::SpliceText { insert, .. } if insert.is_empty() => None,
            Self::SpliceText { key, insert, .. } => {
                Some(key.len() + insert.len() + 2 * OPERATION_BYTES)
            }
        }
    }

    fn keys(&self) -> Box<dyn Iterator<Item = &String> + '_> {
        match self {
            Self::Put(values) => Box::new(values.keys()),
            Self::Remove(key) | Self::Increment(key, _) | Self::SpliceText { key, .. } => {
                Box::new(std::iter::once(key))
            }
        }
    }

    fn perform(self, document: &mut Document, now: Timestamp) -> Result<Edit, EditError> {
        let time = now.as_millis();
        match self {
            Self::Put(values) => document.put_all(values, time),
            Self::Remove(key) => document.remove(&key, time),
            Self::Increment(key, by) => document.increment(&key, by, time),
            Self::SpliceText {
                key,
                at,
                delete,
                insert,
            } => document.splice_text(&key, at, delete, &insert, time),
        }
    }
}

impl Replica {
    /// Makes one edit; `None` if it changes nothing. `now` is only shown to people.
    ///
    /// # Errors
    ///
    /// [`RefusedEdit`]; the dataset is as it was.
    pub fn edit(
        &mut self,
        operation: Operation,
        now: Timestamp,
    ) -> Result<Option<LocalEdit>, RefusedEdit> {
        let before = self.document.state().clock().clone();
        let edit = self.perform(operation, now)?;
        Ok(self.commit_of(before, edit))
    }

    /// Makes several edits that become durable together; if `run` fails, none of them is made.
    ///
    /// It copies the state at the start, to have it back after a failure.
    ///
    /// # Errors
    ///
    /// What `run` returns.
    pub fn transaction<T, E>(
        &mut self,
        now: Timestamp,
        run: impl FnOnce(&mut Transaction<'_>) -> Result<T, E>,
    ) -> Result<(T, Option<LocalEdit>), E> {
        let before = self.document.state().clone();
        let room = self.room;
        let mut transaction = Transaction {
            replica: self,
            edit: Edit::default(),
            now,
        };
        match run(&mut transaction) {
            Ok(answer) => {
                let edit = transaction.edit;
                Ok((answer, self.commit_of(before.clock().clone(), edit)))
            }
            Err(error) => {
                self.document.restore(before);
                self.room = room;
                Err(error)
            }
        }
    }

    fn perform(&mut self, operation: Operation, now: Timestamp) -> Result<Edit, RefusedEdit> {
        if operation.keys().any(|key| is_reserved(key)) {
            return Err(RefusedEdit::ReservedKey);
        }
        let growth = operation.growth();
        if let Some(wanted) = growth
            && let Some(size) = self
                .room
                .refuses(wanted, self.document.state(), &self.limits)
        {
            branch!(EditRefusedFull);
            return Err(RefusedEdit::Full { wanted, size });
        }
        let edit = operation.perform(&mut self.document, now)?;
        if !edit.is_empty() {
            self.room.grow(growth.unwrap_or(0));
        }
        Ok(edit)
    }

    fn commit_of(&mut self, before: Clock, edit: Edit) -> Option<LocalEdit> {
        if edit.is_empty() {
            return None;
        }
        // The edit has loaded the document, if it was not loaded before.
        self.saved = Saved::Nothing;
        let mut commit = Commit::new(self.key.clone());
        if std::mem::take(&mut self.is_new) {
            commit.sync = Some(self.row.encode());
        }
        let changed = edit
            .deltas
            .iter()
            .flat_map(|delta| self.document.state().changed_keys(delta))
            .collect();
        commit.deltas = self.encode_deltas(before, &edit);
        Some(LocalEdit {
            commit,
            edit,
            changed,
        })
    }

    pub(crate) fn encode_deltas(&mut self, mut clock: Clock, edit: &Edit) -> Vec<Vec<u8>> {
        let mut rows = Vec::new();
        for delta in &edit.deltas {
            rows.push(driftless_record::encode(delta, &clock));
            clock.extend(&delta.clock);
        }
        self.log_bytes += rows.iter().map(Vec::len).sum::<usize>();
        rows
    }

    /// Returns what the dataset takes and may take; it encodes the whole state to know.
    #[must_use]
    pub fn size(&self) -> Size {
        self.room.size(self.document.state(), &self.limits)
    }
}

/// Several edits in the making.
#[derive(Debug)]
pub struct Transaction<'a> {
    replica: &'a mut Replica,
    edit: Edit,
    now: Timestamp,
}

impl Transaction<'_> {
    /// Makes one more edit.
    ///
    /// # Errors
    ///
    /// [`RefusedEdit`]; the edits before it stand unless the transaction fails.
    pub fn edit(&mut self, operation: Operation) -> Result<(), RefusedEdit> {
        let edit = self.replica.perform(operation, self.now)?;
        self.edit.append(edit);
        Ok(())
    }

    /// Returns the document as it is with the edits made so far.
    #[must_use]
    pub const fn document(&self) -> &Document {
        &self.replica.document
    }
}
