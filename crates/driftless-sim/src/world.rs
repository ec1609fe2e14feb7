//! A world: devices, a network, a service, and the time in which things happen to them.
//!
//! One thread, no waiting: the earliest entry of the [agenda](crate::agenda) happens, whatever it
//! woke is polled, and what must be true at every moment is checked. Everything random comes from
//! the seed, so that the same plan gives the same trace.

mod door;
mod hands;
mod network;
mod quiet;
mod steps;

use std::collections::BTreeMap;
use std::fmt;

use driftless::{Durability, IdentityId, Limits, Outcome, Report, SessionError, SyncError, Wrote};
use driftless_document::{Edit, State, branch};
use driftless_record::{Stored, is_reserved};
use driftless_store::MemoryStore;
use driftless_wire::{DatasetName, Record};

use crate::agenda::{Agenda, Event, Life};
use crate::check::{Check, Violation};
use crate::cloud::{self, Cloud};
use crate::device::{Device, Make, Start};
use crate::draw::Draw;
use crate::edit;
use crate::ledger::Ledger;
use crate::plan::{End, FILLER, Setting, Story};
use crate::tally::Tally;
use crate::tasks::Tasks;

use door::Door;
pub use door::Stop;

/// The most devices of a world, copies included.
const MOST_DEVICES: usize = 50;

/// The most calls of `synchronize` that run on one device.
const MOST_CALLS: usize = 4;

/// Devices, a service and a network, and the book of what was acknowledged.
#[derive(Debug)]
pub struct World {
    setting: Setting,
    agenda: std::sync::Arc<Agenda>,
    cloud: Cloud,
    devices: Vec<Device>,
    tasks: Tasks,
    door: Door,
    ledger: Ledger,
    /// What guests edited, as long as they are not merged into ours.
    guests: BTreeMap<IdentityId, Edit>,
    /// The marks of those that were, by what the merge left of them.
    merged: BTreeMap<DatasetName, String>,
    /// What has happened so far.
    tally: Tally,
    trace: Trace,
    /// What is random about each device and its requests, so that none depends on what others do.
    draws: Vec<Draw>,
    /// Faults are over.
    is_quiet: bool,
    /// Nobody but whole pushes has written into the slots.
    is_whole: bool,
    /// The device that sent what was written last, if that was changed on the way and its answer tells.
    spoilt_by: Option<usize>,
    /// The life that stands at the service, once a device was asked to compact.
    stored_life: Option<Option<String>>,
    /// Plain records were given up.
    is_retired: bool,
    /// Something happened at the service that a device only notices by listing everything.
    is_unnoticed: bool,
    /// Something of that kind ever happened.
    was_unnoticed: bool,
    /// How many steps of the plan were taken.
    step: usize,
}

/// What a world makes known of itself, in a hash and, if asked for, in lines.
#[derive(Default)]
struct Trace {
    hasher: blake3::Hasher,
    is_printed: bool,
    /// How often each decision of the engine was taken, in a build that counts them, up to what was printed last.
    taken: Vec<u64>,
}

impl Trace {
    /// Prints the decisions that were taken since.
    fn print_decisions(&mut self) {
        let now: Vec<u64> = branch::hits().map(|(_, hits)| hits).collect();
        let is_new = |at: usize| self.taken.get(at).is_some_and(|before| *before < now[at]);
        for (at, (branch, _)) in branch::hits().enumerate() {
            if is_new(at) {
                println!("      . {}", branch.name());
            }
        }
        self.taken = now;
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trace")
    }
}

impl fmt::Write for Trace {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.hasher.update(text.as_bytes());
        if self.is_printed {
            print!("{text}");
        }
        Ok(())
    }
}

pub(crate) type Checked<T = ()> = Result<T, Violation>;

impl World {
    /// Makes a world in which nothing has happened yet.
    ///
    /// # Errors
    ///
    /// A [`Violation`] if a device does not even start.
    pub fn new(setting: Setting) -> Checked<Self> {
        let mut world = Self {
            agenda: Agenda::new(),
            cloud: Cloud::new(),
            devices: Vec::new(),
            tasks: Tasks::default(),
            door: Door::default(),
            ledger: Ledger::new(setting.story == Story::Plain),
            guests: BTreeMap::new(),
            merged: BTreeMap::new(),
            tally: Tally::default(),
            trace: Trace::default(),
            draws: Vec::new(),
            is_quiet: false,
            is_whole: !setting.faults.keys().any(|fault| fault.damages()),
            spoilt_by: None,
            stored_life: None,
            is_retired: false,
            is_unnoticed: false,
            was_unnoticed: false,
            step: 0,
            setting,
        };
        for _ in 0..world.setting.devices {
            world.add_device(MemoryStore::new())?;
        }
        if world.setting.plain {
            world.fill();
            world.keep_plain_records()?;
        }
        Ok(world)
    }

