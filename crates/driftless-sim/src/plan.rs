//! What happens in a world: drawn from a seed, kept as a file, made smaller.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::draw::Draw;
use crate::edit::{Edit, Kinds};
use crate::fault::Fault;

/// What a world does on purpose, beside editing, synchronizing and failing.
///
/// What is known to lose edits is kept apart, so that the rest can be held to losing none.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[non_exhaustive]
pub enum Story {
    /// One life of one dataset: all devices equal a document that merged every edit ever made.
    #[default]
    Plain,
    /// Datasets are deleted and made again, servers are taken back or replaced, objects are removed
    /// while others write into them.
    Ends,
    /// Stores are copied: clones, and backups that are restored while the original goes on.
    Copies,
}

impl Story {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Plain, Self::Ends, Self::Copies];
}

/// What a world is like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Setting {
    /// Everything that is not in the plan is drawn from this.
    pub seed: u64,
    /// How many devices there are at the beginning.
    pub devices: usize,
    /// What happens on purpose.
    pub story: Story,
    /// Whether edits are acknowledged before they are on disk.
    pub buffered: bool,
    /// The limit of a dataset in bytes.
    pub dataset_bytes: usize,
    /// How many records a page of a list has at most.
    pub page: Option<u32>,
    /// The mean time between two steps in ms, where they are drawn.
    pub pace: u32,
    /// The longest that a request is on its way in ms.
    pub latency: u32,
    /// How many ms the clocks of the devices are ahead; those of more devices are right.
    pub skews: Vec<i64>,
    /// The probability of each fault, for each request.
    pub faults: BTreeMap<Fault, f64>,
    /// Whether devices put keys of the world's own, by which it is seen that none is lost.
    pub marks: bool,
    /// Whether the dataset is kept as plain records, for old clients that write too.
    #[serde(default)]
    pub plain: bool,
    /// How many records of about a kilobyte an old client had put before; where the limit is small, they leave no room for a
    /// state beside them.
    #[serde(default)]
    pub filled: usize,
}

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum End {
    /// The client is closed first.
    Closed,
    /// It is killed; what was handed to the system stays.
    Killed,
    /// The device loses power; what was not put on disk is gone.
    PowerLost,
}

/// Something that happens, mostly on one device; a number of a device that there is not counts
/// around.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Step<E> {
    /// An edit.
    Edit(usize, E),
    /// Puts a key that nobody else writes and nobody removes.
    Mark(usize),
    /// Counts up a counter that nobody removes once it was seen.
    Count(usize),
    /// Creates that counter and removes it in the same moment, where it is not seen.
    Flash(usize),
    /// Calls `synchronize`, while earlier calls may still run.
    Sync(usize),
    /// Calls `compact`, which writes what is stored anew without its past.
    Compact(usize),
    /// Drops the oldest call that runs.
    Cancel(usize),
    /// Takes the network away, or gives it back.
    Network(usize, bool),
    /// Lets ms pass.
    Wait(u32),
    /// Ends the process and starts it again.
    Restart(usize, End),
    /// Lets the process die at a commit to come: how many it lives to see, whether the next one is
    /// kept, and whether power is lost.
    Doom(usize, u32, bool, bool),
    /// Ends the process, and its store is found damaged at the next start.
    RotStore(usize),
    /// A character of a slot at the service changes, seen by nobody: which slot, and where.
    RotRecord(usize, usize),
    /// An old client puts a record of its own.
    OldClientPut(u8, u8),
    /// An old client removes a record.
    OldClientRemove(u8),
    /// An old client removes one of the records that fill the dataset.
    OldClientTrim(usize),
    /// An app gives plain records up.
    RetirePlain(usize),
    /// An old client removes all reserved records.
    OldClientClear,
    /// A foreign hand overwrites a slot.
    Overwrite(usize),
    /// Deletes the dataset on a device.
    Delete(usize),
    /// Deletes it at the service, as from a console.
    ConsoleDelete,
    /// The service goes on with what it had so many writes ago.
    TakeBack(usize),
    /// The service goes on with nothing.
    Empty,
    /// Two identities are merged at the service, which leaves another dataset there.
    MergeChild,
    /// A guest with data is merged into the identity: which kinds of data, as bits.
    MergeGuest(u8),
    /// Another device begins with a copy of a device's store.
    Clone(usize),
    /// Keeps a copy of a device's store.
    Backup(usize),
    /// A device begins again with its copy.
    Restore(usize),
}

/// The steps of a long world, and of one in which sessions are not short of time.
const LONG: usize = 10_000;
const BUSY: usize = 350;

/// The limit of a dataset in bytes, where it is not small on purpose.
pub(crate) const ROOM: usize = 1_000_000;

/// The limit in a world whose base has two parts, in bytes.
const LARGE: usize = 320_000;

