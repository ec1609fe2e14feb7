//! Opening a directory: what stands in it, how it was left, and what is gone.
//!
//! ```text
//! format        "driftless store 1\n": what the directory is
//! lock          held by the process that has the store open
//! mark          how the store was left, and the last acknowledged commit
//! rows/         the database
//! building/     a database in the making; not there yet
//! discarded/    the database before it was rewritten; not there any more
//! journal-copy/ what the journal was before it was last cut
//! ```
//!
//! The rule: nothing is changed before it is known to be ours and locked, and nothing is cut before it was copied.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use fjall::{CompressionType, Database, KeyspaceCreateOptions};
use thiserror::Error;

use crate::DiskStore;
use crate::commit::Writer;
use crate::disk::{Live, Rows};
use crate::error::{Cause, is_full, kind_of};
use crate::lock::Lock;
use crate::mark::{Mark, MarkFile, Status};
use crate::{journal, manifest, recover, rewrite, tables};

const FORMAT: &str = "driftless store 1\n";
const FORMAT_PREFIX: &str = "driftless store ";
const KEYSPACE: &str = "rows";
/// Memory that holds what is not in tables yet; what is over it is written out in the background.
const MEMTABLE_BYTES: u64 = 8 * 1024 * 1024;
const CACHE_BYTES: u64 = 4 * 1024 * 1024;
/// The least that the database takes. It starts a new journal once one is over 64 MB.
const JOURNALS_BYTES: u64 = 64 * 1024 * 1024;
/// A start replays the journal, at some ten milliseconds a mebibyte. One that finds more than this rewrites the database,
/// so that the next has nothing to replay, ...
const REWRITE_BYTES: u64 = 1024 * 1024;
/// ... but only if the rows in tables, which it has to copy, are at most so many times as much.
const REWRITE_RATIO: u64 = 8;

/// A store, and what was found when it was opened.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: DiskStore,
    /// What was found.
    pub report: RecoveryReport,
}

/// How a store was left, and what of it is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// How the store was left.
    pub stop: Stop,
    /// The number of the last commit that is there.
    pub last_commit: u64,
    /// The commits that were acknowledged as on disk and are not there: the disk lost them, or somebody changed the files.
    ///
    /// They are told again by the next start, unless something was committed with [`Durability::Disk`] or the store closed.
    ///
    /// [`Durability::Disk`]: driftless_merge::Durability::Disk
    pub missing: Option<RangeInclusive<u64>>,
    /// How many bytes of the journal made no sense and were cut off: a commit that was not finished, or damage.
    pub cut_bytes: u64,
    /// Where the journal of before the cut, by this start or the one before, is kept until the next cut.
    pub journal_copy: Option<PathBuf>,
}

impl RecoveryReport {
    /// Returns whether commits may be gone of which others may know: the caller takes a new incarnation.
    ///
    /// It is also true after a crash in the middle of a commit, for the bytes do not tell which of the two it was, and
    /// again at each start until the store was closed, for the caller may have died before it could act.
    #[must_use]
    pub fn lost_tail(&self) -> bool {
        let is_unsure = matches!(self.stop, Stop::Unsettled | Stop::Unknown);
        self.missing.is_some() || self.cut_bytes > 0 || is_unsure
    }
}

/// How a store was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stop {
    /// There was no store before.
    New,
    /// It was closed.
    Clean,
    /// It was not closed: the process died, or the machine did.
    Unclean,
    /// It was not closed since a start that found a loss: whoever opened it may not have dealt with that.
    Unsettled,
    /// The file that tells was lost or is damaged.
    Unknown,
}

