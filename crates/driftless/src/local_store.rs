//! Taking over what an old Cognito Sync client on this device had not sent.
//!
//! [`sqlite`] and [`javascript`] read the three layouts that the old clients left, [`rows`] is what they have in common, and
//! this file decides whose rows are taken and keeps them. The rule: the old file is only read, and whatever is not taken
//! stands in the report or in an error.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use driftless_document::{Document, Edit};
use driftless_merge::{LocalEdit, Owner, Replica, TakenUnsent, UnsentEdit, UnsentId};
use driftless_record::is_reserved;
use driftless_store::CommitError;
use driftless_transport::BoxError;
use driftless_wire::{DatasetName, IdentityId, RecordKey};

use crate::claims::Claims;
use crate::client::Client;
use crate::dataset::Dataset;
use crate::error::{DatasetError, PutError};

mod file;
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
    /// hands. A client of that identity takes them, or did already. Rows from before any identity was known are here too, once
    /// another identity on this device has a claim on them.
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
    /// Why edits were not taken. They are still in the old store; the next call tries again.
    pub refused: Option<PutError>,
    /// Why the dataset was not opened: it is damaged, or its name is [too long](DatasetError::LongName), for example. Nothing
    /// was taken of it and all is still in the old store; the next call tries again.
    pub not_opened: Option<Arc<DatasetError>>,
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

