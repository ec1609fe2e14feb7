//! A dataset of old clients for whose state there is no room: it stays *plain-only*.
//!
//! State and plain records together take twice the bytes, so a dataset that old clients filled may have no room for the state.
//! Then nothing reserved is written. The document shows what the records hold, on this device only; edits go to the records,
//! each under the count at which it was last seen; and once there is room, a session adopts the dataset as any other.
//!
//! The rule: **a key has an unsynced edit if its text is not that of its mirrored record.** Document and mirror change in one
//! commit, so that a crash between them cannot make an edit or lose one. Where a record changed meanwhile, the edit is made
//! again upon what came ([`Rebased`]).
//!
//! Whether a push stands whose answer was lost, only the records tell. Its texts are remembered, with the date in its patches:
//! a record with both is that push's, and then so are all others of it that have changed; what has not changed was left out by
//! a service that tore it, and is still to be sent. Where somebody wrote over all of them, nothing tells for sure; then a
//! counter or text decides that is nearer to what was pushed than to what stood there before.

use std::collections::{BTreeMap, BTreeSet};

use driftless_document::{Absorbed, Actor, Carry, Edit, Value, branch, mutant};
use driftless_record::{Lineage, Stored, is_reserved, scalar_of, text_of};
use driftless_wire::{Record, RecordKey, RecordPatch, Timestamp, UpdateRecordsResponse};

use crate::commit::{Commit, Durability};
use crate::local::Operation;
use crate::plain::{Plain, text_at};
use crate::replica::Replica;
use crate::session::{Failure, Session, SessionError};
use crate::unsent::Over;

mod rebased;

use rebased::Rebased;
pub(crate) use rebased::number;

/// Pushes in doubt that are remembered. One more is forgotten, the oldest first: if that stands after all, its edits count as
/// what another device wrote.
const MAX_SENT: usize = 4;

/// A push of plain records on its way: it may stand or not.
///
/// While it is kept, each of its records is mirrored at the count under which it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SentPlain {
    /// The date of its patches.
    pub(crate) at: Timestamp,
    /// The life that it begins, if it is the push that adopts the dataset.
    pub(crate) lineage: Option<Lineage>,
    pub(crate) texts: BTreeMap<RecordKey, Option<String>>,
}

/// What became of a record since it was mirrored.
#[derive(Clone, Debug, Default)]
struct Change {
    /// What stood there when the local edits were made.
    before: Option<String>,
    now: Option<String>,
    /// The date that its writer gave.
    date: Option<Timestamp>,
}

type Changes = BTreeMap<RecordKey, Change>;

impl Replica {
    /// Tells whether the dataset is kept as plain records only, for there is no room for its state beside them: see
    /// `docs/record-format.md`, section 6. Then only values that have a text can be put.
    #[must_use]
    pub const fn is_plain_only(&self) -> bool {
        matches!(self.row.plain, Plain::Only)
    }

    /// Tells whether the dataset holds records of old clients and nothing of ours, so that it may stay so.
    pub(crate) fn can_be_plain_only(&self) -> bool {
        let is_unknown = self.stored.is_none() && self.row.lineage.is_none();
        let is_plain = matches!(self.row.plain, Plain::Wanted | Plain::Only);
        let mut records = self.plain_records();
        is_plain
            && is_unknown
            && !self.has_reserved()
            && records.any(|(_, record)| record.value.is_some())
    }

    /// Tells whether records that are found without a state are so many that the slots of one would not have their room, once
    /// these are written. Tombstones do not count: they are never fewer.
    pub(crate) fn found_too_many(&self, patches: &[(RecordKey, Option<String>)]) -> bool {
        let texts = self.mirrored_texts();
        let mut keys: BTreeSet<&RecordKey> = texts.keys().collect();
        for (key, text) in patches {
            match text {
                Some(_) => keys.insert(key),
                None => keys.remove(key),
            };
        }
        self.can_be_plain_only() && keys.len() > self.limits.plain_records()
    }

    /// Goes on with the plain records alone, for the plan of a push failed.
    pub(crate) fn offer_plain_only(&mut self, mut session: Session, now: Timestamp) {
        if !self.is_plain_only() {
            self.become_plain_only(&mut session, now);
        }
        self.leave_children(&mut session);
        let (patches, is_all) = self.patches_that_fit();
        if !is_all {
            session.summary.full = Some(self.size());
        }
        session.summary.plain_only = true;
        if patches.is_empty() {
            self.conclude(session);
        } else {
            self.push_plain_only(session, now, patches);
        }
    }

