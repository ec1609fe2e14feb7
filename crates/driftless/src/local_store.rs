//! Taking over what an old Cognito Sync client on this device had not sent.
//!
//! [`sqlite`] and [`javascript`] read the three layouts that the old clients left, [`rows`] is what they have in common, and
//! this file decides whose rows are taken and keeps them. The rule: the old file is only read, and whatever is not taken
//! stands in the report or in an error.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use driftless_document::{Document, Edit};
use driftless_merge::{LocalEdit, Owner, Replica, TakenUnsent, UnsentEdit, UnsentId};
use driftless_record::is_reserved;
use driftless_wire::{DatasetName, IdentityId, RecordKey};

use crate::client::Client;
use crate::error::{DatasetError, PutError};

mod javascript;
mod rows;
mod sqlite;

use rows::{Row, Rows};

/// Which old client left its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LocalStoreKind {
    /// Android: the SQLite file `cognito_dataset_cache.db` among the app's databases.
    Android,
    /// .NET, Xamarin and Unity: the SQLite file `aws_cognito_sync.db`, with the tables of Android.
    DotNet,
    /// iOS: the SQLite file `CognitoData.sqlite3` among the app's documents.
    Ios,
    /// JavaScript: the browser's localStorage, written to a file as one JSON object of strings, which is what
    /// `JSON.stringify(localStorage)` returns. The files in which browsers keep it are not read.
    JavaScript,
}

impl LocalStoreKind {
    /// Returns the owners under which the old client kept rows before it knew an identity.
    const fn placeholders(self) -> &'static [&'static str] {
        match self {
            Self::Android | Self::DotNet => &["unknown"],
            Self::Ios => &["UnknownId"],
            Self::JavaScript => &["null", "undefined"],
        }
    }
}

/// What was found in an old client's store, and what was taken of it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LocalStoreReport {
    /// The datasets of the client's identity, and of whoever used the device before there was one.
    pub datasets: BTreeMap<DatasetName, ImportedDataset>,
    /// How many rows of other identities the old client had not sent, by identity. None of them was taken: data never change
    /// hands. A client of that identity takes them.
    pub other_identities: BTreeMap<String, usize>,
    /// What no version of the old client wrote, or no dataset can hold. Nothing of it was taken, and it is told again each
    /// time.
    pub not_understood: Vec<NotUnderstood>,
}

/// What was taken of one dataset.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ImportedDataset {
    /// Values that the old client had not sent, now edits made here; 0 if they were taken before.
    pub edits: usize,
    /// Removals that it had not sent, now removals made here; 0 if they were taken before.
    pub removals: usize,
    /// It had deleted the dataset and not sent that. What the service holds of it goes with the next synchronization.
    pub deleted: bool,
    /// Rows that it had sent or received. They come from the service, by the first synchronization.
    pub clean: usize,
    /// What it had not sent was taken by an earlier call, and was left alone.
    pub was_taken: bool,
    /// Edits that were not made, since something stands there here that is newer and that no value can stand beside: a counter,
    /// text, list, map or set, or any value where the old client had removed one.
    pub overtaken: Vec<Overtaken>,
    /// Why nothing was taken. The edits are still in the old store; the next call tries again.
    pub refused: Option<PutError>,
}

/// An edit of an old client in whose place something newer stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Overtaken {
    /// The key.
    pub key: String,
    /// What the old client had put there, none if it had removed it.
    pub text: Option<String>,
}

/// Something in an old store that was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotUnderstood {
    /// Where it stands: the identity, the dataset and the key, as far as they can be told.
    pub place: String,
    /// What is wrong with it.
    pub why: String,
}

/// Why an old store was not read; nothing was taken of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalStoreError {
    /// The file, or the copy of it that is read, cannot be read or written: it is missing, or the disk failed or is full.
    #[error("cannot read {path}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: std::io::Error,
    },
    /// The file is larger than any that an old client leaves.
    #[error("the old store has {bytes} bytes, of at most {limit}")]
    TooLarge {
        /// Its size, with the journals beside it.
        bytes: u64,
        /// The largest size.
        limit: u64,
    },
    /// The file is none of this kind. An old client that was never used leaves an empty one.
    #[error("the file is no store of this kind: {what}")]
    OtherKind {
        /// What is missing, or there instead.
        what: String,
    },
    /// The file is damaged. What can be saved of an SQLite file, its own tool `.recover` writes to another one.
    #[error("the old store is damaged")]
    Damaged(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A dataset cannot be opened. Those before it, in order of names, were taken; the next call goes on.
    #[error("dataset {name} cannot be opened")]
    Dataset {
        /// The dataset.
        name: DatasetName,
        /// Why.
        #[source]
        source: DatasetError,
    },
}

