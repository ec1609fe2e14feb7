//! What was acknowledged, and what may be lost of it: the book that a world is held to.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::{Mutex, PoisonError};

use driftless::Recorder;
use driftless_document::{Edit, Reference, State};
use driftless_wire::DatasetName;

/// The key of the counter that devices count up, and create and remove in one moment: what others counted stays.
pub(crate) const SHARED: &str = "n";

/// Takes note of the edits of one run of a process, until the world collects them.
#[derive(Debug, Default)]
pub(crate) struct Notes(Mutex<Noted>);

/// Edits, and whether any was written again by a session.
#[derive(Debug, Default)]
pub(crate) struct Noted {
    pub(crate) edits: Vec<Edit>,
    pub(crate) has_again: bool,
}

impl Notes {
    pub(crate) fn take(&self) -> Noted {
        mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, edit: &Edit, is_again: bool) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.edits.push(edit.clone());
        noted.has_again |= is_again;
    }
}

impl Recorder for Notes {
    fn record(&self, _dataset: &DatasetName, edit: &Edit) {
        self.note(edit, false);
    }

    fn record_again(&self, _dataset: &DatasetName, edit: &Edit) {
        self.note(edit, true);
    }
}

/// A key that one device put once, that nobody else writes and nobody removes.
#[derive(Debug)]
struct Mark {
    device: usize,
    number: usize,
    /// The commit of the device's store that brought it.
    commit: u64,
    is_durable: bool,
    /// It was in a request, so that it may be at the service.
    is_published: bool,
    /// It may be gone, for what happened takes it along.
    may_be_lost: bool,
}

/// What all devices did and what must be there of it.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    marks: BTreeMap<String, Mark>,
    /// Marks that were in no request yet.
    unpublished: BTreeSet<String>,
    /// Marks that a loss of power still takes.
    buffered: BTreeSet<String>,
    /// Every durable edit, or `None` once edits stand for nothing any more or ids for two of them.
    edits: Option<Edit>,
    /// What is stored was written anew, so that ids differ.
    is_compacted: bool,
    /// How often the shared counter was counted up, and how often so that no loss of power takes it.
    counted: i64,
    counted_for_good: i64,
    /// The others, by device and commit.
    counting: Vec<(usize, u64)>,
    /// Keys were removed because they did not fit.
    has_made_room: bool,
}

impl Ledger {
    pub(crate) fn new(has_reference: bool) -> Self {
        Self {
            edits: has_reference.then(Edit::default),
            ..Self::default()
        }
    }

    /// Returns the key of the next mark.
    pub(crate) fn next_mark(&self) -> String {
        format!("m{}", self.marks.len())
    }

    /// Enters a mark that a device acknowledged with a commit of its store.
    pub(crate) fn enter(&mut self, key: String, device: usize, commit: u64, is_durable: bool) {
        self.unpublished.insert(key.clone());
        if !is_durable {
            self.buffered.insert(key.clone());
        }
        let mark = Mark {
            device,
            number: self.marks.len(),
            commit,
            is_durable,
            is_published: false,
            may_be_lost: false,
        };
        self.marks.insert(key, mark);
    }

    /// Enters a mark that somebody else than our devices put at the service.
    pub(crate) fn enter_foreign(&mut self, key: String) {
        let mark = Mark {
            device: usize::MAX,
            number: self.marks.len(),
            commit: 0,
            is_durable: true,
            is_published: true,
            may_be_lost: false,
        };
        self.marks.insert(key, mark);
    }

    /// Takes note that what old clients put may not be imported any more.
    pub(crate) fn lose_foreign(&mut self) {
        let foreign = self
            .marks
            .values_mut()
            .filter(|mark| mark.device == usize::MAX);
        foreign.for_each(|mark| mark.may_be_lost = true);
    }

    /// Takes note that a device's commits up to one are on disk.
    pub(crate) fn is_on_disk(&mut self, device: usize, commit: u64) {
        let before = self.counting.len();
        self.counting.retain(|at| at.0 != device || at.1 > commit);
        self.counted_for_good += (before - self.counting.len()) as i64;
        let marks = &mut self.marks;
        self.buffered.retain(|key| {
            let Some(mark) = marks.get_mut(key) else {
                return false;
            };
            let is_it = mark.device == device && mark.commit <= commit;
            mark.is_durable |= is_it;
            !is_it
        });
    }

    /// Takes note that a device lost power: what it had not put on disk is gone.
    pub(crate) fn power_lost(&mut self, device: usize) {
        // They count as ones that may be there: some were synchronized before.
        self.counting.retain(|at| at.0 != device);
        let marks = &mut self.marks;
        self.buffered.retain(|key| {
            let Some(mark) = marks.get_mut(key) else {
                return false;
            };
            mark.may_be_lost |= mark.device == device;
            mark.device != device
        });
    }

