//! Copies datasets of an identity from one Cognito Sync service to another, record by record.
//!
//! A dataset is read whole, checked against the limits, written by one update, and listed again at both ends: it counts as
//! copied only if the target has every value as the source still has it. It does not understand what it copies.
//!
//! Two rules: **what the target has is never replaced**, for each patch claims that its record does not exist; and what was
//! begun is in the [`Journal`] before the first byte is sent, so that a later run tells its own records from those of others.
//!
//! Counts start anew at the target. Tombstones stay behind, for they only speak to devices that know the counts of the source.

mod journal;
mod service;

use std::fmt;

use driftless::transport::ExchangeError;
use driftless_wire::{DatasetName, ErrorCode, IdentityId, Op, RecordPatch, SyncCount, limits};
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use self::journal::{Journal, JournalError, Route};
pub use self::service::{Service, ServiceError};

use self::service::Listed;

/// Whose data are copied, and whose they are at the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The identity at the source.
    pub source: IdentityId,
    /// The identity at the target.
    pub target: IdentityId,
}

/// What became of a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The target has all of it, which was seen by listing it there.
    Copied(Amount),
    /// An earlier run has copied so much; nothing was asked or sent. A journal from before amounts were noted has none.
    Done(Option<Amount>),
    /// It would be copied; nothing was sent.
    Possible(Amount),
    /// It was not copied.
    Refused(Refusal),
}

/// How much was or would be copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Amount {
    /// Records with a value.
    pub records: usize,
    /// Bytes of their keys and values.
    pub bytes: usize,
    /// Tombstones, which stay behind.
    pub tombstones: usize,
}

/// Why a dataset was not copied.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The target has records in a dataset of this name that are not of this migration; they were not touched.
    #[error("the target has other records in it")]
    NotEmpty,
    /// It has more records than a service takes; nothing was sent.
    #[error("it has {0} records, {max} are allowed", max = limits::RECORDS_PER_DATASET)]
    TooManyRecords(usize),
    /// It has more bytes than a service takes; nothing was sent.
    #[error("it has {0} bytes, {max} are allowed", max = limits::DATASET_BYTES)]
    TooLarge(usize),
    /// The target refused it, often for a limit of its own. It takes an update as a whole or not at all.
    #[error("the target refused it: {0}")]
    Rejected(String),
    /// Something wrote to it meanwhile, at the source or at the target. Stop the devices and run the migration again.
    #[error("it was changed while it was copied")]
    Changed,
}

/// Why a migration stopped. What it copied stays; run it again with the same journal.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MigrateError {
    /// A service could not be asked.
    #[error(
        "the {end} failed; what was copied stays there, run the same command again to go on with the rest"
    )]
    Service {
        /// Which.
        end: End,
        /// Why.
        source: ServiceError,
    },
    /// The journal could not be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// One of the two services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Where data come from.
    Source,
    /// Where they go.
    Target,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Target => "target",
        })
    }
}

impl End {
    fn failed(self, source: ServiceError) -> MigrateError {
        MigrateError::Service { end: self, source }
    }
}

/// A migration between two services.
#[derive(Debug)]
pub struct Migration {
    source: Service,
    target: Service,
}

impl Migration {
    /// Returns a migration from one service to another.
    #[must_use]
    pub fn new(source: Service, target: Service) -> Self {
        Self { source, target }
    }

    /// Returns the datasets that an identity has at the source.
    ///
    /// # Errors
    ///
    /// [`MigrateError::Service`] if the source cannot be asked.
    pub async fn datasets(&self, owner: &Owner) -> Result<Vec<DatasetName>, MigrateError> {
        let listed = self.source.datasets(&owner.source).await;
        listed.map_err(|error| End::Source.failed(error))
    }

    /// Tells what [`copy`](Self::copy) would do, and sends nothing. A limit that only the target knows is not foreseen.
    ///
    /// # Errors
    ///
    /// [`MigrateError::Service`] if one of the two cannot be asked.
    pub async fn foresee(
        &self,
        owner: &Owner,
        name: &DatasetName,
    ) -> Result<Outcome, MigrateError> {
        let from = self.read(End::Source, owner, name).await?;
        let amount = match checked(&from) {
            Ok(amount) => amount,
            Err(refusal) => return Ok(Outcome::Refused(refusal)),
        };
        let to = self.read(End::Target, owner, name).await?;
        Ok(match to.records.is_empty() {
            true => Outcome::Possible(amount),
            false => Outcome::Refused(Refusal::NotEmpty),
        })
    }

