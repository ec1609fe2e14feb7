//! Plain records: what old clients, consoles and Lambdas read and write beside the state.
//!
//! In a *plain* dataset every root key that has a text also stands as a record of its own, written in the same push as the
//! state. A dataset is plain if it was found with such records and without a state, or if the app asks for it; head says so
//! to all devices.
//!
//! A record is **foreign** if its count is above head's `seen` and its text is not what the stored state shows. It becomes an
//! edit upon the stored state, which lives in the session only: it enters the document when its push is known to stand, so
//! that no edit is imported twice. A text that differs at a lower count is a push of ours that came in part, and is written
//! again, unless the state lacks pushes that head speaks of: then it is all that is left of one. Who imports has a name of its
//! own, since a push that lost leaves ids that are never given out again.

use std::collections::BTreeMap;

use driftless_document::{Document, Edit, OpId, State, Value, branch, mutant};
use driftless_record::{Head, Lineage, Stored, is_reserved, scalar_of, text_of};
use driftless_wire::{RecordKey, SyncCount, Timestamp};

use serde::{Deserialize, Serialize};

use crate::commit::{Commit, MirroredRecord};
use crate::replica::{Replica, base_name};
use crate::room::Beside;
use crate::session::Session;

/// Whether a dataset is kept as plain records too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Plain {
    /// It is not.
    #[default]
    No,
    /// It shall be, and head does not say so yet.
    Wanted,
    /// Head says that it is.
    Yes,
    /// It shall not be any more: first head says so, then the records go.
    Retiring,
    /// It is, and there is no room for a state beside the records: see `plain_only.rs`.
    Only,
}

impl Plain {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    pub(crate) fn is_no(&self) -> bool {
        *self == Self::No
    }
}

/// What a session imports, and the state that it pushes with it.
#[derive(Debug)]
pub(crate) struct Imported {
    pub(crate) state: State,
    pub(crate) edit: Edit,
}

impl Replica {
    /// Tells whether each text of a root key also stands as a plain record, or will after the next session.
    #[must_use]
    pub const fn is_plain(&self) -> bool {
        matches!(self.row.plain, Plain::Wanted | Plain::Yes | Plain::Only)
    }

    /// Lets the next session write plain records too; `None` if it does already.
    #[must_use]
    pub fn keep_plain_records(&mut self) -> Option<Commit> {
        (!self.is_plain()).then(|| self.set_plain(Plain::Wanted))
    }

    /// Lets the next session say that there are no plain records any more, and the one after it remove them; `None` if there
    /// are none, or nothing else holds the data.
    ///
    /// Where no state of the dataset was listed yet, the wish for plain records is taken back: what old clients have put there
    /// is found by the next session all the same, and kept.
    #[must_use]
    pub fn retire_plain_records(&mut self) -> Option<Commit> {
        let is_both = self.is_plain() && !self.is_plain_only();
        let plain = match self.row.lineage {
            Some(_) => Plain::Retiring,
            None => Plain::No,
        };
        is_both.then(|| self.set_plain(plain))
    }

    fn set_plain(&mut self, plain: Plain) -> Commit {
        self.row.plain = plain;
        self.room.forget_beside();
        let mut commit = Commit::new(self.key.clone());
        commit.sync = Some(self.row.encode());
        self.is_new = false;
        commit
    }

