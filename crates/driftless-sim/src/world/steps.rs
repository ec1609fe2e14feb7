//! The steps of a plan.

use std::collections::BTreeSet;

use driftless::{Dataset, PutError, RefusedEdit};
use driftless_record::Stored;

use super::{Checked, MOST_CALLS, MOST_DEVICES, World, filler_key};
use crate::check::Check;
use crate::cloud;
use crate::disk::Death;
use crate::draw::Draw;
use crate::guest::Guest;
use crate::ledger::SHARED;
use crate::plan::{End, ROOM, Step, Story};

/// The most datasets of the identity before guests are merged no more; a service takes twenty.
const MOST_DATASETS: usize = 10;

impl World {
    /// Takes a step; `edit` makes the edits of the plan.
    ///
    /// # Errors
    ///
    /// A [`Violation`](crate::Violation) if something is not as it must be.
    pub fn take<E>(
        &mut self,
        step: &Step<E>,
        edit: impl Fn(&E, &Dataset) -> Result<(), PutError>,
    ) -> Checked {
        self.step += 1;
        self.tally.count("steps");
        let at = |device: &usize| device % self.devices.len();
        match step {
            Step::Edit(device, what) => {
                self.edit(at(device), |dataset| edit(what, dataset))?;
            }
            Step::Mark(device) => self.mark(at(device))?,
            Step::Count(device) => self.count(at(device))?,
            Step::Flash(device) => self.flash(at(device))?,
            Step::Sync(device) => self.sync(at(device))?,
            Step::Compact(device) => self.compact(at(device))?,
            Step::Cancel(device) => self.cancel(at(device))?,
            Step::Network(device, is_online) => {
                let device = at(device);
                self.tally.count("devices that lost or found the network");
                self.devices[device].is_online = *is_online;
            }
            Step::Wait(millis) => self.wait(*millis)?,
            Step::Restart(device, end) => {
                let device = at(device);
                self.rest_if_copied()?;
                self.tally.count(match end {
                    End::Closed => "restarts after a close",
                    End::Killed => "restarts after a kill",
                    End::PowerLost => "restarts after a loss of power",
                });
                self.restart(device, *end)?;
            }
            Step::Doom(device, commits, keeps_next, loses_power) => {
                let device = at(device);
                self.devices[device].dies_without_power = *loses_power;
                self.devices[device].disk.doom(Death {
                    commits: *commits,
                    keeps_next: *keeps_next,
                });
            }
            Step::RotStore(device) => self.rot_store(at(device))?,
            Step::RotRecord(slot, place) => self.rot_record(*slot, *place),
            Step::OldClientPut(key, value) => {
                self.old_client_puts(*key, *value);
            }
            Step::RetirePlain(device) => self.retire_plain(at(device))?,
            Step::OldClientRemove(key) => {
                self.tally.count("records removed by an old client");
                let values = vec![(old_key(*key), None)];
                self.cloud.write(values, self.agenda.time());
            }
            Step::OldClientTrim(number) => {
                self.tally.count("records removed by an old client");
                let number = number % self.setting.filled.max(1);
                let values = vec![(filler_key(number), None)];
                self.cloud.write(values, self.agenda.time());
            }
            Step::OldClientClear => self.clear(),
            Step::Overwrite(slot) => self.overwrite(*slot),
            Step::Delete(device) => {
                let device = at(device);
                self.rest_if_copied()?;
                self.delete(device)?;
            }
            Step::ConsoleDelete => {
                self.tally.count("deletions from a console");
                if self.cloud.delete(self.agenda.time()) {
                    self.life_ended();
                }
            }
            Step::TakeBack(writes) => self.take_back(*writes)?,
            Step::Empty => self.take_back(usize::MAX)?,
            Step::MergeChild => {
                self.tally.count("identities merged at the service");
                // An identity may have twenty datasets.
                let number = self.step % 8;
                self.cloud.merge_child(number, self.agenda.time());
            }
            Step::MergeGuest(kinds) => self.guest_comes(*kinds),
            Step::Clone(device) => self.clone_device(at(device))?,
            Step::Backup(device) => {
                let device = at(device);
                self.rest_on_disk(device)?;
                self.tally.count("backups");
                let device = &mut self.devices[device];
                device.backup = Some(device.disk.store().copy());
            }
            Step::Restore(device) => self.restore(at(device))?,
        }
        self.poll()
    }

    /// Lets ms pass, and what happens in them happen.
    ///
    /// # Errors
    ///
    /// A [`Violation`](crate::Violation) if something is not as it must be.
    pub fn wait(&mut self, millis: u32) -> Checked {
        self.run_until(self.agenda.now() + i64::from(millis))
    }