    /// Copies a dataset, unless the journal says that this was done. It takes five lists and an update at most.
    ///
    /// An answer that is lost on the way does no harm: what is at the target is found out by listing.
    ///
    /// # Errors
    ///
    /// [`MigrateError`]; the dataset is then at the target as a whole, not at all, or (if that service tears updates) in part,
    /// and another call with the same journal goes on from there.
    pub async fn copy(
        &self,
        owner: &Owner,
        name: &DatasetName,
        journal: &mut Journal,
    ) -> Result<Outcome, MigrateError> {
        if let Some(amount) = journal.done(&owner.source, name) {
            return Ok(Outcome::Done(amount));
        }
        let from = self.read(End::Source, owner, name).await?;
        let amount = match checked(&from) {
            Ok(amount) => amount,
            Err(refusal) => return Ok(Outcome::Refused(refusal)),
        };
        let to = self.read(End::Target, owner, name).await?;
        let is_ours = journal.is_begun(&owner.source, name);
        if !is_ours && !to.records.is_empty() {
            return Ok(Outcome::Refused(Refusal::NotEmpty));
        }
        if !is_part(&to, &from) {
            return Ok(Outcome::Refused(Refusal::Changed));
        }
        journal.begin(&owner.source, name)?;
        if let Some(refusal) = self.write(owner, name, &from, to).await? {
            return Ok(Outcome::Refused(refusal));
        }
        if !self.is_verified(owner, name, &from).await? {
            return Ok(Outcome::Refused(Refusal::Changed));
        }
        journal.finish(&owner.source, name, amount)?;
        Ok(Outcome::Copied(amount))
    }

    async fn read(
        &self,
        end: End,
        owner: &Owner,
        name: &DatasetName,
    ) -> Result<Listed, MigrateError> {
        let listed = match end {
            End::Source => self.source.records(&owner.source, name).await,
            End::Target => self.target.records(&owner.target, name).await,
        };
        listed.map_err(|error| end.failed(error))
    }

    /// Sends what the target lacks, if anything, and returns why the target does not take it.
    async fn write(
        &self,
        owner: &Owner,
        name: &DatasetName,
        from: &Listed,
        to: Listed,
    ) -> Result<Option<Refusal>, MigrateError> {
        let patches = patches(from, &to);
        if patches.is_empty() {
            return Ok(None);
        }
        let sent = self.target.update(&owner.target, name, to, patches).await;
        let Err(error) = sent else { return Ok(None) };
        let ServiceError::Request(ExchangeError::Api(answer)) = &error else {
            return unknown(error);
        };
        match answer.code {
            ErrorCode::ResourceConflict => Ok(Some(Refusal::Changed)),
            ErrorCode::LimitExceeded | ErrorCode::InvalidParameter => {
                Ok(Some(Refusal::Rejected(answer.to_string())))
            }
            _ => unknown(error),
        }
    }

    async fn is_verified(
        &self,
        owner: &Owner,
        name: &DatasetName,
        from: &Listed,
    ) -> Result<bool, MigrateError> {
        let there = self.read(End::Target, owner, name).await?;
        let here = self.read(End::Source, owner, name).await?;
        let values = |of: &Listed| {
            of.values()
                .map(|(k, v)| (k.clone(), v.to_owned()))
                .collect()
        };
        let (there, copied): (Vec<_>, Vec<_>) = (values(&there), values(from));
        Ok(there == copied && here.sync_count == from.sync_count)
    }
}

/// Goes on to list if the update may have been carried out, and fails otherwise.
fn unknown(error: ServiceError) -> Result<Option<Refusal>, MigrateError> {
    match &error {
        ServiceError::Request(request) if request.outcome_unknown() => Ok(None),
        _ => Err(End::Target.failed(error)),
    }
}

/// Returns how much there is to copy, if a service takes that much.
fn checked(from: &Listed) -> Result<Amount, Refusal> {
    let sizes = from
        .values()
        .map(|(key, value)| key.as_str().len() + value.len());
    let (records, bytes) = sizes.fold((0, 0), |(count, sum), size| (count + 1, sum + size));
    if records > limits::RECORDS_PER_DATASET {
        return Err(Refusal::TooManyRecords(records));
    }
    if bytes > limits::DATASET_BYTES {
        return Err(Refusal::TooLarge(bytes));
    }
    Ok(Amount {
        records,
        bytes,
        tombstones: from.records.len() - records,
    })
}

/// Tells whether all that stands in `to` stands in `from` too.
fn is_part(to: &Listed, from: &Listed) -> bool {
    let mut records = to.records.values();
    records.all(|there| from.value(&there.key) == there.value.as_deref())
}

/// Returns what puts there what is not there yet, each under the claim that it does not exist.
fn patches(from: &Listed, to: &Listed) -> Vec<RecordPatch> {
    let records = from.records.values();
    let missing = records.filter(|it| it.value.is_some() && to.value(&it.key).is_none());
    let patches = missing.map(|record| RecordPatch {
        op: Op::Replace,
        key: record.key.clone(),
        value: record.value.clone(),
        sync_count: SyncCount::ZERO,
        device_last_modified_date: record.device_last_modified_date,
    });
    patches.collect()
}
