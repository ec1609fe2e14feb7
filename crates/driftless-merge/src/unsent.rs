//! What an old client on this device had not sent, taken over as edits made here.
//!
//! An old client pushes a value under the count of the record that it was made upon. An operation replaces only what its
//! device has seen, and a device that comes in the place of an old client has seen nothing yet. So for each such edit it is
//! remembered *over* which record it was made, by that record's count. The session that finds the record at this count lets
//! the edit replace what the record shows, in the type that stands there. At another count somebody else wrote there
//! meanwhile: both values stand beside each other, and of a value and a removal the value stays.
//!
//! The rule: what was taken is named in the commit that takes it, so that it is taken once, whatever crash comes between.

use std::collections::BTreeMap;

use driftless_document::{Actor, Edit, OpId, Scalar, State, Value};
use driftless_record::{Stored, scalar_of, text_of};
use driftless_wire::{RecordKey, SyncCount, Timestamp};
use serde::{Deserialize, Serialize};

use crate::commit::{Commit, Durability};
use crate::local::{LocalEdit, Operation, RefusedEdit};
use crate::plain::text_at;
use crate::plain_only::number;
use crate::replica::Replica;

/// One record that an old client had changed and not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsentEdit {
    /// The record.
    pub key: RecordKey,
    /// Its text, or none if it was removed.
    pub text: Option<String>,
    /// The count at which the old client had last seen it, 0 if never.
    pub count: SyncCount,
}

/// Names what was not sent, by its contents: what has the same name is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnsentId([u8; 8]);

impl UnsentId {
    /// Returns the name that these bytes are.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn to_bytes(self) -> [u8; 8] {
        self.0
    }
}

/// What became of edits that an old client had not sent.
#[derive(Debug)]
#[must_use = "the edits are lost at a restart unless the commit is kept"]
pub struct TakenUnsent {
    /// What must become durable. It is never empty, for it names what was taken.
    pub made: LocalEdit,
    /// The edits that were not made, for something newer stands there that no value can stand beside.
    pub overtaken: Vec<UnsentEdit>,
}

/// Over which records edits made here were made by an old client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Over {
    /// Whatever stands at the service: the old client had deleted the dataset.
    #[serde(default)]
    pub(crate) everything: bool,
    /// These records, if they have these counts.
    #[serde(default)]
    pub(crate) records: BTreeMap<RecordKey, SyncCount>,
    /// These are no edits of an old client, but records that a deletion here takes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_deletion: bool,
    /// Under whose name they were made, if it was another identity's on this device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) author: Option<[u8; 8]>,
}

impl Over {
    pub(crate) const NOTHING: Self = Self {
        everything: false,
        records: BTreeMap::new(),
        is_deletion: false,
        author: None,
    };

    pub(crate) fn is_empty(&self) -> bool {
        !self.everything && self.records.is_empty()
    }

    /// Returns over what a deletion is made that names no life: all that an old client knew of, of whose edits only those are
    /// known that it had not sent; else what an earlier deletion takes, and these records.
    pub(crate) fn deleted(self, known: BTreeMap<RecordKey, SyncCount>) -> Self {
        let is_unsent = !self.is_empty() && !self.is_deletion;
        let mut records = match is_unsent {
            true => BTreeMap::new(),
            false => self.records,
        };
        records.extend(known);
        Self {
            everything: self.everything || is_unsent,
            is_deletion: !records.is_empty(),
            records,
            author: None,
        }
    }

    /// Tells whether edits were made over this record as it stands.
    pub(crate) fn is_upon(&self, key: &RecordKey, count: SyncCount) -> bool {
        self.everything || self.records.get(key) == Some(&count)
    }

    /// Strikes out what a push has brought.
    pub(crate) fn strike_out(&mut self, brought: &Self) {
        self.everything &= !brought.everything;
        let is_left =
            |key: &RecordKey, count: &mut SyncCount| brought.records.get(key) != Some(count);
        self.records.retain(is_left);
    }
}

/// How an edit of an old client is made here.
enum Way {
    /// It says what stands there.
    Not,
    /// Upon what stands there, which is what it was made upon.
    Upon,
    /// Beside these values.
    Beside(Vec<Value>),
    /// Not at all.
    Overtaken,
}

impl Replica {
    /// Tells whether this was taken already.
    #[must_use]
    pub fn has_taken(&self, id: UnsentId) -> bool {
        self.row.taken.contains(&id)
    }