    /// Takes the records into the document for the first time, below what was edited here before they were known.
    fn become_plain_only(&mut self, session: &mut Session, now: Timestamp) {
        branch!(PlainOnlyBegun);
        let changes = self.plain_records().map(|(key, record)| {
            let now = record.value.clone();
            // What an old client on this device had not sent was made upon the record that it had seen.
            let is_seen = self.row.over.is_upon(key, record.sync_count);
            let before = now.clone().filter(|_| is_seen);
            let date = None;
            (key.clone(), Change { before, now, date })
        });
        let changes = changes.collect();
        self.row.plain = Plain::Only;
        self.row.over = Over::default();
        self.row.sent.clear();
        self.row.plain_sent.clear();
        self.room.forget_beside();
        let mut commit = Commit::new(self.key.clone());
        let clock = self.document.state().clock().clone();
        let (mut absorbed, edit) = self.take_changes(changes, now);
        self.add_to(&mut commit, clock, &absorbed);
        self.keep(commit, Durability::Buffered);
        absorbed.edit = edit;
        self.tell(session, absorbed);
    }

    /// Returns what a list changes in the mirror, which has not taken it yet.
    pub(crate) fn listed_changes(&self, records: &[Record], is_full: bool) -> ListedChanges {
        let mut changes = Changes::new();
        let gone = self.plain_records().filter(|_| is_full);
        for (key, record) in gone {
            let before = record.value.clone();
            let (now, date) = (None, None);
            changes.insert(key.clone(), Change { before, now, date });
        }
        for record in records {
            if is_reserved(record.key.as_str()) {
                continue;
            }
            let mirrored = self.mirror.get(&record.key);
            let is_same = mirrored.is_some_and(|mirrored| {
                mirrored.sync_count == record.sync_count && mirrored.value == record.value
            });
            if is_same {
                changes.remove(&record.key);
                continue;
            }
            let change = Change {
                before: mirrored.and_then(|mirrored| mirrored.value.clone()),
                now: record.value.clone(),
                date: record.device_last_modified_date,
            };
            changes.insert(record.key.clone(), change);
        }
        ListedChanges {
            mirrored: self.mirrored_texts(),
            changes,
        }
    }

    fn mirrored_texts(&self) -> BTreeMap<RecordKey, String> {
        let texts = self.plain_records();
        let texts = texts.filter_map(|(key, record)| Some((key.clone(), record.value.clone()?)));
        texts.collect()
    }

    /// Takes in what was listed in a plain-only dataset: what to keep, and the edit that did it.
    pub(crate) fn take_plain_only_in(
        &mut self,
        session: &mut Session,
        now: Timestamp,
        listed: ListedChanges,
        stored: Option<&Stored>,
    ) -> Option<(Absorbed, Edit)> {
        let ListedChanges {
            mut mirrored,
            mut changes,
        } = listed;
        let is_ours = stored.is_some_and(|stored| self.has_adopted(stored));
        let sent = std::mem::take(&mut self.row.plain_sent);
        let life = stored.map(Stored::lineage);
        for sent in sent {
            match self.stands(&sent, &changes, life) {
                Some(true) => {
                    branch!(PlainOnlyFoundSent);
                    let is_state_lost = sent.lineage.is_some() && !is_ours;
                    for (key, text) in sent.texts {
                        let change = changes.get_mut(&key);
                        // A push that was torn left these out, and they are still to be sent.
                        let is_left_out = match &change {
                            Some(change) => is_state_lost && change.now != text,
                            None => is_state_lost || sent.lineage.is_none(),
                        };
                        if is_left_out {
                            continue;
                        }
                        if let Some(change) = change {
                            change.before.clone_from(&text);
                        }
                        match text {
                            Some(text) => mirrored.insert(key, text),
                            None => mirrored.remove(&key),
                        };
                    }
                }
                Some(false) => branch!(PlainOnlyFoundUnsent),
                None => self.row.plain_sent.push(sent),
            }
        }
        let Some(stored) = stored else {
            let is_nothing = changes.is_empty();
            return (!is_nothing).then(|| self.take_changes(changes, now));
        };
        self.row.plain_sent.clear();
        branch!(PlainOnlyAdopted);
        Some(self.take_adopted(session, now, &mirrored, stored, is_ours))
    }

    /// Tells whether what is stored holds the state of a push of ours that adopts. Of one that was torn, others may go on with
    /// the life that it names; but nobody else has the ids under which the records were read here.
    fn has_adopted(&self, stored: &Stored) -> bool {
        let mut sent = self.row.plain_sent.iter();
        let mut clock = self.document.state().clock().iter();
        let is_stored = |(actor, _): (&Actor, &u32)| {
            !actor.is_derived() && stored.state().seen_from(*actor) > 0
        };
        sent.any(|sent| sent.lineage == Some(stored.lineage())) && clock.any(is_stored)
    }

