//! The database's lists of tables, checked before the database reads them.
//!
//! A keyspace begins anew, or is removed, if a file of its list is missing, and a list with a changed length makes the
//! database (lsm-tree 3.1) ask for any amount of memory. It writes a checksum of each list and does not look at it; so
//! that is done here.
//!
//! ```text
//! keyspaces/<id>/current     number of the list u64 LE | its xxh3 u128 LE | 0
//! keyspaces/<id>/v<number>   the list
//! ```

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use xxhash_rust::xxh3::xxh3_128;

/// Returns whether the lists of all keyspaces in `rows` are there and as they were written.
pub(crate) fn are_whole(rows: &Path) -> io::Result<bool> {
    let mut count = 0;
    for entry in or_missing(fs::read_dir(rows.join("keyspaces")))?
        .into_iter()
        .flatten()
    {
        if !is_whole(&entry?.path())? {
            return Ok(false);
        }
        count += 1;
    }
    // The database's own keyspace and ours.
    Ok(count == 2)
}

fn is_whole(keyspace: &Path) -> io::Result<bool> {
    let Some(current) = or_missing(fs::read(keyspace.join("current")))? else {
        return Ok(false);
    };
    let Some((number, rest)) = current
        .split_first_chunk()
        .map(|(n, rest)| (u64::from_le_bytes(*n), rest))
    else {
        return Ok(false);
    };
    let Some(list) = or_missing(fs::read(keyspace.join(format!("v{number}"))))? else {
        return Ok(false);
    };
    Ok(rest == [xxh3_128(&list).to_le_bytes().as_slice(), &[0]].concat())
}

/// Tells a missing file from a disk that fails.
fn or_missing<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use super::*;
    use crate::open::create_rows;

    #[test]
    fn any_changed_bit_and_any_missing_file_is_noticed() {
        let home = tempfile::tempdir().unwrap();
        let rows = home.path().join("rows");
        drop(create_rows(&rows).unwrap());
        assert!(are_whole(&rows).unwrap());
        for keyspace in fs::read_dir(rows.join("keyspaces")).unwrap() {
            let current = keyspace.unwrap().path().join("current");
            let number = fs::read(&current).unwrap()[0];
            for file in [current.with_file_name(format!("v{number}")), current] {
                let whole = fs::read(&file).unwrap();
                for bit in 0..whole.len() * 8 {
                    let mut rotten = whole.clone();
                    rotten[bit / 8] ^= 1 << (bit % 8);
                    // In place, for a file system may sync what was truncated and written anew.
                    File::options()
                        .write(true)
                        .open(&file)
                        .unwrap()
                        .write_all(&rotten)
                        .unwrap();
                    assert!(
                        !are_whole(&rows).unwrap(),
                        "bit {bit} of {}",
                        file.display()
                    );
                }
                fs::remove_file(&file).unwrap();
                assert!(!are_whole(&rows).unwrap());
                fs::write(&file, whole).unwrap();
            }
        }
        assert!(are_whole(&rows).unwrap());
    }
}
