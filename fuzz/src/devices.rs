//! Devices that edit, synchronize and fail as bytes say; in the end they agree, and nothing is lost.
//!
//! Three devices with disks in memory share a dataset at the server's core. Beside them stand two models: a document that
//! merged every edit, and a map of the keys that only one device edits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use driftless_document::{Actor, Edit, Reference, Scalar, State, Value, path};
use driftless_merge::{
    Commit, DatasetKey, Failure, Input, LocalEdit, Operation, Output, Owner, Recovered, Replica,
};
use driftless_record::Limits;
use driftless_server::{Caller, MemoryStorage, Service};
use driftless_wire::{ErrorCode, Request, Response, Timestamp};

use crate::input::Input as Choices;

const DEVICES: usize = 3;

/// How many things a device can do.
const ACTIONS: usize = 19;

/// More choices than a history needs to go through everything say nothing new, and take their time.
const MAX_STEPS: usize = 300;

/// A settled world is quiet after this many rounds, faults and all.
const MAX_ROUNDS: usize = 10;

/// No session takes more requests than this.
const MAX_ANSWERS: usize = 100;

const TEXTS: [&str; 8] = ["", "a", "bc", "é", "😀", "def", "\n", "ghijklmn"];

/// Plays a history of three devices.
///
/// ```text
/// step      u8: device by the remainder of 3, what it does by the quotient's remainder of 19; its arguments follow
/// ```
pub fn devices(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let mut world = World::new();
    for _ in 0..MAX_STEPS {
        if choices.is_empty() {
            break;
        }
        let choice = usize::from(choices.byte());
        world.step(choice % DEVICES, choice / DEVICES % ACTIONS, &mut choices);
    }
    world.settle();
    for device in 0..DEVICES {
        world.restart(device);
        world.edit(device, Operation::Increment("count".into(), 1));
        world.put_own(device, 0, 7);
    }
    world.settle();
    world.check_models();
}

/// What goes wrong with one request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    Nothing,
    /// The request never arrives, and nobody knows.
    LostBefore,
    /// The answer never arrives.
    LostAfter,
    /// Only the patches whose bit is set are applied, and the answer never arrives.
    Torn(u8),
    /// The server refuses it for good.
    Refused,
}

impl Fault {
    fn chosen(choices: &mut Choices<'_>) -> Self {
        match choices.byte() % 8 {
            0..4 => Self::Nothing,
            4 => Self::LostBefore,
            5 => Self::LostAfter,
            6 => Self::Torn(choices.byte()),
            _ => Self::Refused,
        }
    }
}

struct Device {
    replica: Replica,
    disk: Recovered,
    /// What the session waits for.
    pending: Option<Output>,
    is_done: bool,
    requests: usize,
}

struct World {
    devices: Vec<Device>,
    service: Service,
    /// Every edit, in the order in which they were made.
    edits: Edit,
    /// The keys that only one device edits.
    own: BTreeMap<String, i64>,
    drawn: u64,
}

impl World {
    fn new() -> Self {
        let service = Service::new(Arc::new(MemoryStorage::default()), [7; 32], [8; 32]);
        let mut world = Self {
            devices: Vec::new(),
            service,
            edits: Edit::default(),
            own: BTreeMap::new(),
            drawn: 0,
        };
        for _ in 0..DEVICES {
            let disk = Recovered::default();
            let replica = world.recover(&disk);
            world.devices.push(Device {
                replica,
                disk,
                pending: None,
                is_done: true,
                requests: 0,
            });
        }
        world
    }