    /// Tells whether a push in doubt stands; `None` if it may still arrive.
    fn stands(&self, sent: &SentPlain, changes: &Changes, life: Option<Lineage>) -> Option<bool> {
        if sent.lineage.is_some() && sent.lineage == life {
            return Some(true);
        }
        let touched = sent.texts.iter();
        let touched = touched.filter_map(|(key, text)| Some((key, text, changes.get(key)?)));
        let touched: Vec<_> = touched.collect();
        if touched.is_empty() {
            return None;
        }
        let is_its = |(_, text, change): &(&RecordKey, &Option<String>, &Change)| {
            **text == change.now && change.date.is_none_or(|date| date == sent.at)
        };
        if touched.iter().any(is_its) {
            return Some(true);
        }
        // Nothing shows it: it would have changed all of its records, and one that adopts the slots too.
        if touched.len() < sent.texts.len() || sent.lineage.is_some() {
            return Some(false);
        }
        let is_nearer = |(key, text, change): &(&RecordKey, &Option<String>, &Change)| {
            let is_other = **text != change.now;
            is_other && self.is_nearer(key, text.as_deref(), change)
        };
        Some(touched.iter().any(is_nearer))
    }

    /// Tells whether what a counter's or a text's record says now is nearer to a text than to what it said before.
    fn is_nearer(&self, key: &RecordKey, sent: Option<&str>, change: &Change) -> bool {
        let [now, before] = [&change.now, &change.before];
        let (Some(sent), Some(now)) = (sent, now.as_deref()) else {
            return false;
        };
        let before = before.as_deref().unwrap_or_default();
        match self.document.get(key.as_str()) {
            Some(Value::Counter(_)) => {
                let distance = |from| Some(i128::from(number(now)?) - i128::from(number(from)?));
                let before = if before.is_empty() { "0" } else { before };
                match (distance(sent), distance(before)) {
                    (Some(sent), Some(before)) => sent.abs() <= before.abs(),
                    _ => false,
                }
            }
            Some(Value::Text(_)) => common(now, sent) > common(now, before),
            _ => false,
        }
    }

    /// Makes the document follow records that changed.
    fn take_changes(&mut self, changes: Changes, now: Timestamp) -> (Absorbed, Edit) {
        let rebased = |(key, change): (RecordKey, Change)| {
            let shown = self.document.get(key.as_str());
            let rebased = Rebased {
                before: change.before.as_deref(),
                local: shown.as_ref(),
                now: change.now.as_deref(),
            };
            Some((key, rebased.text()?))
        };
        let texts: Vec<_> = changes.into_iter().filter_map(rebased).collect();
        let mut edit = Edit::default();
        if texts.is_empty() || mutant!(PlainOnlyNotFollowed) {
            // An answer to a push shows new counts, and nothing else.
            return (Absorbed::nothing(), edit);
        }
        self.pin_saved();
        let before = self.document.state().clone();
        for (key, text) in texts {
            edit.append(self.show(&key, text.as_deref(), now));
        }
        let state = self.document.state();
        let delta = state.diff(&before);
        let changed = state.changed_keys(&delta);
        let absorbed = Absorbed {
            delta: Some(delta),
            edit: Edit::default(),
            changed,
        };
        (absorbed, edit)
    }

    /// Lets a key show a text, in the type that stands there. What no dataset can have as a key stays a record.
    fn show(&mut self, key: &RecordKey, text: Option<&str>, now: Timestamp) -> Edit {
        let time = now.as_millis();
        let made = match text {
            Some(_) => self.document.import(key.as_str(), text, scalar_of, time),
            // Everything there goes, for what stood below would be shown.
            None => self.document.remove(key.as_str(), time),
        };
        made.unwrap_or_default()
    }

