//! The end of a world: faults are over, and the devices must come to rest, equal, with nothing lost.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::mem::discriminant;

use driftless::{Outcome, Report, Value};
use driftless_document::{Delta, ObjectId, State};
use driftless_record::{Stored, text_of};
use driftless_store::MemoryStore;
use driftless_wire::{DatasetName, Record, RecordKey};

use super::{Checked, World};
use crate::agenda::Life;
use crate::check::Check;
use crate::cloud;
use crate::ledger::SHARED;
use crate::plan::{End, ROOM};

/// How often each device synchronizes at most until nobody has anything to say.
pub(super) const ROUNDS: usize = 6;

/// How often devices remove half of all keys at most until the rest fits.
const ROUNDS_WITHOUT_ROOM: usize = 16;

impl World {
    /// Ends all faults, lets the devices come to rest and checks what must be true then; they edit
    /// once more, and must agree once more.
    ///
    /// # Errors
    ///
    /// A [`Violation`](crate::Violation) if something is not as it must be.
    pub fn settle(&mut self) -> Checked {
        self.be_quiet()?;
        self.come_to_rest()?;
        self.check_rest()?;
        for device in 0..self.devices.len() {
            self.restart(device, End::Closed)?;
            if self.setting.marks {
                self.mark(device)?;
            }
        }
        self.come_to_rest()?;
        self.check_rest()?;
        self.check_requests()
    }

    /// Ends all faults; what is on its way arrives, however late.
    fn be_quiet(&mut self) -> Checked {
        self.note(format_args!("quiet"));
        self.step += 1;
        self.is_quiet = false;
        self.open_the_door();
        while let Some(event) = self.agenda.next(i64::MAX) {
            self.happen(event)?;
        }
        self.finish_calls()?;
        self.is_quiet = true;
        for device in 0..self.devices.len() {
            self.devices[device].is_online = true;
            // A death that still waits does not come any more.
            self.restart(device, End::Killed)?;
        }
        Ok(())
    }

    /// Lets all devices synchronize in turn until nobody has anything to say.
    fn come_to_rest(&mut self) -> Checked {
        if self.is_unnoticed {
            self.list_everything()?;
            self.is_unnoticed = false;
        }
        // A round in which room is made counts for itself: each removes half of all keys.
        let (mut rounds, mut making_room) = (0, 0);
        while rounds < ROUNDS && making_room < ROUNDS_WITHOUT_ROOM {
            let (mut is_quiet, mut is_full) = (true, false);
            let order = match self.cloud.stored(&self.limits(), self.agenda.time()) {
                Ok(_) => (0..self.devices.len()).collect(),
                Err(_) => self.those_who_know_first(),
            };
            for device in order {
                let report = self.call(device)?;
                is_quiet &= report.requests == self.quiet_requests(&report);
                if let Outcome::Full(_) = report.outcome {
                    is_full = true;
                    self.make_room(device)?;
                }
            }
            match (is_quiet, is_full) {
                (_, true) => making_room += 1,
                (false, false) => rounds += 1,
                (true, false) => return Ok(()),
            }
        }
        let what = format!("the devices still talk after {ROUNDS} syncs each");
        Err(self.violation(Check::RestIsReached, what))
    }

