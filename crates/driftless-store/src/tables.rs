//! How far the database's tables go, read before the database replays its journals over them.
//!
//! The database skips what its journals hold up to the highest sequence number in its tables. So which batch of a journal
//! may come first, and which sequence numbers can be right, follows from the tables alone.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use lsm_tree::{AbstractTree, Config, SequenceNumberCounter};

use crate::journal::Place;
use crate::open::OpenError;
use crate::schema;

/// The keyspace of our rows: the first that a database makes, after its own.
const KEYSPACE: &str = "keyspaces/1";

/// Returns the place of the last commit that stands in the tables of the database at `rows`, `None` if none does.
///
/// The tables' lists must have been checked.
pub(crate) fn last(rows: &Path) -> Result<Option<Place>, OpenError> {
    let keyspace = rows.join(KEYSPACE);
    if !keyspace.exists() {
        return Err(OpenError::Damaged("the keyspace is missing".into()));
    }
    // It checks much by assertion, as the database does.
    let read = catch_unwind(AssertUnwindSafe(|| read(&keyspace)));
    read.unwrap_or_else(|_| Err(OpenError::Damaged("the tables cannot be read".into())))
}

fn read(keyspace: &Path) -> Result<Option<Place>, OpenError> {
    let counter = SequenceNumberCounter::default;
    let tree = Config::new(keyspace, counter(), counter())
        .open()
        .map_err(fjall::Error::from)?;
    let Some(sequence) = tree.get_highest_persisted_seqno() else {
        return Ok(None);
    };
    let key = schema::commit_key();
    let row = tree.get(&key, sequence + 1).map_err(fjall::Error::from)?;
    let commit = match row {
        Some(value) => schema::commit_number(&key, &value),
        None => Some(0),
    };
    let commit = commit.ok_or_else(|| OpenError::Damaged("the commit row is damaged".into()))?;
    Ok(Some(Place { sequence, commit }))
}