    fn step(&mut self, device: usize, action: usize, choices: &mut Choices<'_>) {
        match action {
            0 | 1 => {
                let key = format!("shared{}", choices.byte() % 4);
                self.put(device, key, choices.byte());
            }
            2 => self.put_own(device, choices.byte() % 4, choices.byte()),
            3 => self.edit(
                device,
                Operation::Remove(format!("shared{}", choices.byte() % 4).into()),
            ),
            4 => self.remove_own(device, choices.byte() % 4),
            5 => {
                let by = i64::from(choices.byte().cast_signed());
                self.edit(device, Operation::Increment("count".into(), by));
            }
            6 | 7 => self.splice(device, choices),
            8 => self.put_many(device, choices.byte()),
            9 => self.sync(device),
            10 => self.begin(device),
            11 | 12 => self.answer(device, Fault::chosen(choices), usize::MAX),
            13 => self.answer(
                device,
                Fault::chosen(choices),
                usize::from(choices.byte() % 2),
            ),
            14 => self.edit_in_vain(device),
            15 => match choices.byte() % 3 {
                0 => self.restart(device),
                1 => self.abandon(device),
                _ => self.fold(device),
            },
            16 => self.edit_list(device, choices),
            17 => {
                let (key, value) = (choices.byte() % 3, i64::from(choices.byte()));
                let path = path!["map", format!("in{}", key % 2), format!("key{key}")];
                self.edit(device, Operation::PutAt(path, value.into()));
            }
            _ => {
                let (member, path) = (choices.byte(), path!["map", "set"]);
                let scalar = Scalar::from(i64::from(member % 4));
                self.edit(
                    device,
                    match member % 8 {
                        0..4 => Operation::Add(path, scalar),
                        _ => Operation::Discard(path, scalar),
                    },
                );
            }
        }
    }

    fn put(&mut self, device: usize, key: String, value: u8) {
        let value = match value % 4 {
            0 => Scalar::Null,
            1 => Scalar::from(i64::from(value)),
            2 => Scalar::from(format!("value {value}")),
            _ => Scalar::from(f64::from(value) / 2.0),
        };
        self.edit(device, Operation::Put(BTreeMap::from([(key, value)])));
    }

    fn put_own(&mut self, device: usize, key: u8, value: u8) {
        let (key, value) = (format!("own{device}.{key}"), i64::from(value));
        self.own.insert(key.clone(), value);
        self.edit(
            device,
            Operation::Put(BTreeMap::from([(key, value.into())])),
        );
    }

    fn remove_own(&mut self, device: usize, key: u8) {
        let key = format!("own{device}.{key}");
        self.own.remove(&key);
        self.edit(device, Operation::Remove(key.into()));
    }

    /// Changes a text that all devices type into.
    fn splice(&mut self, device: usize, choices: &mut Choices<'_>) {
        let text = self.devices[device].replica.document().text("text");
        let len = text.map_or(0, |text| text.chars().count());
        let at = usize::from(choices.byte()) % (len + 1);
        let delete = usize::from(choices.byte() % 4).min(len - at);
        let insert = TEXTS[usize::from(choices.byte()) % TEXTS.len()].to_owned();
        self.edit(
            device,
            Operation::SpliceText {
                path: "text".into(),
                at,
                delete,
                insert,
            },
        );
    }

    /// Changes a list that all devices change: of maps, of which each has a counter.
    fn edit_list(&mut self, device: usize, choices: &mut Choices<'_>) {
        let path = path!["list"];
        let len = match self.state(device).get("list") {
            Some(Value::List(values)) => values.len(),
            _ => 0,
        };
        let at = usize::from(choices.byte()) % (len + 1);
        let operation = match choices.byte() % 4 {
            0 if at < len => Operation::Remove(path.index(at)),
            1 if at < len => Operation::Increment(path.index(at).key("n"), 1),
            2 if at < len => Operation::PutAt(path.index(at).key("done"), true.into()),
            _ => {
                let values = vec![Value::map([("n", Value::Counter(1))]), 7.into()];
                let at = Some(at);
                Operation::Insert { path, at, values }
            }
        };
        self.edit(device, operation);
    }

    /// Makes a delta that may be too long for a log: its values do not deflate.
    fn put_many(&mut self, device: usize, keys: u8) {
        let keys = (0..keys % 128).map(|key| {
            let value = blake3::hash(&[&self.drawn.to_be_bytes()[..], &[key]].concat());
            (format!("many{key}"), Scalar::from(value.to_string()))
        });
        self.edit(device, Operation::Put(keys.collect()));
    }

    fn make(&mut self, device: usize, operation: Operation) -> Option<LocalEdit> {
        self.drawn += 1;
        let now = self.now();
        let made = self.devices[device].replica.edit(operation, now);
        made.expect("small edits of the right kind fit")
    }

