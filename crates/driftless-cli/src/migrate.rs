//! Copying the datasets of identities from one service to another, record by record.
//!
//! What is copied is the keys and values that stand; tombstones are not, and counts start anew at the target, so that a
//! device lists from the beginning there. A dataset is copied by one UpdateRecords and listed again afterwards: it counts as
//! copied once both sides hold the same bytes.
//!
//! The rule: nothing at the target is overwritten but what this very migration wrote, which its [`Journal`] knows.

mod journal;
mod records;

use std::sync::Arc;

use driftless::transport::{ExchangeError, Transport};
use driftless_wire::{DatasetName, IdentityId, IdentityPoolId, limits};

pub use journal::{Journal, JournalError};
use records::{Address, Records};

/// One of the two services.
#[derive(Clone)]
pub struct Side {
    /// The way there.
    pub transport: Arc<dyn Transport>,
    /// The identity pool.
    pub pool: IdentityPoolId,
}

impl std::fmt::Debug for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Side").field("pool", &self.pool).finish_non_exhaustive()
    }
}

/// What the target allows.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Bytes of the keys and values of a dataset.
    pub bytes: usize,
    /// Records of a dataset.
    pub records: usize,
    /// Datasets of an identity.
    pub datasets: usize,
}

impl Default for Room {
    /// Returns the quotas that Amazon documents.
    fn default() -> Self {
        Self {
            bytes: limits::DATASET_BYTES,
            records: limits::RECORDS_PER_DATASET,
            datasets: limits::DATASETS_PER_IDENTITY,
        }
    }
}

/// Whose data are copied, and whose they are at the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The identity at the source.
    pub from: IdentityId,
    /// The identity at the target, often the same.
    pub to: IdentityId,
}

/// What became of one dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Both sides hold the same bytes.
    Copied,
    /// An earlier run copied it.
    CopiedBefore,
    /// A dry run found nothing against it.
    Possible,
    /// It was left out; nothing of it was written by this run.
    LeftOut(Reason),
}

/// Why a dataset is left out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The target holds records that this migration did not write.
    #[error("the target holds {records} records of its own")]
    NotEmpty {
        /// How many.
        records: usize,
    },
    /// It has more bytes than the target allows.
    #[error("it has {bytes} bytes, the target allows {limit}")]
    Bytes {
        /// How many.
        bytes: usize,
        /// How many there may be.
        limit: usize,
    },
    /// It has more records than the target allows.
    #[error("it has {records} records, the target allows {limit}")]
    Records {
        /// How many.
        records: usize,
        /// How many there may be.
        limit: usize,
    },
    /// The target allows no more datasets.
    #[error("the target allows {limit} datasets of an identity")]
    Datasets {
        /// How many there may be.
        limit: usize,
    },
    /// A merge of identities left it, or left others for it. Synchronize first, so that they are folded in.
    #[error("a merge of identities is not folded in yet")]
    Merged,
    /// Somebody writes it meanwhile. Run again.
    #[error("it changed while it was copied")]
    Changed,
    /// The target does not show what was written there: it or a Lambda of its pool changed it.
    #[error("the target shows other bytes than were written")]
    Differs,
}

/// One dataset and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Whose it is.
    pub person: Person,
    /// Its name.
    pub dataset: DatasetName,
    /// Records that stand at the source; none if an earlier run copied it.
    pub records: usize,
    /// Bytes of their keys and values.
    pub bytes: usize,
    /// What became of it.
    pub outcome: Outcome,
}

/// Why a migration stops. What was copied stays, and a run with the same journal goes on.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A service could not be asked, or refused.
    #[error("the {side} could not be asked")]
    Exchange {
        /// Which one.
        side: &'static str,
        /// Why.
        source: ExchangeError,
    },
    /// A service answered what it was not asked, or without end.
    #[error("the {side} gave an answer that makes no sense")]
    Answer {
        /// Which one.
        side: &'static str,
    },
    /// The journal cannot be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// A migration from one service to another.
#[derive(Clone, Debug)]
pub struct Migration {
    /// Where the data are.
    pub from: Side,
    /// Where they go.
    pub to: Side,
    /// What the target allows.
    pub room: Room,
}

impl Migration {
    /// Copies the datasets of one person, or without a journal only looks whether that is possible.
    ///
    /// `tell` hears of each dataset when its outcome is known.
    ///
    /// # Errors
    ///
    /// [`MigrateError`]; what `tell` heard of stands.
    pub async fn run(
        &self,
        person: &Person,
        mut journal: Option<&mut Journal>,
        mut tell: impl FnMut(Copied),
    ) -> Result<(), MigrateError> {
        let source = Address::new("source", &self.from, &person.from);
        let target = Address::new("target", &self.to, &person.to);
        let mut there = target.datasets().await?;
        for dataset in source.datasets().await? {
            let (records, outcome) = match &mut journal {
                Some(journal) if journal.is_done(person, &dataset) => {
                    (Records::default(), Outcome::CopiedBefore)
                }
                _ if is_left_of_merge(&dataset) => {
                    (Records::default(), Outcome::LeftOut(Reason::Merged))
                }
                journal => {
                    there.insert(dataset.clone());
                    let records = source.records(&dataset).await?;
                    let outcome = match self.refusal(&records, there.len()) {
                        Some(reason) => Outcome::LeftOut(reason),
                        None => {
                            let pair = (&source, &target);
                            copy(pair, person, &dataset, &records, journal.as_deref_mut()).await?
                        }
                    };
                    if matches!(outcome, Outcome::LeftOut(_)) && !records.is_begun(journal, person, &dataset) {
                        there.remove(&dataset);
                    }
                    (records, outcome)
                }
            };
            tell(Copied {
                person: person.clone(),
                dataset,
                records: records.len(),
                bytes: records.bytes(),
                outcome,
            });
        }
        Ok(())
    }

    fn refusal(&self, records: &Records, datasets: usize) -> Option<Reason> {
        let Room { bytes, records: most, datasets: limit } = self.room;
        if records.has_merged {
            return Some(Reason::Merged);
        }
        if records.len() > most {
            let records = records.len();
            return Some(Reason::Records { records, limit: most });
        }
        if records.bytes() > bytes {
            let (bytes, limit) = (records.bytes(), bytes);
            return Some(Reason::Bytes { bytes, limit });
        }
        (datasets > limit).then_some(Reason::Datasets { limit })
    }
}
