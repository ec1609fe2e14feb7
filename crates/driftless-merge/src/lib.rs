//! The Driftless sync engine, without IO

mod commit;

pub use commit::{Commit, DatasetKey, Durability, MirroredRecord, Owner, Recovered, Snapshot};
