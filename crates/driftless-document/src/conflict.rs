//! What concurrent writers left in one place.

use crate::id::{Actor, OpId};
use crate::path::Path;
use crate::state::State;
use crate::value::Value;

/// One of the values that concurrent writers put at a key.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Conflict {
    /// The value.
    pub value: Value,
    /// The operation that put it; the highest one wins.
    pub id: OpId,
    /// The author's wall clock in ms since 1970, where it told; shown to people, never compared.
    pub time: Option<i64>,
}

impl Conflict {
    /// Returns who put the value; derived actors belong to all devices (see [`Actor::is_derived`]).
    #[must_use]
    pub const fn author(&self) -> Actor {
        self.id.actor
    }
}

impl State {
    /// Returns all values at a key, the winner first; one where nobody wrote concurrently, none where nothing stands.
    #[must_use]
    pub fn conflicts(&self, key: &str) -> Vec<Conflict> {
        let conflict = |(id, content): &(OpId, _)| Conflict {
            value: self.value(*id, content),
            id: *id,
            time: self.times.get(id).copied(),
        };
        self.register(key).iter().rev().map(conflict).collect()
    }

    /// Returns all values at the end of a path, as [`conflicts`](Self::conflicts) does for a key.
    #[must_use]
    pub fn conflicts_at(&self, path: &Path) -> Vec<Conflict> {
        let contents = self.find(path).map(|place| self.contents_at(&place));
        let conflict = |(id, content): (OpId, _)| Conflict {
            value: self.value(id, &content),
            id,
            time: self.times.get(&id).copied(),
        };
        let contents = contents.into_iter().flatten().rev();
        contents.map(conflict).collect()
    }

    /// Returns the winning value at a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Value> {
        self.register(key)
            .last()
            .map(|(id, content)| self.value(*id, content))
    }
}
