//! A small world without IO: devices with disks in memory, the server's core, and a reference that merges every edit.
//!
//! A session goes on one request at a time, so that sessions of several devices interleave, and each answer may have its
//! fault. Nothing is random: whoever drives the world decides.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use driftless_document::{Actor, Path, Reference, Scalar, State, Value, path};
use driftless_merge::{
    Commit, DatasetKey, Durability, Failure, Input, LocalEdit, Operation, Output, Owner, Recovered,
    RefusedEdit, Replica, SessionError, Summary, UnsentEdit, UnsentId,
};
use driftless_record::{HEAD_KEY, Limits, is_reserved};
use driftless_server::{
    Address, Caller, Live, MemoryStorage, NoteChange, Owner as ServerOwner, Push, Selection,
    Service, Storage, StorageError, Swap, View,
};
use driftless_wire::{
    ApiError, DatasetName, ErrorCode, ListRecordsRequest, ListRecordsResponse, Op, Record,
    RecordPatch, Request, Response, SyncCount, Timestamp, UpdateRecordsRequest,
};

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Nothing,
    /// The request never arrives, and nobody knows.
    LostBefore,
    /// The answer never arrives.
    LostAfter,
    /// Only the patches whose bit is set are applied, and the answer never arrives.
    Torn(u8),
    /// A Lambda spoils the last of the records that are written.
    Lambda,
    /// The server refuses it for good.
    Refused,
}

/// The rows of one dataset, as a store keeps them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    pub(crate) rows: Recovered,
    document: Option<Vec<u8>>,
}

impl Disk {
    pub(crate) fn keep(&mut self, commit: Commit) {
        if let Some(snapshot) = commit.snapshot {
            self.rows.deltas.clear();
            self.rows.state = Some(snapshot.state);
            self.document = snapshot.document;
        }
        self.rows.deltas.extend(commit.deltas);
        if commit.forget_records {
            self.rows.records.clear();
        }
        for (key, record) in commit.records {
            match record {
                Some(record) => self.rows.records.insert(key, record),
                None => self.rows.records.remove(&key),
            };
        }
        self.rows.sync = commit.sync.or(self.rows.sync.take());
    }

    fn is_empty(&self) -> bool {
        self.rows == Recovered::default()
    }
}

pub(crate) struct Device {
    pub(crate) replica: Replica,
    pub(crate) disk: Disk,
    /// What the session waits for.
    pub(crate) pending: Option<Output>,
    pub(crate) outcome: Option<Result<Summary, SessionError>>,
    pub(crate) requests: usize,
    /// Whether the last commit, and with it all before it, must be on disk.
    pub(crate) is_on_disk: bool,
}

pub(crate) struct World {
    pub(crate) devices: Vec<Device>,
    /// `None` where ids stand for two edits, or edits for nothing any more.
    pub(crate) reference: Option<Reference>,
    pub(crate) limits: Limits,
    pub(crate) page: Option<u32>,
    service: Service,
    storage: Arc<Journal>,
    /// Every root key that was ever on its way to the server.
    pub(crate) published: BTreeSet<String>,
    /// Keys that a deletion may have taken.
    pub(crate) lost: BTreeSet<String>,
    /// Keys of records that old clients put.
    pub(crate) foreign: BTreeSet<String>,
    pub(crate) markers: Vec<String>,
    /// Pushes that may still arrive.
    late: Vec<UpdateRecordsRequest>,
    /// Those that stand in a list, a map and a set too.
    inside: BTreeSet<String>,
    is_replaced: bool,
    drawn: u64,
}

pub(crate) fn key() -> DatasetKey {
    DatasetKey::new(
        Owner::Identity("us-east-1:0b".parse().unwrap()),
        "notes".parse().unwrap(),
    )
}

/// The dataset that a merge with a guest leaves beside `notes`.
pub(crate) const CHILD: &str = "notes.us-east-1:0c";

/// Keys with texts of a length that do not deflate.
pub(crate) fn noise(count: u64, len: usize) -> impl Iterator<Item = (String, String)> {
    let text = move |mut seed: u64| {
        let mut next = || {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            char::from(b'!' + (seed >> 33) as u8 % 90)
        };
        (0..len).map(|_| next()).collect()
    };
    (0..count).map(move |number| (format!("noise{number}"), text(number)))
}