    /// Takes note that what a device holds is on its way to the service.
    pub(crate) fn publish(&mut self, is_in: impl Fn(&str) -> bool) {
        let marks = &mut self.marks;
        self.unpublished.retain(|key| {
            let is_sent = is_in(key);
            if let Some(mark) = marks.get_mut(key) {
                mark.is_published |= is_sent;
            }
            !is_sent
        });
    }

    /// Takes note that what was ever at the service may be gone, from every device that lists next.
    pub(crate) fn lose_published(&mut self) {
        self.edits = None;
        for mark in self.marks.values_mut() {
            mark.may_be_lost |= mark.is_published;
        }
    }

    /// Takes note that these may be gone, and with them other edits.
    pub(crate) fn lose(&mut self, is_lost: impl Fn(&str) -> bool) {
        self.edits = None;
        self.lose_keys(is_lost);
    }

    /// Takes note that these were removed by an edit, to make room.
    pub(crate) fn make_room(&mut self, is_lost: impl Fn(&str) -> bool) {
        self.has_made_room = true;
        self.lose_keys(is_lost);
    }

    /// Takes note that these may be missing, and nothing else.
    pub(crate) fn lose_keys(&mut self, is_lost: impl Fn(&str) -> bool) {
        for (key, mark) in &mut self.marks {
            mark.may_be_lost |= is_lost(key);
        }
    }

    /// Takes note that what is stored is written anew under other ids.
    pub(crate) fn forget_reference(&mut self) {
        self.is_compacted = true;
    }

    /// Takes note that an edit may stand twice, under two ids.
    pub(crate) fn may_double(&mut self) {
        self.edits = None;
    }

    /// Takes note of edits that are on disk.
    pub(crate) fn record(&mut self, edit: Edit) {
        if let Some(edits) = &mut self.edits {
            edits.append(edit);
        }
    }

    /// Returns a mark of a device that must be in what it found after a start, and is not.
    pub(crate) fn lost_at_start(&self, device: usize, found: &State) -> Option<&str> {
        let is_missing = |(key, mark): &(&String, &Mark)| {
            mark.device == device
                && mark.is_durable
                && !mark.is_published
                && !mark.may_be_lost
                && found.get(key).is_none()
        };
        let missing = self.marks.iter().find(is_missing);
        missing.map(|(key, _)| key.as_str())
    }

    /// Returns how many marks there are.
    pub(crate) fn marks(&self) -> usize {
        self.marks.len()
    }

    /// Returns a mark of a device, of the first so many, that is not stored.
    pub(crate) fn unstored(
        &self,
        device: usize,
        first: usize,
        is_stored: impl Fn(&str) -> bool,
    ) -> Option<&str> {
        let is_missing = |(key, mark): &(&String, &Mark)| {
            mark.device == device && mark.number < first && !mark.may_be_lost && !is_stored(key)
        };
        let missing = self.marks.iter().find(is_missing);
        missing.map(|(key, _)| key.as_str())
    }

    /// Enters an increment of the shared counter, with the commit that brought it.
    pub(crate) fn count(&mut self, device: usize, commit: u64, is_durable: bool) {
        self.counted += 1;
        if is_durable {
            self.counted_for_good += 1;
        } else {
            self.counting.push((device, commit));
        }
    }

    /// Says how the shared counter differs from what was counted, where nothing may be lost.
    pub(crate) fn miscounted(&self, total: i64) -> Option<String> {
        let (least, most) = (self.counted_for_good, self.counted);
        let is_right =
            (least..=most).contains(&total) || self.edits.is_none() || self.has_made_room;
        (!is_right).then(|| format!("{SHARED} is {total}, counted were {least} to {most}"))
    }

    /// Returns a mark that must be everywhere and is not here.
    pub(crate) fn lost(&self, found: &State) -> Option<&str> {
        let is_missing = |(key, mark): &(&String, &Mark)| {
            mark.is_durable && !mark.may_be_lost && found.get(key).is_none()
        };
        let missing = self.marks.iter().find(is_missing);
        missing.map(|(key, _)| key.as_str())
    }

    /// Returns one automerge document that merged every edit and forgot none, where there is one.
    pub(crate) fn reference(&self) -> Option<Reference> {
        // What was created and removed unseen, to make room, does not remove its namesake of another device.
        let is_told = !self.is_compacted && !self.has_made_room;
        let edits = self.edits.as_ref().filter(|_| is_told)?;
        let mut reference = Reference::new();
        reference.record(edits);
        Some(reference)
    }
}