/// What a record takes that fills a dataset, in bytes.
pub(crate) const FILLER: usize = 1_000;

/// A world and what happens in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Plan<E = Edit> {
    /// What the world is like.
    pub setting: Setting,
    /// What happens, in order, each after so many ms.
    pub steps: Vec<(u32, Step<E>)>,
}

/// How large a world is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shape {
    /// How many devices there are.
    pub devices: usize,
    /// How many steps are taken.
    pub steps: usize,
    /// What happens on purpose.
    pub story: Story,
}

impl Shape {
    /// Draws the size of a world: most are small, one in eight is larger, one in a hundred is long, and
    /// one in ten has many devices.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut draw = Draw::new(seed, "shape");
        let is_long = draw.below(100) == 0;
        let is_wide = draw.below(10) == 0;
        let is_busy = draw.below(8) == 0;
        let steps = match (is_long, is_busy) {
            (true, _) => draw.magnitude(LONG as f64, 11_000.0),
            (false, true) => draw.magnitude(BUSY as f64, 400.0),
            (false, false) => draw.magnitude(20.0, 200.0),
        };
        // Fifty are as many as ten for most that can go wrong, and cost five times as much.
        let devices = match (is_wide, draw.below(20)) {
            (false, _) => 2 + draw.below(4),
            (true, 0) if !is_long => 50,
            (true, _) => 10,
        };
        Self {
            devices,
            steps: steps as usize,
            story: Story::ALL[draw.below(Story::ALL.len())],
        }
    }
}

impl Setting {
    /// Returns a quiet world without faults.
    #[must_use]
    pub const fn quiet(seed: u64, devices: usize) -> Self {
        Self {
            seed,
            devices,
            story: Story::Plain,
            buffered: false,
            dataset_bytes: ROOM,
            page: None,
            pace: 50,
            latency: 20,
            skews: Vec::new(),
            faults: BTreeMap::new(),
            marks: true,
            plain: false,
            filled: 0,
        }
    }

    /// Draws a world: a random part of all faults, each at a random rate.
    #[must_use]
    pub fn draw(seed: u64, devices: usize, story: Story) -> Self {
        let mut draw = Draw::new(seed, "setting");
        let skews = (0..devices).map(|_| match draw.below(8) {
            0 => draw.between(-90 * 60_000, 90 * 60_000),
            1 => draw.between(-4 * 60_000, 4 * 60_000),
            _ => 0,
        });
        let skews = skews.collect();
        let is_calm = draw.chance(0.1);
        // Some decisions only a storm of one fault leads to.
        let storm = draw
            .chance(0.04)
            .then(|| Fault::ALL[draw.below(Fault::ALL.len())]);
        let mut faults = BTreeMap::new();
        for fault in Fault::ALL {
            let is_storm = storm == Some(fault);
            let is_on = (draw.chance(0.4) && !is_calm) || is_storm;
            let rate = match is_storm {
                true => draw.magnitude(0.4, 0.8),
                false => draw.magnitude(0.005, 0.25),
            };
            // A push that is in doubt explains whatever stands under an equal counter, so that copies hide.
            let is_fit = story != Story::Copies || !fault.leaves_doubt();
            if is_on && is_fit {
                faults.insert(fault, rate);
            }
        }
        let plain = draw.chance(0.25);
        let is_filled = plain && draw.chance(0.3);
        let dataset_bytes = match is_filled || draw.chance(0.2) {
            true if is_filled => draw.magnitude(10_000.0, 60_000.0) as usize,
            true => draw.magnitude(3_000.0, 60_000.0) as usize,
            false => ROOM,
        };
        let full = dataset_bytes / FILLER;
        Self {
            seed,
            devices,
            story,
            buffered: draw.chance(0.4),
            dataset_bytes,
            page: draw.chance(0.3).then(|| 2 + draw.below(4) as u32),
            pace: draw.magnitude(1.0, 2_000.0) as u32,
            latency: draw.magnitude(2.0, 600.0) as u32,
            skews,
            faults,
            marks: true,
            plain,
            filled: if is_filled {
                full / 3 + draw.below(full - full / 3)
            } else {
                0
            },
        }
    }
}

