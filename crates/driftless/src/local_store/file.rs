//! Opening the files that old clients left: whatever stands there, it is read once, to a limit, and nothing waits for it.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::local_store::LocalStoreError;

/// Opens a file to be read and returns how long it is.
///
/// What is no file has no end, as a device, or may have no beginning: to open a pipe waits for somebody who writes.
pub(super) fn open(path: &Path) -> Result<(File, u64), LocalStoreError> {
    let failed = |source| failed(path, source);
    check(path, &fs::metadata(path).map_err(failed)?)?;
    let file = File::open(path).map_err(failed)?;
    // Another one may stand there by now.
    let found = file.metadata().map_err(failed)?;
    check(path, &found)?;
    Ok((file, found.len()))
}

fn check(path: &Path, found: &fs::Metadata) -> Result<(), LocalStoreError> {
    match found.is_file() {
        true => Ok(()),
        false => Err(LocalStoreError::OtherKind {
            what: format!("{} is no regular file", path.display()),
        }),
    }
}

pub(super) fn failed(path: &Path, source: io::Error) -> LocalStoreError {
    LocalStoreError::Io {
        path: path.to_owned(),
        source,
    }
}