    /// Lets an old client fill the dataset before any device comes.
    fn fill(&self) {
        let filler = |number: usize| {
            let text = edit::noise(number as u16, FILLER as u16 / 2);
            let text = text
                .iter()
                .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
            (filler_key(number), Some(text))
        };
        let records = (0..self.setting.filled).map(filler).collect();
        self.cloud.write(records, self.agenda.time());
    }

    fn keep_plain_records(&mut self) -> Checked {
        // Old clients write under no device's ids.
        self.ledger.forget_reference();
        let kept = self.devices[0].dataset.keep_plain_records();
        match kept {
            Ok(_) => Ok(()),
            Err(error) => Err(self.violation(Check::CallsEndOnce, format!("{error:?}"))),
        }
    }

    /// Prints what happens, line by line.
    #[must_use]
    pub fn printed(mut self) -> Self {
        self.trace.is_printed = true;
        self
    }

    /// Returns what has happened so far.
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Returns the hash of all that has happened: the same seed gives the same.
    #[must_use]
    pub fn trace_hash(&self) -> [u8; 32] {
        *self.trace.hasher.finalize().as_bytes()
    }

    /// Returns how many devices there are.
    #[must_use]
    pub fn devices(&self) -> usize {
        self.devices.len()
    }

    /// Returns the dataset as an app on a device has it.
    #[must_use]
    pub fn dataset(&self, device: usize) -> &driftless::Dataset {
        &self.devices[device % self.devices.len()].dataset
    }

    fn limits(&self) -> Limits {
        Limits::default().with_dataset_bytes(self.setting.dataset_bytes)
    }

    fn note(&mut self, what: fmt::Arguments<'_>) {
        if self.trace.is_printed && cfg!(driftless_mutants) {
            self.trace.print_decisions();
        }
        let now = self.agenda.now();
        // Writing into a hash never fails.
        let written = fmt::write(&mut self.trace, format_args!("{now} {what}\n"));
        debug_assert!(written.is_ok());
    }

    fn violation(&self, check: Check, what: impl Into<String>) -> Violation {
        Violation {
            check,
            what: what.into(),
            step: self.step,
        }
    }

    fn check(&self, check: Check, holds: Result<(), String>) -> Checked {
        holds.map_err(|what| self.violation(check, what))
    }

    fn add_device(&mut self, store: MemoryStore) -> Checked {
        let device = self.devices.len();
        let make = Make {
            agenda: std::sync::Arc::clone(&self.agenda),
            limits: self.limits(),
            durability: if self.setting.buffered {
                Durability::Buffered
            } else {
                Durability::Disk
            },
            identity: Some(cloud::identity()),
            skew: self.setting.skews.get(device).copied().unwrap_or_default(),
        };
        let draw = Draw::new(self.setting.seed, &format!("device {device}"));
        self.draws.push(draw);
        let started = self.start(make, device, store, (0, 0), false)?;
        self.devices.push(started);
        Ok(())
    }

    fn start(
        &mut self,
        make: Make,
        device: usize,
        store: MemoryStore,
        commits: (u64, u64),
        is_rotten: bool,
    ) -> Checked<Device> {
        let run = self
            .devices
            .get(device)
            .map_or(0, |device| device.life.run + 1);
        let life = Life { device, run };
        let start = Start {
            store,
            commits,
            life,
            is_rotten,
        };
        Device::start(make, start, &mut self.draws[device])
            .map_err(|what| self.violation(Check::AcknowledgedWritesSurvive, what))
    }

    /// Makes things happen until a time, counted in ms from the beginning.
    fn run_until(&mut self, until: i64) -> Checked {
        while let Some(event) = self.agenda.next(until) {
            self.happen(event)?;
        }
        self.agenda.pass(until);
        Ok(())
    }