    /// Takes what an old client had not sent as edits made here, all or none; `None` if it was taken already. A session that
    /// runs is abandoned.
    ///
    /// Each key stands in `edits` once. `author` draws an author at each call.
    ///
    /// # Errors
    ///
    /// [`RefusedEdit`]; the dataset is as it was.
    pub fn take_unsent(
        &mut self,
        id: UnsentId,
        edits: &[UnsentEdit],
        mut author: impl FnMut() -> Actor,
        now: Timestamp,
    ) -> Result<Option<TakenUnsent>, RefusedEdit> {
        if self.has_taken(id) {
            return Ok(None);
        }
        self.abandon();
        let ways: Vec<Way> = edits.iter().map(|edit| self.way(edit)).collect();
        let (overtaken, made) = self.transaction(now, |transaction| {
            let mut overtaken = Vec::new();
            for (edit, way) in edits.iter().zip(ways) {
                match way {
                    Way::Not => {}
                    Way::Upon => transaction.edit(upon(edit))?,
                    Way::Beside(values) => transaction.edit(beside(edit, values, &mut author))?,
                    Way::Overtaken => overtaken.push(edit.clone()),
                }
            }
            Ok::<_, RefusedEdit>(overtaken)
        })?;
        // What a life of the service's state is known of was listed, and is compared here and now.
        if !self.is_listed() {
            let over = &mut self.row.over;
            over.is_deletion = false;
            for edit in edits {
                over.records.entry(edit.key.clone()).or_insert(edit.count);
            }
        }
        let mut made = made.unwrap_or_else(|| LocalEdit {
            commit: Commit::new(self.key.clone()),
            edit: Edit::default(),
            changed: std::collections::BTreeSet::new(),
        });
        self.name_taken(id, &mut made.commit);
        Ok(Some(TakenUnsent { made, overtaken }))
    }

    /// Takes a deletion that an old client had not sent; `None` if it was taken already. Later edits may be made by `actor`,
    /// which must be drawn for it alone.
    ///
    /// A life of the state that is known is deleted. Where none is, what the next session finds at the service is removed, and
    /// what was edited here since stays.
    #[must_use]
    pub fn take_unsent_deletion(&mut self, id: UnsentId, actor: Actor) -> Option<Commit> {
        if self.has_taken(id) {
            return None;
        }
        let mut commit = if self.is_listed() {
            self.delete(actor)
        } else {
            self.abandon();
            self.row.over.everything = true;
            // What was imported under this name says nothing about it.
            self.row.importer = None;
            Commit::new(self.key.clone())
        };
        self.name_taken(id, &mut commit);
        Some(commit)
    }

    /// Tells whether what stands at the service was listed and taken in.
    const fn is_listed(&self) -> bool {
        self.row.lineage.is_some() || self.is_plain_only()
    }

    fn name_taken(&mut self, id: UnsentId, commit: &mut Commit) {
        self.row.taken.push(id);
        commit.sync = Some(self.row.encode());
        self.is_new = false;
    }

    fn way(&self, edit: &UnsentEdit) -> Way {
        let state = self.document.state();
        let shown = text_at(state, &edit.key);
        let standing = state.conflicts(edit.key.as_str());
        if shown == edit.text && (shown.is_some() || standing.is_empty()) {
            return Way::Not;
        }
        if standing.is_empty() || self.is_upon(edit, shown.as_deref()) {
            return Way::Upon;
        }
        let is_scalar = |value: &Value| matches!(value, Value::Scalar(_));
        let values: Vec<Value> = standing.into_iter().map(|it| it.value).collect();
        match edit.text {
            Some(_) if values.iter().all(is_scalar) => Way::Beside(values),
            _ => Way::Overtaken,
        }
    }

    /// Tells whether what is shown here is the very record that an edit was made upon.
    fn is_upon(&self, edit: &UnsentEdit, shown: Option<&str>) -> bool {
        let record = self.mirror.get(&edit.key);
        let record = record.filter(|record| record.sync_count == edit.count);
        self.is_listed() && record.is_some_and(|record| record.value.as_deref() == shown)
    }

    /// Returns the keys of a state at which edits made here replace what others wrote.
    pub(crate) fn replaced(&self, state: &State) -> Vec<String> {
        if self.row.over.everything {
            return state.keys().map(str::to_owned).collect();
        }
        let records = self.row.over.records.iter();
        let replaced = records.filter(|(key, count)| self.is_replaced(key, **count, state));
        replaced.map(|(key, _)| key.as_str().to_owned()).collect()
    }

