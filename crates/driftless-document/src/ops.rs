//! Our ids and values in automerge's words, and back.
//!
//! automerge's op model ([`automerge::legacy`]) is public but hidden, which is why the version is pinned and why all of it is
//! used here and in the three files that build or read changes, and nowhere else.

use std::num::NonZeroU64;

use automerge::legacy::{
    ElementId, Key as LegacyKey, ObjectId as LegacyObject, Op, OpId as LegacyId, OpType,
};
use automerge::{ActorId, Change, ChangeHash, ExpandedChange, ObjId, ObjType, ROOT, ScalarValue};

use crate::id::{Actor, ObjectId, OpId, digest};
use crate::state::{Key, Place};
use crate::value::{Content, ObjectType, Scalar};

/// What the extra bytes of a change begin with that keeps house and wrote nothing: its author is in no clock.
///
/// The first byte must not be 1, which automerge takes for a footer of its own.
pub(crate) const HOUSEKEEPING: &[u8] = b"driftless";

/// The widest start and step of a counter that automerge is told.
///
/// It adds up in 64 bits, and where those do not suffice it panics in a debug build, whatever it was asked for. What a
/// reader sees comes from the state, which adds up by itself and wraps around. No dataset has room for the 2^23 steps of
/// this width that would leave 64 bits.
const WIDEST: i64 = 1 << 40;

/// The root key of the operation that keeps the Lamport clock above every dropped one; no reader sees it.
pub(crate) const MARK_KEY: &str = "\0driftless";

pub(crate) fn actor_id(actor: Actor) -> ActorId {
    ActorId::from(actor.to_bytes())
}

/// Returns the author of housekeeping: 9 bytes long, so that it is no [`Actor`] and nobody's state can name it.
pub(crate) fn keeper(parts: &[&[u8]]) -> ActorId {
    let mut bytes = digest(parts).to_vec();
    bytes.push(0);
    ActorId::from(bytes)
}

/// Returns our form of an automerge actor, which has 8 bytes unless it only keeps house.
pub(crate) fn actor_of(actor: &ActorId) -> Actor {
    Actor::from_bytes(
        actor
            .to_bytes()
            .try_into()
            .expect("authors of a dataset have 8 bytes"),
    )
}

pub(crate) fn legacy_id(id: OpId) -> LegacyId {
    LegacyId(id.counter.into(), actor_id(id.actor))
}

pub(crate) fn id_of(id: &LegacyId) -> OpId {
    OpId::new(counter_of(id.0), actor_of(&id.1))
}

pub(crate) fn counter_of(counter: u64) -> u32 {
    u32::try_from(counter).expect("automerge's counters are 32 bits wide")
}

pub(crate) fn object_of(object: &LegacyObject) -> ObjectId {
    match object {
        LegacyObject::Root => ObjectId::Root,
        LegacyObject::Id(id) => ObjectId::Made(id_of(id)),
    }
}

pub(crate) fn legacy_object(object: ObjectId) -> LegacyObject {
    match object {
        ObjectId::Root => LegacyObject::Root,
        ObjectId::Made(id) => LegacyObject::Id(legacy_id(id)),
    }
}

pub(crate) fn exposed_object(object: ObjectId) -> ObjId {
    match object {
        ObjectId::Root => ROOT,
        // The last number is a hint that automerge checks, and finds anew where it is wrong.
        ObjectId::Made(id) => ObjId::Id(id.counter.into(), actor_id(id.actor), 0),
    }
}

pub(crate) fn object_type_of(object_type: ObjType) -> ObjectType {
    match object_type {
        ObjType::Map => ObjectType::Map,
        ObjType::Table => ObjectType::Table,
        ObjType::List => ObjectType::List,
        ObjType::Text => ObjectType::Text,
    }
}

fn legacy_object_type(object_type: ObjectType) -> ObjType {
    match object_type {
        ObjectType::Map => ObjType::Map,
        ObjectType::Table => ObjType::Table,
        ObjectType::List => ObjType::List,
        ObjectType::Text => ObjType::Text,
    }
}

pub(crate) fn scalar_of(value: &ScalarValue) -> Scalar {
    match value {
        ScalarValue::Null => Scalar::Null,
        ScalarValue::Boolean(x) => Scalar::Bool(*x),
        ScalarValue::Int(x) => Scalar::Int(*x),
        ScalarValue::Uint(x) => Scalar::Uint(*x),
        ScalarValue::F64(x) => Scalar::Float(*x),
        ScalarValue::Str(x) => Scalar::String(x.to_string()),
        ScalarValue::Bytes(x) => Scalar::Bytes(x.clone()),
        ScalarValue::Timestamp(x) => Scalar::Timestamp(*x),
        ScalarValue::Counter(x) => Scalar::Counter(x.into()),
        ScalarValue::Unknown { type_code, bytes } => Scalar::Unknown {
            type_code: *type_code,
            bytes: bytes.clone(),
        },
    }
}

