//! A Driftless dataset on the device: an automerge document and its mergeable state.
//!
//! A [`Document`] is a dictionary that is edited offline and merged later. Beside it stands its [`State`]: what is live, with
//! the ids of the operations that wrote it, and a clock of what has been seen. States join without asking anybody, and the
//! join is what automerge's own merge would show; but a state has no history, so it stays as small as what it shows. What one
//! state has over another is a [`Delta`], plain data that an encoder writes.
//!
//! ```
//! use driftless_document::{Actor, Document, State};
//!
//! // Two devices, offline. Their actors must be random bytes; the name of the dataset is the same.
//! let mut phone = Document::new("notes", Actor::random([1; 8]));
//! let mut laptop = Document::new("notes", Actor::random([2; 8]));
//! let edit = phone.splice_text("title", 0, 0, "Shopping", 0)?;
//! let _edit = phone.increment("visits", 1, 0)?;
//! let _edit = laptop.increment("visits", 1, 0)?;
//!
//! // What one of them has seen reaches the other one, in any order and as often as you like.
//! let delta = laptop.join(phone.state());
//! assert_eq!(laptop.text("title").as_deref(), Some("Shopping"));
//! assert_eq!(laptop.counter("visits"), Some(2));
//!
//! // An edit and a join tell what they did, for whoever makes it durable.
//! let title = edit.deltas.iter().try_fold(State::new(), |state, delta| state.apply(delta))?;
//! assert_eq!(title.get("title"), phone.get("title"));
//! assert_eq!(laptop.state().changed_keys(&delta).len(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The map
//!
//! | file | what it is for |
//! | --- | --- |
//! | `document.rs`, `edit.rs` | reads and edits of one dataset, at keys and at paths |
//! | `path.rs`, `place.rs` | where something stands, and what stands there |
//! | `draft.rs`, `write.rs` | an edit as operations; whole values of which only what differs is written |
//! | `reauthor.rs`, `rewrite.rs` | edits written again, where a join alone would lose them |
//! | `value.rs`, `order.rs`, `conflict.rs` | what a key can hold, and what concurrent writers left there |
//! | `kind.rs`, `set.rs` | what merges inside and who creates it; sets, which are maps of their members |
//! | `state.rs`, `sequence.rs`, `run.rs` | the state; lists and texts in it |
//! | `join.rs`, `diff.rs`, `overlay.rs` | two states into one, and what one has over another |
//! | `apply.rs`, `contradict.rs` | the gate for what others wrote |
//! | `meet.rs` | data of one identity into those of another |
//! | `compact.rs` | a state without what only its past needs |
//! | `emit.rs`, `history.rs` | a state as automerge changes, and back |
//! | `live.rs`, `ops.rs` | the automerge document, kept in step with the state |
//! | `reference.rs` | a document that never forgets, to compare with |
//! | `mutant.rs`, `branch.rs` | defects that the simulator must find, decisions that it must reach; not in an ordinary build |
//!
//! # The rules
//!
//! - **What comes from others passes [`State::apply`].** It checks all that the rest relies on; automerge checks little.
//!   Before a state of others is joined, [`State::contradicts`] must have found nothing.
//! - **An actor belongs to one document.** Whoever copies a store takes a new one ([`Document::adopt`]).
//! - **An edit is nothing until its deltas are durable**, nor is a join. Nothing here touches a disk or a clock.
//! - **No type of automerge is public.** Its bytes are only read where this crate wrote them.

mod apply;
#[doc(hidden)]
pub mod branch;
mod compact;
mod concurrent;
mod conflict;
mod contradict;
mod diff;
mod document;
mod draft;
mod edit;
mod emit;
mod foreign;
mod history;
mod id;
mod join;
mod kind;
mod live;
mod meet;
#[doc(hidden)]
pub mod mutant;
mod ops;
mod order;
mod overlay;
mod path;
mod place;
mod reauthor;
mod reference;
mod rewrite;
mod run;
mod sequence;
mod set;
mod state;
mod value;
mod write;

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod mutation;
#[cfg(test)]
mod past;
#[cfg(test)]
mod samples;

pub use apply::ApplyError;
pub use conflict::Conflict;
pub use diff::{Delta, ObjectDelta, RegisterDelta, Removed, SequenceDelta};
pub use document::Document;
pub use edit::{Edit, EditError};
pub use foreign::ReadScalar;
pub use id::{Actor, MAX_COUNTER, ObjectId, OpId};
pub use path::{MAX_KEY_BYTES, MAX_NESTING, Path, Step};
pub use reauthor::{Absorbed, Carry};
pub use reference::Reference;
pub use run::{Body, Run, Span};
pub use state::{Clock, Count, CountKey, Population, State};
pub use value::{Content, Contents, ObjectType, Scalar, Value};