    /// Returns the text that was put here at a key, if what stands there reads it as another type than a string.
    pub(crate) fn retyped(&self, key: &str, state: &State) -> Option<String> {
        if self.row.over.everything {
            return None;
        }
        let mut own = self.own_values(key);
        let (Some(one), None) = (own.next(), own.next()) else {
            return None;
        };
        let Value::Scalar(Scalar::String(text)) = one else {
            return None;
        };
        let keeps_type = match state.get(key)? {
            Value::Text(_) => true,
            Value::Counter(_) => number(&text).is_some(),
            Value::Scalar(shown) => !matches!(scalar_of(&text, &shown), Scalar::String(_)),
            _ => false,
        };
        keeps_type.then_some(text)
    }

    /// Tells whether a record stands as the old client had seen it, or says what the edit says.
    fn is_replaced(&self, key: &RecordKey, count: SyncCount, state: &State) -> bool {
        let record = self.mirror.get(key).filter(|record| {
            let shown = text_at(state, key);
            record.value.is_some() && record.value == shown
        });
        let Some(record) = record else { return false };
        let mut own = self.own_values(key.as_str());
        record.sync_count == count || own.any(|value| text_of(&value) == record.value)
    }

    /// Returns what an old client's edits have put at a key, as far as it stands.
    fn own_values(&self, key: &str) -> impl Iterator<Item = Value> {
        let author = self.unsent_author();
        let values = self.document.state().conflicts(key).into_iter();
        values
            .filter(move |it| it.author() == author)
            .map(|it| it.value)
    }

    /// Strikes out what a push has removed whose answer was lost: under the importer's name, which was on disk before it was
    /// sent. What stands there now is newer.
    pub(crate) fn settle_over(&mut self) {
        let stored = self.stored.as_ref().map(Stored::state);
        let stands = |id: OpId| stored.is_some_and(|it| it.seen_from(id.actor) >= id.counter);
        if self
            .row
            .importer
            .is_some_and(|id| id.counter > 0 && stands(id))
        {
            self.row.over.everything = false;
        }
    }

    /// Returns under whose name the edits stand that an old client made.
    pub(crate) fn unsent_author(&self) -> Actor {
        let author = self.row.over.author.map(Actor::from_bytes);
        author.unwrap_or(self.row.actor)
    }

    /// Takes over what another identity's dataset on this device had taken of old clients, with the edits themselves.
    ///
    /// What they replace is only known where nothing else was edited; elsewhere they stand beside it.
    pub(crate) fn inherit_unsent(&mut self, other: &Self, is_alone: bool) {
        let new = other.row.taken.iter().filter(|id| !self.has_taken(**id));
        let new: Vec<UnsentId> = new.copied().collect();
        self.row.taken.extend(new);
        if is_alone && !other.row.over.is_empty() {
            self.row.over = other.row.over.clone();
            self.row.over.author = Some(other.unsent_author().to_bytes());
        }
    }

    /// Forgets over which records edits were made, once all of them are known.
    pub(crate) fn forget_over(&mut self) {
        if !self.row.over.is_empty() {
            self.row.over = Over::default();
            self.keep(Commit::new(self.key.clone()), Durability::Buffered);
        }
    }
}

fn upon(edit: &UnsentEdit) -> Operation {
    Operation::Import {
        key: edit.key.as_str().to_owned(),
        text: edit.text.clone(),
    }
}

/// Puts an edit beside what stands, which goes on being shown.
fn beside(
    edit: &UnsentEdit,
    mut values: Vec<Value>,
    author: &mut impl FnMut() -> Actor,
) -> Operation {
    let text = edit.text.as_deref().unwrap_or_default();
    values.push(Value::Scalar(Scalar::from(text)));
    Operation::PutConcurrently {
        authors: values.iter().map(|_| author()).collect(),
        places: vec![(edit.key.as_str().into(), values)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn push_strikes_out_what_it_brought_and_nothing_later() {
        let key = |key: &str| key.parse::<RecordKey>().unwrap();
        let mut over = Over::default();
        over.records.insert(key("a"), SyncCount::from(1));
        over.records.insert(key("b"), SyncCount::from(1));
        let mut brought = over.clone();
        brought.records.insert(key("b"), SyncCount::from(2));
        over.everything = true;
        over.strike_out(&brought);
        assert!(over.everything);
        assert_eq!(over.records.into_keys().collect::<Vec<_>>(), [key("b")]);
    }
}