    /// Lets an app edit the dataset of a device; returns whether it did.
    ///
    /// # Errors
    ///
    /// A [`Violation`](crate::Violation) if the edit fails for nothing that happened.
    pub fn edit(
        &mut self,
        device: usize,
        edit: impl FnOnce(&Dataset) -> Result<(), PutError>,
    ) -> Checked<bool> {
        let edited = edit(&self.devices[device].dataset);
        let is_dead = self.devices[device].disk.is_dead();
        let what = match &edited {
            Ok(()) => "edits",
            Err(PutError::Refused(RefusedEdit::Full { .. })) => "edits that did not fit",
            Err(PutError::Refused(_)) => "edits refused",
            Err(PutError::Store(_) | PutError::Broken) if is_dead => "edits that a crash took",
            Err(error) => {
                let what = format!("an edit of device {device} fails: {error:?}");
                return Err(self.violation(Check::CallsEndOnce, what));
            }
        };
        self.tally.count(what);
        self.note(format_args!("{device} {what}"));
        self.after(device)?;
        Ok(edited.is_ok())
    }

    /// Puts a key that nobody else writes and nobody removes.
    pub(super) fn mark(&mut self, device: usize) -> Checked {
        let key = self.ledger.next_mark();
        let put = self.devices[device].dataset.put(&key, true);
        let (commit, durable) = self.devices[device].disk.commits();
        // The device may die of it, after it was acknowledged.
        if put.is_ok() {
            let is_durable = commit <= durable || !self.setting.buffered;
            self.ledger.enter(key, device, commit, is_durable);
        }
        self.edit(device, |_| put).map(drop)
    }

    /// Counts up the counter that all share.
    fn count(&mut self, device: usize) -> Checked {
        let counted = self.devices[device].dataset.increment(SHARED, 1);
        let (commit, durable) = self.devices[device].disk.commits();
        if counted.is_ok() {
            let is_durable = commit <= durable || !self.setting.buffered;
            self.ledger.count(device, commit, is_durable);
        }
        self.edit(device, |_| counted).map(drop)
    }

    /// Creates the counter that all share and removes it in the same moment, where it is not seen: nobody saw that, so
    /// that it must cost nobody anything.
    fn flash(&mut self, device: usize) -> Checked {
        let dataset = self.devices[device].dataset.clone();
        if dataset.contains_key(SHARED) {
            return Ok(());
        }
        self.tally.count("creations that nobody saw");
        let flashed = dataset.transaction(|edit| {
            edit.increment(SHARED, 1)?;
            edit.remove(SHARED)
        });
        self.edit(device, |_| flashed).map(drop)
    }

    fn sync(&mut self, device: usize) -> Checked {
        let life = self.devices[device].life;
        if self.tasks.of(life) >= MOST_CALLS {
            return Ok(());
        }
        let dataset = self.devices[device].dataset.clone();
        let call = async move { dataset.synchronize().await };
        self.tasks.begin(life, self.ledger.marks(), Box::pin(call));
        self.tally.count("syncs begun");
        self.poll()
    }

    fn compact(&mut self, device: usize) -> Checked {
        let life = self.devices[device].life;
        if self.tasks.of(life) >= MOST_CALLS {
            return Ok(());
        }
        // Ids and conflicts are not those of a document that forgets nothing from now on.
        self.ledger.forget_reference();
        if self.stored_life.is_none() {
            self.stored_life = Some(self.life_stored());
        }
        let dataset = self.devices[device].dataset.clone();
        let call = async move { dataset.compact().await };
        self.tasks.begin(life, self.ledger.marks(), Box::pin(call));
        self.tally.count("compactions begun");
        self.poll()
    }

    /// A guest with data is merged into the identity at the service: its dataset stands beside ours until it is folded in.
    fn guest_comes(&mut self, kinds: u8) {
        if self.cloud.datasets(self.agenda.time()).len() >= MOST_DATASETS {
            return;
        }
        self.tally.count("guests with data merged at the service");
        let mark = self.ledger.next_mark();
        let name = cloud::child(1_000 + self.merged.len());
        let mut draw = Draw::new(self.setting.seed, &format!("guest {}", self.merged.len()));
        let guest = Guest::new(kinds, &mark, &self.limits(), &mut draw);
        let is_there = self
            .cloud
            .write_into(&name, guest.records, self.agenda.time());
        if !is_there {
            return;
        }
        self.ledger.enter_foreign(mark.clone());
        self.merged.insert(name, mark);
        match guest.edit {
            Some(edit) if self.setting.dataset_bytes >= ROOM => self.ledger.record(edit),
            // What has no room stays where it is, and what stands in records has no id yet.
            _ => self.ledger.forget_reference(),
        }
    }