    /// Returns the devices, those first that know the dataset: they repair what nobody else can read.
    fn those_who_know_first(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.devices.len()).collect();
        order.sort_by_key(|device| self.devices[*device].disk.life().is_none());
        order
    }

    /// A service that was taken back, or lets records rot, is noticed when what is pushed does not fit,
    /// or by a device that lists everything.
    fn list_everything(&mut self) -> Checked {
        for device in self.those_who_know_first() {
            if self.setting.marks {
                self.mark(device)?;
            }
            self.call(device)?;
        }
        self.add_device(MemoryStore::new())?;
        self.call(self.devices.len() - 1).map(drop)
    }

    /// Calls `synchronize` and waits for it.
    pub(super) fn call(&mut self, device: usize) -> Checked<Report> {
        let life: Life = self.devices[device].life;
        let dataset = self.devices[device].dataset.clone();
        let (told, mut report) = tokio::sync::oneshot::channel();
        let call = async move {
            let outcome = dataset.synchronize().await;
            drop(told.send(outcome.clone()));
            outcome
        };
        self.tasks.begin(life, self.ledger.marks(), Box::pin(call));
        self.finish_calls()?;
        match report.try_recv() {
            Ok(Ok(report)) => Ok(report),
            ended => Err(self.violation(
                Check::CallsEndOnce,
                format!("a sync of device {device} ends as {ended:?}"),
            )),
        }
    }

    /// Removes half of all that a device holds, as an app would whose data do not fit. Where it holds nothing, what old clients
    /// wrote has no room, and one of them removes half of that.
    fn make_room(&mut self, device: usize) -> Checked {
        self.tally.count("times room was made");
        let dataset = self.devices[device].dataset.clone();
        let keys: BTreeSet<String> = dataset.keys().into_iter().step_by(2).collect();
        if keys.is_empty() {
            let plain = self.plain_texts().into_keys().step_by(2);
            let plain: BTreeSet<String> = plain.collect();
            self.ledger.make_room(|key| plain.contains(key));
            let removed = plain.into_iter().map(|key| (key, None)).collect();
            self.cloud.write(removed, self.agenda.time());
            return Ok(());
        }
        self.ledger.make_room(|key| keys.contains(key));
        for key in keys {
            self.edit(device, |dataset| dataset.remove(&key).map(drop))?;
        }
        Ok(())
    }

    /// Checks what is true at rest.
    fn check_rest(&mut self) -> Checked {
        let stored = self.stored()?;
        if stored.as_ref().is_some_and(Stored::needs_repair) {
            let what = "what is stored is damaged, and nobody repairs it";
            return Err(self.violation(Check::RestIsReached, what));
        }
        let stored = stored.map(|stored| stored.state().clone());
        self.check_merged()?;
        let plain = self.plain_texts();
        for number in 0..self.devices.len() {
            let state = self.devices[number].state();
            let is_plain_only = self.devices[number].dataset.is_plain_only();
            let agrees = match &stored {
                Some(stored) => state == *stored && !is_plain_only,
                // The records are all there is, and each device has read them under ids of its own.
                None if is_plain_only => texts(&state) == plain,
                // What was made and removed before anything was stored leaves a clock, which nobody needs.
                None => state.is_blank(),
            };
            if !agrees {
                let difference = stored.map(|stored| state.diff(&stored));
                let what = format!("device {number} differs from what is stored by {difference:?}");
                return Err(self.violation(Check::DevicesAgree, what));
            }
            if self.devices[number].dataset.has_unsynced() {
                let what = format!("device {number} believes that it has something to push");
                return Err(self.violation(Check::RestIsReached, what));
            }
            let told = self.devices[number].check_view();
            self.check(Check::ChangesTellAll, told)?;
            self.check_mirror(number)?;
        }
        let state = self.devices[0].state();
        if let Some(mark) = self.ledger.lost(&state) {
            let what = format!("{mark} was acknowledged and is nowhere");
            return Err(self.violation(Check::NoEditIsLost, what));
        }
        self.check_creations(&state)?;
        self.check_plain(&state)?;
        self.check_reference()
    }

    /// Checks that what merges left was folded in and is gone, where it has room.
    fn check_merged(&mut self) -> Checked {
        let mut left = self.cloud.datasets(self.agenda.time());
        left.retain(|name| *name != cloud::dataset());
        // A plain dataset of a long world has no room for more records.
        let has_room = self.setting.dataset_bytes >= ROOM && !self.devices[0].dataset.is_plain();
        if has_room && !left.is_empty() {
            let what = format!("{left:?} should have been folded in");
            return Err(self.violation(Check::RestIsReached, what));
        }
        let left: BTreeSet<&String> = left.iter().filter_map(|it| self.merged.get(it)).collect();
        self.ledger
            .lose_keys(|key| left.iter().any(|mark| *mark == key));
        Ok(())
    }

    /// Checks that old clients see what devices see.
    fn check_plain(&self, state: &State) -> Checked {
        if !self.devices[0].dataset.is_plain() || self.is_retired {
            return Ok(());
        }
        let (shown, plain) = (texts(state), self.plain_texts());
        if shown == plain {
            return Ok(());
        }
        let what = format!("the records show {plain:?}, the devices {shown:?}");
        Err(self.violation(Check::PlainShowsState, what))
    }

    /// Compares the records that a device remembers with those that stand there.
    fn check_mirror(&self, device: usize) -> Checked {
        // What rots or is taken back without a new count is not noticed by an increment.
        if self.was_unnoticed {
            return Ok(());
        }
        let records = self.cloud.list(self.agenda.time()).records;
        let mirror = self.devices[device].disk.mirror();
        let stands = |key: &RecordKey| records.iter().any(|record| record.key == *key);
        let told = |record: &&Record| {
            mirror.get(&record.key).is_none_or(|mirrored| {
                (&mirrored.value, mirrored.sync_count) != (&record.value, record.sync_count)
            })
        };
        let stale = records.iter().find(told).map(|record| &record.key);
        let gone = mirror
            .iter()
            .find(|(key, record)| record.value.is_some() && !stands(key));
        let Some(key) = stale.or(gone.map(|(key, _)| key)) else {
            return Ok(());
        };
        let what = format!(
            "device {device} remembers another {} than there is",
            key.as_str()
        );
        Err(self.violation(Check::MirrorsAgree, what))
    }

    /// Checks that what several devices created is one thing, and holds what all of them put into it.
    fn check_creations(&self, state: &State) -> Checked {
        for key in state.keys() {
            let values: Vec<Value> = state
                .conflicts(key)
                .into_iter()
                .map(|one| one.value)
                .collect();
            let merging = values
                .iter()
                .filter(|value| !matches!(value, Value::Scalar(_)));
            let mut kinds = HashSet::new();
            if merging.map(discriminant).any(|kind| !kinds.insert(kind)) {
                let what = format!("{key} was created several times: {values:?}");
                return Err(self.violation(Check::CreationsMeet, what));
            }
        }
        if self.devices[0].dataset.is_plain() {
            // What a Lambda or half a push does to a counter's record is not told from an edit.
            return Ok(());
        }
        let total = self.devices[0].dataset.counter(SHARED).unwrap_or(0);
        match self.ledger.miscounted(total) {
            Some(what) => Err(self.violation(Check::NoEditIsLost, what)),
            None => Ok(()),
        }
    }

    /// Compares values, conflict sets, op ids and texts with a document that forgot nothing.
    fn check_reference(&mut self) -> Checked {
        let Some(reference) = self.ledger.reference() else {
            return Ok(());
        };
        self.tally.count("comparisons with the reference");
        let (state, expected) = (self.devices[0].state(), reference.state());
        // Whoever creates and removes something unseen removes that of all others there.
        let keys = state.keys().chain(expected.keys());
        // What an old client put before there was a state is an edit of whoever imported it.
        let is_compared = |key: &&str| *key != SHARED && !key.starts_with('p');
        let keys: BTreeSet<&str> = keys.filter(is_compared).collect();
        for key in keys {
            if state.conflicts(key) != expected.conflicts(key) {
                let what = format!(
                    "{key} is {:?}, the reference has {:?}",
                    state.conflicts(key),
                    expected.conflicts(key)
                );
                return Err(self.violation(Check::EqualsReference, what));
            }
        }
        let inside = |delta: Delta| {
            let objects = delta.objects.into_keys();
            objects
                .filter(|id| *id != ObjectId::Root)
                .collect::<Vec<_>>()
        };
        let differ = [inside(state.diff(&expected)), inside(expected.diff(&state))];
        if differ.iter().any(|ids| !ids.is_empty()) {
            let what = format!("objects differ from those of the reference: {differ:?}");
            return Err(self.violation(Check::EqualsReference, what));
        }
        Ok(())
    }

    /// Counts requests where nobody contends.
    fn check_requests(&mut self) -> Checked {
        let quiet = self.call(0)?;
        let pushed = if self.setting.marks {
            self.mark(0)?;
            self.call(0)?
        } else {
            Report::default()
        };
        // Beside what is left over a push is a list and an update.
        let expected = match pushed.wrote {
            Some(_) => 1 + self.quiet_requests(&pushed),
            None => pushed.requests,
        };
        if quiet.requests == self.quiet_requests(&quiet) && pushed.requests == expected {
            return Ok(());
        }
        let what = format!(
            "a sync without a change took {} requests, a push {}",
            quiet.requests, pushed.requests
        );
        Err(self.violation(Check::RequestsAreFew, what))
    }

    /// Returns how many requests a session takes that has nothing to say: a list, and one for each page of each merged dataset
    /// that has no room.
    fn quiet_requests(&self, report: &Report) -> u32 {
        let pages = |name: &DatasetName| {
            let page = self.setting.page.unwrap_or(u32::MAX);
            let records = self.cloud.records_of(name, self.agenda.time());
            (records as u32).div_ceil(page).max(1)
        };
        1 + report.left_over.keys().map(pages).sum::<u32>()
    }
}

/// Returns what a state shows as texts.
fn texts(state: &State) -> BTreeMap<String, String> {
    let text = |key: &str| Some((key.to_owned(), text_of(&state.get(key)?)?));
    state.keys().filter_map(text).collect()
}
