//! What of a Driftless dataset survives a crash.
//!
//! A [`Store`] keeps [`Commit`](driftless_merge::Commit)s: whole or not at all, in their order, at the durability that
//! each asks for. [`DiskStore`] keeps them in a directory, [`MemoryStore`] in memory, and one suite of tests holds both
//! to the same promises. A store never looks into the states and deltas that it keeps.
//!
//! ```
//! use driftless_merge::{Commit, DatasetKey, Durability, Owner};
//! use driftless_store::{DiskStore, Store};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let home = tempfile::tempdir()?;
//! # let dir = home.path();
//! let notes = DatasetKey::new(Owner::Local, "notes".parse()?);
//! let mut commit = Commit::new(notes.clone());
//! commit.deltas.push(b"a delta".to_vec());
//!
//! let store = DiskStore::open(dir)?.store;
//! store.commit(commit, Durability::Disk)?;
//! store.close()?;
//!
//! let opened = DiskStore::open(dir)?;
//! assert!(!opened.report.lost_tail());
//! let found = opened.store.recover(&notes)?.ok_or("not there")?;
//! assert_eq!(found.deltas, [b"a delta"]);
//! # Ok(())
//! # }
//! ```
//!
//! The bytes on disk, and what we assume of the disk, are described in `docs/store-format.md`.

mod commit;
mod disk;
mod error;
mod foreign;
mod journal;
mod lock;
mod manifest;
mod mark;
mod memory;
mod open;
mod recover;
mod rewrite;
mod schema;
mod store;
mod tables;

pub use disk::DiskStore;
pub use error::{Cause, CommitError, Damage, RecoverError, Row};
#[doc(hidden)]
pub use foreign::read_any;
pub use memory::MemoryStore;
pub use open::{OpenError, Opened, RecoveryReport, Stop};
pub use store::Store;