pub(crate) fn legacy_scalar(scalar: &Scalar) -> ScalarValue {
    match scalar {
        Scalar::Null => ScalarValue::Null,
        Scalar::Bool(x) => ScalarValue::Boolean(*x),
        Scalar::Int(x) => ScalarValue::Int(*x),
        Scalar::Uint(x) => ScalarValue::Uint(*x),
        Scalar::Float(x) => ScalarValue::F64(*x),
        Scalar::String(x) => ScalarValue::Str(x.as_str().into()),
        Scalar::Bytes(x) => ScalarValue::Bytes(x.clone()),
        Scalar::Timestamp(x) => ScalarValue::Timestamp(*x),
        Scalar::Counter(x) => ScalarValue::counter(bounded(*x)),
        Scalar::Unknown { type_code, bytes } => ScalarValue::Unknown {
            type_code: *type_code,
            bytes: bytes.clone(),
        },
    }
}

pub(crate) fn content_of(action: &OpType) -> Option<Content> {
    match action {
        OpType::Put(value) => Some(Content::Scalar(scalar_of(value))),
        OpType::Make(object_type) => Some(Content::Object(object_type_of(*object_type))),
        _ => None,
    }
}

fn legacy_key(key: &Key) -> LegacyKey {
    match key {
        Key::Map(key) => LegacyKey::Map(key.as_str().into()),
        Key::Element(id) => LegacyKey::Seq(ElementId::Id(legacy_id(*id))),
    }
}

/// Returns the operation that puts a content in a place and replaces nothing.
pub(crate) fn put(place: &Place, content: &Content) -> Op {
    replace(place, &[], content)
}

/// Returns the operation that puts a content in a place instead of others.
pub(crate) fn replace(place: &Place, replaced: &[OpId], content: &Content) -> Op {
    let action = match content {
        Content::Scalar(scalar) => OpType::Put(legacy_scalar(scalar)),
        Content::Object(object_type) => OpType::Make(legacy_object_type(*object_type)),
    };
    operation(action, place, replaced)
}

/// Returns the operation that inserts a content behind an element.
pub(crate) fn insert(object: ObjectId, reference: Option<OpId>, content: &Content) -> Op {
    let place = Place {
        object,
        key: Key::Map(String::new()),
    };
    let element = reference.map_or(ElementId::Head, |id| ElementId::Id(legacy_id(id)));
    Op {
        key: LegacyKey::Seq(element),
        insert: true,
        ..put(&place, content)
    }
}

/// Returns the operation that removes these values of a place.
pub(crate) fn delete(place: &Place, removed: &[OpId]) -> Op {
    operation(OpType::Delete, place, removed)
}

/// Returns the operation that adds to these counters of a place.
pub(crate) fn increment(place: &Place, counters: &[OpId], by: i64) -> Op {
    operation(OpType::Increment(by), place, counters)
}

fn operation(action: OpType, place: &Place, pred: &[OpId]) -> Op {
    Op {
        action,
        obj: legacy_object(place.object),
        key: legacy_key(&place.key),
        pred: pred.iter().map(|id| legacy_id(*id)).collect(),
        insert: false,
    }
}

/// Returns the step of a counter that automerge is told of.
pub(crate) fn bounded(by: i64) -> i64 {
    by.clamp(-WIDEST, WIDEST)
}

/// Returns the operation that automerge is told of: the same, but for steps that are too wide for it.
pub(crate) fn told(operation: &Op) -> Op {
    let action = match operation.action {
        OpType::Increment(by) => OpType::Increment(bounded(by)),
        ref action => action.clone(),
    };
    Op {
        action,
        ..operation.clone()
    }
}

/// Returns the operation that does nothing but stand there, to keep the counter of the next one up.
pub(crate) fn mark() -> Op {
    let place = Place {
        object: ObjectId::Root,
        key: Key::Map(MARK_KEY.to_owned()),
    };
    put(&place, &Content::Scalar(Scalar::Null))
}

/// What tells one change from another, beside its operations.
pub(crate) struct Header {
    pub(crate) actor: ActorId,
    pub(crate) seq: u64,
    pub(crate) start: u32,
    pub(crate) time: i64,
    pub(crate) deps: Vec<ChangeHash>,
    pub(crate) extra_bytes: Vec<u8>,
}

pub(crate) fn change(header: Header, operations: Vec<Op>) -> Change {
    Change::from(ExpandedChange {
        operations,
        actor_id: header.actor,
        hash: None,
        seq: header.seq,
        start_op: NonZeroU64::new(header.start.into()).expect("op counters begin at 1"),
        time: header.time,
        message: None,
        deps: header.deps,
        extra_bytes: header.extra_bytes,
        author: None,
    })
}
