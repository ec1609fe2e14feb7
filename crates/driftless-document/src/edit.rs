//! Edits at the end of a path: counters, texts, lists, maps and sets, at a key of the dataset or deep inside of it.
//!
//! Whatever is missing on the way is created: maps along the path, and the object that is edited. A scalar that is in the way
//! is removed, something else that merges inside is refused. An edit that is refused changes nothing.

use automerge::transaction::Transactable;
use automerge::{ExpandedChange, ROOT};

use crate::diff::Delta;
use crate::document::Document;
use crate::draft::Draft;
use crate::id::{ObjectId, OpId};
use crate::kind::Kind;
use crate::ops::exposed_object;
use crate::path::{MAX_KEY_BYTES, MAX_NESTING, Path};
use crate::set;
use crate::state::{Key, Place};
use crate::value::{Scalar, Value};

/// What one edit did.
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "an edit is lost at a restart unless its deltas are made durable"]
pub struct Edit {
    /// The deltas to apply, in order, to the state before the edit; none if the edit changed nothing.
    pub deltas: Vec<Delta>,
    changes: Vec<ExpandedChange>,
}

impl Edit {
    /// Tells whether the edit changed nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.deltas.is_empty()
    }

    pub(crate) fn new(delta: Delta, changes: Vec<ExpandedChange>) -> Self {
        let deltas = vec![delta];
        Self { deltas, changes }
    }

    pub(crate) fn changes(&self) -> &[ExpandedChange] {
        &self.changes
    }

    pub(crate) fn into_changes(self) -> Vec<ExpandedChange> {
        self.changes
    }

    /// Appends a later edit.
    pub fn append(&mut self, mut later: Self) {
        self.deltas.append(&mut later.deltas);
        self.changes.append(&mut later.changes);
    }
}

/// Why an edit was refused; the document is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// A key is empty, longer than [`MAX_KEY_BYTES`], or the one that the library keeps for itself.
    #[error("a key of {0} bytes is none: it has 1 to {MAX_KEY_BYTES} and is not reserved")]
    Key(usize),
    /// A scalar is not plain: the start of a counter ([`Value::Counter`] puts its total), or of a type from elsewhere.
    #[error("a counter or unknown scalar cannot be put as a value")]
    NotPlain,
    /// An object of another kind stands at the key; remove it first.
    #[error("a {found} stands at the key, not a {wanted}")]
    OtherKind {
        /// What was asked for.
        wanted: &'static str,
        /// What stands there.
        found: &'static str,
    },
    /// The total of the counter would leave the range of 64 bits.
    #[error("the counter stands at {total} and cannot grow by {by}")]
    Overflow {
        /// The total now.
        total: i64,
        /// The refused increment.
        by: i64,
    },
    /// A place in a text or list lies behind its end.
    #[error("places {at} to {end} lie behind the end at {len}")]
    OutOfRange {
        /// The first character or element.
        at: usize,
        /// Behind the last one.
        end: usize,
        /// How many the text or list has.
        len: usize,
    },
    /// A set cannot be an element of a list, for it is created alike on every device: put it into a map that is one.
    #[error("a set cannot be an element of a list")]
    SetInList,
    /// Objects would stand deeper in each other than [`MAX_NESTING`].
    #[error("objects stand in each other at most {MAX_NESTING} deep")]
    TooDeep,
    /// The op counters of this document do not suffice: one edit has too many operations, or the counters are used up, which
    /// takes 2^31 edits or a hostile author.
    #[error("the operation counters of the document do not suffice")]
    Exhausted,
}

