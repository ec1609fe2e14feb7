//! The SQLite layouts: one of Android, .NET, Xamarin and Unity, the other of iOS.
//!
//! ```text
//! datasets         identity_id, dataset_name, last_sync_count, ...
//! records          identity_id, dataset_name, key, value or null, sync_count, modified, ...
//! CognitoMetadata  IdentityId, Dataset, LastSyncCount, ...
//! CognitoData      IdentityId, Dataset, Key, Data = {"v": text}, Type, SyncCount, Dirty, ModifiedBy, ...
//! ```
//!
//! What is read is a copy, made with the journals beside the file: SQLite writes to bring back what a journal holds, even where
//! a database is opened to be read.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use serde::Deserialize;
use tempfile::TempDir;

use crate::local_store::LocalStoreError;
use crate::local_store::file::{self, failed};
use crate::local_store::rows::{DELETED, Row, Rows, count_of};

/// Twenty datasets of a megabyte for each identity that ever used the device leave much below this.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// The longest text, and row: a value of the service has a megabyte, which JSON may write six times as long.
const MAX_TEXT: i32 = 16 * 1024 * 1024;

/// What SQLite keeps beside a database: what is not yet in it, and what is to be taken back out of it.
const JOURNALS: [&str; 2] = ["-wal", "-journal"];

/// How a text in the column `Type` of iOS is marked, and a tombstone.
const IOS_TEXT: i64 = 1;
const IOS_DELETED: i64 = 2;

/// Who wrote a row of iOS, until the device was registered for pushes; what came from the service names others.
const IOS_HERE: &str = "LOCAL";

pub(super) fn read_android(path: &Path) -> Result<Rows, LocalStoreError> {
    let copy = Copy::open(path, &["datasets", "records"])?;
    let mut rows = Rows::default();
    copy.each(
        "SELECT identity_id, dataset_name, last_sync_count FROM datasets",
        |row| rows.note_dataset(row),
    )?;
    copy.each(
        "SELECT identity_id, dataset_name, key, value, sync_count, modified FROM records",
        |row| rows.add(row, android_row),
    )?;
    Ok(rows)
}

pub(super) fn read_ios(path: &Path) -> Result<Rows, LocalStoreError> {
    let copy = Copy::open(path, &["CognitoMetadata", "CognitoData"])?;
    let mut rows = Rows::default();
    copy.each(
        "SELECT IdentityId, Dataset, LastSyncCount FROM CognitoMetadata",
        |row| rows.note_dataset(row),
    )?;
    copy.each(
        "SELECT IdentityId, Dataset, Key, Data, SyncCount, Dirty, Type, ModifiedBy FROM CognitoData",
        |row| rows.add(row, ios_row),
    )?;
    Ok(rows)
}

type SqlRow<'a> = &'a rusqlite::Row<'a>;

/// A copy of a database, which ends with this.
struct Copy {
    connection: Connection,
    /// Dropped after the connection is closed.
    _directory: TempDir,
}

impl Copy {
    /// Copies a database that must have these tables.
    fn open(path: &Path, tables: &[&str]) -> Result<Self, LocalStoreError> {
        let (directory, copy) = copied(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(copy, flags).map_err(damaged)?;
        // The tables are somebody else's, and may compute what stands in them.
        connection
            .set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_TEXT)
            .map_err(damaged)?;
        connection
            .pragma_update(None, "trusted_schema", false)
            .map_err(damaged)?;
        let checked: String = connection
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
            .map_err(not_a_database)?;
        if checked != "ok" {
            return Err(LocalStoreError::Damaged(checked.into()));
        }
        for table in tables {
            let is_there: bool = connection
                .query_row(
                    "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?1",
                    [table],
                    |row| row.get(0),
                )
                .map_err(damaged)?;
            if !is_there {
                return Err(other(format!("it has no table {table}")));
            }
        }
        Ok(Self {
            connection,
            _directory: directory,
        })
    }

