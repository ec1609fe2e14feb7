//! Where a path leads in a state.

use crate::id::{ObjectId, OpId};
use crate::kind::Kind;
use crate::path::{Path, Step};
use crate::sequence::{Element, Sequence};
use crate::state::{Key, Place, State};
use crate::value::Value;

impl Place {
    /// Returns the place at a key of the dataset.
    pub(crate) fn root(key: &str) -> Self {
        Self {
            object: ObjectId::Root,
            key: Key::Map(key.to_owned()),
        }
    }
}

impl Step {
    /// Returns what a step goes into.
    pub(crate) const fn enters(&self) -> Kind {
        match self {
            Self::Key(_) => Kind::Map,
            Self::Index(_) => Kind::List,
        }
    }
}

impl State {
    /// Returns the winning value at the end of a path.
    #[must_use]
    pub fn get_at(&self, path: &Path) -> Option<Value> {
        match path.as_root() {
            Some(key) => self.get(key),
            None => self.shown(&self.find(path)?),
        }
    }

    /// Returns the winning value in a place.
    pub(crate) fn shown(&self, place: &Place) -> Option<Value> {
        let contents = self.contents_at(place);
        let (id, content) = contents.last()?;
        Some(self.value(*id, content))
    }

    /// Returns the place at the end of a path, if all that it leads through is there; nothing need stand in it.
    pub(crate) fn find(&self, path: &Path) -> Option<Place> {
        let mut place = Place::root(path.root());
        for step in path.steps() {
            let object = ObjectId::Made(self.find_in(&place, step.enters())?);
            let key = match step {
                Step::Key(key) => Key::Map(key.clone()),
                Step::Index(index) => {
                    let elements = self.elements_in(&place, Kind::List);
                    Key::Element(elements.get(*index)?.id)
                }
            };
            place = Place { object, key };
        }
        Some(place)
    }

    /// Returns the live object of a kind in a place, also where something else wins.
    pub(crate) fn find_in(&self, place: &Place, kind: Kind) -> Option<OpId> {
        let contents = self.contents_at(place).into_iter().rev();
        let mut ids = contents.filter(|(id, content)| Kind::of(*id, content) == Some(kind));
        ids.next().map(|(id, _)| id)
    }

    /// Returns the visible elements of the list or text in a place, none where there is no such one.
    pub(crate) fn elements_in(&self, place: &Place, kind: Kind) -> Vec<Element> {
        let id = self.find_in(place, kind);
        let sequence = id.and_then(|id| self.sequence(ObjectId::Made(id)));
        sequence.map(Sequence::elements).unwrap_or_default()
    }

    /// Returns the counters in a place, ascending.
    pub(crate) fn counters_in(&self, place: &Place) -> Vec<OpId> {
        let contents = self.contents_at(place).into_iter();
        let counters = contents.filter(|(_, content)| content.is_counter());
        counters.map(|(id, _)| id).collect()
    }
}