    fn cancel(&mut self, device: usize) -> Checked {
        let life = self.devices[device].life;
        if !self.tasks.cancel(life) {
            return Ok(());
        }
        self.tally.count("syncs dropped");
        self.note(format_args!("{device} drops a sync"));
        // The impatient call again at once, while steps of the dropped session are still to come.
        match self.draws[device].chance(0.5) {
            true => self.sync(device),
            false => Ok(()),
        }
    }

    /// Copies of a store that has a push in doubt cannot tell each other's edits from their own:
    /// where stores are copied, what runs ends first.
    fn rest_if_copied(&mut self) -> Checked {
        if self.setting.story == Story::Copies {
            self.finish_calls()?;
        }
        Ok(())
    }

    /// Before a store is copied, what it has been told is on disk too: that a push was refused, else it is in doubt in the copy.
    fn rest_on_disk(&mut self, device: usize) -> Checked {
        self.rest_if_copied()?;
        let (last, durable) = self.devices[device].disk.commits();
        match last == durable {
            true => Ok(()),
            false => self.restart(device, End::Closed),
        }
    }

    fn rot_store(&mut self, device: usize) -> Checked {
        let stored = self.cloud.stored(&self.limits(), self.agenda.time());
        let mut others = (0..self.devices.len()).filter(|other| *other != device);
        // Where this one alone knows whose the slots were, sessions would fail for good, as in `overwrite`.
        if stored.is_err() && !others.any(|other| self.devices[other].disk.life().is_some()) {
            return Ok(());
        }
        self.tally.count("stores found damaged");
        let others: Vec<_> = (0..self.devices.len())
            .filter(|other| *other != device)
            .map(|other| self.devices[other].dataset.clone())
            .collect();
        // What only this device had is gone with its rows.
        self.ledger
            .lose(|key| !others.iter().any(|other| other.contains_key(key)));
        let disk = &self.devices[device].disk;
        let (store, commits) = (disk.store().reopen(), disk.commits());
        self.replace(device, store, commits, true)?;
        self.devices[device].has_synced = false;
        let stored = self.cloud.stored(&self.limits(), self.agenda.time());
        let is_sound = |stored: &Stored| !stored.needs_repair();
        if !stored.is_ok_and(|stored| stored.as_ref().is_some_and(is_sound)) {
            // It knows no more what stood where the slots were damaged.
            self.may_be_unknown();
        }
        // Its app asks at each start.
        if self.setting.plain && !self.is_retired && device == 0 {
            self.keep_plain_records()?;
        }
        Ok(())
    }

    fn rot_record(&mut self, slot: usize, place: usize) {
        let slots = self.cloud.slots(self.agenda.time());
        // Where nothing can be read any more, a new device only learns that, until one that knows the data lists them all.
        if !slots.is_empty() && !self.is_unnoticed {
            self.tally.count("records that rotted");
            self.is_whole = false;
            self.spoilt_by = None;
            let key = &slots[slot % slots.len()];
            self.cloud.rot(key, place, self.agenda.time());
            (self.is_unnoticed, self.was_unnoticed) = (true, true);
            self.may_be_unknown();
        }
    }

    fn overwrite(&mut self, slot: usize) {
        let slots = self.cloud.slots(self.agenda.time());
        // Where nobody knows whose slots they were, each session ends with an error, for good.
        let is_known = self
            .devices
            .iter()
            .any(|device| device.disk.life().is_some());
        if !slots.is_empty() && is_known {
            self.tally.count("records overwritten by others");
            self.is_whole = false;
            self.spoilt_by = None;
            let key = slots[slot % slots.len()].clone();
            self.cloud
                .write(vec![(key, Some("spoilt".to_owned()))], self.agenda.time());
            self.may_be_unknown();
        }
    }

    /// An old client puts a record: in a plain dataset one that devices edit too, or one that nobody else writes.
    fn old_client_puts(&mut self, key: u8, value: u8) {
        self.tally.count("records put by an old client");
        // A dataset that is found so is plain, and what a Lambda does to its records is an edit.
        self.ledger.forget_reference();
        let key = match (self.setting.plain, key) {
            (false, key) => format!("p{key}"),
            // Once they are given up, what an old client writes may be left alone.
            (true, 0) if self.setting.marks && !self.is_retired => self.ledger.next_mark(),
            (true, key) => old_key(key),
        };
        let is_plain = self.setting.plain && !self.is_retired;
        let is_mark = is_plain && key.starts_with('m');
        let values = vec![(key.clone(), Some(value.to_string()))];
        let is_taken = self.cloud.write(values, self.agenda.time());
        if is_mark && is_taken {
            self.ledger.enter_foreign(key);
        }
    }