/// Why an old store was not read, or not to its end.
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
    /// The file is larger than any that an old client leaves, or its texts together are.
    #[error("the old store has {bytes} bytes, of at most {limit}")]
    TooLarge {
        /// How many bytes it has at least, with the journals beside it.
        bytes: u64,
        /// The largest size.
        limit: u64,
    },
    /// The file is none of this kind, or no file at all. An old client that was never used leaves an empty one.
    #[error("the file is no store of this kind: {what}")]
    OtherKind {
        /// What is missing, or there instead.
        what: String,
    },
    /// The file is damaged. What can be saved of an SQLite file, its own tool `.recover` writes to another one.
    #[error("the old store is damaged")]
    Damaged(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What this store took of old clients before is damaged, or was written by a later version. Nothing was taken, for that
    /// could be the second time.
    #[error("what was taken of old clients before cannot be read")]
    Taken(#[source] BoxError),
    /// The store cannot keep for whom rows are taken: close the client and open it again.
    #[error("the store cannot be written")]
    Write(#[source] CommitError),
    /// The client was closed. Datasets before that, in order of names, were taken; the next call goes on.
    #[error("the client is closed")]
    Closed,
}

impl Client {
    /// Takes over what an old Cognito Sync client on this device had not sent: values, removals and deletions become edits
    /// made here, on disk when this returns, and are pushed by the next synchronization.
    ///
    /// For an app that is updated in place: call it once at the start, before the first synchronization, while the old client
    /// does not run. What was taken is named in the commit that takes it, dataset by dataset: a second call does nothing, and
    /// one after a crash goes on. It is noted beside the datasets too, so that it is not taken again after
    /// [`wipe`](Client::wipe) or [`set_aside`](Client::set_aside). Rows that the old client had sent are not edits; they come
    /// from the service.
    ///
    /// - Taken are the rows of the client's identity, and those from before there was one. The first identity for which those
    ///   are taken keeps them, and another one on this device gets none; what is taken before any identity is known goes with
    ///   all else to the first. A dataset that an old client had set aside at a change of identity, as `notes.unknown` or
    ///   `notes.` and the old id, is taken under that name.
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
        let (whose, found) = self.claim(rows.datasets, kind, &mut report)?;
        for (name, found) in found {
            let imported = report.datasets.entry(name.clone()).or_default();
            for found in found {
                let taken = self.take_dataset(&whose, &name, &found, imported)?;
                self.note_taken(&whose, &found.place, &taken);
            }
        }
        Ok(report)
    }

    /// Finds what is to be taken, and claims on disk what is nobody's. What is somebody else's, and what was taken before, goes
    /// into the report.
    fn claim(
        &self,
        datasets: BTreeMap<(String, String), rows::Dataset>,
        kind: LocalStoreKind,
        report: &mut LocalStoreReport,
    ) -> Result<(Owner, AllFound), LocalStoreError> {
        let open = self.shared.open();
        if self.shared.is_closed() {
            return Err(LocalStoreError::Closed);
        }
        let (store, whose) = (&*self.shared.store, &open.owner);
        let mut claims =
            Claims::read(store).map_err(|error| LocalStoreError::Taken(error.into()))?;
        let mut is_changed = false;
        let mut all = AllFound::new();
        for ((owner, name), dataset) in datasets {
            let place = format!("{owner}/{name}");
            let is_placeholder = match rows_of(whose, &owner, kind) {
                RowsOf::Own => false,
                RowsOf::Nobody => true,
                RowsOf::Other => {
                    note_other(report, &owner, &dataset);
                    continue;
                }
            };
            if is_placeholder && let Some(other) = claims.other(&place, whose) {
                note_other(report, other.as_str(), &dataset);
                continue;
            }
            let Some(name) = parsed(name, &place, report) else {
                continue;
            };
            let imported = report.datasets.entry(name.clone()).or_default();
            let mut unsent = unsent(&place, dataset, imported, &mut report.not_understood);
            if is_placeholder && !unsent.is_empty() {
                is_changed |= claims.claim(&place, whose);
            }
            unsent.leave_out_taken(&place, &claims, imported);
            let found = all.entry(name).or_default();
            // The identity's own rows first: what they hold is shown where both hold something.
            let at = if is_placeholder { found.len() } else { 0 };
            found.insert(at, Found { place, unsent });
        }
        if is_changed {
            claims.write(store).map_err(LocalStoreError::Write)?;
        }
        Ok((whose.clone(), all))
    }

    /// Takes what is not taken yet of one dataset at one place, and returns the names of what was.
    fn take_dataset(
        &self,
        whose: &Owner,
        name: &DatasetName,
        Found { place, unsent }: &Found,
        imported: &mut ImportedDataset,
    ) -> Result<Vec<Name>, LocalStoreError> {
        let mut taken = Vec::new();
        if unsent.is_empty() {
            return Ok(taken);
        }
        let Some(dataset) = self.open_for(whose, name, imported)? else {
            return Ok(taken);
        };
        let (slot, shared) = (&dataset.slot, &dataset.shared);
        if unsent.is_deleted {
            let id = name_of_deletion(place);
            let take = |replica: &mut Replica| Ok(delete(replica, id, shared.seeds.actor()));
            match slot.take(shared, take) {
                Ok(Some(())) => imported.deleted = true,
                Ok(None) => imported.was_taken |= unsent.edits.is_empty(),
                Err(error) => {
                    imported.refused = Some(error);
                    return Ok(taken);
                }
            }
            taken.push(id);
        }
        if unsent.edits.is_empty() {
            return Ok(taken);
        }
        let (id, now) = (unsent.name_of_edits(place), shared.clock.now());
        let take = |replica: &mut Replica| {
            let id = UnsentId::from_bytes(id);
            let taken = replica.take_unsent(id, &unsent.edits, || shared.seeds.actor(), now)?;
            Ok(taken.map(|TakenUnsent { made, overtaken }| (made, overtaken)))
        };
        match slot.take(shared, take) {
            Ok(Some(overtaken)) => imported.count(&unsent.edits, overtaken),
            Ok(None) => imported.was_taken = true,
            Err(error) => {
                imported.refused = Some(error);
                return Ok(taken);
            }
        }
        taken.push(id);
        Ok(taken)
    }

    /// Opens a dataset, unless somebody else's data are shown by now; why it is not opened goes into the report.
    fn open_for(
        &self,
        whose: &Owner,
        name: &DatasetName,
        imported: &mut ImportedDataset,
    ) -> Result<Option<Dataset>, LocalStoreError> {
        let mut open = self.shared.open();
        if open.owner != *whose {
            imported.refused = Some(PutError::OtherIdentity);
            return Ok(None);
        }
        let checked = self.check_length(name);
        match checked.and_then(|()| self.dataset_in(&mut open, name.clone())) {
            Ok(dataset) => Ok(Some(dataset)),
            Err(DatasetError::Closed) => Err(LocalStoreError::Closed),
            Err(error) => {
                imported.not_opened = Some(Arc::new(error));
                Ok(None)
            }
        }
    }

    /// Notes what was taken where no wipe removes it. If that fails the dataset knows it, and the next call notes it.
    fn note_taken(&self, whose: &Owner, place: &str, taken: &[Name]) {
        if taken.is_empty() {
            return;
        }
        let open = self.shared.open();
        let store = &*self.shared.store;
        let noted = Claims::read(store).map_err(BoxError::from);
        let noted = noted.and_then(|mut claims| match claims.add(place, whose, taken) {
            true => Ok(claims.write(store)?),
            false => Ok(()),
        });
        drop(open);
        if let Err(error) = noted {
            tracing::warn!(%error, "what was taken of an old client cannot be noted");
        }
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

/// Names what was taken, by its contents and place.
type Name = [u8; 8];

/// What is to be taken, by the dataset that takes it.
type AllFound = BTreeMap<DatasetName, Vec<Found>>;

/// One dataset of one owner in the old store.
struct Found {
    place: String,
    unsent: Unsent,
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

    /// Leaves out what was taken before, perhaps by a dataset that is gone since.
    fn leave_out_taken(&mut self, place: &str, claims: &Claims, imported: &mut ImportedDataset) {
        if self.is_deleted && claims.has_taken(place, name_of_deletion(place)) {
            self.is_deleted = false;
            imported.was_taken |= self.edits.is_empty();
        }
        if !self.edits.is_empty() && claims.has_taken(place, self.name_of_edits(place)) {
            self.edits.clear();
            imported.was_taken = true;
        }
    }

    /// Returns a name for these edits that is theirs alone.
    fn name_of_edits(&self, place: &str) -> Name {
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

fn name_of_deletion(place: &str) -> Name {
    named(&hasher("unsent deletion", place))
}

/// Takes a deletion; all keys may look different after it.
fn delete(
    replica: &mut Replica,
    id: Name,
    actor: driftless_document::Actor,
) -> Option<(LocalEdit, ())> {
    let state = replica.document().state();
    let changed = state.keys().map(str::to_owned).collect();
    let commit = replica.take_unsent_deletion(UnsentId::from_bytes(id), actor)?;
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

fn named(hasher: &blake3::Hasher) -> Name {
    let hash = hasher.finalize();
    *hash.as_bytes().first_chunk().expect("a hash has 32 bytes")
}

/// Whose rows are, as their owner's name tells.
enum RowsOf {
    /// The identity whose data are shown.
    Own,
    /// Nobody's yet: they are from before any identity was known.
    Nobody,
    Other,
}

fn rows_of(whose: &Owner, owner: &str, kind: LocalStoreKind) -> RowsOf {
    match whose {
        Owner::Identity(identity) if identity.as_str() == owner => RowsOf::Own,
        _ if kind.placeholders().contains(&owner) => RowsOf::Nobody,
        _ => RowsOf::Other,
    }
}

/// Reads the name of a dataset; that none has such a name goes into the report.
fn parsed(name: String, place: &str, report: &mut LocalStoreReport) -> Option<DatasetName> {
    let parsed = DatasetName::try_from(name);
    parsed
        .map_err(|error| {
            report.not_understood.push(NotUnderstood {
                place: place.to_owned(),
                why: error.to_string(),
            });
        })
        .ok()
}

/// Takes note of rows of somebody else, who has to take them.
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
