//! A Driftless dataset on the device: an automerge document and its mergeable state.
#![allow(dead_code, missing_docs)]

mod conflict;
mod diff;
mod document;
mod emit;
mod history;
mod id;
mod join;
mod live;
mod ops;
mod reauthor;
mod reference;
mod sequence;
mod state;
mod value;

#[cfg(test)]
mod laws;

pub use conflict::Conflict;
pub use diff::{ApplyError, Delta, ObjectDelta, RegisterDelta, Removed, SequenceDelta};
pub use document::{Document, Edit, EditError, MAX_KEY_BYTES};
pub use id::{Actor, MAX_COUNTER, ObjectId, OpId};
pub use reauthor::{Absorbed, Carry};
pub use reference::Reference;
pub use sequence::{Body, Run, Span};
pub use state::{Clock, Count, CountKey, Population, State};
pub use value::{Content, ObjectType, Scalar, Value};