    /// Makes things happen until no call runs.
    fn finish_calls(&mut self) -> Checked {
        self.poll()?;
        while !self.tasks.is_empty() {
            let Some(event) = self.agenda.next(i64::MAX) else {
                return Err(self.violation(Check::CallsEndOnce, "a call waits for nothing"));
            };
            self.happen(event)?;
        }
        Ok(())
    }

    fn happen(&mut self, event: Event) -> Checked {
        match event {
            Event::Ring(ring) => drop(ring.send(())),
            Event::Work(life, work) => self.work(life, work)?,
            Event::Leave(letter) => self.leave(letter),
            Event::Arrive(arrival) => self.arrive(arrival)?,
            // Whoever asked may be gone.
            Event::Return(reply, carried) => drop(reply.send(carried)),
        }
        self.poll()
    }

    fn work(&mut self, life: Life, work: driftless::Work) -> Checked {
        if self.is_alive(life) {
            work();
            self.after(life.device)?;
        }
        Ok(())
    }

    fn is_alive(&self, life: Life) -> bool {
        self.devices
            .get(life.device)
            .is_some_and(|device| device.life == life)
    }

    fn poll(&mut self) -> Checked {
        for (life, marks, outcome) in self.tasks.poll() {
            self.ended(life, marks, outcome)?;
        }
        Ok(())
    }

    /// Collects what a device did; it starts again if it died of it.
    fn after(&mut self, device: usize) -> Checked {
        self.collect(device);
        // Now and then, so that changes pile up.
        if self.draws[device].chance(0.3) {
            let consumed = self.devices[device].consume();
            self.check(Check::ChangesTellAll, consumed)?;
        }
        if self.devices[device].disk.is_dead() {
            let device_ = &self.devices[device];
            let end = if device_.dies_without_power {
                End::PowerLost
            } else {
                End::Killed
            };
            self.tally.count("crashes at a commit");
            self.restart(device, end)?;
        }
        Ok(())
    }

    fn collect(&mut self, device: usize) {
        let Device {
            make,
            disk,
            notes,
            buffered,
            ..
        } = &mut self.devices[device];
        let (last, durable) = disk.commits();
        let noted = notes.take();
        if noted.has_again && !self.is_whole {
            // Slots were destroyed after others had seen them, so that two devices may tell one object in two ways; who gives
            // way writes again all that is not stored, which others may bring back too.
            self.ledger.may_double();
        }
        let edits = noted.edits.into_iter();
        match &make.identity {
            Some(identity) if *identity == cloud::identity() => {
                buffered.extend(edits.map(|edit| (last, edit)));
            }
            // What others do on the device is theirs, unless they are merged into ours.
            Some(guest) => {
                let theirs = self.guests.entry(guest.clone()).or_default();
                edits.for_each(|edit| theirs.append(edit));
            }
            None => {}
        }
        if buffered
            .first()
            .is_some_and(|(commit, _)| *commit <= durable)
        {
            let kept = buffered.iter().take_while(|(commit, _)| *commit <= durable);
            let kept = kept.count();
            for (_, edit) in buffered.drain(..kept) {
                self.ledger.record(edit);
            }
        }
        self.ledger.is_on_disk(device, durable);
    }

    /// Takes note of how a call ended.
    fn ended(&mut self, life: Life, marks: usize, outcome: Result<Report, SyncError>) -> Checked {
        self.after_call(life)?;
        self.tally.count("syncs");
        match outcome {
            Ok(report) => {
                self.note(format_args!("{} synced {report:?}", life.device));
                self.count_report(&report);
                if self.is_alive(life) {
                    // Whoever holds nothing may never have seen a life of the dataset.
                    let device = &mut self.devices[life.device];
                    device.has_synced |= !device.dataset.is_empty();
                    self.check_synced(life.device, marks, &report)?;
                }
                Ok(())
            }
            Err(error) => {
                self.note(format_args!("{} failed {error}", life.device));
                self.tally.count(format!("sync error: {}", kind(&error)));
                self.check_error(life, &error)
            }
        }
    }

    /// Checks what a call that ended well stands for.
    fn check_synced(&mut self, device: usize, marks: usize, report: &Report) -> Checked {
        if !self.draws[device].chance(0.3) {
            return Ok(());
        }
        self.check_spoilt(device, report)?;
        self.check_count(device)?;
        self.check_stands(device, marks, report)
    }

