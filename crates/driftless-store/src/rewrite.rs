//! Rewriting the database: the rows that live, in sorted tables, with an empty journal.
//!
//! The database removes a journal only when a new one has been begun, at 64 MB, and a start reads all of it. So a start
//! that finds a long journal copies the rows into a new database, which also leaves behind whatever was removed or
//! written over. It costs what the live rows cost to read and write once, and comes after megabytes of commits.
//!
//! The rule: the database before is kept until the new one was read back and is on disk.

use std::fs;
use std::path::Path;

use crate::disk::Rows;
use crate::open::{OpenError, create_rows, open_rows};
use crate::{journal, recover};

/// Puts a rewritten copy of `rows` in its place and opens that. What cannot be copied stays as it is.
pub(crate) fn rewrite(dir: &Path, rows: Rows) -> Result<Rows, OpenError> {
    let [current, building, discarded] =
        ["rows", "building", "discarded"].map(|name| dir.join(name));
    if copy(&rows, &building).is_err() {
        // Damaged rows, or no room for them twice: neither is in the way of using the store. The next start tries again.
        fs::remove_dir_all(&building).ok();
        return Ok(rows);
    }
    drop(rows);
    journal::sync_dir(dir)?;
    fs::rename(&current, &discarded)?;
    fs::rename(&building, &current)?;
    journal::sync_dir(dir)?;
    fs::remove_dir_all(&discarded)?;
    open_rows(&current)
}

fn copy(rows: &Rows, building: &Path) -> Result<(), OpenError> {
    let copied = create_rows(building)?;
    let mut table = copied.keyspace.start_ingestion()?;
    for row in rows.keyspace.iter() {
        let (key, value) = row.into_inner()?;
        table.write(key, value)?;
    }
    table.finish()?;
    drop(copied);
    read_back(rows, &open_rows(building)?)
}

fn read_back(rows: &Rows, copied: &Rows) -> Result<(), OpenError> {
    let mut copies = copied.keyspace.iter();
    for row in rows.keyspace.iter() {
        let copy = copies.next().map(fjall::Guard::into_inner).transpose()?;
        if Some(row.into_inner()?) != copy {
            return Err(OpenError::Damaged("the copy has other rows".into()));
        }
    }
    debug_assert!(recover::last_commit(copied).is_ok());
    match copies.next() {
        None => Ok(()),
        Some(_) => Err(OpenError::Damaged("the copy has more rows".into())),
    }
}