    fn retire_plain(&mut self, device: usize) -> Checked {
        self.tally.count("times plain records were given up");
        self.is_retired = true;
        self.ledger.lose_foreign();
        let retired = self.devices[device].dataset.retire_plain_records();
        self.edit(device, |_| retired.map(drop)).map(drop)
    }

    /// An old client removes what it does not know.
    fn clear(&mut self) {
        let slots = self.cloud.slots(self.agenda.time());
        if slots.is_empty() {
            return;
        }
        self.tally.count("slots cleared by an old client");
        self.is_whole = false;
        self.spoilt_by = None;
        let slots = slots.into_iter().map(|key| (key, None)).collect();
        self.cloud.write(slots, self.agenda.time());
        self.may_be_unknown();
    }

    /// Slots were damaged: a device that has never seen what they held, or only what stood there before, goes on with
    /// another life, if it is the first to come.
    pub(super) fn may_be_unknown(&mut self) {
        let lives = self.devices.iter().map(|device| device.disk.life());
        let lives: BTreeSet<Option<String>> = lives.collect();
        let is_known = lives.len() == 1 && !lives.contains(&None);
        // Without head, records that were given up look as if an old client had removed them.
        if self.is_retired || !is_known || !self.devices.iter().all(|device| device.has_synced) {
            self.ledger.lose_published();
        }
    }

    fn delete(&mut self, device: usize) -> Checked {
        let dataset = self.devices[device].dataset.clone();
        // Of what a merge left it may have read, and that goes with it.
        let merged: BTreeSet<&str> = self.merged.values().map(String::as_str).collect();
        self.ledger
            .lose(|key| dataset.contains_key(key) || merged.contains(key));
        let deleted = dataset.delete();
        // It knows no life of the dataset from now on.
        self.devices[device].has_synced = false;
        // Where an old client cleared the slots, it takes the dataset for deleted and begins another life.
        if self.cloud.is_cleared(self.agenda.time()) {
            self.may_be_unknown();
        }
        self.tally.count("deletions on a device");
        self.edit(device, |_| deleted).map(drop)
    }

    /// A life of the stored dataset ended, and what was in it goes everywhere.
    pub(super) fn life_ended(&mut self) {
        self.tally.count("lives of the dataset that ended");
        self.ledger.lose_published();
        for device in &mut self.devices {
            device.has_synced = false;
        }
    }

    fn take_back(&mut self, writes: usize) -> Checked {
        self.tally.count("services taken back");
        let before = self.cloud.writes();
        self.spoilt_by = None;
        self.cloud.take_back(writes);
        (self.is_unnoticed, self.was_unnoticed) = (true, true);
        self.life_ended();
        // Old clients go on writing until no count of before can be mistaken for one after it.
        for number in 0..=before {
            if self.cloud.writes() > before {
                break;
            }
            let values = vec![("busy".to_owned(), Some(number.to_string()))];
            self.cloud.write(values, self.agenda.time());
        }
        Ok(())
    }

    fn clone_device(&mut self, device: usize) -> Checked {
        if self.devices.len() >= MOST_DEVICES {
            return Ok(());
        }
        self.rest_on_disk(device)?;
        self.tally.count("clones");
        let copy = self.devices[device].disk.store().copy();
        self.add_device(copy)?;
        // Some copies wake up in the moment in which their originals do.
        let clone = self.devices.len() - 1;
        if self.setting.marks && self.draws[device].chance(0.5) {
            for device in [device, clone] {
                self.mark(device)?;
                self.sync(device)?;
            }
        }
        Ok(())
    }

    fn restore(&mut self, device: usize) -> Checked {
        self.rest_if_copied()?;
        let Some(backup) = self.devices[device].backup.take() else {
            return Ok(());
        };
        self.tally.count("backups restored");
        // What it did since is only where it was synchronized to.
        let others: Vec<_> = (0..self.devices.len())
            .filter(|other| *other != device)
            .map(|other| self.devices[other].dataset.clone())
            .collect();
        let stored = self.stored_state()?;
        // What a copy of it has comes back by that one.
        self.ledger
            .publish(|key| others.iter().any(|other| other.contains_key(key)));
        self.ledger.lose(|key| {
            let is_stored = stored
                .as_ref()
                .is_some_and(|state| state.get(key).is_some());
            !is_stored && !others.iter().any(|other| other.contains_key(key))
        });
        self.replace(device, backup, (0, 0), false)
    }
}

/// Returns a key that devices edit and that has a plain record.
fn old_key(key: u8) -> String {
    match key % 3 {
        0 => "s0".to_owned(),
        1 => "c0".to_owned(),
        _ => "t0".to_owned(),
    }
}