    /// Checks that a device does not leave what it wrote itself as it was changed on the way.
    fn check_spoilt(&self, device: usize, report: &Report) -> Checked {
        // What was lost without notice stays lost until somebody lists all.
        let is_told = self.spoilt_by == Some(device) && !self.was_unnoticed;
        if !is_told || report.outcome != Outcome::Synced {
            return Ok(());
        }
        match self.cloud.stored(&self.limits(), self.agenda.time()) {
            // It may have been deleted since.
            Ok(None) => Ok(()),
            Ok(Some(stored)) if !stored.needs_repair() => Ok(()),
            stored => {
                let what = stored.map(|_| "it needs repair");
                let what = format!("device {device} leaves what it wrote changed: {what:?}");
                Err(self.violation(Check::SyncedIsStored, what))
            }
        }
    }

    /// Checks that a device remembers every record up to the count from which it lists next.
    fn check_count(&self, device: usize) -> Checked {
        if self.was_unnoticed {
            return Ok(());
        }
        let disk = &self.devices[device].disk;
        let (mirror, count) = (disk.mirror(), disk.count());
        let records = self.cloud.list(self.agenda.time()).records;
        let is_missed = |record: &&Record| {
            let mirrored = mirror.get(&record.key);
            record.sync_count <= count
                && mirrored.is_none_or(|mirrored| mirrored.value != record.value)
        };
        match records.iter().find(is_missed) {
            Some(record) => {
                let key = record.key.as_str();
                let what = format!("device {device} has listed up to {count:?} without {key}");
                Err(self.violation(Check::MirrorsAgree, what))
            }
            None => Ok(()),
        }
    }

    /// Checks that the marks that a device had before a call are at the service after it.
    fn check_stands(&self, device: usize, marks: usize, report: &Report) -> Checked {
        // A push onto another service than was listed may be taken there for one of its own.
        let is_told = self.is_whole && !self.is_unnoticed && self.setting.story != Story::Copies;
        let is_full = matches!(report.outcome, Outcome::Full(_));
        if !is_told || is_full {
            return Ok(());
        }
        let stored = self.stored_state()?.unwrap_or_default();
        // Where there is no room for a state, the records are all there is.
        let plain = report.plain_only.then(|| self.plain_texts());
        let is_stored = |key: &str| match &plain {
            Some(plain) => plain.contains_key(key),
            None => stored.get(key).is_some(),
        };
        match self.ledger.unstored(device, marks, is_stored) {
            Some(mark) => {
                let what = format!("device {device} has synchronized, and {mark} is not stored");
                Err(self.violation(Check::SyncedIsStored, what))
            }
            None => Ok(()),
        }
    }

    fn after_call(&mut self, life: Life) -> Checked {
        if self.is_alive(life) {
            self.after(life.device)?;
        }
        Ok(())
    }

    fn count_report(&mut self, report: &Report) {
        let tally = &mut self.tally;
        tally.add("requests", u64::from(report.requests));
        tally.add("pushes that lost", u64::from(report.conflicts));
        let wrote = report.wrote.map(|wrote| match wrote {
            Wrote::Head => "pushed: head alone",
            Wrote::Log => "pushed: a log",
            Wrote::Fold => "pushed: a log, and a run folded",
            Wrote::Run => "pushed: a run",
            Wrote::Base => "pushed: a base",
        });
        if let Some(wrote) = wrote {
            tally.count(wrote);
        }
        let happened = [
            (report.began_anew, "syncs that met another life"),
            (report.repaired, "repairs"),
            (report.deleted, "deletions carried out"),
            (report.compacted, "compactions"),
            (!report.merged.is_empty(), "merged datasets folded in"),
            (report.plain_only, "syncs without room for a state"),
            (
                !report.changed_here.is_empty(),
                "joins that changed a device",
            ),
            (
                matches!(report.outcome, Outcome::Full(_)),
                "syncs that did not fit",
            ),
        ];
        for (_, what) in happened.into_iter().filter(|(is_so, _)| *is_so) {
            tally.count(what);
        }
    }

    /// Checks that what happened explains an error.
    fn check_error(&self, life: Life, error: &SyncError) -> Checked {
        let is_explained = match error {
            SyncError::Request(_) | SyncError::Closed => !self.is_quiet,
            SyncError::Broken | SyncError::Store(_) => !self.is_alive(life),
            SyncError::Session(error) => match &**error {
                SessionError::Contended | SessionError::Answer(_) | SessionError::Request => {
                    !self.is_quiet
                }
                SessionError::Stored(_) => !self.is_quiet,
                _ => false,
            },
            _ => false,
        };
        if is_explained {
            return Ok(());
        }
        Err(self.violation(
            Check::CallsEndOnce,
            format!("a sync of device {} fails: {error:?}", life.device),
        ))
    }

