//! A Driftless dataset on the device: an automerge document and its mergeable state.
#![allow(dead_code, missing_docs)]

mod apply;
mod conflict;
mod contradict;
mod diff;
mod document;
mod emit;
mod history;
mod id;
mod join;
mod live;
mod ops;
mod overlay;
mod reauthor;
mod reference;
mod run;
mod sequence;
mod state;
mod value;

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod mutation;

pub use apply::ApplyError;
pub use conflict::Conflict;
pub use diff::{Delta, ObjectDelta, RegisterDelta, Removed, SequenceDelta};
pub use document::{Document, Edit, EditError, MAX_KEY_BYTES};
pub use id::{Actor, MAX_COUNTER, ObjectId, OpId};
pub use reauthor::{Absorbed, Carry};
pub use reference::Reference;
pub use run::{Body, Run, Span};
pub use state::{Clock, Count, CountKey, Population, State};
pub use value::{Content, ObjectType, Scalar, Value};