    /// Takes note of what was listed: head's word, or records of old clients where no head stands.
    ///
    /// What the app asked for holds for a life too that another device began without knowing of it.
    pub(crate) fn learn_plain(&mut self, known: Option<Lineage>) {
        let is_same_life = known == self.row.lineage;
        let head = self.stored.as_ref().and_then(Stored::head);
        let is_never_plain = head.is_some_and(|head| head.seen == SyncCount::ZERO);
        let before = self.row.plain;
        self.row.plain = match (self.row.plain, head.map(|head| head.plain)) {
            (Plain::No | Plain::Wanted | Plain::Only, Some(true)) => Plain::Yes,
            // Whoever began it did not know of the records, and nobody gave them up.
            (Plain::Only, Some(false)) if self.has_plain_values() && is_never_plain => {
                Plain::Wanted
            }
            (Plain::Only, Some(false)) => Plain::No,
            // A life began whose head cannot be read: nobody can tell what it saw of the records.
            (Plain::Only, None) if self.stored.is_some() => Plain::Wanted,
            // Whatever is begun there now is begun as usual.
            (Plain::Only, None) if !self.has_plain_values() => Plain::Wanted,
            // A service that was taken back does not know yet.
            (Plain::Yes, Some(false)) if is_same_life && self.listed_beyond.is_none() => Plain::No,
            (Plain::Yes, Some(false)) => Plain::Wanted,
            (Plain::Retiring, Some(false)) if self.retired_patches().is_empty() => Plain::No,
            // Given up is only what a state holds too.
            (Plain::Retiring, None) if self.row.lineage.is_none() && self.has_plain_values() => {
                Plain::Wanted
            }
            // Where head cannot be read, records that stand there are the best word there is.
            (Plain::No, None) if !self.is_left_to_others() && self.has_plain_values() => {
                branch!(PlainFound);
                Plain::Wanted
            }
            (plain, _) => plain,
        };
        if self.row.plain != before {
            self.room.forget_beside();
        }
        if !self.is_plain_only() {
            self.row.plain_sent.clear();
        }
    }

    /// Tells whether all slots were removed and this device neither knows whose they were nor brings anything: then it begins
    /// no life, onto which the others would write only what they had not synchronized.
    pub(crate) fn is_left_to_others(&self) -> bool {
        let knows_nothing = self.stored.is_none() && self.row.lineage.is_none();
        knows_nothing && self.has_reserved() && self.document.state().is_blank()
    }

    /// Returns the records that are not reserved, tombstones too.
    pub(crate) fn plain_records(&self) -> impl Iterator<Item = (&RecordKey, &MirroredRecord)> {
        let records = self.mirror.iter();
        records.filter(|(key, _)| !is_reserved(key.as_str()))
    }

    /// Tells whether any record stands there that is not reserved.
    pub(crate) fn has_plain_values(&self) -> bool {
        self.plain_records().any(has_value)
    }

    /// Makes edits of what foreign hands wrote, upon the stored state, and joins the document with that.
    pub(crate) fn import(&mut self, session: &mut Session, now: Timestamp) -> Option<Imported> {
        self.settle_over();
        // In a plain-only dataset the document has taken everything in already.
        let is_none = !self.is_plain() && self.row.over.is_empty();
        if is_none || self.is_plain_only() {
            return None;
        }
        let shown = self.shown();
        let foreign = self.foreign_texts(session, shown);
        if foreign.is_empty() && self.row.over.is_empty() {
            return None;
        }
        if !foreign.is_empty() {
            branch!(PlainImported);
        }
        let importer = self.importer(session, shown);
        let shown = shown.clone().having_seen(importer);
        let (name, time) = (base_name(self.key.name().as_str()), now.as_millis());
        let mut document = Document::from_state(name, importer.actor, shown);
        let mut edit = Edit::default();
        for (key, text) in foreign {
            let made = document.import(key.as_str(), text.as_deref(), scalar_of, time);
            // What no dataset can have as a key stays a record.
            edit.append(made.unwrap_or_default());
        }
        let retyped = self.replace_seen(&mut document, &mut edit, time);
        let mut state = document.state().join(self.document.state());
        if !retyped.is_empty() {
            let mut document = Document::from_state(name, importer.actor, state);
            for key in retyped {
                let made = document.remove_of(&key, self.unsent_author(), time);
                edit.append(made.unwrap_or_default());
            }
            state = document.state().clone();
        }
        let given = state.seen_from(importer.actor);
        self.row.importer = Some(OpId::new(given, importer.actor));
        (!edit.is_empty()).then_some(Imported { state, edit })
    }

    /// Tells whether head cannot be read in a life that is known.
    fn is_damaged(&self) -> bool {
        let stored = self.stored.as_ref();
        stored.is_none_or(|stored| stored.head().is_none()) && self.row.lineage.is_some()
    }