/// Why a store could not be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process, or this one, has the store open. Use that one, or wait until it is closed.
    #[error("the store is in use")]
    InUse,
    /// The directory holds something else, or is none. Choose another.
    #[error("the directory holds something that is not a store")]
    NotAStore,
    /// The store was written by a newer version. Update the app.
    #[error("the store has format version {found:?}")]
    Version {
        /// The version as it stands there.
        found: String,
    },
    /// The directory cannot be written to. Ask for the permission, or choose another.
    #[error(
        "the directory cannot be written to; what is in it was left; give the permission to write, or choose another directory"
    )]
    NotWritable(#[source] Cause),
    /// The disk is full. Make room and try again.
    #[error("the disk is full; what the store has is kept; make room and open it again")]
    Full(#[source] Cause),
    /// The files are not as they were written. Move the directory away and open an empty one: what was synced comes back
    /// from the server.
    #[error("the store is damaged")]
    Damaged(#[source] Cause),
    /// The disk failed. Trying again may help.
    #[error("the store cannot be read")]
    Failed(#[source] Cause),
}

impl OpenError {
    fn from_cause(cause: Cause) -> Self {
        match kind_of(&*cause) {
            Some(ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) => {
                Self::NotWritable(cause)
            }
            kind if is_full(kind) => Self::Full(cause),
            _ => Self::Failed(cause),
        }
    }
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        Self::from_cause(error.into())
    }
}

impl From<fjall::Error> for OpenError {
    fn from(error: fjall::Error) -> Self {
        match error {
            fjall::Error::Locked => Self::InUse,
            error if recover::is_damage(&error) => Self::Damaged(error.into()),
            error => Self::from_cause(error.into()),
        }
    }
}

/// Opens the store in `dir`.
pub(crate) fn open(dir: &Path) -> Result<(Live, RecoveryReport), OpenError> {
    let is_new = check_format(dir)?;
    let lock = Lock::take(&dir.join("lock"))?;
    if is_new {
        write_format(dir)?;
    }
    let (mut mark_file, mark) = MarkFile::open(&dir.join("mark"))?;
    let rows_dir = find_rows(dir, mark)?;
    let copy = dir.join("journal-copy");
    let checked = journal::check(&rows_dir, tables::last(&rows_dir)?)?;
    if let Some(mark) = mark.filter(|_| checked.is_broken()) {
        // What is cut off is not there to be seen again, if this start dies before the caller hears of it.
        mark_file.write_through(Mark {
            status: Status::Unsettled,
            ..mark
        })?;
    }
    let cut_bytes = checked.cut(&copy)?;
    let mut rows = open_rows(&rows_dir)?;
    let last = recover::last_commit(&rows).map_err(OpenError::Damaged)?;
    if checked.whole > REWRITE_BYTES.max(rows.keyspace.disk_space() / REWRITE_RATIO) {
        rows = rewrite::rewrite(dir, rows)?;
    }
    let was_unsettled = mark.is_some_and(|mark| mark.status == Status::Unsettled);
    let report = RecoveryReport {
        stop: stop(mark, last),
        last_commit: last,
        missing: mark
            .filter(|mark| mark.acknowledged > last)
            .map(|mark| last + 1..=mark.acknowledged),
        cut_bytes,
        journal_copy: (cut_bytes > 0 || was_unsettled && copy.exists()).then_some(copy),
    };
    let status = if report.lost_tail() {
        Status::Unsettled
    } else {
        Status::Open
    };
    let missing = report.missing.as_ref();
    mark_file.write_through(Mark {
        status,
        // The next start misses them too, unless there was a commit: the caller has heard of them then.
        acknowledged: missing.map_or(last, |missing| *missing.end()),
    })?;
    let writer = Mutex::new(Writer::new(last, mark_file, status));
    Ok((Live { rows, writer, lock }, report))
}

fn stop(mark: Option<Mark>, last: u64) -> Stop {
    match mark.map(|mark| mark.status) {
        Some(Status::Closed) => Stop::Clean,
        Some(Status::Open) => Stop::Unclean,
        Some(Status::Unsettled) => Stop::Unsettled,
        None if last == 0 => Stop::New,
        None => Stop::Unknown,
    }
}

/// Returns whether `dir` is a place for a new store, and makes it if it is missing.
fn check_format(dir: &Path) -> Result<bool, OpenError> {
    if let Err(error) = fs::create_dir_all(dir) {
        let not_a_dir = matches!(
            error.kind(),
            ErrorKind::AlreadyExists | ErrorKind::NotADirectory
        );
        return Err(if not_a_dir {
            OpenError::NotAStore
        } else {
            error.into()
        });
    }
    match fs::read(dir.join("format")) {
        Ok(format) if format == FORMAT.as_bytes() => Ok(false),
        Ok(format) => Err(refuse(&format)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            for entry in fs::read_dir(dir)? {
                // What a start leaves that ended before the store was one.
                if !["lock", "format.new"]
                    .iter()
                    .any(|&name| entry_is(&entry, name))
                {
                    return Err(OpenError::NotAStore);
                }
            }
            Ok(true)
        }
        Err(error) => Err(error.into()),
    }
}

fn entry_is(entry: &io::Result<fs::DirEntry>, name: &str) -> bool {
    entry.as_ref().is_ok_and(|entry| entry.file_name() == name)
}

fn refuse(format: &[u8]) -> OpenError {
    let text = String::from_utf8_lossy(&format[..format.len().min(64)]);
    match text.strip_prefix(FORMAT_PREFIX) {
        Some(version) => OpenError::Version {
            found: version.trim_end().to_owned(),
        },
        None => OpenError::NotAStore,
    }
}

fn write_format(dir: &Path) -> Result<(), OpenError> {
    let new = dir.join("format.new");
    fs::write(&new, FORMAT)?;
    File::open(&new)?.sync_all()?;
    fs::rename(&new, dir.join("format"))?;
    Ok(journal::sync_dir(dir)?)
}

/// Finishes or takes back what the last start left half done, and returns the database's directory.
fn find_rows(dir: &Path, mark: Option<Mark>) -> Result<PathBuf, OpenError> {
    let [rows, building, discarded] = ["rows", "building", "discarded"].map(|name| dir.join(name));
    remove_dir(&building)?;
    if rows.exists() {
        remove_dir(&discarded)?;
    } else if discarded.exists() {
        fs::rename(&discarded, &rows)?;
    } else if mark.is_none_or(|mark| mark.acknowledged == 0) {
        drop(create_rows(&building)?);
        fs::rename(&building, &rows)?;
    }
    journal::sync_dir(dir)?;
    check_rows(&rows)?;
    Ok(rows)
}

fn remove_dir(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Checks the files without which the database would begin anew, remove what is left, or ask for too much memory.
fn check_rows(rows: &Path) -> Result<(), OpenError> {
    let is_there = |name| rows.join(name).exists();
    if is_there("version")
        && is_there("lock")
        && !journal::list(rows)?.is_empty()
        && manifest::are_whole(rows)?
    {
        return Ok(());
    }
    Err(OpenError::Damaged(
        "a file of the database is missing or damaged".into(),
    ))
}

/// Makes a database without rows.
pub(crate) fn create_rows(path: &Path) -> Result<Rows, OpenError> {
    let db = database(path)?;
    let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
    let keyspace = db.keyspace(KEYSPACE, options)?;
    Ok(Rows { keyspace, db })
}

/// Opens the database at `path`, which checks much by assertion: a panic there is damage.
pub(crate) fn open_rows(path: &Path) -> Result<Rows, OpenError> {
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let db = database(path)?;
        if !db.keyspace_exists(KEYSPACE) {
            return Err(OpenError::Damaged("the keyspace is missing".into()));
        }
        let keyspace = db.keyspace(KEYSPACE, KeyspaceCreateOptions::default)?;
        Ok(Rows { keyspace, db })
    }));
    opened.unwrap_or_else(|_| Err(OpenError::Damaged("the database cannot be read".into())))
}

fn database(path: &Path) -> fjall::Result<Database> {
    // Rows are compact or small, and the check of the journal is simpler without compression.
    Database::builder(path)
        .journal_compression(CompressionType::None)
        .max_journaling_size(JOURNALS_BYTES)
        .cache_size(CACHE_BYTES)
        .worker_threads(1)
        .open()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_sorted_by_what_to_do() {
        let sort = |kind| OpenError::from(io::Error::from(kind));
        assert!(matches!(
            sort(ErrorKind::ReadOnlyFilesystem),
            OpenError::NotWritable(_)
        ));
        assert!(matches!(sort(ErrorKind::StorageFull), OpenError::Full(_)));
        assert!(matches!(sort(ErrorKind::Other), OpenError::Failed(_)));
        let torn = fjall::Error::Io(ErrorKind::UnexpectedEof.into());
        assert!(matches!(OpenError::from(torn), OpenError::Damaged(_)));
    }
}