impl World {
    pub(crate) fn new(devices: usize) -> Self {
        let storage = Arc::new(Journal::default());
        let service = Service::new(storage.clone(), [7; 32], [8; 32]);
        let mut world = Self {
            devices: Vec::new(),
            reference: Some(Reference::new()),
            limits: Limits::default(),
            page: None,
            service,
            storage,
            published: BTreeSet::new(),
            lost: BTreeSet::new(),
            foreign: BTreeSet::new(),
            markers: Vec::new(),
            late: Vec::new(),
            inside: BTreeSet::new(),
            is_replaced: false,
            drawn: 0,
        };
        (0..devices).for_each(|_| world.join_device(Disk::default()));
        world
    }

    /// Adds a device that finds these rows; two that find the same ones are clones.
    pub(crate) fn join_device(&mut self, disk: Disk) {
        let replica = self.recover(key(), &disk);
        self.push_device(replica, disk);
    }

    /// Adds the device of a guest whose dataset is named as the merge leaves it.
    pub(crate) fn join_guest(&mut self) -> usize {
        self.reference = None;
        let key = DatasetKey::new(key().owner().clone(), CHILD.parse().unwrap());
        let replica = self.recover(key, &Disk::default());
        self.push_device(replica, Disk::default());
        self.devices.len() - 1
    }

