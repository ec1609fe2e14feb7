//! What merges inside, and who creates it.
//!
//! A counter, text, list, map or set at a key is created by an operation without an author: every device that creates it gives
//! it the same id, so that two that do so offline share one. The id's actor is derived from where the object stands and what
//! it is ([`creator`]); its counter is the *generation*. What is inserted into a list is new by nature, and is created by the
//! device's own operation.
//!
//! A set is a map whose creator says so: the second bit of the creator's id is set for a set and clear for a map. So a reader
//! tells them apart by the id alone, and they never are one object, although automerge takes both for maps.

use crate::id::{Actor, ObjectId, OpId};
use crate::value::{Content, ObjectType, Scalar};

/// What merges inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Text,
    List,
    Map,
    Set,
    /// Of other automerge programs; it can only be removed.
    Table,
}

impl Kind {
    /// Returns what an operation made, or `None` if that does not merge inside.
    pub(crate) fn of(id: OpId, content: &Content) -> Option<Self> {
        match content {
            Content::Scalar(Scalar::Counter(_)) => Some(Self::Counter),
            Content::Scalar(_) => None,
            Content::Object(ObjectType::Text) => Some(Self::Text),
            Content::Object(ObjectType::List) => Some(Self::List),
            Content::Object(ObjectType::Map) if id.actor.creates_sets() => Some(Self::Set),
            Content::Object(ObjectType::Map) => Some(Self::Map),
            Content::Object(ObjectType::Table) => Some(Self::Table),
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Text => "text",
            Self::List => "list",
            Self::Map => "map",
            Self::Set => "set",
            Self::Table => "table",
        }
    }

    /// Returns what the operation that creates it puts in its place.
    pub(crate) const fn content(self) -> Content {
        match self {
            Self::Counter => Content::Scalar(Scalar::Counter(0)),
            Self::Text => Content::Object(ObjectType::Text),
            Self::List => Content::Object(ObjectType::List),
            Self::Map | Self::Set => Content::Object(ObjectType::Map),
            Self::Table => Content::Object(ObjectType::Table),
        }
    }
}

/// Returns the author under whose name every device creates what stands at a key of an object.
pub(crate) fn creator(dataset: &str, parent: ObjectId, key: &str, kind: Kind) -> Actor {
    let mut parent_bytes = Vec::new();
    match parent {
        ObjectId::Root => parent_bytes.extend(b"root"),
        ObjectId::Made(id) => {
            parent_bytes.extend(id.counter.to_be_bytes());
            parent_bytes.extend(id.actor.to_bytes());
        }
    }
    let parts = [dataset, key, kind.name()].map(str::as_bytes);
    let actor = Actor::derived(&[parts[0], &parent_bytes, parts[1], parts[2]]);
    match kind {
        Kind::Set => actor.creating_sets(true),
        Kind::Map => actor.creating_sets(false),
        _ => actor,
    }
}

impl Actor {
    /// Tells whether the maps that this actor makes are sets.
    const fn creates_sets(self) -> bool {
        self.is_derived() && self.to_bytes()[0] & 0x40 != 0
    }

    const fn creating_sets(self, sets: bool) -> Self {
        let mut bytes = self.to_bytes();
        bytes[0] = bytes[0] & !0x40 | if sets { 0x40 } else { 0 };
        Self::from_bytes(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(kind: Kind) -> OpId {
        OpId::new(1, creator("notes", ObjectId::Root, "tags", kind))
    }

    #[test]
    fn kind_is_told_by_the_operation_alone() {
        for kind in [Kind::Counter, Kind::Text, Kind::List, Kind::Map, Kind::Set] {
            assert_eq!(Kind::of(made(kind), &kind.content()), Some(kind));
        }
        let own = OpId::new(1, Actor::random([0xff; 8]));
        assert_eq!(Kind::of(own, &Kind::Map.content()), Some(Kind::Map));
    }

    #[test]
    fn namesakes_in_two_objects_have_two_creators() {
        let nested = |parent| creator("notes", parent, "tags", Kind::Set);
        let parents = [
            ObjectId::Root,
            ObjectId::Made(made(Kind::Map)),
            ObjectId::Made(made(Kind::Map).plus(1)),
        ];
        assert_ne!(nested(parents[0]), nested(parents[1]));
        assert_ne!(nested(parents[1]), nested(parents[2]));
    }
}
