//! An edit of this device on its way to the disk.
//!
//! It is checked (key, room), made in the document, and comes out as a [`Commit`]: what must become durable before the edit
//! is acknowledged. Nothing here waits for anything.

use std::collections::{BTreeMap, BTreeSet};

use driftless_document::{
    Actor, Clock, Document, Edit, EditError, Path, Scalar, State, Value, branch,
};
use driftless_record::{RESERVED_PREFIX, Stored, is_reserved, scalar_of};
use driftless_wire::Timestamp;

use crate::commit::Commit;
use crate::replica::{Replica, Saved};
use crate::room::Size;

/// One edit.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Operation {
    /// Puts scalars at keys.
    Put(BTreeMap<String, Scalar>),
    /// Makes what stands at a path equal to a value; only what differs is written.
    PutAt(Path, Value),
    /// Removes what stands at a path.
    Remove(Path),
    /// Adds to the counter at a path.
    Increment(Path, i64),
    /// Changes the text at a path.
    SpliceText {
        /// The path.
        path: Path,
        /// The first character, in Unicode code points.
        at: usize,
        /// How many characters go.
        delete: usize,
        /// What comes in their place.
        insert: String,
    },
    /// Inserts values into the list at a path.
    Insert {
        /// The path of the list.
        path: Path,
        /// The element in front of which they come; none is the end.
        at: Option<usize>,
        /// The values.
        values: Vec<Value>,
    },
    /// Adds a member to the set at a path.
    Add(Path, Scalar),
    /// Removes a member of the set at a path.
    Discard(Path, Scalar),
    /// Puts several values at each of some places, as devices do that know nothing of each other.
    PutConcurrently {
        /// The places, and at each the value to be shown first.
        places: Vec<(Path, Vec<Value>)>,
        /// As many authors as a place has values, drawn for this alone.
        authors: Vec<Actor>,
    },
    /// Takes what an old client wrote at a key, as its record would say it: what stands there keeps its type, and goes if
    /// there is no text.
    Import {
        /// The key.
        key: String,
        /// The text.
        text: Option<String>,
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
    #[error(
        "keys that begin with {RESERVED_PREFIX} are reserved; nothing changed; choose another key"
    )]
    ReservedKey,
    /// The dataset is kept as plain records only, for there is no room for its state beside them, and a value that has no text
    /// (null, list, map, set) has no record. Nothing is lost: put a scalar, text or counter at a key of the dataset, or make room
    /// for the state by removing something and synchronizing.
    #[error(
        "a dataset that is kept as plain records only takes no value without a text; nothing changed; put a scalar, text or \
         counter, or make room for the state"
    )]
    NoText,
    /// It does not fit: remove something first. Removals are always accepted.
    ///
    /// Where it is for the plain records ([`Size::records`]), only keys help that were never synchronized, or a put at a key
    /// that was: a record stays at the service when it is removed.
    #[error(
        "{wanted} more bytes do not fit: the dataset takes {} of {} characters, {} of {} bytes inflated, {} of {} plain \
         records; nothing changed; remove something first",
        size.live, size.refused_above, size.inflated, size.inflated_limit, size.records, size.records_limit
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
    /// Returns the keys of the dataset that this is about.
    #[must_use]
    pub fn keys(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        match self {
            Self::Put(values) => Box::new(values.keys().map(String::as_str)),
            Self::PutAt(path, _)
            | Self::Remove(path)
            | Self::Increment(path, _)
            | Self::SpliceText { path, .. }
            | Self::Insert { path, .. }
            | Self::Add(path, _)
            | Self::Discard(path, _) => Box::new(std::iter::once(path.root())),
            Self::PutConcurrently { places, .. } => {
                Box::new(places.iter().map(|(path, _)| path.root()))
            }
            Self::Import { key, .. } => Box::new(std::iter::once(key.as_str())),
        }
    }

    fn perform(self, document: &mut Document, now: Timestamp) -> Result<Edit, EditError> {
        let time = now.as_millis();
        match self {
            Self::Put(values) => document.put_all(values, time),
            Self::PutAt(path, value) => document.put_at(&path, &value, time),
            Self::Remove(path) => document.remove(path, time),
            Self::Increment(path, by) => document.increment(path, by, time),
            Self::SpliceText {
                path,
                at,
                delete,
                insert,
            } => document.splice_text(path, at, delete, &insert, time),
            Self::Insert { path, at, values } => document.insert(path, at, &values, time),
            Self::Add(path, member) => document.add(path, &member, time),
            Self::Discard(path, member) => document.discard(path, &member, time),
            Self::PutConcurrently { places, authors } => {
                document.put_concurrently(&places, authors, time)
            }
            Self::Import { key, text } => document.import(&key, text.as_deref(), scalar_of, time),
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
        if operation.keys().any(is_reserved) {
            return Err(RefusedEdit::ReservedKey);
        }
        if self.is_plain_only() && !operation.is_plain() {
            return Err(RefusedEdit::NoText);
        }
        let growth = operation.growth(&self.document);
        let wanted = growth.unwrap_or(0);
        let beside = self.plain_growth(&operation, wanted);
        if growth.is_some()
            && let Some(size) = self.refuses(wanted, beside)
        {
            branch!(EditRefusedFull);
            return Err(RefusedEdit::Full { wanted, size });
        }
        let edit = self.retype_and_perform(operation, now)?;
        if !edit.is_empty() {
            self.grew(wanted, beside);
        }
        Ok(edit)
    }

    /// Performs an operation, in a plain-only dataset upon a value that got the type for it first: both, or neither.
    fn retype_and_perform(
        &mut self,
        operation: Operation,
        now: Timestamp,
    ) -> Result<Edit, RefusedEdit> {
        let Some((key, value)) = self.retyped_for(&operation) else {
            return Ok(operation.perform(&mut self.document, now)?);
        };
        let before = self.document.state().clone();
        let retyped = self
            .document
            .put_at(&key.as_str().into(), &value, now.as_millis());
        let both = retyped.and_then(|mut edit| {
            edit.append(operation.perform(&mut self.document, now)?);
            Ok(edit)
        });
        if both.is_err() {
            self.document.restore(before);
        }
        Ok(both?)
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

    /// Returns the keys that look different here than in what the service is known to have, removed ones too.
    ///
    /// It is linear in the dataset.
    #[must_use]
    pub fn unsynced_keys(&self) -> BTreeSet<String> {
        if self.is_plain_only() {
            return self.unwritten_keys();
        }
        let nothing = State::new();
        let stored = self.stored.as_ref().map_or(&nothing, Stored::state);
        let state = self.document.state();
        state.changed_keys(&state.diff(stored))
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