    fn push_device(&mut self, replica: Replica, disk: Disk) {
        self.devices.push(Device {
            replica,
            disk,
            pending: None,
            outcome: None,
            requests: 0,
            is_on_disk: false,
        });
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + self.drawn as i64)
    }

    pub(crate) fn actor(&mut self) -> Actor {
        let seed = self.seed();
        Actor::random(seed[..8].try_into().unwrap())
    }

    fn seed(&mut self) -> [u8; 32] {
        self.drawn += 1;
        let mut seed = [0; 32];
        let mut x = self.drawn;
        for part in seed.chunks_mut(8) {
            // splitmix64, so that actors and lineages look as random as they are.
            x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            part.copy_from_slice(&(z ^ (z >> 27)).to_be_bytes());
        }
        seed
    }

    fn recover(&mut self, key: DatasetKey, disk: &Disk) -> Replica {
        let pool = "us-east-1:0a".parse().unwrap();
        let actor = self.actor();
        if disk.is_empty() {
            return Replica::new(key, pool, self.limits, actor);
        }
        Replica::recover(key, pool, self.limits, disk.rows.clone()).unwrap()
    }

    /// The process of a device ends, and begins again with what its disk has.
    pub(crate) fn restart(&mut self, device: usize) {
        let disk = self.devices[device].disk.clone();
        let key = self.devices[device].replica.key().clone();
        let replica = self.recover(key, &disk);
        let device = &mut self.devices[device];
        device.replica = replica;
        device.pending = None;
    }

    pub(crate) fn abandon(&mut self, device: usize) {
        self.devices[device].replica.abandon();
        self.devices[device].pending = None;
    }

    fn make(
        &mut self,
        device: usize,
        operation: Operation,
    ) -> Result<Option<LocalEdit>, RefusedEdit> {
        self.drawn += 1;
        let now = self.now();
        let Device { replica, disk, .. } = &mut self.devices[device];
        if replica.wants_document()
            && let Some(document) = &disk.document
        {
            replica.attach(document);
        }
        replica.edit(operation, now)
    }

    /// Makes an edit and keeps it.
    pub(crate) fn try_edit(
        &mut self,
        device: usize,
        operation: Operation,
    ) -> Result<bool, RefusedEdit> {
        let made = self.make(device, operation)?;
        let is_made = made.is_some();
        if let Some(LocalEdit { commit, edit, .. }) = made {
            self.devices[device].disk.keep(commit);
            self.reference
                .iter_mut()
                .for_each(|reference| reference.record(&edit));
        }
        Ok(is_made)
    }

    pub(crate) fn edit(&mut self, device: usize, operation: Operation) {
        self.try_edit(device, operation).unwrap();
    }

    pub(crate) fn put(&mut self, device: usize, key: &str, value: impl Into<Scalar>) {
        self.edit(
            device,
            Operation::Put(BTreeMap::from([(key.to_owned(), value.into())])),
        );
    }

    pub(crate) fn remove(&mut self, device: usize, key: &str) {
        self.edit(device, Operation::Remove(key.into()));
    }

    pub(crate) fn increment(&mut self, device: usize, key: &str, by: i64) {
        self.edit(device, Operation::Increment(key.into(), by));
    }

    /// Inserts text at the front of a text.
    pub(crate) fn write(&mut self, device: usize, key: &str, text: &str) {
        let (path, insert) = (key.into(), text.to_owned());
        self.edit(
            device,
            Operation::SpliceText {
                path,
                at: 0,
                delete: 0,
                insert,
            },
        );
    }

    pub(crate) fn insert(&mut self, device: usize, path: impl Into<Path>, value: impl Into<Value>) {
        let (path, values) = (path.into(), vec![value.into()]);
        let at = None;
        self.edit(device, Operation::Insert { path, at, values });
    }

    pub(crate) fn add(&mut self, device: usize, path: impl Into<Path>, member: &str) {
        self.edit(device, Operation::Add(path.into(), member.into()));
    }

    pub(crate) fn put_at(&mut self, device: usize, path: impl Into<Path>, value: impl Into<Value>) {
        self.edit(device, Operation::PutAt(path.into(), value.into()));
    }

    /// Puts a mark, and the same into a list, a map and a set that all devices share.
    pub(crate) fn mark_inside(&mut self, device: usize) {
        let marker = format!("m{}", self.markers.len());
        self.mark(device);
        self.insert(device, "marks", marker.as_str());
        self.insert(
            device,
            path!["deep", "marks"],
            Value::map([("mark", &*marker)]),
        );
        self.add(device, path!["deep", "set"], &marker);
        self.put_at(device, path!["deep", "map", marker.as_str()], true);
        self.inside.insert(marker);
    }

    /// Says where a mark is missing that was put there too.
    fn missing_inside(&self, marker: &str) -> Vec<Path> {
        let state = self.state(0);
        let is_in = |path: &Path, value: &Value| match state.get_at(path) {
            Some(Value::List(values)) => values.contains(value),
            Some(Value::Set(members)) => members.contains(&marker.into()),
            Some(Value::Map(entries)) => entries.contains_key(marker),
            _ => false,
        };
        let places = [
            (path!["marks"], marker.into()),
            (path!["deep", "marks"], Value::map([("mark", marker)])),
            (path!["deep", "set"], marker.into()),
            (path!["deep", "map"], marker.into()),
        ];
        let missing = places
            .into_iter()
            .filter(|(path, value)| !is_in(path, value));
        missing.map(|(path, _)| path).collect()
    }

    /// Makes an edit that the process takes along when it ends before the commit.
    pub(crate) fn edit_in_vain(&mut self, device: usize, operation: Operation) {
        drop(self.make(device, operation));
        self.restart(device);
    }

    /// Puts a key that nobody else writes and nobody removes.
    pub(crate) fn mark(&mut self, device: usize) {
        let marker = format!("m{}", self.markers.len());
        self.put(device, &marker, true);
        self.markers.push(marker);
    }

    pub(crate) fn fold(&mut self, device: usize) {
        let commit = self.devices[device].replica.fold().unwrap();
        self.devices[device].disk.keep(commit);
    }

    /// Deletes the dataset on a device.
    pub(crate) fn delete(&mut self, device: usize) {
        let actor = self.actor();
        let keys: Vec<String> = self.state(device).keys().map(str::to_owned).collect();
        self.lost.extend(keys);
        let commit = self.devices[device].replica.delete(actor);
        self.devices[device].pending = None;
        self.devices[device].disk.keep(commit);
    }

    /// Lets a device take what an old client had not sent, under a name; returns what was overtaken, or none if it was taken
    /// already.
    pub(crate) fn take_unsent(
        &mut self,
        device: usize,
        name: u8,
        edits: &[(&str, Option<&str>, u32)],
    ) -> Option<Vec<String>> {
        let edit = |(key, text, count): &(&str, Option<&str>, u32)| UnsentEdit {
            key: (*key).parse().unwrap(),
            text: text.map(str::to_owned),
            count: SyncCount::from(*count),
        };
        let edits: Vec<UnsentEdit> = edits.iter().map(edit).collect();
        let mut authors: Vec<Actor> = (0..8).map(|_| self.actor()).collect();
        let now = self.now();
        let Device { replica, disk, .. } = &mut self.devices[device];
        let id = UnsentId::from_bytes([name; 8]);
        let author = || authors.pop().unwrap();
        let taken = replica.take_unsent(id, &edits, author, now).unwrap()?;
        disk.keep(taken.made.commit);
        self.devices[device].pending = None;
        // It knows of no edit that replaces what its author had not seen.
        self.reference = None;
        let overtaken = taken.overtaken.into_iter();
        Some(overtaken.map(|edit| edit.key.into()).collect())
    }

    /// Lets a device take a deletion that an old client had not sent.
    pub(crate) fn take_unsent_deletion(&mut self, device: usize, name: u8) -> bool {
        let actor = self.actor();
        self.lost.extend(self.published.iter().cloned());
        let Device { replica, disk, .. } = &mut self.devices[device];
        let commit = replica.take_unsent_deletion(UnsentId::from_bytes([name; 8]), actor);
        let is_taken = commit.is_some();
        commit.into_iter().for_each(|commit| disk.keep(commit));
        self.devices[device].pending = None;
        is_taken
    }

    pub(crate) fn state(&self, device: usize) -> &State {
        self.devices[device].replica.document().state()
    }

    pub(crate) fn begin(&mut self, device: usize) {
        self.begin_with(device, Input::Begin);
    }

    /// Begins a session that compacts.
    pub(crate) fn begin_compaction(&mut self, device: usize) {
        self.begin_with(device, Input::Compact);
    }

    fn begin_with(&mut self, device: usize, begin: fn([u8; 32]) -> Input) {
        let seed = self.seed();
        let Device {
            outcome,
            requests,
            pending,
            ..
        } = &mut self.devices[device];
        (*outcome, *requests, *pending) = (None, 0, None);
        self.input(device, begin(seed), usize::MAX);
    }

    /// Gives an input to a device and drains the outputs; the process ends when so many commits are kept.
    pub(crate) fn input(&mut self, device: usize, input: Input, mut commits: usize) {
        let now = self.now();
        let Device {
            replica,
            disk,
            pending,
            outcome,
            requests,
            is_on_disk,
        } = &mut self.devices[device];
        replica.handle(now, input);
        while let Some(output) = replica.poll() {
            // What was written again is told right behind its commit, which is what counts here.
            if commits == 0 && !matches!(output, Output::Rewrote(_) | Output::Changed(_)) {
                return self.restart(device);
            }
            match output {
                Output::Commit(commit, least) => {
                    *is_on_disk = least == Durability::Disk;
                    disk.keep(commit);
                    commits -= 1;
                }
                Output::Changed(_) => {}
                Output::Rewrote(edit) => self
                    .reference
                    .iter_mut()
                    .for_each(|reference| reference.record(&edit)),
                Output::Done(result) => *outcome = Some(result),
                request => {
                    *requests += usize::from(!matches!(request, Output::Wait(_)));
                    assert!(pending.is_none(), "two requests at once");
                    *pending = Some(request);
                }
            }
        }
    }

    /// Answers what a session waits for; returns whether it still runs.
    pub(crate) fn answer(&mut self, device: usize, fault: Fault) -> bool {
        self.answer_and_crash(device, fault, usize::MAX)
    }

    /// Answers what a session waits for; the process ends when so many of the commits that follow are kept.
    pub(crate) fn answer_and_crash(&mut self, device: usize, fault: Fault, commits: usize) -> bool {
        self.drawn += 1;
        let Some(pending) = self.devices[device].pending.take() else {
            return false;
        };
        let input = match pending {
            Output::List(request) => Input::Listed(self.list(request, fault)),
            Output::Update(request) => {
                self.is_on_its_way(device, fault);
                Input::Updated(self.update(request, fault))
            }
            Output::Delete(request) => {
                let request = Request::DeleteDataset(request);
                let answer = self.exchange(request, fault).map(|_| ());
                self.lost.extend(self.published.iter().cloned());
                Input::Deleted(answer)
            }
            Output::Wait(_) => Input::Waited,
            other => unreachable!("{other:?}"),
        };
        self.input(device, input, commits);
        self.devices[device].pending.is_some()
    }

    /// Takes the push that a session waits for, if it does: it gets lost on its way, and may arrive later.
    pub(crate) fn hold_push(&mut self, device: usize) {
        match self.devices[device].pending.take() {
            Some(Output::Update(request)) => {
                self.is_on_its_way(device, Fault::LostBefore);
                self.abandon(device);
                self.late.push(request);
            }
            other => self.devices[device].pending = other,
        }
    }

    /// One of the pushes arrives that were held; it may be refused.
    pub(crate) fn deliver(&mut self, push: usize) {
        if push < self.late.len() {
            let push = self.late.remove(push);
            drop(self.ask(Request::UpdateRecords(push)));
        }
    }

    fn is_on_its_way(&mut self, device: usize, fault: Fault) {
        // An import that stands without its device knowing is told to nobody, and later edits refer to it.
        if !self.foreign.is_empty() && !matches!(fault, Fault::Nothing) {
            self.reference = None;
        }
        let keys: Vec<String> = self.state(device).keys().map(str::to_owned).collect();
        self.published.extend(keys);
    }

    fn list(
        &mut self,
        mut request: ListRecordsRequest,
        fault: Fault,
    ) -> Result<ListRecordsResponse, Failure> {
        request.max_results = self.page.or(request.max_results);
        match self.exchange(Request::ListRecords(request), fault)? {
            Some(Response::ListRecords(answer)) => Ok(answer),
            other => unreachable!("{other:?}"),
        }
    }

    fn update(
        &mut self,
        mut request: UpdateRecordsRequest,
        fault: Fault,
    ) -> Result<driftless_wire::UpdateRecordsResponse, Failure> {
        match fault {
            Fault::Torn(bits) => {
                let mut number = 0;
                request.record_patches.retain(|_| {
                    number += 1;
                    bits & (1 << (number % 8)) != 0
                });
            }
            Fault::Lambda => {
                if let Some(patch) = request
                    .record_patches
                    .iter_mut()
                    .rfind(|patch| patch.value.is_some())
                {
                    patch.value = Some("spoilt".to_owned());
                }
            }
            _ => {}
        }
        match self.exchange(Request::UpdateRecords(request), fault)? {
            Some(Response::UpdateRecords(answer)) => Ok(answer),
            other => unreachable!("{other:?}"),
        }
    }

    fn exchange(&mut self, request: Request, fault: Fault) -> Result<Option<Response>, Failure> {
        match fault {
            Fault::LostBefore => return Err(Failure::OutcomeUnknown),
            Fault::Refused => return Err(Failure::Refused),
            _ => {}
        }
        let answer = self.ask(request);
        match answer {
            _ if matches!(fault, Fault::LostAfter | Fault::Torn(_)) => Err(Failure::OutcomeUnknown),
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.code == ErrorCode::ResourceNotFound => Ok(None),
            Err(error) if error.is_no_such_sync_count() => Err(Failure::NoSuchSyncCount),
            Err(error) if error.code == ErrorCode::ResourceConflict => Err(Failure::Conflict),
            Err(_) => Err(Failure::Refused),
        }
    }

    fn ask(&self, request: Request) -> Result<Response, ApiError> {
        self.service.handle(request, &Caller::Operator, self.now())
    }

    /// Runs a session without faults to its end, and returns how many requests it took.
    pub(crate) fn sync(&mut self, device: usize) -> usize {
        self.begin(device);
        self.finish(device)
    }

    /// Runs a session that compacts to its end, and returns how many requests it took.
    pub(crate) fn compact(&mut self, device: usize) -> usize {
        self.begin_compaction(device);
        self.finish(device)
    }

    /// Goes on with the session without faults.
    pub(crate) fn finish(&mut self, device: usize) -> usize {
        let mut answers = 0;
        while self.answer(device, Fault::Nothing) {
            answers += 1;
            assert!(answers < 100, "the session does not end");
        }
        self.devices[device].requests
    }

    pub(crate) fn summary(&self, device: usize) -> &Summary {
        self.devices[device]
            .outcome
            .as_ref()
            .unwrap()
            .as_ref()
            .unwrap()
    }

    pub(crate) fn error(&self, device: usize) -> &SessionError {
        self.devices[device]
            .outcome
            .as_ref()
            .unwrap()
            .as_ref()
            .unwrap_err()
    }

    /// All devices synchronize until nobody pushes; then all must be equal, and what they hold durable.
    ///
    /// That another server answers is noticed when what is pushed does not fit, or by a device that lists everything.
    pub(crate) fn settle(&mut self) {
        let mut rounds = 0;
        if std::mem::take(&mut self.is_replaced) {
            (0..self.devices.len()).for_each(|device| self.mark(device));
            (0..self.devices.len()).for_each(|device| _ = self.sync(device));
            self.join_device(Disk::default());
            self.mark(self.devices.len() - 1);
            self.sync(self.devices.len() - 1);
        }
        loop {
            let mut is_quiet = true;
            for device in 0..self.devices.len() {
                is_quiet &= self.sync(device) == 1;
                is_quiet &= self.devices[device].outcome.as_ref().unwrap().is_ok();
            }
            if is_quiet {
                break;
            }
            rounds += 1;
            let outcomes: Vec<_> = self.devices.iter().map(|device| &device.outcome).collect();
            assert!(rounds < 10, "the devices do not come to rest: {outcomes:?}");
        }
        self.check_quiet();
    }

    fn check_quiet(&mut self) {
        let stored = self.stored_state();
        for device in 0..self.devices.len() {
            let disk = self.devices[device].disk.clone();
            let recovered = (!disk.is_empty()).then(|| self.recover(key(), &disk));
            let replica = &self.devices[device].replica;
            let state = replica.document().state();
            match &stored {
                Some(stored) => {
                    assert_eq!(state, stored, "device {device} differs from what is stored")
                }
                // What was made and removed before anything was stored leaves a clock, which nobody needs.
                None => assert!(state.is_blank(), "device {device} holds what is not stored"),
            }
            assert!(
                !replica.has_unsynced(),
                "device {device} believes that it has something to push"
            );
            if let Some(recovered) = recovered {
                assert_eq!(
                    recovered.document().state(),
                    state,
                    "device {device} recovers another state"
                );
                assert_eq!(recovered.lineage(), replica.lineage());
                assert_eq!(recovered.document().actor(), replica.document().actor());
                assert!(
                    !recovered.has_unsynced(),
                    "device {device} believes it after a restart"
                );
            }
        }
        for marker in &self.markers {
            let is_there = self.state(0).get(marker).is_some();
            assert!(
                is_there || self.lost.contains(marker),
                "{marker} was acknowledged and is lost"
            );
            // Its plain record may have survived what else was lost.
            let is_lost = self.lost.contains(marker);
            if is_there && !is_lost && self.inside.contains(marker) {
                assert_eq!(self.missing_inside(marker), [], "{marker} is lost there");
            }
        }
    }

    /// Compares values, conflict sets and op ids with the document that merged every edit.
    pub(crate) fn check_reference(&self) {
        let Some(reference) = &self.reference else {
            return;
        };
        let (state, reference) = (self.state(0), reference.state());
        let keys: BTreeSet<&str> = state.keys().chain(reference.keys()).collect();
        // What old clients put is an edit of nobody.
        for key in keys.into_iter().filter(|key| !self.foreign.contains(*key)) {
            assert_eq!(state.conflicts(key), reference.conflicts(key), "at {key}");
        }
    }

    /// Returns the state that the server's records hold.
    pub(crate) fn stored_state(&self) -> Option<State> {
        let records = self.records();
        let values = records
            .iter()
            .filter_map(|record| Some((record.key.as_str(), record.value.as_deref()?)));
        let stored = driftless_record::read(values, &self.limits, None);
        Some(stored.ok()??.state().clone())
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        self.list_of("notes").records
    }

    pub(crate) fn list_of(&self, dataset: &str) -> ListRecordsResponse {
        let request = ListRecordsRequest {
            identity_pool_id: "us-east-1:0a".parse().unwrap(),
            identity_id: "us-east-1:0b".parse().unwrap(),
            dataset_name: dataset.parse().unwrap(),
            last_sync_count: None,
            next_token: None,
            max_results: None,
            sync_session_token: None,
        };
        match self.ask(Request::ListRecords(request)).unwrap() {
            Response::ListRecords(answer) => answer,
            other => unreachable!("{other:?}"),
        }
    }

    /// Writes records as an old client does that changes them by a function; `None` leaves a record.
    pub(crate) fn rewrite(&mut self, mut change: impl FnMut(&Record) -> Option<Option<String>>) {
        let list = self.list_of("notes");
        let patch = |record: &Record| {
            let value = change(record)?;
            let op = if value.is_some() {
                Op::Replace
            } else {
                Op::Remove
            };
            let (key, sync_count) = (record.key.clone(), record.sync_count);
            Some(RecordPatch {
                op,
                key,
                value,
                sync_count,
                device_last_modified_date: None,
            })
        };
        let patches: Vec<RecordPatch> = list.records.iter().filter_map(patch).collect();
        self.patch("notes", &list, patches);
    }

    fn patch(
        &mut self,
        dataset: &str,
        list: &ListRecordsResponse,
        record_patches: Vec<RecordPatch>,
    ) {
        if record_patches.is_empty() {
            return;
        }
        let request = UpdateRecordsRequest {
            identity_pool_id: "us-east-1:0a".parse().unwrap(),
            identity_id: "us-east-1:0b".parse().unwrap(),
            dataset_name: dataset.parse().unwrap(),
            sync_session_token: list.sync_session_token.clone().unwrap(),
            device_id: None,
            record_patches,
        };
        self.ask(Request::UpdateRecords(request)).unwrap();
    }

    /// Lets a device keep the dataset as plain records too.
    pub(crate) fn keep_plain(&mut self, device: usize) {
        let Device { replica, disk, .. } = &mut self.devices[device];
        disk.keep(replica.keep_plain_records().unwrap());
    }

    /// Lets a device give plain records up.
    pub(crate) fn retire_plain(&mut self, device: usize) {
        let Device { replica, disk, .. } = &mut self.devices[device];
        disk.keep(replica.retire_plain_records().unwrap());
    }

    /// Returns the plain records that have a value.
    pub(crate) fn plain(&self) -> BTreeMap<String, String> {
        let records = self.records().into_iter();
        let plain = records.filter(|record| !is_reserved(record.key.as_str()));
        plain
            .filter_map(|record| Some((record.key.as_str().to_owned(), record.value?)))
            .collect()
    }

    /// Copies what another service holds into this one, as a migration does: in one update, with counts that start anew.
    pub(crate) fn migrate_from(&mut self, other: &Self) {
        let patch = |record: Record| {
            Some(RecordPatch {
                op: Op::Replace,
                key: record.key,
                value: Some(record.value?),
                sync_count: SyncCount::ZERO,
                device_last_modified_date: None,
            })
        };
        let patches = other.records().into_iter().filter_map(patch).collect();
        let list = self.list_of("notes");
        self.patch("notes", &list, patches);
        // It knows nothing of the edits made there.
        self.reference = None;
    }

    /// An old client removes a record of a dataset.
    pub(crate) fn remove_plain_in(&mut self, dataset: &str, key: &str) {
        let list = self.list_of(dataset);
        let mut records = list.records.iter();
        let record = records.find(|record| record.key.as_str() == key).unwrap();
        let patch = RecordPatch {
            op: Op::Remove,
            key: record.key.clone(),
            value: None,
            sync_count: record.sync_count,
            device_last_modified_date: None,
        };
        self.patch(dataset, &list, vec![patch]);
    }

    /// An old client removes a record.
    pub(crate) fn remove_plain(&mut self, key: &str) {
        self.rewrite(|record| (record.key.as_str() == key).then_some(None));
    }

    /// An old client puts a record of its own.
    pub(crate) fn put_plain(&mut self, key: &str, value: &str) {
        self.foreign.insert(key.to_owned());
        // Whoever imports it brings it to the server without having it.
        self.published.insert(key.to_owned());
        self.put_plain_in("notes", key, value);
    }

    /// An old client puts many records of its own at once.
    pub(crate) fn put_plain_all(&mut self, records: impl IntoIterator<Item = (String, String)>) {
        let list = self.list_of("notes");
        let counts: BTreeMap<&str, SyncCount> = list
            .records
            .iter()
            .map(|record| (record.key.as_str(), record.sync_count))
            .collect();
        let mut patches = Vec::new();
        for (key, value) in records {
            self.foreign.insert(key.clone());
            self.published.insert(key.clone());
            patches.push(RecordPatch {
                op: Op::Replace,
                sync_count: counts.get(key.as_str()).copied().unwrap_or_default(),
                key: key.try_into().unwrap(),
                value: Some(value),
                device_last_modified_date: None,
            });
        }
        self.patch("notes", &list, patches);
    }

    /// An old client puts a record of its own into a dataset.
    pub(crate) fn put_plain_in(&mut self, dataset: &str, key: &str, value: &str) {
        let list = self.list_of(dataset);
        let there = list
            .records
            .iter()
            .find(|record| record.key.as_str() == key);
        let patch = RecordPatch {
            op: Op::Replace,
            key: key.to_owned().try_into().unwrap(),
            value: Some(value.to_owned()),
            sync_count: there.map_or(SyncCount::ZERO, |record| record.sync_count),
            device_last_modified_date: None,
        };
        self.patch(dataset, &list, vec![patch]);
    }

    /// An old client removes all reserved records.
    ///
    /// The next device repairs them, in the life that it knows; one that knows none begins another, and what was synced goes.
    pub(crate) fn remove_slots(&mut self) {
        let mut lives = self.devices.iter().map(|device| device.replica.lineage());
        let first = lives.next().flatten();
        if first.is_none() || lives.any(|life| life != first) {
            self.lost.extend(self.published.iter().cloned());
        }
        self.rewrite(|record| {
            (is_reserved(record.key.as_str()) && record.value.is_some()).then_some(None)
        });
    }

    /// Somebody writes into head what is none.
    pub(crate) fn spoil_head(&mut self) {
        self.rewrite(|record| {
            let is_head = record.key.as_str() == HEAD_KEY;
            is_head.then(|| Some("spoilt".to_owned()))
        });
    }

    /// The server starts again with what it had after so many of its writes.
    pub(crate) fn replace_server(&mut self, writes: usize) {
        self.lost.extend(self.published.iter().cloned());
        self.is_replaced = true;
        self.storage = Arc::new(self.storage.until(writes));
        let seed = self.seed();
        self.service = Service::new(self.storage.clone(), [7; 32], seed);
    }

    /// Old clients write until no count of before the replacement can be mistaken for one after it.
    pub(crate) fn pass_counts(&mut self, writes: usize) {
        while self.writes() <= writes {
            self.put_plain("busy", &self.writes().to_string());
        }
    }

    /// Returns how many writes the server has taken.
    pub(crate) fn writes(&self) -> usize {
        self.storage.log.lock().unwrap().len()
    }
}