    /// Tells whether what is stored lacks what was pushed: then this device knows better what the records showed.
    fn is_behind(&self) -> bool {
        self.is_damaged() || self.stored.as_ref().is_some_and(Stored::lacks_pushes)
    }

    /// Returns the state that the plain records showed when whoever wrote them since saw them.
    fn shown(&self) -> &State {
        match &self.stored {
            _ if self.is_behind() => self.document.state(),
            Some(stored) => stored.state(),
            None => self.listed(),
        }
    }

    /// Returns what foreign hands wrote, and what is left of pushes that nobody else can tell of.
    fn foreign_texts(
        &self,
        session: &Session,
        shown: &State,
    ) -> BTreeMap<RecordKey, Option<String>> {
        let mut texts = BTreeMap::new();
        let (is_behind, is_damaged) = (self.is_behind(), self.is_damaged());
        if is_behind && self.is_plain() {
            texts.extend(self.left_of_pushes());
        }
        if self.is_plain() && (is_damaged || !is_behind) {
            let is_counter = |key: &str| matches!(shown.get(key), Some(Value::Counter(_)));
            let mut others = self.foreign(session, shown);
            others.retain(|(key, text)| !is_damaged || text.is_none() || !is_counter(key.as_str()));
            texts.extend(others);
        }
        texts
    }

    /// Returns under whose name is imported, and what it has given out.
    fn importer(&self, session: &mut Session, shown: &State) -> OpId {
        // What is stored may have lost what was imported before: an id above would claim that it was removed.
        let local = self.document.state();
        let is_whole = |id: &OpId| local.seen_from(id.actor) <= shown.seen_from(id.actor);
        let importer = self.row.importer.filter(is_whole);
        importer.unwrap_or_else(|| OpId::new(0, session.actor()))
    }

    /// Removes what edits of an old client here replace; returns the keys where they took the type that stands there, and so
    /// stand no more as they were made.
    fn replace_seen(&self, document: &mut Document, edit: &mut Edit, time: i64) -> Vec<String> {
        let mut retyped = Vec::new();
        for key in self.replaced(document.state()) {
            let made = match self.retyped(&key, document.state()) {
                Some(text) => {
                    let made = document.import(&key, Some(&text), scalar_of, time);
                    retyped.push(key);
                    made
                }
                None => document.remove_others(&key, self.unsent_author(), time),
            };
            edit.append(made.unwrap_or_default());
        }
        retyped
    }

    /// Returns what is left of pushes that were damaged or came in part: records of which nobody here knows better.
    ///
    /// A counter's record is not among them: whoever counted comes back with its increments.
    fn left_of_pushes(&self) -> Vec<(RecordKey, Option<String>)> {
        let state = self.document.state();
        let is_left = |(key, record): &(&RecordKey, &MirroredRecord)| {
            let text = text_at(state, key);
            let is_edited_here = text != text_at(self.listed(), key);
            let is_counter = matches!(state.get(key.as_str()), Some(Value::Counter(_)));
            record.value.is_some() && record.value != text && !is_edited_here && !is_counter
        };
        let left = self.plain_records().filter(is_left);
        left.map(|(key, record)| (key.clone(), record.value.clone()))
            .collect()
    }

    /// Returns what foreign hands wrote, upon what they were shown.
    fn foreign(&self, session: &Session, shown: &State) -> Vec<(RecordKey, Option<String>)> {
        let head = self.stored.as_ref().and_then(Stored::head);
        let seen = match head {
            Some(head) => Some(seen_of(head, self.head_count())),
            // Without head it is what this device had listed before.
            None => self.row.lineage.map(|_| session.known),
        };
        // Where the state is ahead of head, what was written with head is what lags.
        let is_ahead = self.stored.as_ref().is_some_and(Stored::needs_repair);
        let with_head = self
            .head_count()
            .filter(|_| is_ahead && head.is_some_and(|head| head.plain));
        let seen = seen.max(with_head);
        let is_later =
            |count: SyncCount| seen.is_none_or(|seen| count > seen) || mutant!(PlainAlwaysForeign);
        // Where the state stood without records, one that is not there says nothing of a key.
        let is_beside = head.is_none_or(|head| head.plain);
        let is_foreign = |(key, record): &(&RecordKey, &MirroredRecord)| {
            is_later(record.sync_count)
                && record.value != text_at(shown, key)
                && (record.value.is_some() || is_beside)
        };
        let foreign = self.plain_records().filter(is_foreign);
        let foreign = foreign.map(|(key, record)| (key.clone(), record.value.clone()));
        match mutant!(PlainNotImported) {
            true => Vec::new(),
            false => foreign.collect(),
        }
    }