impl Plan<Edit> {
    /// Draws a world and what happens in it.
    #[must_use]
    pub fn draw(seed: u64, devices: usize, steps: usize, story: Story) -> Self {
        let mut draw = Draw::new(seed, "edits");
        let keys = draw.magnitude(1.0, 40.0) as u16;
        let kinds = Kinds {
            keys,
            removes_objects: story == Story::Ends,
            puts_bytes: draw.chance(0.15) && steps < LONG,
        };
        let mut setting = Setting::draw(seed, devices, story);
        // Logs are folded where they are many and the base is large: longer worlds have room, and leave each session its time.
        let is_filled = steps >= BUSY;
        if is_filled {
            (setting.dataset_bytes, setting.filled) = (ROOM, 0);
            setting.pace = setting.pace.max(setting.latency);
        }
        // Only what has parts, and no room for a second base beside them, can lose both lives to one torn compaction.
        let is_large = is_filled && seed.is_multiple_of(16) && story != Story::Copies;
        if is_large {
            let torn = setting.faults.entry(Fault::Torn).or_default();
            *torn = torn.max(0.2);
            setting.dataset_bytes = LARGE;
        }
        let mut plan = Self::draw_with(setting, steps, |draw| Edit::draw(draw, kinds));
        if is_filled {
            // Now and then, for deletions empty it.
            for (_, step) in plan.steps.iter_mut().step_by(300) {
                *step = Step::Edit(0, Edit::FILLING);
            }
        }
        if is_large {
            plan.make_large();
        }
        plan
    }

    /// Fills the dataset until its base has two parts, and compacts it now and then.
    ///
    /// That takes about 140,000 bytes, which are a quarter more as text.
    fn make_large(&mut self) {
        for (at, (_, step)) in self.steps.iter_mut().enumerate() {
            match at % 300 {
                number @ (1 | 2) => *step = Step::Edit(0, Edit::FILLING_MORE[number - 1].clone()),
                rest if rest % 30 == 29 => *step = Step::Compact(at),
                _ => {}
            }
        }
    }
}

impl<E> Plan<E> {
    /// Draws what happens in a world, with edits of one's own.
    pub(crate) fn draw_with(
        setting: Setting,
        steps: usize,
        edit: impl FnMut(&mut Draw) -> E,
    ) -> Self {
        let mut draw = Draw::new(setting.seed, "steps");
        let kinds = StepKinds::draw(&mut draw, &setting);
        let mut edit = edit;
        let steps = (0..steps)
            .map(|_| {
                let after = draw.between(0, 2 * i64::from(setting.pace)) as u32;
                (after, kinds.step(&mut draw, &setting, &mut edit))
            })
            .collect();
        Self { setting, steps }
    }
}

/// The kinds of steps, as they are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Edit,
    Mark,
    Count,
    Flash,
    Sync,
    Compact,
    Cancel,
    Offline,
    Online,
    Wait,
    Close,
    Kill,
    PowerLoss,
    Doom,
    RotStore,
    RotRecord,
    OldClientPut,
    OldClientRemove,
    OldClientTrim,
    RetirePlain,
    OldClientClear,
    Overwrite,
    Delete,
    ConsoleDelete,
    TakeBack,
    Empty,
    MergeChild,
    MergeGuest,
    Clone,
    Backup,
    Restore,
}

/// How often each kind of step comes in one world.
pub(crate) struct StepKinds(pub(crate) Vec<(Kind, f64)>);

impl StepKinds {
    pub(crate) fn draw(draw: &mut Draw, setting: &Setting) -> Self {
        let story = setting.story;
        let marks = if setting.marks { 4.0 } else { 0.0 };
        let mut kinds = vec![
            (Kind::Edit, draw.magnitude(10.0, 100.0)),
            (Kind::Mark, marks),
            (Kind::Sync, draw.magnitude(10.0, 60.0)),
        ];
        // Each of the others is on in a part of all worlds, and comes at a rate of its own.
        // In some worlds all are, for what takes several to go wrong.
        let has_all = draw.chance(0.1);
        let mut maybe = |kind: Kind, often: f64, rate: f64, is_fit: bool| {
            let is_on = draw.chance(often) || has_all;
            let rate = draw.magnitude(rate / 8.0, rate * 2.0);
            if is_on && is_fit {
                kinds.push((kind, rate));
            }
        };
        let copies = story == Story::Copies;
        let ends = story == Story::Ends;
        maybe(Kind::Compact, 0.2, 0.5, true);
        maybe(Kind::Cancel, 0.4, 3.0, !copies);
        maybe(Kind::Offline, 0.4, 1.0, true);
        maybe(Kind::Online, 0.8, 2.0, true);
        maybe(Kind::Wait, 0.5, 2.0, true);
        maybe(Kind::Close, 0.4, 1.5, true);
        maybe(Kind::Kill, 0.4, 1.5, !copies);
        maybe(Kind::PowerLoss, 0.4, 1.5, !copies);
        maybe(Kind::Doom, 0.4, 2.0, !copies);
        maybe(Kind::RotStore, 0.1, 0.5, !copies);
        maybe(Kind::RotRecord, 0.1, 0.5, !copies);
        let plain = setting.plain;
        maybe(Kind::OldClientPut, 0.2, 1.0, !plain);
        maybe(Kind::OldClientPut, 0.9, 6.0, plain);
        maybe(Kind::OldClientRemove, 0.6, 1.0, plain);
        maybe(Kind::OldClientTrim, 0.5, 3.0, setting.filled > 0);
        maybe(Kind::RetirePlain, 0.1, 0.3, plain);
        maybe(Kind::OldClientClear, 0.1, 0.5, !copies);
        maybe(Kind::Overwrite, 0.1, 0.5, !copies);
        maybe(Kind::Delete, 0.6, 1.0, ends || copies);
        maybe(Kind::ConsoleDelete, 0.4, 0.5, ends);
        // Among plain records alone nothing tells of that, unless the counts do.
        let is_told = ends && setting.filled == 0;
        maybe(Kind::TakeBack, 0.3, 0.3, is_told);
        maybe(Kind::Empty, 0.2, 0.2, is_told);
        maybe(Kind::MergeChild, 0.1, 0.3, true);
        // What a guest has are edits of the world's own.
        maybe(Kind::MergeGuest, 0.15, 0.5, setting.marks);
        maybe(Kind::Clone, 0.8, 1.0, copies);
        maybe(Kind::Backup, 0.8, 1.0, copies);
        maybe(Kind::Restore, 0.8, 1.0, copies);
        // What a Lambda or half a push does to a counter's record is not told from an edit.
        let counts = setting.marks && story == Story::Plain && !plain;
        maybe(Kind::Count, 0.5, 3.0, counts);
        maybe(Kind::Flash, 0.5, 2.0, counts);
        Self(kinds)
    }