/// A storage that can be taken back to an earlier moment.
#[derive(Debug, Default)]
struct Journal {
    storage: MemoryStorage,
    log: Mutex<Vec<(Address, SyncCount, Option<Push>)>>,
}

impl Journal {
    fn until(&self, writes: usize) -> Self {
        let earlier = Self::default();
        for (address, expected, push) in self.log.lock().unwrap().iter().take(writes) {
            let done = match push {
                Some(push) => earlier.append(address, *expected, push),
                None => earlier.delete(address, *expected),
            };
            assert_eq!(done.unwrap(), Swap::Done);
        }
        earlier
    }
}

impl Storage for Journal {
    fn read(&self, address: &Address, selection: Selection<'_>) -> Result<View, StorageError> {
        self.storage.read(address, selection)
    }

    fn list(
        &self,
        owner: &ServerOwner,
        after: Option<&DatasetName>,
        limit: usize,
    ) -> Result<Vec<(DatasetName, Live)>, StorageError> {
        self.storage.list(owner, after, limit)
    }

    fn append(
        &self,
        address: &Address,
        expected: SyncCount,
        push: &Push,
    ) -> Result<Swap, StorageError> {
        self.log
            .lock()
            .unwrap()
            .push((address.clone(), expected, Some(push.clone())));
        self.storage.append(address, expected, push)
    }

    fn delete(&self, address: &Address, expected: SyncCount) -> Result<Swap, StorageError> {
        self.log
            .lock()
            .unwrap()
            .push((address.clone(), expected, None));
        self.storage.delete(address, expected)
    }
    fn adopt(&self, from: &Address, to: &Address) -> Result<Swap, StorageError> {
        self.storage.adopt(from, to)
    }

    fn scan(
        &self,
        after: Option<&Address>,
        limit: usize,
    ) -> Result<Vec<(Address, Live)>, StorageError> {
        self.storage.scan(after, limit)
    }

    fn note(&self, key: &str) -> Result<Option<String>, StorageError> {
        self.storage.note(key)
    }

    fn notes(&self, prefix: &str) -> Result<Vec<(String, String)>, StorageError> {
        self.storage.notes(prefix)
    }

    fn swap_notes(&self, changes: &[NoteChange]) -> Result<Swap, StorageError> {
        self.storage.swap_notes(changes)
    }
}