impl Document {
    /// Makes what stands at a path equal to a value, and writes only what differs.
    ///
    /// A scalar takes the place of all that stands there. Any other value is put into the object of its kind, which is
    /// created where it is missing and in place of anything else: what others write meanwhile, elsewhere in it, stays.
    ///
    /// # Errors
    ///
    /// [`EditError`] if the path leads nowhere, or the value cannot stand there.
    pub fn put_at(&mut self, path: &Path, value: &Value, time: i64) -> Result<Edit, EditError> {
        if let (Some(key), Value::Scalar(scalar)) = (path.as_root(), value) {
            return self.put(key, scalar.clone(), time);
        }
        self.compose(time, |draft| {
            let place = draft.place(path)?;
            draft.set(&place, value, path.depth())
        })
    }

    /// Removes what stands at a path; of a list, the element. Nothing is written where nothing stands.
    ///
    /// # Errors
    ///
    /// [`EditError::Key`] if a key is none, [`EditError::Exhausted`].
    pub fn remove(&mut self, path: impl Into<Path>, time: i64) -> Result<Edit, EditError> {
        let path = path.into();
        path.check()?;
        let Some(place) = self.state().find(&path) else {
            return Ok(Edit::default());
        };
        if let Some(key) = path
            .as_root()
            .filter(|key| !self.state().register(key).is_empty())
        {
            // A draft would cost a pass over the document.
            return self.change(time, |transaction| transaction.delete(ROOT, key));
        }
        self.compose(time, |draft| {
            draft.clear(&place);
            Ok(())
        })
    }

    /// Adds to the counter at a path.
    ///
    /// # Errors
    ///
    /// [`EditError`] if the path leads nowhere, something else that merges stands there, or the total overflows.
    pub fn increment(
        &mut self,
        path: impl Into<Path>,
        by: i64,
        time: i64,
    ) -> Result<Edit, EditError> {
        let path = path.into();
        self.compose(time, |draft| {
            let place = draft.place(&path)?;
            let created = draft.ensure(&place, Kind::Counter)?;
            for (id, content) in draft.state.contents_at(&place) {
                let total = draft.state.value(id, &content).as_i64().unwrap_or(0);
                let overflows = content.is_counter() && total.checked_add(by).is_none();
                if overflows {
                    return Err(EditError::Overflow { total, by });
                }
            }
            let there = draft.state.counters_in(&place);
            let counters = if there.is_empty() {
                vec![created]
            } else {
                there
            };
            draft.increment(&place, &counters, by);
            Ok(())
        })
    }

    /// Removes `delete` characters of the text at a path from character `at` on, and inserts others there.
    ///
    /// Positions count Unicode code points.
    ///
    /// # Errors
    ///
    /// [`EditError`] if the path leads nowhere, something else that merges stands there, or the place lies behind the end.
    pub fn splice_text(
        &mut self,
        path: impl Into<Path>,
        at: usize,
        delete: usize,
        insert: &str,
        time: i64,
    ) -> Result<Edit, EditError> {
        let path = path.into();
        let there = self.state().find(&path);
        let there = there.and_then(|place| self.state().find_in(&place, Kind::Text));
        let len = there.map_or(0, |id| self.live().length(ObjectId::Made(id)));
        let operations = delete.saturating_add(insert.chars().count());
        let room = self.room();
        let mut text = None;
        let mut edit = self.compose(time, |draft| {
            let place = draft.place(&path)?;
            text = Some(draft.ensure(&place, Kind::Text)?);
            check_range(at, at.saturating_add(delete), len)?;
            // The splice follows, and must not be refused any more.
            if draft.written.len().saturating_add(operations) > room {
                return Err(EditError::Exhausted);
            }
            Ok(())
        })?;
        let text = text.expect("the draft was made, and has ensured the text");
        edit.append(self.splice_object(text, at, delete, insert, time)?);
        Ok(edit)
    }

    /// Splices a text at a place that lies in it.
    pub(crate) fn splice_object(
        &mut self,
        text: OpId,
        at: usize,
        delete: usize,
        insert: &str,
        time: i64,
    ) -> Result<Edit, EditError> {
        // A text of others may show fewer characters than it has elements.
        let len = self.live().length(ObjectId::Made(text));
        let at = at.min(len);
        let delete = isize::try_from(delete.min(len - at)).expect("a text fits into memory");
        let object = exposed_object(ObjectId::Made(text));
        self.change(time, |transaction| {
            transaction.splice_text(object, at, delete, insert)
        })
    }

