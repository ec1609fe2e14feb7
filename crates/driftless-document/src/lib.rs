//! A Driftless dataset on the device: an automerge document and its mergeable state.
//!
//! TODO
#![allow(dead_code, missing_docs)]
mod diff;
mod id;
mod join;
mod sequence;
mod state;
mod value;

pub use diff::{ApplyError, Delta, ObjectDelta, RegisterDelta, Removed, SequenceDelta};
pub use id::{Actor, MAX_COUNTER, ObjectId, OpId};
pub use sequence::{Body, Run, Span};
pub use state::{Clock, Count, CountKey, Population, State};
pub use value::{Content, ObjectType, Scalar, Value};