    /// Returns the plain records that must be written so that they show this state; `None` removes one.
    pub(crate) fn plain_patches(&self, state: &State) -> Vec<(RecordKey, Option<String>)> {
        let shown = state.keys().filter_map(|key| {
            let text = text_of(&state.get(key)?)?;
            Some((RecordKey::try_from(key.to_owned()).ok()?, Some(text)))
        });
        let stands = |key: &RecordKey| {
            self.mirror
                .get(key)
                .and_then(|record| record.value.as_ref())
        };
        let changed = shown.filter(|(key, text)| stands(key) != text.as_ref());
        let gone = self.plain_records().filter(|record| has_value(*record));
        // What has no text takes the place of a record only beside a state that holds it.
        let is_gone = |key: &RecordKey| match self.is_plain_only() {
            true => state.get(key.as_str()).is_none(),
            false => text_at(state, key).is_none(),
        };
        let gone = gone.filter(|(key, _)| Document::is_key(key.as_str()) && is_gone(key));
        let gone = gone.map(|(key, _)| (key.clone(), None));
        changed.chain(gone).collect()
    }

    /// Returns the plain records that a push of this state must write.
    pub(crate) fn wanted_patches(&self, state: &State) -> Vec<(RecordKey, Option<String>)> {
        let head = self.stored.as_ref().and_then(Stored::head);
        match self.row.plain {
            Plain::No => Vec::new(),
            Plain::Wanted | Plain::Yes | Plain::Only => self.plain_patches(state),
            // Other devices must have seen head's word first.
            Plain::Retiring if head.is_some_and(|head| !head.plain) => {
                branch!(PlainRetired);
                self.retired_patches()
            }
            Plain::Retiring => Vec::new(),
        }
    }

    /// Returns the removals of the plain records that show this device's state; what an old client wrote since is left alone.
    fn retired_patches(&self) -> Vec<(RecordKey, Option<String>)> {
        let state = self.document.state();
        let is_ours = |(key, record): &(&RecordKey, &MirroredRecord)| {
            record.value.is_some() && record.value == text_at(state, key)
        };
        let ours = self.plain_records().filter(is_ours);
        ours.map(|(key, _)| (key.clone(), None)).collect()
    }

    /// Returns the plain records, tombstones included, as they are when these were written.
    pub(crate) fn beside_after(&self, patches: &[(RecordKey, Option<String>)]) -> Beside {
        let len = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let mut beside = Beside::default();
        for (key, record) in self.plain_records() {
            beside.bytes += key.as_str().len() + len(&record.value);
            beside.records += 1;
        }
        for (key, text) in patches {
            beside.bytes += len(text);
            match self.mirror.get(key) {
                Some(record) => beside.bytes -= len(&record.value),
                None => {
                    beside.bytes += key.as_str().len();
                    beside.records += 1;
                }
            }
        }
        beside
    }
}

pub(crate) fn text_at(state: &State, key: &RecordKey) -> Option<String> {
    text_of(&state.get(key.as_str())?)
}

/// Returns up to which count a head says that plain records were seen; a migration leaves that above all counts, which began
/// anew with the copy of head.
pub(crate) fn seen_of(head: &Head, count: Option<SyncCount>) -> SyncCount {
    count.map_or(head.seen, |count| head.seen.min(count))
}

pub(crate) const fn has_value((_, record): (&RecordKey, &MirroredRecord)) -> bool {
    record.value.is_some()
}
