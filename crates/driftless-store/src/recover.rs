//! Reading rows back: what a dataset's rows add up to, and whether they are all there.

use std::io::ErrorKind;

use driftless_merge::{DatasetKey, Owner, Recovered};
use driftless_wire::{DatasetName, RecordKey};
use fjall::{Readable, Slice, Snapshot};

use crate::disk::Rows;
use crate::error::{Cause, Damage, RecoverError, Row, kind_of};
use crate::schema::{self, Fault, Head, Kind};

/// Returns the sum of a dataset's commits.
pub(crate) fn recover(
    rows: &Rows,
    dataset: &DatasetKey,
) -> Result<Option<Recovered>, RecoverError> {
    let reader = Reader::new(rows, dataset);
    let Some(head) = reader.head()? else {
        return reader.expect_nothing().map(|()| None);
    };
    Ok(Some(Recovered {
        state: reader.part(Kind::Base, Row::State, head.has_base)?,
        deltas: reader.deltas(head)?,
        records: reader.records()?,
        sync: reader.part(Kind::Sync, Row::Sync, head.has_sync)?,
    }))
}

/// Returns the saved document of a dataset.
pub(crate) fn document(rows: &Rows, dataset: &DatasetKey) -> Result<Option<Vec<u8>>, RecoverError> {
    let reader = Reader::new(rows, dataset);
    match reader.head()? {
        Some(head) => reader.part(Kind::Document, Row::Document, head.has_document),
        None => Ok(None),
    }
}

/// Returns the head row of a dataset.
pub(crate) fn head(rows: &Rows, dataset: &DatasetKey) -> Result<Option<Head>, RecoverError> {
    Reader::new(rows, dataset).head()
}

/// Returns the keys of a dataset's rows of one kind.
pub(crate) fn keys(
    rows: &Rows,
    dataset: &DatasetKey,
    kind: Kind,
) -> Result<Vec<Slice>, RecoverError> {
    rows.keyspace
        .prefix(kind.key(dataset))
        .map(|row| row.key().map_err(|error| unreadable(dataset, error)))
        .collect()
}

/// Returns the datasets in the store, or those of one owner, in the order of their keys.
pub(crate) fn datasets(
    rows: &Rows,
    owner: Option<&Owner>,
) -> Result<Vec<DatasetKey>, RecoverError> {
    let prefix = owner.map_or_else(|| vec![Kind::Head as u8], |owner| Kind::Head.prefix(owner));
    rows.keyspace
        .prefix(prefix)
        .map(|row| {
            let key = row
                .key()
                .map_err(|error| RecoverError::List(Some(error.into())))?;
            schema::parse_head_key(&key).ok_or(RecoverError::List(None))
        })
        .collect()
}

/// Returns the names of an owner's datasets.
pub(crate) fn names(rows: &Rows, owner: &Owner) -> Result<Vec<DatasetName>, RecoverError> {
    let mut names: Vec<_> = datasets(rows, Some(owner))?
        .iter()
        .map(|dataset| dataset.name().clone())
        .collect();
    names.sort();
    Ok(names)
}

/// Returns the owners of datasets.
pub(crate) fn owners(rows: &Rows) -> Result<Vec<Owner>, RecoverError> {
    let mut owners: Vec<_> = datasets(rows, None)?
        .iter()
        .map(|dataset| dataset.owner().clone())
        .collect();
    owners.sort();
    owners.dedup();
    Ok(owners)
}

/// Returns the value of a setting.
pub(crate) fn setting(rows: &Rows, name: &str) -> Result<Option<Vec<u8>>, RecoverError> {
    let key = schema::setting_key(name);
    let damaged = || RecoverError::Setting {
        name: name.to_owned(),
    };
    let value = rows.keyspace.get(&key).map_err(|error| {
        if is_damage(&error) {
            damaged()
        } else {
            RecoverError::Failed(error.into())
        }
    })?;
    let body = value
        .as_deref()
        .map(|value| schema::unseal(&key, value))
        .transpose();
    body.map(|body| body.map(<[u8]>::to_vec))
        .map_err(|_| damaged())
}

/// Returns the names of the settings that begin with a prefix.
pub(crate) fn settings(rows: &Rows, prefix: &str) -> Result<Vec<String>, RecoverError> {
    rows.keyspace
        .prefix(schema::setting_key(prefix))
        .map(|row| {
            let key = row
                .key()
                .map_err(|error| RecoverError::List(Some(error.into())))?;
            schema::parse_setting_key(&key).ok_or(RecoverError::List(None))
        })
        .collect()
}

/// Reads one dataset as it was at one moment, whatever is committed meanwhile.
struct Reader<'a> {
    rows: &'a Rows,
    snapshot: Snapshot,
    dataset: &'a DatasetKey,
}

impl<'a> Reader<'a> {
    fn new(rows: &'a Rows, dataset: &'a DatasetKey) -> Self {
        Self {
            rows,
            snapshot: rows.db.snapshot(),
            dataset,
        }
    }

    fn head(&self) -> Result<Option<Head>, RecoverError> {
        let body = self.get(&Kind::Head.key(self.dataset), Row::Head)?;
        body.map(|body| {
            Head::from_body(&body).ok_or_else(|| self.damage(Damage::Content { row: Row::Head }))
        })
        .transpose()
    }