impl Client {
    /// Takes over what an old Cognito Sync client on this device had not sent: values, removals and deletions become edits
    /// made here, on disk when this returns, and are pushed by the next synchronization.
    ///
    /// For an app that is updated in place: call it once at the start, before the first synchronization, while the old client
    /// does not run. What was taken is named in the commit that takes it, dataset by dataset: a second call does nothing, and
    /// one after a crash goes on. Rows that the old client had sent are not edits; they come from the service.
    ///
    /// - Taken are the rows of the client's identity, and those from before there was one. A dataset that an old client had
    ///   set aside at a change of identity, as `notes.unknown` or `notes.` and the old id, is taken under that name.
    /// - A value becomes a string, as a plain record does. It replaces the record that the old client had seen; if others wrote
    ///   there since, both values stand beside each other ([`Dataset::conflicts`](crate::Dataset::conflicts)). The old client
    ///   would have asked the app, or lost one of them.
    /// - A removal removes the record that the old client had seen, not what others wrote there since.
    /// - Where the old client had deleted a dataset, all that the next session finds there is removed, and what it had put
    ///   since stays.
    ///
    /// The old file is copied, with the journals beside it, to a temporary directory and read there; it stays as it is. This
    /// waits for the disk.
    ///
    /// # Errors
    ///
    /// [`LocalStoreError`]. What concerns single datasets or rows is in the report.
    pub fn import_local_store(
        &self,
        path: impl AsRef<Path>,
        kind: LocalStoreKind,
    ) -> Result<LocalStoreReport, LocalStoreError> {
        let path = path.as_ref();
        let rows = match kind {
            LocalStoreKind::Android | LocalStoreKind::DotNet => sqlite::read_android(path)?,
            LocalStoreKind::Ios => sqlite::read_ios(path)?,
            LocalStoreKind::JavaScript => javascript::read(path)?,
        };
        self.take(rows, kind)
    }

    fn take(&self, rows: Rows, kind: LocalStoreKind) -> Result<LocalStoreReport, LocalStoreError> {
        let mut report = LocalStoreReport {
            not_understood: rows.strange,
            ..LocalStoreReport::default()
        };
        let whose = self.shared.open().owner.clone();
        // The identity's own rows first: what they hold is shown where both hold something.
        let mut found: BTreeMap<DatasetName, Vec<Found>> = BTreeMap::new();
        for ((owner, name), dataset) in rows.datasets {
            let Some(is_own) = is_own(&whose, &owner, kind) else {
                note_other(&mut report, &owner, &dataset);
                continue;
            };
            match name.parse::<DatasetName>() {
                Ok(parsed) => {
                    let place = format!("{owner}/{name}");
                    let found = found.entry(parsed).or_default();
                    let at = if is_own { 0 } else { found.len() };
                    found.insert(at, Found { place, dataset });
                }
                Err(error) => report.not_understood.push(NotUnderstood {
                    place: format!("{owner}/{name}"),
                    why: error.to_string(),
                }),
            }
        }
        for (name, found) in found {
            let mut imported = ImportedDataset::default();
            for Found { place, dataset } in found {
                let unsent = unsent(&place, dataset, &mut imported, &mut report.not_understood);
                if !unsent.is_empty() {
                    self.take_dataset(&whose, &name, &place, &unsent, &mut imported)?;
                }
            }
            report.datasets.insert(name, imported);
        }
        Ok(report)
    }

    fn take_dataset(
        &self,
        whose: &Owner,
        name: &DatasetName,
        place: &str,
        unsent: &Unsent,
        imported: &mut ImportedDataset,
    ) -> Result<(), LocalStoreError> {
        let dataset = self.dataset(name.as_str());
        let dataset = dataset.map_err(|source| LocalStoreError::Dataset {
            name: name.clone(),
            source,
        })?;
        let (slot, shared) = (&dataset.slot, &dataset.shared);
        if slot.lock().replica.key().owner() != whose {
            imported.refused = Some(PutError::OtherIdentity);
            return Ok(());
        }
        if unsent.is_deleted {
            let take = |replica: &mut Replica| Ok(delete(replica, place, shared.seeds.actor()));
            match slot.take(shared, take) {
                Ok(taken) => imported.deleted |= taken.is_some(),
                Err(error) => {
                    imported.refused = Some(error);
                    return Ok(());
                }
            }
        }
        if unsent.edits.is_empty() {
            return Ok(());
        }
        let (id, now) = (unsent.id(place), shared.clock.now());
        let take = |replica: &mut Replica| {
            let taken = replica.take_unsent(id, &unsent.edits, || shared.seeds.actor(), now)?;
            Ok(taken.map(|TakenUnsent { made, overtaken }| (made, overtaken)))
        };
        match slot.take(shared, take) {
            Ok(Some(overtaken)) => imported.count(&unsent.edits, overtaken),
            Ok(None) => imported.was_taken = true,
            Err(error) => imported.refused = Some(error),
        }
        Ok(())
    }
}