    /// Inserts values into the list at a path, in front of element `at`; `None` is the end.
    ///
    /// They stay together: what others insert at the same place comes before or behind all of them.
    ///
    /// # Errors
    ///
    /// [`EditError`] if the path leads nowhere, something else that merges stands there, the place lies behind the end, or a
    /// value cannot be an element.
    pub fn insert(
        &mut self,
        path: impl Into<Path>,
        at: Option<usize>,
        values: &[Value],
        time: i64,
    ) -> Result<Edit, EditError> {
        let path = path.into();
        self.compose(time, |draft| {
            let place = draft.place(&path)?;
            let list = draft.ensure(&place, Kind::List)?;
            let elements = draft.state.elements_in(&place, Kind::List);
            let at = at.unwrap_or(elements.len());
            check_range(at, at, elements.len())?;
            let behind = at.checked_sub(1).map(|last| elements[last].id);
            draft.insert_values(list, behind, values, path.depth())
        })
    }

    /// Adds a member to the set at a path; one that is in it already is left.
    ///
    /// # Errors
    ///
    /// [`EditError`] if the path leads nowhere, something else that merges stands there, or the member is not plain.
    pub fn add(
        &mut self,
        path: impl Into<Path>,
        member: &Scalar,
        time: i64,
    ) -> Result<Edit, EditError> {
        let path = path.into();
        path.check()?;
        let key = set::key_of(member).ok_or(EditError::NotPlain)?;
        self.compose(time, |draft| {
            let place = draft.place(&path)?;
            let set = draft.ensure(&place, Kind::Set)?;
            draft.add_member(set, key)
        })
    }

    /// Removes a member of the set at a path; nothing is written where there is none.
    ///
    /// What others add meanwhile stays, the same member too.
    ///
    /// # Errors
    ///
    /// [`EditError`] if a key of the path is none, or the member is not plain.
    pub fn discard(
        &mut self,
        path: impl Into<Path>,
        member: &Scalar,
        time: i64,
    ) -> Result<Edit, EditError> {
        let path = path.into();
        path.check()?;
        let key = set::key_of(member).ok_or(EditError::NotPlain)?;
        let place = self.state().find(&path);
        let set = place.and_then(|place| self.state().find_in(&place, Kind::Set));
        let Some(set) = set else {
            return Ok(Edit::default());
        };
        self.compose(time, |draft| {
            draft.clear(&member_place(set, key));
            Ok(())
        })
    }

    /// Tells whether a member is in the set at a path, also where a concurrent put of something else wins.
    #[must_use]
    pub fn contains(&self, path: impl Into<Path>, member: &Scalar) -> bool {
        let place = self.state().find(&path.into());
        let set = place.and_then(|place| self.state().find_in(&place, Kind::Set));
        let keys = set.and_then(|set| self.state().keys_in(ObjectId::Made(set)));
        let key = set::key_of(member);
        keys.zip(key)
            .is_some_and(|(keys, key)| keys.contains_key(&key))
    }
}

impl Draft<'_> {
    fn add_member(&mut self, set: OpId, key: String) -> Result<(), EditError> {
        let place = member_place(set, key);
        if self.state.contents_at(&place).is_empty() {
            self.put(&place, &set::PRESENT)?;
        }
        Ok(())
    }
}

fn member_place(set: OpId, key: String) -> Place {
    let key = Key::Map(key);
    let object = ObjectId::Made(set);
    Place { object, key }
}

const fn check_range(at: usize, end: usize, len: usize) -> Result<(), EditError> {
    if end > len {
        return Err(EditError::OutOfRange { at, end, len });
    }
    Ok(())
}