    fn each(
        &self,
        query: &str,
        mut take: impl FnMut(SqlRow<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), LocalStoreError> {
        // All columns are there in every version of the old client.
        let mut statement = self
            .connection
            .prepare(query)
            .map_err(|error| other(error.to_string()))?;
        let columns = statement.column_count();
        let mut rows = statement.query([]).map_err(damaged)?;
        let mut bytes = 0;
        while let Some(row) = rows.next().map_err(damaged)? {
            bytes += size(row, columns).map_err(damaged)?;
            if bytes > MAX_BYTES {
                return Err(too_large(bytes));
            }
            take(row).map_err(damaged)?;
        }
        Ok(())
    }
}

/// Returns how many bytes the texts of a row have: more than the file has, if they are computed.
fn size(row: SqlRow<'_>, columns: usize) -> rusqlite::Result<u64> {
    let mut bytes = 0;
    for column in 0..columns {
        if let ValueRef::Text(text) | ValueRef::Blob(text) = row.get_ref(column)? {
            bytes += text.len() as u64;
        }
    }
    Ok(bytes)
}

/// Copies a database and the journals beside it, and returns where they are.
fn copied(path: &Path) -> Result<(TempDir, PathBuf), LocalStoreError> {
    let beside = |path: &Path, ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let directory = tempfile::tempdir().map_err(|source| failed(path, source))?;
    let copy = directory.path().join("old");
    let mut left = MAX_BYTES;
    write_copy(path, &copy, &mut left)?;
    for ending in JOURNALS {
        match write_copy(&beside(path, ending), &beside(&copy, ending), &mut left) {
            Err(LocalStoreError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            }
            written => written?,
        }
    }
    Ok((directory, copy))
}

/// Copies the bytes of a file, but not that it may only be read. They are taken from what is left of [`MAX_BYTES`]; a file that
/// has more, or grows beyond that meanwhile, is not copied to its end.
fn write_copy(from: &Path, to: &Path, left: &mut u64) -> Result<(), LocalStoreError> {
    let (file, bytes) = file::open(from)?;
    if bytes > *left {
        return Err(too_large(MAX_BYTES - *left + bytes));
    }
    let copied = File::create_new(to)
        .and_then(|mut to| io::copy(&mut file.take(*left + 1), &mut to))
        .map_err(|source| failed(from, source))?;
    *left = left
        .checked_sub(copied)
        .ok_or_else(|| too_large(MAX_BYTES + 1))?;
    Ok(())
}

const fn too_large(bytes: u64) -> LocalStoreError {
    LocalStoreError::TooLarge {
        bytes,
        limit: MAX_BYTES,
    }
}

fn damaged(error: rusqlite::Error) -> LocalStoreError {
    LocalStoreError::Damaged(error.into())
}

fn not_a_database(error: rusqlite::Error) -> LocalStoreError {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => other("it is no SQLite database".to_owned()),
        _ => damaged(error),
    }
}

fn other(what: String) -> LocalStoreError {
    LocalStoreError::OtherKind { what }
}

