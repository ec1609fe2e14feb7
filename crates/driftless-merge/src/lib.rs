//! The Driftless sync engine, without IO.
//!
//! A [`Replica`] is one dataset on one device. Local edits go in through [`Replica::edit`] and come out as a [`Commit`], which
//! must be kept before the edit is acknowledged. A synchronization is a [session](Replica::handle): inputs in, outputs out.
//! **After each input, drain the outputs.**
//!
//! Nothing here reads a clock, draws a random number, waits or locks: time and seeds are arguments, so that a simulator
//! drives the same code as an app does.

mod absorb;
mod children;
mod commit;
mod deletion;
mod growth;
mod list;
mod local;
mod meet;
mod plain;
mod plain_only;
mod push;
mod replica;
mod room;
mod row;
mod session;
mod settle;
mod unsent;

pub use children::LeftOver;
pub use commit::{Commit, DatasetKey, Durability, MirroredRecord, Owner, Recovered, Snapshot};
pub use local::{LocalEdit, Operation, RefusedEdit, Transaction};
pub use meet::Met;
pub use replica::{Replica, ReplicaError};
pub use room::{KeySize, Size};
pub use row::{RowError, Synced};
pub use session::{Failure, Input, Output, SessionError, Summary};
pub use unsent::{TakenUnsent, UnsentEdit, UnsentId};
