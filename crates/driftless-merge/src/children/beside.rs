//! Plain records of a merged dataset: what of them its state does not hold, and how that is taken in.
//!
//! There may be no state at all, but an old client's data; or a state and the records that mirror it; or records that an old
//! client wrote since. The rule: whoever takes the same records in makes the same operations, so that devices which fold a
//! merged dataset in at the same time do it once. Author and times come from what is read, and nothing is drawn.

use driftless_document::{Actor, Document, State, branch};
use driftless_record::{HEAD_KEY, Stored, is_reserved, scalar_of, text_of};
use driftless_wire::{DatasetName, Record, SyncCount, Timestamp};

use crate::plain::seen_of;
use crate::replica::base_name;

/// The records of a merged dataset that say something else than its state.
pub(super) struct Beside<'a> {
    state: State,
    /// Whether the state was shown to whoever wrote them: then they are edits of it.
    is_shown: bool,
    /// In the order of their keys.
    records: Vec<&'a Record>,
}

impl<'a> Beside<'a> {
    /// Finds what foreign hands left beside a state.
    ///
    /// In a plain dataset it is what is later than head's `seen`, removals too, as in any session. Elsewhere nobody knows
    /// what the records were written upon, and they stand beside the values of the state.
    pub(super) fn of(stored: Option<&Stored>, records: &'a [Record]) -> Self {
        let state = stored.map_or_else(State::new, |stored| stored.state().clone());
        let head = stored.and_then(Stored::head);
        let is_shown = head.is_some_and(|head| head.plain);
        let head_count = records
            .iter()
            .find(|record| record.key.as_str() == HEAD_KEY)
            .map(|record| record.sync_count);
        let seen = head.map(|head| seen_of(head, head_count));
        let is_later = |count: SyncCount| seen.is_none_or(|seen| count > seen);
        let is_foreign = |record: &&Record| {
            let key = record.key.as_str();
            let shown = state.get(key).and_then(|value| text_of(&value));
            !is_reserved(key)
                && is_later(record.sync_count)
                && (is_shown || record.value.is_some())
                && record.value != shown
        };
        let mut records: Vec<&Record> = records.iter().filter(is_foreign).collect();
        records.sort_unstable_by_key(|record| &record.key);
        Self {
            is_shown,
            state,
            records,
        }
    }

    /// Returns the state with them, and whether all of them are in it: a dataset cannot have every key that a record can.
    pub(super) fn take_in(self, name: &DatasetName) -> (State, bool) {
        if self.records.is_empty() {
            return (self.state, true);
        }
        branch!(ChildPlainImported);
        let author = self.author(name);
        let shown = match self.is_shown {
            true => self.state.clone(),
            false => State::new(),
        };
        let mut document = Document::from_state(base_name(name.as_str()), author, shown);
        let is_taken_in = |record: &&Record| {
            let time = record.last_modified_date.map_or(0, Timestamp::as_millis);
            let text = record.value.as_deref();
            let made = document.import(record.key.as_str(), text, scalar_of, time);
            made.is_ok()
        };
        let taken_in = self.records.iter().copied().filter(is_taken_in).count();
        (
            self.state.join(document.state()),
            taken_in == self.records.len(),
        )
    }

    /// Derives who writes them again from all that decides what is written; it stands among the devices' names.
    fn author(&self, name: &DatasetName) -> Actor {
        let mut hasher = blake3::Hasher::new();
        let mut add = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        add(name.as_str().as_bytes());
        let shown = self.state.clock().iter().filter(|_| self.is_shown);
        for (actor, counter) in shown {
            add(&actor.to_bytes());
            add(&counter.to_le_bytes());
        }
        for record in &self.records {
            add(record.key.as_str().as_bytes());
            // A removal is no text, not even the empty one.
            add(&[u8::from(record.value.is_some())]);
            add(record.value.as_deref().unwrap_or_default().as_bytes());
        }
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        Actor::random(bytes)
    }
}