    /// Makes an edit and keeps it.
    fn edit(&mut self, device: usize, operation: Operation) {
        if let Some(LocalEdit { commit, edit, .. }) = self.make(device, operation) {
            keep(&mut self.devices[device].disk, commit);
            self.edits.append(edit);
        }
    }

    /// Makes an edit that the process takes along when it ends before the commit.
    fn edit_in_vain(&mut self, device: usize) {
        drop(self.make(device, Operation::Increment("count".into(), 1_000)));
        self.restart(device);
    }

    fn fold(&mut self, device: usize) {
        let Device { replica, disk, .. } = &mut self.devices[device];
        let commit = replica.fold().expect("a snapshot reads back");
        keep(disk, commit);
    }

    fn restart(&mut self, device: usize) {
        let disk = self.devices[device].disk.clone();
        let replica = self.recover(&disk);
        let device = &mut self.devices[device];
        (device.replica, device.pending) = (replica, None);
    }

    fn abandon(&mut self, device: usize) {
        let device = &mut self.devices[device];
        device.replica.abandon();
        device.pending = None;
    }

    fn recover(&mut self, disk: &Recovered) -> Replica {
        let key = DatasetKey::new(
            Owner::Identity("us-east-1:0b".parse().expect("an identity")),
            "notes".parse().expect("a name"),
        );
        let pool = "us-east-1:0a".parse().expect("a pool");
        let seed = self.seed();
        if *disk == Recovered::default() {
            let actor = Actor::random(*seed.first_chunk().expect("32 are more than 8"));
            return Replica::new(key, pool, Limits::default(), actor);
        }
        Replica::recover(key, pool, Limits::default(), disk.clone()).expect("kept rows are whole")
    }