    /// Ends the process of a device and starts it again on what its disk has.
    fn restart(&mut self, device: usize, end: End) -> Checked {
        let memory = self.devices[device].state();
        let was_dead = self.devices[device].disk.is_dead();
        self.note(format_args!("{device} ends {end:?}"));
        if end == End::Closed {
            self.close(device)?;
        }
        if end == End::PowerLost {
            let kept = self.devices[device].disk.lose_power();
            let buffered = &mut self.devices[device].buffered;
            buffered.retain(|(commit, _)| *commit <= kept);
            self.ledger.power_lost(device);
        }
        let told = self.devices[device].told();
        let disk = &self.devices[device].disk;
        let (store, commits) = (disk.store().reopen(), disk.commits());
        let may_be_told = disk.kept_last() || (end == End::PowerLost && self.setting.buffered);
        let buffered = std::mem::take(&mut self.devices[device].buffered);
        self.replace(device, store, commits, false)?;
        self.devices[device].buffered = buffered;
        let found = self.devices[device].state();
        // Memory runs ahead of a disk that the process died of.
        let may_differ = was_dead || (end == End::PowerLost && self.setting.buffered);
        if !may_differ && found != memory {
            return Err(self.violation(
                Check::AcknowledgedWritesSurvive,
                format!("device {device} finds another state than it had"),
            ));
        }
        if was_dead && !may_be_told && told != self.devices[device].told() {
            let what = format!("device {device} told a change that it does not find");
            return Err(self.violation(Check::ChangesTellAll, what));
        }
        if let Some(mark) = self.ledger.lost_at_start(device, &found) {
            let what = format!("device {device} does not find {mark}, which was acknowledged");
            return Err(self.violation(Check::AcknowledgedWritesSurvive, what));
        }
        Ok(())
    }

    /// Closes the client of a device. The process may die of what that writes.
    fn close(&mut self, device: usize) -> Checked {
        let Device { client, disk, .. } = &self.devices[device];
        if client.close().is_err() && !disk.is_dead() {
            return Err(self.violation(Check::CallsEndOnce, "a client does not close"));
        }
        self.poll()?;
        self.collect(device);
        Ok(())
    }

    /// Puts another process in the place of a device's.
    fn replace(
        &mut self,
        device: usize,
        store: MemoryStore,
        commits: (u64, u64),
        is_rotten: bool,
    ) -> Checked {
        let Device {
            make,
            life,
            is_online,
            has_synced,
            backup,
            ..
        } = &mut self.devices[device];
        let (make, life, is_online) = (make.clone(), *life, *is_online);
        let (has_synced, backup) = (*has_synced, backup.take());
        self.tasks.end(life);
        let mut started = self.start(make, device, store, commits, is_rotten)?;
        started.is_online = is_online;
        started.has_synced = has_synced;
        started.backup = backup;
        self.devices[device] = started;
        Ok(())
    }

    /// Returns what old clients see.
    fn plain_texts(&self) -> BTreeMap<String, String> {
        let records = self.cloud.list(self.agenda.time()).records.into_iter();
        let plain = records.filter(|record| !is_reserved(record.key.as_str()));
        plain
            .filter_map(|record| Some((record.key.as_str().to_owned(), record.value?)))
            .collect()
    }

    /// Returns the state that the records at the service hold.
    fn stored_state(&self) -> Checked<Option<State>> {
        let stored = self.stored()?;
        Ok(stored.map(|stored| stored.state().clone()))
    }

    /// Returns what the records at the service hold.
    fn stored(&self) -> Checked<Option<Stored>> {
        let stored = self.cloud.stored(&self.limits(), self.agenda.time());
        stored.map_err(|error| {
            let what = format!("what is stored cannot be read: {error:?}");
            self.violation(Check::HeadIsReadable, what)
        })
    }
}

/// Returns the key of a record that fills the dataset.
fn filler_key(number: usize) -> String {
    format!("f{number}")
}

/// Names an error without what is different each time.
fn kind(error: &SyncError) -> String {
    let text = format!("{error:?}");
    let end = text.find(['{', '"']).unwrap_or(text.len());
    text[..end].trim_end_matches(['(', ' ']).to_owned()
}
