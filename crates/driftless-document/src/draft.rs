//! One edit in the making: the operations of this device, and the creations that belong to nobody.
//!
//! A draft is written against a state and changes nothing. Each place is written at most once, so the state tells what stands
//! there; an object that the draft itself makes is not in it yet, and reads as empty. What a draft holds is applied as one
//! batch, since its operations may refer to each other in any order.

use automerge::legacy::Op;

use crate::edit::EditError;
use crate::id::{ObjectId, OpId};
use crate::kind::{Kind, creator};
use crate::mutant;
use crate::ops;
use crate::path::{Path, Step};
use crate::state::{Key, Place, State};
use crate::value::{Content, Scalar};

/// An edit in the making.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    dataset: &'a str,
    pub(crate) state: &'a State,
    pub(crate) written: Written,
}

/// What a draft holds.
#[derive(Debug)]
pub(crate) struct Written {
    /// The id of the first operation of this device.
    pub(crate) start: OpId,
    /// The operations of this device, under consecutive ids.
    pub(crate) own: Vec<Op>,
    /// Creations, each under an id of its own.
    pub(crate) creations: Vec<(OpId, Op)>,
}

impl Written {
    pub(crate) const fn len(&self) -> usize {
        self.own.len() + self.creations.len()
    }

    fn next(&self) -> OpId {
        let made = u32::try_from(self.own.len()).expect("an edit fits into memory");
        self.start.plus(made)
    }
}

impl<'a> Draft<'a> {
    /// Begins an edit of a state, whose next operation of this device has the id `start`.
    pub(crate) const fn new(dataset: &'a str, state: &'a State, start: OpId) -> Self {
        let written = Written {
            start,
            own: Vec::new(),
            creations: Vec::new(),
        };
        Self {
            dataset,
            state,
            written,
        }
    }

    fn write(&mut self, operation: Op) -> OpId {
        let id = self.written.next();
        self.written.own.push(operation);
        id
    }

    /// Puts a content in a place instead of these others.
    pub(crate) fn replace(&mut self, place: &Place, replaced: &[OpId], content: &Content) -> OpId {
        self.write(ops::replace(place, replaced, content))
    }

    /// Removes these contents of a place.
    pub(crate) fn remove(&mut self, place: &Place, removed: &[OpId]) {
        if !removed.is_empty() {
            self.write(ops::delete(place, removed));
        }
    }

    /// Removes all that stands in a place.
    pub(crate) fn clear(&mut self, place: &Place) {
        let contents = self.state.contents_at(place);
        let ids: Vec<OpId> = contents.into_iter().map(|(id, _)| id).collect();
        self.remove(place, &ids);
    }

    /// Inserts an element behind another one, or at the front.
    pub(crate) fn insert(
        &mut self,
        sequence: OpId,
        behind: Option<OpId>,
        content: &Content,
    ) -> OpId {
        self.write(ops::insert(ObjectId::Made(sequence), behind, content))
    }

    /// Adds to these counters of a place.
    pub(crate) fn increment(&mut self, place: &Place, counters: &[OpId], by: i64) {
        self.write(ops::increment(place, counters, by));
    }

    /// Creates what merges inside, beside whatever stands there: at a key by the operation that all devices share.
    ///
    /// Its generation is one more than the highest that the clock knows.
    pub(crate) fn create(&mut self, place: &Place, kind: Kind) -> OpId {
        let shared = match &place.key {
            Key::Map(key) if !mutant!(CreationByDevice) => {
                Some(creator(self.dataset, place.object, key, kind))
            }
            _ => None,
        };
        let Some(creator) = shared else {
            return self.replace(place, &[], &kind.content());
        };
        let id = OpId::new(self.state.seen_from(creator) + 1, creator);
        let creation = ops::put(place, &kind.content());
        self.written.creations.push((id, creation));
        if self.written.own.is_empty() {
            // What refers to the creation must have a higher counter.
            let counter = self.written.start.counter.max(id.counter + 1);
            self.written.start.counter = counter;
        }
        id
    }

    /// Returns what merges inside in a place, created where it is missing; scalars in its way are removed.
    ///
    /// # Errors
    ///
    /// [`EditError::OtherKind`] if something of another kind stands there.
    pub(crate) fn ensure(&mut self, place: &Place, kind: Kind) -> Result<OpId, EditError> {
        let mut there = None;
        let mut scalars = Vec::new();
        for (id, content) in self.state.contents_at(place) {
            match Kind::of(id, &content) {
                None => scalars.push(id),
                Some(found) if found == kind => there = Some(id),
                Some(found) => {
                    let (wanted, found) = (kind.name(), found.name());
                    return Err(EditError::OtherKind { wanted, found });
                }
            }
        }
        self.instead(place, kind, there, &scalars)
    }

    /// Returns what merges inside in a place, created where it is missing, and removes all else.
    pub(crate) fn only(&mut self, place: &Place, kind: Kind) -> Result<OpId, EditError> {
        let there = self.state.find_in(place, kind);
        let contents = self.state.contents_at(place);
        let ids = contents.into_iter().map(|(id, _)| id);
        let others: Vec<OpId> = ids.filter(|id| Some(*id) != there).collect();
        self.instead(place, kind, there, &others)
    }

    fn instead(
        &mut self,
        place: &Place,
        kind: Kind,
        there: Option<OpId>,
        others: &[OpId],
    ) -> Result<OpId, EditError> {
        if there.is_none() && matches!(place.key, Key::Element(_)) {
            return match kind {
                Kind::Set => Err(EditError::SetInList),
                kind => Ok(self.replace(place, others, &kind.content())),
            };
        }
        let id = there.unwrap_or_else(|| self.create(place, kind));
        self.remove(place, others);
        Ok(id)
    }

    /// Puts a scalar in a place instead of all that stands there; an equal one that stands there alone is left.
    pub(crate) fn put(&mut self, place: &Place, scalar: &Scalar) -> Result<(), EditError> {
        if !scalar.is_plain() {
            return Err(EditError::NotPlain);
        }
        let contents = self.state.contents_at(place);
        if matches!(&contents[..], [(_, Content::Scalar(old))] if old == scalar) {
            return Ok(());
        }
        let ids: Vec<OpId> = contents.into_iter().map(|(id, _)| id).collect();
        self.replace(place, &ids, &Content::Scalar(scalar.clone()));
        Ok(())
    }
}

impl Draft<'_> {
    /// Returns the place at the end of a path; maps that it leads through are created where they are missing.
    ///
    /// # Errors
    ///
    /// [`EditError`] if a key is none, an element is not there, or something of another kind is in the way.
    pub(crate) fn place(&mut self, path: &Path) -> Result<Place, EditError> {
        path.check()?;
        let mut place = Place::root(path.root());
        for step in path.steps() {
            let key = match step {
                Step::Key(key) => Key::Map(key.clone()),
                Step::Index(index) => Key::Element(self.element(&place, *index)?),
            };
            let object = ObjectId::Made(self.ensure(&place, step.enters())?);
            place = Place { object, key };
        }
        Ok(place)
    }

    /// Returns the visible element at a place of the list that stands somewhere.
    fn element(&self, list: &Place, at: usize) -> Result<OpId, EditError> {
        let elements = self.state.elements_in(list, Kind::List);
        let missing = EditError::OutOfRange {
            at,
            end: at.saturating_add(1),
            len: elements.len(),
        };
        elements.get(at).map(|element| element.id).ok_or(missing)
    }
}