    const fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + self.drawn as i64)
    }

    fn seed(&mut self) -> [u8; 32] {
        self.drawn += 1;
        *blake3::hash(&self.drawn.to_be_bytes()).as_bytes()
    }

    fn begin(&mut self, device: usize) {
        let seed = self.seed();
        let state = &mut self.devices[device];
        (state.pending, state.is_done, state.requests) = (None, false, 0);
        self.input(device, Input::Begin(seed), usize::MAX);
    }

    /// Runs a session without faults to its end.
    fn sync(&mut self, device: usize) {
        self.begin(device);
        for _ in 0..MAX_ANSWERS {
            if self.devices[device].pending.is_none() {
                break;
            }
            self.answer(device, Fault::Nothing, usize::MAX);
        }
        assert!(self.devices[device].is_done, "a session ends");
    }

    /// Gives an input to a device and drains the outputs; the process ends when so many commits are kept.
    fn input(&mut self, device: usize, input: Input, mut commits: usize) {
        let now = self.now();
        let Device {
            replica,
            disk,
            pending,
            is_done,
            requests,
        } = &mut self.devices[device];
        let mut rewrote: Vec<Edit> = Vec::new();
        let mut is_over = false;
        replica.handle(now, input);
        while let Some(output) = replica.poll() {
            // What was written again is told right behind its commit, which is what counts here.
            if commits == 0 && !matches!(output, Output::Rewrote(_) | Output::Changed(_)) {
                is_over = true;
                break;
            }
            match output {
                Output::Commit(commit, _) => {
                    keep(disk, commit);
                    commits -= 1;
                }
                Output::Changed(_) => {}
                Output::Rewrote(edit) => rewrote.push(edit),
                Output::Done(_) => *is_done = true,
                request => {
                    *requests += usize::from(!matches!(request, Output::Wait(_)));
                    assert!(pending.is_none(), "one request at a time");
                    *pending = Some(request);
                }
            }
        }
        rewrote.into_iter().for_each(|edit| self.edits.append(edit));
        if is_over {
            self.restart(device);
        }
    }

    /// Answers what a session waits for; the process ends when so many of the commits that follow are kept.
    fn answer(&mut self, device: usize, fault: Fault, commits: usize) {
        self.drawn += 1;
        let input = match self.devices[device].pending.take() {
            Some(Output::List(request)) => {
                let answer = self.exchange(Request::ListRecords(request), fault);
                Input::Listed(answer.map(|answer| match answer {
                    Response::ListRecords(answer) => answer,
                    other => unreachable!("{other:?}"),
                }))
            }
            Some(Output::Update(mut request)) => {
                if let Fault::Torn(bits) = fault {
                    let mut number = 0;
                    request.record_patches.retain(|_| {
                        number += 1;
                        bits & 1 << (number % 8) != 0
                    });
                }
                let answer = self.exchange(Request::UpdateRecords(request), fault);
                Input::Updated(answer.map(|answer| match answer {
                    Response::UpdateRecords(answer) => answer,
                    other => unreachable!("{other:?}"),
                }))
            }
            Some(Output::Wait(_)) => Input::Waited,
            Some(other) => unreachable!("{other:?}"),
            None => return,
        };
        self.input(device, input, commits);
    }

    fn exchange(&self, request: Request, fault: Fault) -> Result<Response, Failure> {
        match fault {
            Fault::LostBefore => return Err(Failure::OutcomeUnknown),
            Fault::Refused => return Err(Failure::Refused),
            _ => {}
        }
        match self.service.handle(request, &Caller::Operator, self.now()) {
            _ if matches!(fault, Fault::LostAfter | Fault::Torn(_)) => Err(Failure::OutcomeUnknown),
            Ok(answer) => Ok(answer),
            Err(error) if error.is_no_such_sync_count() => Err(Failure::NoSuchSyncCount),
            Err(error) if error.code == ErrorCode::ResourceConflict => Err(Failure::Conflict),
            Err(_) => Err(Failure::Refused),
        }
    }

    /// All devices synchronize until nobody pushes; then all are equal, and what they hold is on their disks.
    fn settle(&mut self) {
        for _ in 0..MAX_ROUNDS {
            for device in 0..DEVICES {
                self.sync(device);
            }
            if self.devices.iter().all(|device| device.requests == 1) {
                return self.check_quiet();
            }
        }
        panic!("the devices do not come to rest");
    }

    fn check_quiet(&mut self) {
        for device in 0..DEVICES {
            let (first, state) = (self.state(0), self.state(device));
            // What was made and removed before anything was stored leaves a clock, which nobody needs.
            let is_blank = first.is_blank() && state.is_blank();
            assert!(is_blank || state == first, "devices are equal");
            assert!(
                !self.devices[device].replica.has_unsynced(),
                "nothing is left to push"
            );
            let disk = self.devices[device].disk.clone();
            let recovered = self.recover(&disk);
            assert_eq!(
                recovered.document().state(),
                self.state(device),
                "what is shown is on the disk"
            );
        }
    }

    fn state(&self, device: usize) -> &State {
        self.devices[device].replica.document().state()
    }

    /// What the devices show is what the models say.
    fn check_models(&self) {
        let mut merged = Reference::new();
        merged.record(&self.edits);
        let (state, reference) = (self.state(0), merged.state());
        let keys: BTreeSet<&str> = state.keys().chain(reference.keys()).collect();
        for key in keys {
            assert_eq!(
                state.conflicts(key),
                reference.conflicts(key),
                "merged as automerge merges, at {key}"
            );
        }
        assert_eq!(
            self.devices[0].replica.document().text("text"),
            merged.text("text")
        );
        let own = state.keys().filter(|key| key.starts_with("own"));
        let own = own.map(|key| (key.to_owned(), state.get(key).expect("a key has a value")));
        let model = self.own.iter();
        let model = model.map(|(key, value)| (key.clone(), Value::Scalar(Scalar::Int(*value))));
        assert!(
            own.eq(model),
            "keys of one device hold what it last put there"
        );
    }
}

/// Keeps a commit as a store does.
fn keep(disk: &mut Recovered, commit: Commit) {
    if let Some(snapshot) = commit.snapshot {
        disk.deltas.clear();
        disk.state = Some(snapshot.state);
    }
    disk.deltas.extend(commit.deltas);
    if commit.forget_records {
        disk.records.clear();
    }
    for (key, record) in commit.records {
        match record {
            Some(record) => disk.records.insert(key, record),
            None => disk.records.remove(&key),
        };
    }
    disk.sync = commit.sync.or(disk.sync.take());
}