impl Rows {
    fn note_dataset(&mut self, row: SqlRow<'_>) -> rusqlite::Result<()> {
        let found = (text(row, 0)?, text(row, 1)?, number(row, 2)?);
        match found {
            (Ok(owner), Ok(name), Ok(count)) => {
                self.dataset(&owner, &name).is_deleted |= count == DELETED;
            }
            (owner, name, count) => {
                let why = [
                    owner.as_ref().err(),
                    name.as_ref().err(),
                    count.as_ref().err(),
                ];
                let why = why.into_iter().flatten().next().cloned();
                self.note(place([owner, name]), why.unwrap_or_default());
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        row: SqlRow<'_>,
        read: impl FnOnce(SqlRow<'_>) -> rusqlite::Result<Result<Row, String>>,
    ) -> rusqlite::Result<()> {
        let [owner, name, key] = [text(row, 0)?, text(row, 1)?, text(row, 2)?];
        match (read(row)?, &owner, &name, &key) {
            (Ok(read), Ok(owner), Ok(name), Ok(key)) => {
                self.add_row(owner, name, key.clone(), read);
            }
            (read, ..) => {
                let why = [
                    read.err(),
                    owner.clone().err(),
                    name.clone().err(),
                    key.clone().err(),
                ];
                let why = why.into_iter().flatten().next();
                self.note(place([owner, name, key]), why.unwrap_or_default());
            }
        }
        Ok(())
    }
}

/// Says where a row stands, as far as that is text.
fn place<const N: usize>(parts: [Result<String, String>; N]) -> String {
    parts
        .map(|part| part.unwrap_or_else(|_| "?".to_owned()))
        .join("/")
}

fn android_row(row: SqlRow<'_>) -> rusqlite::Result<Result<Row, String>> {
    let value = match row.get_ref(3)? {
        ValueRef::Null => Ok(None),
        _ => text(row, 3)?.map(Some),
    };
    let (count, modified) = (number(row, 4)?, number(row, 5)?);
    Ok(value.and_then(|text| {
        Ok(Row {
            text,
            count: count_of(count?)?,
            is_unsent: modified? != 0,
        })
    }))
}

/// What stands in the column `Data`.
#[derive(Deserialize)]
struct Data {
    v: String,
}

fn ios_row(row: SqlRow<'_>) -> rusqlite::Result<Result<Row, String>> {
    let (data, by) = (text(row, 3)?, text(row, 7)?);
    let [count, dirty, kind] = [number(row, 4)?, number(row, 5)?, number(row, 6)?];
    let value = match kind {
        Ok(IOS_DELETED) => Ok(None),
        Ok(IOS_TEXT) => data.and_then(|data| {
            let data = serde_json::from_str::<Data>(&data);
            data.map(|data| Some(data.v))
                .map_err(|error| format!("Data is unreadable: {error}"))
        }),
        Ok(kind) => Err(format!("Type is {kind}")),
        Err(why) => Err(why),
    };
    Ok(value.and_then(|text| {
        let count = count_of(count?)?;
        // A removal sets Dirty to -1 and a put adds one, so that a put over an unsent removal looks sent. What the service
        // has, has a count, and another author.
        let looks_sent = dirty? == 0;
        let was_never_sent = count.get() == 0 || by.as_deref() == Ok(IOS_HERE);
        Ok(Row {
            is_unsent: !looks_sent || (text.is_some() && was_never_sent),
            text,
            count,
        })
    }))
}

fn text(row: SqlRow<'_>, column: usize) -> rusqlite::Result<Result<String, String>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Text(bytes) => String::from_utf8(bytes.to_vec())
            .map_err(|_| format!("{} is no UTF-8", name(row, column))),
        _ => Err(format!("{} is no text", name(row, column))),
    })
}

fn number(row: SqlRow<'_>, column: usize) -> rusqlite::Result<Result<i64, String>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Integer(number) => Ok(number),
        _ => Err(format!("{} is no whole number", name(row, column))),
    })
}

fn name(row: SqlRow<'_>, column: usize) -> String {
    let name = row.as_ref().column_name(column);
    name.map_or_else(|_| format!("column {column}"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_stop_at_what_is_left_of_one_budget() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::write(at("ten"), [7; 10]).unwrap();
        let mut left = 15;
        write_copy(&at("ten"), &at("one"), &mut left).unwrap();
        assert_eq!((left, std::fs::read(at("one")).unwrap()), (5, vec![7; 10]));
        let refused = write_copy(&at("ten"), &at("two"), &mut left);
        let expected = MAX_BYTES - 5 + 10;
        assert!(
            matches!(refused, Err(LocalStoreError::TooLarge { bytes, .. }) if bytes == expected)
        );
        assert!(!at("two").exists());
    }

    /// A file of the system that says it has no bytes, as one may that grows.
    #[cfg(target_os = "linux")]
    #[test]
    fn file_with_more_than_it_says_is_not_copied_to_its_end() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (
            Path::new("/proc/self/status"),
            directory.path().join("copy"),
        );
        let refused = write_copy(from, &to, &mut 5);
        assert!(
            matches!(refused, Err(LocalStoreError::TooLarge { .. })),
            "{refused:?}"
        );
        assert_eq!(std::fs::read(to).unwrap().len(), 6);
    }
}
