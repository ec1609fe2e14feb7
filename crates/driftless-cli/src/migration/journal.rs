//! What a migration has begun and done, in a file of JSON lines that only grows.
//!
//! The first line says from where to where; each other one that a dataset was begun, or is done. A line counts once it is
//! on disk with its end; a last one without, of a run that was killed, is cut off.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use driftless_wire::{DatasetName, IdentityId, IdentityPoolId};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Amount;

const VERSION: u32 = 1;

/// From where to where data go: what tells one migration from another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The address or region of the source.
    pub from: String,
    /// The pool at the source.
    pub from_pool: IdentityPoolId,
    /// The address or region of the target.
    pub to: String,
    /// The pool at the target.
    pub to_pool: IdentityPoolId,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    version: u32,
    route: Route,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    identity: IdentityId,
    dataset: DatasetName,
    step: Step,
    /// How much was copied, once it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    amount: Option<Amount>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Step {
    Begun,
    Done,
}

type Steps = HashMap<(IdentityId, DatasetName), (Step, Option<Amount>)>;

/// The record of one migration; each entry waits for the disk.
#[derive(Debug)]
pub struct Journal {
    file: File,
    steps: Steps,
}

/// Why a journal cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The file cannot be opened, read or written.
    #[error("the state file cannot be used")]
    Io(#[from] io::Error),
    /// Another run has it open; two at once would each take the other's records for foreign ones.
    #[error("another migration has the state file open")]
    InUse,
    /// The file is of another migration: give each its own.
    #[error(
        "the state file is of a migration from pool {} at {} to pool {} at {}; it is as it was, give each migration its own",
        .0.from_pool, .0.from, .0.to_pool, .0.to
    )]
    OtherRoute(Box<Route>),
    /// The file is no journal, is damaged, or is of a later version; it was not touched.
    #[error("line {line} of the state file makes no sense")]
    Line {
        /// Which, from 1.
        line: usize,
    },
}

impl Drop for Journal {
    fn drop(&mut self) {
        // Closing alone would leave the lock to a process that is being forked, which has the file too for a moment.
        drop(self.file.unlock());
    }
}

impl Journal {
    /// Opens the journal of a migration, or begins it where there is no file.
    ///
    /// # Errors
    ///
    /// [`JournalError`]; what is in the file is then as it was.
    pub fn open(path: &Path, route: &Route) -> Result<Self, JournalError> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let file = options.open(path)?;
        if !file.metadata()?.is_file() {
            // A device might have no end.
            let error = io::Error::new(io::ErrorKind::InvalidInput, "it is no file");
            return Err(JournalError::Io(error));
        }
        file.try_lock().map_err(|error| match error {
            std::fs::TryLockError::WouldBlock => JournalError::InUse,
            std::fs::TryLockError::Error(error) => JournalError::Io(error),
        })?;
        let steps = Steps::new();
        let mut journal = Self { file, steps };
        let mut text = Vec::new();
        journal.file.read_to_end(&mut text)?;
        let whole = text
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        journal.steps = read(&text[..whole], text.len(), route)?;
        journal.file.set_len(whole as u64)?;
        journal.file.seek(SeekFrom::End(0))?;
        if whole == 0 {
            let route = route.clone();
            journal.append(&Head {
                version: VERSION,
                route,
            })?;
        }
        Ok(journal)
    }

    pub(super) fn is_begun(&self, identity: &IdentityId, dataset: &DatasetName) -> bool {
        self.step(identity, dataset).is_some()
    }

    /// Returns how much was copied, as far as that was noted, or `None` if the dataset is not done.
    pub(super) fn done(
        &self,
        identity: &IdentityId,
        dataset: &DatasetName,
    ) -> Option<Option<Amount>> {
        let (step, amount) = self.step(identity, dataset)?;
        (step == Step::Done).then_some(amount)
    }

    fn step(&self, identity: &IdentityId, dataset: &DatasetName) -> Option<(Step, Option<Amount>)> {
        let key = (identity.clone(), dataset.clone());
        self.steps.get(&key).copied()
    }

    pub(super) fn begin(
        &mut self,
        identity: &IdentityId,
        dataset: &DatasetName,
    ) -> Result<(), JournalError> {
        match self.is_begun(identity, dataset) {
            true => Ok(()),
            false => self.note(identity, dataset, Step::Begun, None),
        }
    }

    pub(super) fn finish(
        &mut self,
        identity: &IdentityId,
        dataset: &DatasetName,
        amount: Amount,
    ) -> Result<(), JournalError> {
        self.note(identity, dataset, Step::Done, Some(amount))
    }

    fn note(
        &mut self,
        identity: &IdentityId,
        dataset: &DatasetName,
        step: Step,
        amount: Option<Amount>,
    ) -> Result<(), JournalError> {
        let (identity, dataset) = (identity.clone(), dataset.clone());
        let line = Line {
            identity,
            dataset,
            step,
            amount,
        };
        self.append(&line)?;
        self.steps
            .insert((line.identity, line.dataset), (step, amount));
        Ok(())
    }

    fn append(&mut self, line: &impl Serialize) -> Result<(), JournalError> {
        let mut text = serde_json::to_vec(line).map_err(io::Error::from)?;
        text.push(b'\n');
        self.file.write_all(&text)?;
        Ok(self.file.sync_data()?)
    }
}

/// Reads whole lines. A file without any is not taken over, unless it is empty: it may be somebody's.
fn read(text: &[u8], length: usize, route: &Route) -> Result<Steps, JournalError> {
    let mut lines = text.split_inclusive(|byte| *byte == b'\n').zip(1..);
    let Some((head, _)) = lines.next() else {
        return match length {
            0 => Ok(HashMap::new()),
            _ => Err(JournalError::Line { line: 1 }),
        };
    };
    let head: Head = parse(head, 1)?;
    if head.version != VERSION {
        return Err(JournalError::Line { line: 1 });
    }
    if head.route != *route {
        return Err(JournalError::OtherRoute(Box::new(head.route)));
    }
    let steps = lines.map(|(text, line)| {
        let line: Line = parse(text, line)?;
        Ok(((line.identity, line.dataset), (line.step, line.amount)))
    });
    steps.collect()
}

fn parse<'a, T: Deserialize<'a>>(text: &'a [u8], line: usize) -> Result<T, JournalError> {
    serde_json::from_slice(text).map_err(|_| JournalError::Line { line })
}