    /// Checks that a dataset without a head row has no other row either.
    fn expect_nothing(&self) -> Result<(), RecoverError> {
        for kind in Kind::OF_DATASET {
            if self.scan(kind).next().is_some() {
                return Err(self.damage(Damage::Missing { row: Row::Head }));
            }
        }
        Ok(())
    }

    /// Returns a row of which there is one, or none, as the head says.
    fn part(&self, kind: Kind, row: Row, expected: bool) -> Result<Option<Vec<u8>>, RecoverError> {
        let body = self.get(&kind.key(self.dataset), row)?;
        match (expected, &body) {
            (true, None) => Err(self.damage(Damage::Missing { row })),
            (false, Some(_)) => Err(self.damage(Damage::Surplus { row })),
            _ => Ok(body),
        }
    }

    fn deltas(&self, head: Head) -> Result<Vec<Vec<u8>>, RecoverError> {
        let mut deltas = Vec::new();
        let mut expected = head.first;
        for row in self.scan(Kind::Log) {
            let (key, value) = row?;
            let number = self.log_number(&key)?;
            let row = Row::Delta(number);
            if number < expected || number >= head.next {
                return Err(self.damage(Damage::Surplus { row }));
            }
            if number > expected {
                return Err(self.damage(Damage::Missing {
                    row: Row::Delta(expected),
                }));
            }
            deltas.push(self.unseal(&key, &value, row)?);
            expected += 1;
        }
        if expected < head.next {
            return Err(self.damage(Damage::Missing {
                row: Row::Delta(expected),
            }));
        }
        Ok(deltas)
    }

    fn log_number(&self, key: &[u8]) -> Result<u64, RecoverError> {
        let number = key[Kind::Log.key(self.dataset).len()..]
            .try_into()
            .ok()
            .map(u64::from_be_bytes);
        number.ok_or_else(|| self.damage(Damage::Content { row: Row::Delta(0) }))
    }

    fn records(&self) -> Result<Records, RecoverError> {
        self.scan(Kind::Record)
            .map(|row| {
                let (key, value) = row?;
                let body = self.unseal(&key, &value, Row::Record)?;
                let name = str::from_utf8(&key[Kind::Record.key(self.dataset).len()..]).ok();
                let name = name.and_then(|name| RecordKey::try_from(name).ok());
                name.zip(schema::record_from_body(&body))
                    .ok_or_else(|| self.damage(Damage::Content { row: Row::Record }))
            })
            .collect()
    }

    fn get(&self, key: &[u8], row: Row) -> Result<Option<Vec<u8>>, RecoverError> {
        let value = self.snapshot.get(&self.rows.keyspace, key);
        let value = value.map_err(|error| unreadable(self.dataset, error))?;
        value.map(|value| self.unseal(key, &value, row)).transpose()
    }

    fn scan(&self, kind: Kind) -> impl Iterator<Item = Result<(Slice, Slice), RecoverError>> {
        let rows = self
            .snapshot
            .prefix(&self.rows.keyspace, kind.key(self.dataset));
        rows.map(|row| {
            row.into_inner()
                .map_err(|error| unreadable(self.dataset, error))
        })
    }

    fn unseal(&self, key: &[u8], value: &[u8], row: Row) -> Result<Vec<u8>, RecoverError> {
        schema::unseal(key, value)
            .map(<[u8]>::to_vec)
            .map_err(|fault| match fault {
                Fault::Checksum => self.damage(Damage::Checksum { row }),
                Fault::Version(found) => RecoverError::Version {
                    dataset: self.dataset.clone(),
                    row,
                    found,
                },
            })
    }

    fn damage(&self, damage: Damage) -> RecoverError {
        RecoverError::Damaged {
            dataset: self.dataset.clone(),
            damage,
        }
    }
}

type Records = std::collections::BTreeMap<RecordKey, driftless_merge::MirroredRecord>;

fn unreadable(dataset: &DatasetKey, error: fjall::Error) -> RecoverError {
    if is_damage(&error) {
        let damage = Damage::Unreadable(error.into());
        return RecoverError::Damaged {
            dataset: dataset.clone(),
            damage,
        };
    }
    RecoverError::Failed(error.into())
}

/// Tells files that are not as they were written from a disk that fails or is full.
///
/// An invalid input is a place before the beginning of a file that was cut: the database reads tables from their end.
pub(crate) fn is_damage(error: &fjall::Error) -> bool {
    use ErrorKind::{InvalidData, InvalidInput, NotFound, UnexpectedEof};
    matches!(
        kind_of(error),
        None | Some(InvalidData | InvalidInput | NotFound | UnexpectedEof)
    )
}

/// Returns the number of the last commit, which the commit row holds.
pub(crate) fn last_commit(rows: &Rows) -> Result<u64, Cause> {
    let key = schema::commit_key();
    let Some(value) = rows.keyspace.get(&key)? else {
        return Ok(0);
    };
    schema::commit_number(&key, &value).ok_or_else(|| "the commit row is damaged".into())
}
