//! The bytes of a row: a version byte and JSON, or a number. What is not exactly that is refused.

use driftless_wire::{Record, RecordKey, SyncCount, Timestamp};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::storage::{Address, Head, Live, Owner, StorageError};

const VERSION: u8 = 1;

pub(super) fn split_head_key(key: &[u8]) -> Result<Address, StorageError> {
    let parts: Vec<&[u8]> = key.split(|byte| *byte == super::NUL).collect();
    let [pool, identity, dataset] = parts[..] else {
        return Err(StorageError::Damaged {
            row: "head",
            why: "its key has not three parts",
        });
    };
    Ok(Address {
        owner: Owner {
            pool: text("head", pool)?,
            identity: text("head", identity)?,
        },
        dataset: text("head", dataset)?,
    })
}

pub(super) fn split_log_key(rest: &[u8]) -> Result<(SyncCount, RecordKey), StorageError> {
    match rest.split_at_checked(size_of::<i64>()) {
        Some((count, key)) => Ok((decode_count("log", count)?, text("log", key)?)),
        None => Err(StorageError::Damaged {
            row: "log",
            why: "its key is short",
        }),
    }
}

pub(super) fn decode_count(row: &'static str, bytes: &[u8]) -> Result<SyncCount, StorageError> {
    let count = bytes.try_into().ok().map(i64::from_be_bytes);
    count
        .and_then(|count| SyncCount::try_from(count).ok())
        .ok_or(StorageError::Damaged {
            row,
            why: "its count is none",
        })
}

pub(super) fn text<T: TryFrom<String>>(row: &'static str, bytes: &[u8]) -> Result<T, StorageError> {
    std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| T::try_from(text.to_owned()).ok())
        .ok_or(StorageError::Damaged {
            row,
            why: "its name is none",
        })
}

pub(super) fn encode(row: &impl Serialize) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    serde_json::to_writer(&mut bytes, row).expect("rows are strings and integers");
    bytes
}

pub(super) fn decode<T: DeserializeOwned>(
    row: &'static str,
    bytes: &[u8],
) -> Result<T, StorageError> {
    match bytes.split_first() {
        Some((&VERSION, json)) => serde_json::from_slice(json).map_err(|_| StorageError::Damaged {
            row,
            why: "it is not of the form it claims",
        }),
        Some(_) => Err(StorageError::Damaged {
            row,
            why: "its version is unknown",
        }),
        None => Err(StorageError::Damaged {
            row,
            why: "it is empty",
        }),
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct HeadRow {
    count: i64,
    deleted_at: i64,
    /// Absent in most rows, and in all that were written before datasets could move.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    adopted_at: Option<i64>,
    live: Option<LiveRow>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct LiveRow {
    created: i64,
    modified: i64,
    modified_by: String,
    records: u64,
    bytes: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct RecordRow {
    value: Option<String>,
    modified: Option<i64>,
    modified_by: Option<String>,
    device_modified: Option<i64>,
}

impl HeadRow {
    pub(super) fn from_head(head: &Head) -> Self {
        Self {
            count: head.count.get(),
            deleted_at: head.deleted_at.get(),
            adopted_at: Some(head.adopted_at.get()).filter(|count| *count > 0),
            live: head.live.as_ref().map(|live| LiveRow {
                created: live.created.as_millis(),
                modified: live.modified.as_millis(),
                modified_by: live.modified_by.clone(),
                records: live.records,
                bytes: live.bytes,
            }),
        }
    }

    pub(super) fn into_head(self) -> Result<Head, StorageError> {
        let count = |count| {
            SyncCount::try_from(count).map_err(|_| StorageError::Damaged {
                row: "head",
                why: "its count is below zero",
            })
        };
        Ok(Head {
            count: count(self.count)?,
            deleted_at: count(self.deleted_at)?,
            adopted_at: count(self.adopted_at.unwrap_or_default())?,
            live: self.live.map(|live| Live {
                created: Timestamp::from_millis(live.created),
                modified: Timestamp::from_millis(live.modified),
                modified_by: live.modified_by,
                records: live.records,
                bytes: live.bytes,
            }),
        })
    }
}

impl RecordRow {
    pub(super) fn from_record(record: &Record) -> Self {
        Self {
            value: record.value.clone(),
            modified: record.last_modified_date.map(Timestamp::as_millis),
            modified_by: record.last_modified_by.clone(),
            device_modified: record.device_last_modified_date.map(Timestamp::as_millis),
        }
    }

    pub(super) fn into_record(self, count: SyncCount, key: RecordKey) -> Record {
        Record {
            key,
            value: self.value,
            sync_count: count,
            last_modified_date: self.modified.map(Timestamp::from_millis),
            last_modified_by: self.modified_by,
            device_last_modified_date: self.device_modified.map(Timestamp::from_millis),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], why: &str) {
        let Err(StorageError::Damaged { why: found, .. }) = decode::<HeadRow>("head", bytes) else {
            panic!("{bytes:?} was read");
        };
        assert_eq!(found, why);
    }

    #[test]
    fn row_of_another_version_is_refused() {
        check(b"", "it is empty");
        check(b"\x02{}", "its version is unknown");
        check(b"\x01{}", "it is not of the form it claims");
        check(
            b"\x01{\"count\":1,\"deleted_at\":0,\"live\":null}x",
            "it is not of the form it claims",
        );
    }

    #[test]
    fn row_from_before_datasets_could_move_is_read_and_written_as_it_was() {
        let row = b"\x01{\"count\":3,\"deleted_at\":2,\"live\":null}";
        let head = decode::<HeadRow>("head", row).unwrap().into_head().unwrap();
        assert_eq!((head.count, head.adopted_at), (3.into(), SyncCount::ZERO));
        assert_eq!(encode(&HeadRow::from_head(&head)), row);
    }

    #[test]
    fn count_below_zero_is_refused() {
        let row = decode::<HeadRow>("head", b"\x01{\"count\":-1,\"deleted_at\":0,\"live\":null}");
        assert!(row.unwrap().into_head().is_err());
        assert!(decode_count("place", &(-1_i64).to_be_bytes()).is_err());
        assert!(decode_count("place", &[0; 7]).is_err());
    }

    #[test]
    fn damaged_head_key_is_refused() {
        for key in [&b"r:0\0r:1"[..], b"r:0\0r:1\0d\0", b"r:0\0nobody\0d", b""] {
            assert!(split_head_key(key).is_err(), "{key:?}");
        }
        let address = split_head_key(b"r:0\0r:1\0d").unwrap();
        assert_eq!(address.dataset.as_str(), "d");
    }

    #[test]
    fn damaged_log_key_is_refused() {
        assert!(split_log_key(&[0; 7]).is_err());
        assert!(split_log_key(&[0; 8]).is_err(), "a record has a key");
        assert!(split_log_key(b"\0\0\0\0\0\0\0\x01\xff").is_err());
        let (count, key) = split_log_key(b"\0\0\0\0\0\0\0\x01k").unwrap();
        assert_eq!((count.get(), key.as_str()), (1, "k"));
    }
}