    /// Goes on with the state that another device, or a push of this one in doubt, wrote: what was read of the records is in
    /// it, and only local edits are made again. Of ours, what has no text is in it too, and what others made of that since.
    fn take_adopted(
        &mut self,
        session: &mut Session,
        now: Timestamp,
        mirrored: &BTreeMap<RecordKey, String>,
        stored: &Stored,
        is_ours: bool,
    ) -> (Absorbed, Edit) {
        let local = self.document.state().clone();
        self.enter(stored);
        let actor = session.actor();
        self.row.rename(actor);
        let state = stored.state().clone();
        let carry = Carry::Additions;
        let time = now.as_millis();
        let mut absorbed = self.document.adopt(state, &local, actor, carry, time);
        let mut edit = std::mem::take(&mut absorbed.edit);
        let keys = local
            .keys()
            .filter_map(|key| key.to_owned().try_into().ok());
        let keys: BTreeSet<RecordKey> = keys.chain(mirrored.keys().cloned()).collect();
        for key in keys {
            let shown = local.get(key.as_str());
            if let Some(value) = shown.as_ref().filter(|value| text_of(value).is_none()) {
                if !is_ours || self.document.get(key.as_str()).is_none() {
                    let path = key.as_str().into();
                    edit.append(self.document.put_at(&path, value, time).unwrap_or_default());
                }
                continue;
            }
            let before = mirrored.get(&key).map(String::as_str);
            if shown.as_ref().and_then(text_of).as_deref() == before {
                continue;
            }
            let now_shown = text_at(self.document.state(), &key);
            let rebased = Rebased {
                before,
                local: shown.as_ref(),
                now: now_shown.as_deref(),
            };
            let text = match rebased.text() {
                Some(text) => text,
                None => shown.as_ref().and_then(text_of),
            };
            if text == now_shown {
                continue;
            }
            edit.append(self.show_as(&key, shown.as_ref(), text.as_deref(), now));
        }
        absorbed.changed = self.document.state().differing_keys(&local);
        (absorbed, edit)
    }

    /// Lets a key show a text, in the type that it had here if nothing else that merges stands there.
    fn show_as(
        &mut self,
        key: &RecordKey,
        kind: Option<&Value>,
        text: Option<&str>,
        now: Timestamp,
    ) -> Edit {
        let stands = self.document.get(key.as_str());
        let is_scalar = stands.is_none_or(|value| matches!(value, Value::Scalar(_)));
        let value = match (kind, text) {
            (Some(Value::Counter(_)), Some(text)) => number(text).map(Value::Counter),
            (Some(Value::Text(_)), Some(text)) => Some(Value::text(text)),
            (Some(Value::Scalar(scalar)), Some(text)) => {
                Some(Value::Scalar(scalar_of(text, scalar)))
            }
            _ => None,
        };
        match value.filter(|_| is_scalar) {
            Some(value) => {
                let path = key.as_str().into();
                let made = self.document.put_at(&path, &value, now.as_millis());
                made.unwrap_or_default()
            }
            None => self.show(key, text, now),
        }
    }

    /// Returns the edits as records, as far as they fit, and whether that is all: removals first, for they make room.
    fn patches_that_fit(&self) -> (Vec<(RecordKey, Option<String>)>, bool) {
        let state = self.document.state();
        let mut wanted = self.plain_patches(state);
        let growth = |(key, text): &(RecordKey, Option<String>)| {
            let record = self.mirror.get(key);
            let stands = record.map(|record| record.value.as_ref().map_or(0, String::len));
            let len = text.as_ref().map_or(0, String::len) as i64;
            len - stands.map_or(-(key.as_str().len() as i64), |len| len as i64)
        };
        wanted.sort_by_key(growth);
        let mut standing = self.beside_after(&[]);
        let mut fitting = Vec::new();
        let mut is_all = !self.holds_textless();
        for patch in wanted {
            let grows = growth(&patch);
            let bytes = standing.bytes.saturating_add_signed(grows as isize);
            let records = standing.records + usize::from(!self.mirror.contains_key(&patch.0));
            let fits = bytes <= self.limits.dataset_bytes() && records <= self.limits.records();
            if fits || grows <= 0 {
                (standing.bytes, standing.records) = (bytes, records);
                fitting.push(patch);
            } else {
                is_all = false;
            }
        }
        fitting.sort_unstable();
        (fitting, is_all)
    }

    /// Tells whether anything stands here that no plain record can show.
    pub(crate) fn holds_textless(&self) -> bool {
        self.textless_keys().next().is_some()
    }

    fn textless_keys(&self) -> impl Iterator<Item = &str> {
        let state = self.document.state();
        let is_textless = |key: &&str| state.get(key).is_some_and(|it| text_of(&it).is_none());
        state.keys().filter(is_textless)
    }

    /// Returns the keys that look different here than their records.
    pub(crate) fn unwritten_keys(&self) -> BTreeSet<String> {
        let state = self.document.state();
        let patches = self.plain_patches(state).into_iter();
        let patches = patches.map(|(key, _)| String::from(key));
        let textless = self.textless_keys().map(str::to_owned);
        patches.chain(textless).collect()
    }

