//! Several edits that become durable together, in the making.

use std::collections::BTreeMap;

use driftless_document::{Conflict, Path, Scalar, Value};
use driftless_merge::Operation;

use crate::error::PutError;
use crate::policy::Policies;
use crate::seeds::Seeds;
use crate::undo::Before;

/// Several edits in the making; reads see those made before.
///
/// Each verb does what that of [`Dataset`](crate::Dataset) does. An edit that is refused leaves
/// those before it; they stand unless the transaction fails.
#[derive(Debug)]
pub struct Transaction<'a, 'b> {
    inner: &'a mut driftless_merge::Transaction<'b>,
    policies: &'a Policies,
    seeds: &'a Seeds,
    before: &'a mut Before,
}

impl<'a, 'b> Transaction<'a, 'b> {
    pub(crate) const fn new(
        inner: &'a mut driftless_merge::Transaction<'b>,
        policies: &'a Policies,
        seeds: &'a Seeds,
        before: &'a mut Before,
    ) -> Self {
        Self {
            inner,
            policies,
            seeds,
            before,
        }
    }

    /// Returns the value at a path.
    #[must_use]
    pub fn get(&self, path: impl Into<Path>) -> Option<Value> {
        self.policies.read_at(self.inner.document(), &path.into())
    }

    /// Puts a value at a path.
    ///
    /// # Errors
    ///
    /// [`PutError::Refused`].
    pub fn put(&mut self, path: impl Into<Path>, value: impl Into<Value>) -> Result<(), PutError> {
        let (path, value) = (path.into(), value.into());
        let value = self.policies.settle(self.inner.document(), &path, value);
        self.edit(Operation::PutAt(path, value))
    }

    /// Puts many scalars; of two with one key the later counts.
    ///
    /// # Errors
    ///
    /// [`PutError::Refused`].
    pub fn put_all(
        &mut self,
        values: impl IntoIterator<Item = (String, Scalar)>,
    ) -> Result<(), PutError> {
        let values: BTreeMap<String, Scalar> = values.into_iter().collect();
        let values = self.policies.settle_all(self.inner.document(), values);
        self.edit(Operation::Put(values))
    }

    /// Returns all values that concurrent writers left at a path, the one that would be shown without a policy first.
    #[must_use]
    pub fn conflicts(&self, path: impl Into<Path>) -> Vec<Conflict> {
        self.inner.document().state().conflicts_at(&path.into())
    }

    /// Puts several values at each of some places, as devices do that know nothing of each other: they stand beside each
    /// other until someone writes there. What stood there before goes. No policy is asked.
    ///
    /// The first value of a place is shown, if all are scalars; what merges inside is made by an author that all devices
    /// share, so that [`conflicts`](Self::conflicts) tells what is shown then. It builds the document anew as often as one
    /// place has values, so it is for tools that bring back what was exported.
    ///
    /// # Errors
    ///
    /// [`PutError::Refused`].
    pub fn put_concurrently(&mut self, places: Vec<(Path, Vec<Value>)>) -> Result<(), PutError> {
        let most = places.iter().map(|(_, values)| values.len()).max();
        let authors = (0..most.unwrap_or(0)).map(|_| self.seeds.actor()).collect();
        self.edit(Operation::PutConcurrently { places, authors })
    }

    /// Removes what stands at a path.
    ///
    /// # Errors
    ///
    /// [`PutError::Refused`].
    pub fn remove(&mut self, path: impl Into<Path>) -> Result<(), PutError> {
        self.edit(Operation::Remove(path.into()))
    }

    /// Adds to the counter at a path.
    ///
    /// # Errors
    ///
    /// [`PutError::Refused`].
    pub fn increment(&mut self, path: impl Into<Path>, by: i64) -> Result<(), PutError> {
        self.edit(Operation::Increment(path.into(), by))
    }

    /// Changes the text at a path.
    ///
    /// # Errors
    ///
    /// [`PutError::Refused`].
    pub fn splice_text(
        &mut self,
        path: impl Into<Path>,
        at: usize,
        delete: usize,
        insert: &str,
    ) -> Result<(), PutError> {
        let (path, insert) = (path.into(), insert.to_owned());
        self.edit(Operation::SpliceText {
            path,
            at,
            delete,
            insert,
        })
    }

    /// Inserts values into the list at a path, in front of element `at` or at the end.
    ///
    /// # Errors
    ///
    /// [`PutError::Refused`].
    pub fn insert_all(
        &mut self,
        path: impl Into<Path>,
        at: Option<usize>,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<(), PutError> {
        let (path, values) = (path.into(), values.into_iter().collect());
        self.edit(Operation::Insert { path, at, values })
    }

    /// Appends a value to the list at a path.
    ///
    /// # Errors
    ///
    /// [`PutError::Refused`].
    pub fn push(&mut self, path: impl Into<Path>, value: impl Into<Value>) -> Result<(), PutError> {
        self.insert_all(path, None, [value.into()])
    }

    /// Adds a member to the set at a path.
    ///
    /// # Errors
    ///
    /// [`PutError::Refused`].
    pub fn add(
        &mut self,
        path: impl Into<Path>,
        member: impl Into<Scalar>,
    ) -> Result<(), PutError> {
        self.edit(Operation::Add(path.into(), member.into()))
    }

    /// Removes a member of the set at a path.
    ///
    /// # Errors
    ///
    /// [`PutError::Refused`].
    pub fn discard(
        &mut self,
        path: impl Into<Path>,
        member: impl Into<Scalar>,
    ) -> Result<(), PutError> {
        self.edit(Operation::Discard(path.into(), member.into()))
    }

    fn edit(&mut self, operation: Operation) -> Result<(), PutError> {
        self.before.note(&operation, self.inner.document());
        Ok(self.inner.edit(operation)?)
    }
}
