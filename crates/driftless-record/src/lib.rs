//! States and deltas of Driftless as Cognito Sync records, and back.
//!
//! The reserved records of a dataset hold one state: a base, a short chain of deltas on it, and a head that names the tip of
//! that chain. [`read`] makes a state of records, [`plan`] makes patches of a state. This crate does no IO, joins nothing
//! but what torn pushes left side by side, and has never heard of conflicts: that is `driftless-merge`.
//!
//! Records come from a network and from other writers. Whatever they say, reading them ends in a [`ReadError`] at worst,
//! within time and memory that the [`Limits`] bound; what is damaged or stale is passed over, and never is a delta applied
//! on another state than the one it was made for. `docs/record-format.md` tells every byte and every rule.
//!
//! ```
//! use driftless_document::State;
//! use driftless_record::{Life, Limits, Lineage, Standing, plan, read};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let limits = Limits::default();
//! let life = Life::Begun { lineage: Lineage::from_bytes([7; 8]), predecessor: None, over: None };
//! let push = plan(life, &State::new(), &Standing::NOTHING, &limits)?;
//! let records = push.patches.iter().filter_map(|(key, text)| Some((key.as_str(), text.as_deref()?)));
//! let stored = read(records, &limits, None)?.ok_or("nothing stands there")?;
//! assert_eq!(stored.tip(), push.stored.tip());
//! # Ok(())
//! # }
//! ```

mod chain;
mod codec;
mod fold;
mod frame;
mod frames;
mod head;
mod limits;
mod lineage;
mod plain;
mod size;
mod slots;
mod stored;

pub use chain::{MAX_JUMP, ReadError, read};
pub use codec::{DecodeError, MAX_ELEMENTS, MAX_OBJECTS, MAX_VALUES, decode, encode};
pub use fold::{Life, PlanError, Push, Standing, Wrote, plan};
pub use frame::{Frame, FrameError, Kind, Z85Error};
pub use head::{Earlier, Head, Predecessor};
pub use limits::Limits;
pub use lineage::{Checksum, Lineage};
pub use plain::{scalar_of, text_of};
pub use size::{Past, Share, past_of_state, share_of_key, size_of_state};
pub use slots::{HEAD_KEY, LOG_SLOTS, RESERVED_PREFIX, RUN_SLOTS, is_reserved};
pub use stored::Stored;