    fn push_plain_only(
        &mut self,
        mut session: Session,
        now: Timestamp,
        patches: Vec<(RecordKey, Option<String>)>,
    ) {
        let Some(token) = session.token.take() else {
            return self.fail(SessionError::Answer("a list came without a session token"));
        };
        branch!(PlainOnlyPushed);
        self.remember_plain(now, None, &patches);
        // On disk before it is sent, and every edit in it with it.
        self.keep(Commit::new(self.key.clone()), Durability::Disk);
        let patches = patches.into_iter();
        let patches = patches.map(|(key, text)| self.patch(key, text, now));
        let patches = patches.collect();
        self.ask_plain_update(session, token, patches);
    }

    /// Remembers a push before it is sent.
    pub(crate) fn remember_plain(
        &mut self,
        at: Timestamp,
        lineage: Option<Lineage>,
        patches: &[(RecordKey, Option<String>)],
    ) {
        if self.row.plain_sent.len() >= MAX_SENT {
            self.row.plain_sent.remove(0);
        }
        let texts = patches.iter().cloned().collect();
        self.row.plain_sent.push(SentPlain { at, lineage, texts });
    }

    pub(crate) fn on_plain_updated(
        &mut self,
        session: Session,
        now: Timestamp,
        patches: Vec<RecordPatch>,
        answer: Result<UpdateRecordsResponse, Failure>,
    ) {
        match answer {
            Ok(answer) => self.settle_plain_only(session, now, &patches, answer),
            Err(failure) => self.on_not_updated(session, failure),
        }
    }

    /// Believes the answer to a push of plain records: what it shows otherwise than it was sent, a Lambda made of it.
    fn settle_plain_only(
        &mut self,
        mut session: Session,
        now: Timestamp,
        patches: &[RecordPatch],
        answer: UpdateRecordsResponse,
    ) {
        let mut listed = self.listed_changes(&answer.records, false);
        for patch in patches {
            if let Some(change) = listed.changes.get_mut(&patch.key) {
                change.before.clone_from(&patch.value);
            }
        }
        // A push in doubt under a count that has passed cannot arrive any more.
        let is_passed = |key: &RecordKey| patches.iter().any(|patch| patch.key == *key);
        let sent = &mut self.row.plain_sent;
        sent.retain(|sent| !sent.texts.keys().any(is_passed));
        let newest = answer.records.iter().map(|record| record.sync_count).max();
        let keys = answer.records.iter().map(|record| record.key.clone());
        let keys: Vec<RecordKey> = keys.filter(is_passed).collect();
        let mut commit = Commit::new(self.key.clone());
        self.mirror_records(answer.records, &mut commit);
        if newest == Some(session.listed.next()) {
            self.row.count = session.listed.next();
        }
        let clock = self.document.state().clock().clone();
        let (mut absorbed, edit) = self.take_changes(listed.changes, now);
        self.add_to(&mut commit, clock, &absorbed);
        self.keep(commit, Durability::Buffered);
        absorbed.edit = edit;
        self.tell(&mut session, absorbed);
        let keys = keys.into_iter().map(String::from);
        session.summary.changed_there.extend(keys);
        self.conclude(session);
    }

    /// Returns what a key must show before an operation counts or types on it: a decimal becomes a counter, a string a text. A
    /// record does not tell its type, and a device that reads it anew only sees a string.
    pub(crate) fn retyped_for(&self, operation: &Operation) -> Option<(String, Value)> {
        if !self.is_plain_only() {
            return None;
        }
        let (path, is_counter) = match operation {
            Operation::Increment(path, _) => (path, true),
            Operation::SpliceText { path, .. } => (path, false),
            _ => return None,
        };
        let key = path.as_root()?;
        let Some(shown @ Value::Scalar(_)) = self.document.get(key) else {
            return None;
        };
        let text = text_of(&shown)?;
        let value = match is_counter {
            true => Value::Counter(number(&text)?),
            false => Value::text(text),
        };
        Some((key.to_owned(), value))
    }
}

/// What a list changes of the plain records.
pub(crate) struct ListedChanges {
    /// All texts as they were mirrored before.
    mirrored: BTreeMap<RecordKey, String>,
    changes: Changes,
}

/// Returns how many bytes two texts have in common at their beginning and end.
fn common(a: &str, b: &str) -> usize {
    let head = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    let ends = a.bytes().rev().zip(b.bytes().rev());
    let tail = ends.take_while(|(a, b)| a == b).count();
    let shorter = a.len().min(b.len());
    // What both have counts for them, what only one has against them.
    (head + tail)
        .min(shorter)
        .saturating_sub(a.len().abs_diff(b.len()))
}