impl ImportedDataset {
    fn count(&mut self, edits: &[UnsentEdit], overtaken: Vec<UnsentEdit>) {
        let made = edits.iter().filter(|edit| !overtaken.contains(edit));
        let (puts, removals): (Vec<_>, Vec<_>) = made.partition(|edit| edit.text.is_some());
        self.edits += puts.len();
        self.removals += removals.len();
        self.overtaken
            .extend(overtaken.into_iter().map(|edit| Overtaken {
                key: edit.key.into(),
                text: edit.text,
            }));
    }
}

/// One dataset of one owner in the old store.
struct Found {
    place: String,
    dataset: rows::Dataset,
}

/// What the old client had not sent of one dataset.
struct Unsent {
    is_deleted: bool,
    edits: Vec<UnsentEdit>,
}

impl Unsent {
    const fn is_empty(&self) -> bool {
        !self.is_deleted && self.edits.is_empty()
    }

    /// Returns a name for these edits that is theirs alone.
    fn id(&self, place: &str) -> UnsentId {
        let mut hasher = hasher("unsent edits", place);
        for edit in &self.edits {
            feed(&mut hasher, edit.key.as_str());
            hasher.update(&edit.count.get().to_le_bytes());
            hasher.update(&[u8::from(edit.text.is_some())]);
            feed(&mut hasher, edit.text.as_deref().unwrap_or_default());
        }
        named(&hasher)
    }
}

/// Takes a deletion; all keys may look different after it.
fn delete(
    replica: &mut Replica,
    place: &str,
    actor: driftless_document::Actor,
) -> Option<(LocalEdit, ())> {
    let state = replica.document().state();
    let changed = state.keys().map(str::to_owned).collect();
    let id = named(&hasher("unsent deletion", place));
    let commit = replica.take_unsent_deletion(id, actor)?;
    let edit = Edit::default();
    Some((
        LocalEdit {
            commit,
            edit,
            changed,
        },
        (),
    ))
}

fn hasher(what: &str, place: &str) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new();
    feed(&mut hasher, what);
    feed(&mut hasher, place);
    hasher
}

fn feed(hasher: &mut blake3::Hasher, text: &str) {
    hasher.update(&(text.len() as u64).to_le_bytes());
    hasher.update(text.as_bytes());
}

fn named(hasher: &blake3::Hasher) -> UnsentId {
    let hash = hasher.finalize();
    let first = hash.as_bytes().first_chunk();
    UnsentId::from_bytes(*first.expect("a hash has 32 bytes"))
}

/// Takes note of rows of somebody else, who has to take them.
/// Tells whether an owner of rows is the identity whose data are shown, or none yet; `None` if it is somebody else.
fn is_own(whose: &Owner, owner: &str, kind: LocalStoreKind) -> Option<bool> {
    let is_identity = match whose {
        Owner::Identity(identity) => identity.as_str() == owner,
        Owner::Local => false,
    };
    let is_placeholder = kind.placeholders().contains(&owner);
    (is_identity || is_placeholder).then_some(is_identity)
}

fn note_other(report: &mut LocalStoreReport, owner: &str, dataset: &rows::Dataset) {
    let rows = dataset.rows.values().filter(|row| row.is_unsent).count();
    let unsent = rows + usize::from(dataset.is_deleted);
    *report.other_identities.entry(owner.to_owned()).or_default() += unsent;
}

/// Sorts the rows of a dataset: what was sent is counted, what was not comes back, and what no dataset can hold is told.
fn unsent(
    place: &str,
    dataset: rows::Dataset,
    imported: &mut ImportedDataset,
    not_understood: &mut Vec<NotUnderstood>,
) -> Unsent {
    let mut edits = Vec::new();
    for (key, row) in dataset.rows {
        if !row.is_unsent {
            imported.clean += 1;
            continue;
        }
        match edit(&key, row) {
            Ok(edit) => edits.push(edit),
            Err(why) => not_understood.push(NotUnderstood {
                place: format!("{place}/{key}"),
                why,
            }),
        }
    }
    Unsent {
        is_deleted: dataset.is_deleted,
        edits,
    }
}

fn edit(key: &str, row: Row) -> Result<UnsentEdit, String> {
    if is_reserved(key) {
        return Err("the key is reserved for the records of Driftless".to_owned());
    }
    if !Document::is_key(key) {
        return Err("no dataset has such a key".to_owned());
    }
    let key = RecordKey::try_from(key).map_err(|error| error.to_string())?;
    let (text, count) = (row.text, row.count);
    Ok(UnsentEdit { key, text, count })
}

/// Tells whether a text names an identity.
fn is_identity(text: &str) -> bool {
    text.parse::<IdentityId>().is_ok()
}