    fn kind(&self, draw: &mut Draw) -> Kind {
        let sum: f64 = self.0.iter().map(|(_, rate)| rate).sum();
        let mut left = sum * draw.below(1 << 20) as f64 / f64::from(1 << 20);
        for (kind, rate) in &self.0 {
            left -= rate;
            if left < 0.0 {
                return *kind;
            }
        }
        Kind::Edit
    }

    fn step<E>(
        &self,
        draw: &mut Draw,
        setting: &Setting,
        edit: &mut impl FnMut(&mut Draw) -> E,
    ) -> Step<E> {
        let device = draw.below(setting.devices);
        self.kind(draw).step(device, draw, edit)
    }
}

impl Kind {
    /// Draws a step of this kind.
    pub(crate) fn step<E>(
        self,
        device: usize,
        draw: &mut Draw,
        edit: impl FnOnce(&mut Draw) -> E,
    ) -> Step<E> {
        match self {
            Self::Edit => Step::Edit(device, edit(draw)),
            Self::Mark => Step::Mark(device),
            Self::Count => Step::Count(device),
            Self::Flash => Step::Flash(device),
            Self::Sync => Step::Sync(device),
            Self::Compact => Step::Compact(device),
            Self::Cancel => Step::Cancel(device),
            Self::Offline => Step::Network(device, false),
            Self::Online => Step::Network(device, true),
            Self::Wait => Step::Wait(draw.magnitude(100.0, 4_000_000.0) as u32),
            Self::Close => Step::Restart(device, End::Closed),
            Self::Kill => Step::Restart(device, End::Killed),
            Self::PowerLoss => Step::Restart(device, End::PowerLost),
            Self::Doom => Step::Doom(
                device,
                draw.below(4) as u32,
                draw.chance(0.5),
                draw.chance(0.5),
            ),
            Self::RotStore => Step::RotStore(device),
            Self::RotRecord => Step::RotRecord(draw.below(100), draw.below(10_000)),
            Self::OldClientPut => Step::OldClientPut(draw.below(3) as u8, draw.below(9) as u8),
            Self::OldClientRemove => Step::OldClientRemove(draw.below(3) as u8),
            Self::OldClientTrim => Step::OldClientTrim(draw.below(1_000)),
            Self::RetirePlain => Step::RetirePlain(device),
            Self::OldClientClear => Step::OldClientClear,
            Self::Overwrite => Step::Overwrite(draw.below(100)),
            Self::Delete => Step::Delete(device),
            Self::ConsoleDelete => Step::ConsoleDelete,
            Self::TakeBack => Step::TakeBack(1 + draw.below(4)),
            Self::Empty => Step::Empty,
            Self::MergeChild => Step::MergeChild,
            Self::MergeGuest => Step::MergeGuest(draw.below(256) as u8),
            Self::Clone => Step::Clone(device),
            Self::Backup => Step::Backup(device),
            Self::Restore => Step::Restore(device),
        }
    }

    /// Tells whether foreign hands or a failing disk do it: it may take what was synchronized.
    pub(crate) const fn damages(self) -> bool {
        matches!(
            self,
            Self::RotStore
                | Self::RotRecord
                | Self::OldClientPut
                | Self::OldClientRemove
                | Self::OldClientTrim
                | Self::OldClientClear
                | Self::Overwrite
        )
    }
}
