//! The service of a world: the real core behind its signatures, with a storage that can be taken back,
//! and other hands that write: old clients, consoles, Lambdas.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use driftless_record::{Limits, ReadError, Stored, is_reserved};
use driftless_server::{
    Address, Caller, Gate, KeyPair, Live, MemoryStorage, NoteChange, Owner, Push, Selection,
    Service, Storage, StorageError, Swap, View,
};
use driftless_wire::{
    ApiError, DatasetName, DeleteDatasetRequest, ERROR_TYPE_HEADER, IdentityId, IdentityPoolId,
    ListDatasetsRequest, ListRecordsRequest, ListRecordsResponse, Op, Record, RecordKey,
    RecordPatch, Request, Response, SyncCount, Timestamp, UpdateRecordsRequest,
};

/// The one identity pool of a world.
pub(crate) const POOL: &str = "us-east-1:00000000-0000-0000-0000-000000000001";

/// The one identity of a world.
pub(crate) const IDENTITY: &str = "us-east-1:00000000-0000-0000-0000-00000000000a";

/// The dataset that all devices share.
pub(crate) const DATASET: &str = "notes";

const TOKEN_KEY: [u8; 32] = [7; 32];

/// Longer than any session lasts.
const TOKEN_LIFETIME_MILLIS: i64 = 24 * 60 * 60 * 1_000;

/// The service.
#[derive(Debug)]
pub(crate) struct Cloud {
    storage: Arc<Rewindable>,
    gate: Gate,
    /// The same service without signatures.
    service: Service,
    seeds: u64,
}

impl Cloud {
    pub(crate) fn new() -> Self {
        Self::over(Arc::default(), 0)
    }

    fn over(storage: Arc<Rewindable>, seeds: u64) -> Self {
        let service = |number: u64| {
            let seed = *blake3::hash(&number.to_le_bytes()).as_bytes();
            let storage = Arc::clone(&storage) as Arc<dyn Storage>;
            Service::new(storage, TOKEN_KEY, seed)
        };
        let (gate, plain) = (service(seeds), service(seeds + 1));
        Self {
            storage: Arc::clone(&storage),
            gate: Gate::new(gate, key_pair()),
            service: plain,
            seeds: seeds + 2,
        }
    }

    /// Answers a signed request.
    pub(crate) fn answer(
        &self,
        request: http::Request<Bytes>,
        now: Timestamp,
    ) -> http::Response<Bytes> {
        dated(self.gate.answer(request, now), now)
    }

    /// Answers a request that something has been done to on the way, without asking for a signature.
    pub(crate) fn answer_changed(
        &self,
        request: &http::Request<Bytes>,
        now: Timestamp,
        change: impl FnOnce(&mut Request),
    ) -> http::Response<Bytes> {
        let (uri, method) = (request.uri(), request.method().as_str());
        let query = uri.query().unwrap_or_default();
        let read = Request::from_http(method, uri.path(), query, request.body());
        let answer = read.map_err(ApiError::from).and_then(|mut request| {
            change(&mut request);
            self.ask(request, now)
        });
        match answer {
            Ok(answer) => dated(http::Response::new(answer.to_body().into()), now),
            Err(error) => refusal(&error, now),
        }
    }

    pub(crate) fn ask(&self, request: Request, now: Timestamp) -> Result<Response, ApiError> {
        self.service.handle(request, &Caller::Operator, now)
    }

    /// Answers a list of our dataset by a page in the order of keys, each of the moment when it is asked for: what changes
    /// between two pages may stand in both, in neither, or by half. In which order Amazon's service pages is not known. `None` if
    /// the request is about something else.
    pub(crate) fn page_by_key(
        &self,
        request: &http::Request<Bytes>,
        now: Timestamp,
        page: usize,
    ) -> Option<http::Response<Bytes>> {
        let (uri, method) = (request.uri(), request.method().as_str());
        let query = uri.query().unwrap_or_default();
        let Ok(Request::ListRecords(list)) =
            Request::from_http(method, uri.path(), query, request.body())
        else {
            return None;
        };
        if list.dataset_name != dataset() || list.identity_id != identity() {
            return None;
        }
        let last = list.next_token.unwrap_or_default();
        let mut answer = match self.list_since(&dataset(), list.last_sync_count, now) {
            Ok(answer) => answer,
            Err(error) => return Some(refusal(&error, now)),
        };
        answer.records.sort_by(|one, other| one.key.cmp(&other.key));
        answer.records.retain(|record| record.key.as_str() > &*last);
        if answer.records.len() > page {
            answer.records.truncate(page);
            let last = answer.records.last();
            answer.next_token = last.map(|record| record.key.as_str().to_owned());
        }
        let body = Response::ListRecords(answer).to_body();
        Some(dated(http::Response::new(body.into()), now))
    }

    /// Returns all records of the dataset, and a token.
    pub(crate) fn list(&self, now: Timestamp) -> ListRecordsResponse {
        self.list_of(&dataset(), now)
    }

    /// Returns how many bytes each record of the dataset takes, tombstones included.
    pub(crate) fn sizes(&self, now: Timestamp) -> impl Iterator<Item = (RecordKey, usize)> {
        let records = self.list(now).records.into_iter();
        records.map(|record| {
            let size = size(&record.key, record.value.as_deref());
            (record.key, size)
        })
    }

    /// Returns how many records a dataset of the identity has, tombstones included.
    pub(crate) fn records_of(&self, name: &DatasetName, now: Timestamp) -> usize {
        self.list_of(name, now).records.len()
    }

    fn list_of(&self, name: &DatasetName, now: Timestamp) -> ListRecordsResponse {
        let whole = self.list_since(name, None, now);
        whole.expect("a list of everything is never refused")
    }

    fn list_since(
        &self,
        name: &DatasetName,
        since: Option<SyncCount>,
        now: Timestamp,
    ) -> Result<ListRecordsResponse, ApiError> {
        let mut whole: Option<ListRecordsResponse> = None;
        loop {
            let next_token = whole.as_mut().and_then(|page| page.next_token.take());
            let request = Request::ListRecords(ListRecordsRequest {
                identity_pool_id: pool(),
                identity_id: identity(),
                dataset_name: name.clone(),
                last_sync_count: since,
                next_token,
                max_results: None,
                sync_session_token: None,
            });
            let Response::ListRecords(mut page) = self.ask(request, now)? else {
                unreachable!("an answer is of the kind of its request");
            };
            if let Some(earlier) = whole {
                page.records.splice(0..0, earlier.records);
            }
            if page.next_token.is_none() {
                return Ok(page);
            }
            whole = Some(page);
        }
    }

    /// Returns what the records hold.
    pub(crate) fn stored(
        &self,
        limits: &Limits,
        now: Timestamp,
    ) -> Result<Option<Stored>, ReadError> {
        let records = self.list(now).records;
        let values = records
            .iter()
            .filter(|record| is_reserved(record.key.as_str()));
        let values =
            values.filter_map(|record| Some((record.key.as_str(), record.value.as_deref()?)));
        driftless_record::read(values, limits, None)
    }

    /// Writes records as an old client does, which knows nothing of states; `None` removes. Returns whether that was taken: what
    /// does not fit any more is refused, which an old client would only report.
    pub(crate) fn write(&self, values: Vec<(String, Option<String>)>, now: Timestamp) -> bool {
        self.write_into(&dataset(), values, now)
    }

    /// As [`write`](Self::write), into another dataset of the identity.
    pub(crate) fn write_into(
        &self,
        name: &DatasetName,
        values: Vec<(String, Option<String>)>,
        now: Timestamp,
    ) -> bool {
        let list = self.list_of(name, now);
        let counts: BTreeMap<&str, SyncCount> = list
            .records
            .iter()
            .map(|record| (record.key.as_str(), record.sync_count))
            .collect();
        let patches = values.into_iter().map(|(key, value)| RecordPatch {
            op: if value.is_some() {
                Op::Replace
            } else {
                Op::Remove
            },
            sync_count: counts.get(key.as_str()).copied().unwrap_or(SyncCount::ZERO),
            key: RecordKey::try_from(key).expect("keys here are short and not empty"),
            value,
            device_last_modified_date: None,
        });
        let record_patches: Vec<RecordPatch> = patches.collect();
        if record_patches.is_empty() {
            return true;
        }
        let request = UpdateRecordsRequest {
            identity_pool_id: pool(),
            identity_id: identity(),
            dataset_name: name.clone(),
            sync_session_token: list.sync_session_token.expect("a list comes with a token"),
            device_id: None,
            record_patches,
        };
        self.ask(Request::UpdateRecords(request), now).is_ok()
    }

    /// Returns the names of the identity's datasets.
    pub(crate) fn datasets(&self, now: Timestamp) -> Vec<DatasetName> {
        let request = Request::ListDatasets(ListDatasetsRequest {
            identity_pool_id: pool(),
            identity_id: identity(),
            next_token: None,
            max_results: None,
        });
        let Ok(Response::ListDatasets(page)) = self.ask(request, now) else {
            unreachable!("a list of datasets is never refused");
        };
        let datasets = page.datasets.into_iter();
        datasets.map(|dataset| dataset.dataset_name).collect()
    }

    /// Returns the keys of the reserved records that have a value.
    pub(crate) fn slots(&self, now: Timestamp) -> Vec<String> {
        let records = self.list(now).records.into_iter();
        let slots =
            records.filter(|record| record.value.is_some() && is_reserved(record.key.as_str()));
        slots.map(|record| record.key.as_str().to_owned()).collect()
    }

    /// Tells whether slots stood there and all of them were removed.
    pub(crate) fn is_cleared(&self, now: Timestamp) -> bool {
        let records = self.list(now).records;
        let is_slot = |record: &Record| is_reserved(record.key.as_str());
        records.iter().any(is_slot) && self.slots(now).is_empty()
    }

    /// Deletes the dataset, as from a console; tells whether it was there.
    pub(crate) fn delete(&self, now: Timestamp) -> bool {
        let request = DeleteDatasetRequest {
            identity_pool_id: pool(),
            identity_id: identity(),
            dataset_name: dataset(),
        };
        self.ask(Request::DeleteDataset(request), now).is_ok()
    }

    /// Makes a dataset that a merge of two identities leaves beside ours.
    pub(crate) fn merge_child(&self, number: usize, now: Timestamp) {
        let address = Address {
            owner: owner(),
            dataset: child(number),
        };
        let live = Live {
            created: now,
            modified: now,
            modified_by: IDENTITY.to_owned(),
            records: 0,
            bytes: 0,
        };
        let push = Push {
            live,
            records: Vec::new(),
        };
        // One that is there already stays as it is.
        let done = self.storage.append(&address, SyncCount::ZERO, &push);
        debug_assert!(done.is_ok());
    }

    /// Moves what a guest has to where a merge leaves it: beside our dataset.
    pub(crate) fn merge_guest(&self, guest: &IdentityId) {
        let [from, to] = [
            (guest.clone(), DATASET.to_owned()),
            (identity(), format!("{DATASET}.{guest}")),
        ]
        .map(|(identity, name)| Address {
            owner: Owner {
                identity,
                ..owner()
            },
            dataset: name.parse().expect("it is a name"),
        });
        let done = self.storage.adopt(&from, &to);
        debug_assert!(done.is_ok());
    }

    /// Changes a character of a stored value without anybody noticing.
    pub(crate) fn rot(&self, key: &str, at: usize, now: Timestamp) {
        let records = self.list(now).records;
        let Some(record) = records.iter().find(|record| record.key.as_str() == key) else {
            return;
        };
        let Some(value) = &record.value else { return };
        let mut bytes = value.clone().into_bytes();
        let at = at % bytes.len();
        bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
        let value = String::from_utf8(bytes).expect("slots are ASCII");
        let place = (record.key.clone(), record.sync_count);
        self.storage.rotten().insert(place, value);
    }

    /// Starts the service again with what it had so many writes ago, or with nothing.
    pub(crate) fn take_back(&mut self, writes: usize) {
        let kept = self.storage.writes().saturating_sub(writes);
        let storage = Arc::new(self.storage.until(kept));
        *self = Self::over(storage, self.seeds);
    }

    /// Returns how many writes the service has taken.
    pub(crate) fn writes(&self) -> usize {
        self.storage.writes()
    }

    /// Returns how much the dataset takes, if it exists.
    pub(crate) fn live(&self) -> Option<Live> {
        let address = Address {
            owner: owner(),
            dataset: dataset(),
        };
        let view = self.storage.storage.read(&address, Selection::Head);
        view.ok()?.head.live
    }
}

/// Returns how many bytes a record takes.
pub(crate) fn size(key: &RecordKey, value: Option<&str>) -> usize {
    key.as_str().len() + value.map_or(0, str::len)
}

pub(crate) fn key_pair() -> KeyPair {
    KeyPair::new("AKIDSIMULATED", "a secret that opens nothing")
}

pub(crate) fn pool() -> IdentityPoolId {
    POOL.parse().expect("it is a pool")
}

pub(crate) fn identity() -> IdentityId {
    IDENTITY.parse().expect("it is an identity")
}

pub(crate) fn dataset() -> DatasetName {
    DATASET.parse().expect("it is a name")
}

/// Returns the name of the dataset that a merge with a guest leaves beside ours.
pub(crate) fn child(number: usize) -> DatasetName {
    let name = format!("{DATASET}.us-east-1:00000000-0000-0000-0000-{number:012}");
    name.parse().expect("it is a name")
}

fn owner() -> Owner {
    Owner {
        pool: pool(),
        identity: identity(),
    }
}

/// Returns the answer that an error is.
pub(crate) fn refusal(error: &ApiError, now: Timestamp) -> http::Response<Bytes> {
    let answer = http::Response::builder()
        .status(error.status)
        .header(ERROR_TYPE_HEADER, error.code.name())
        .body(error.to_body().into());
    dated(answer.expect("codes are tokens"), now)
}

/// A server says when it answers, by which clients correct their clocks.
fn dated(mut answer: http::Response<Bytes>, now: Timestamp) -> http::Response<Bytes> {
    let seconds = u64::try_from(now.as_millis() / 1_000).unwrap_or_default();
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    let date = httpdate::fmt_http_date(time);
    let date = date.parse().expect("a date is a header's value");
    answer.headers_mut().insert(http::header::DATE, date);
    answer
}

/// Returns when a token of now is too old, which is what a delay on the way looks like.
pub(crate) fn too_late(now: Timestamp) -> Timestamp {
    Timestamp::from_millis(now.as_millis() + TOKEN_LIFETIME_MILLIS)
}

/// A storage that can be taken back to an earlier moment, and whose values can rot.
#[derive(Debug, Default)]
struct Rewindable {
    storage: MemoryStorage,
    log: Mutex<Vec<(Address, SyncCount, Option<Push>)>>,
    rotten: Mutex<BTreeMap<(RecordKey, SyncCount), String>>,
}

impl Rewindable {
    fn log(&self) -> std::sync::MutexGuard<'_, Vec<(Address, SyncCount, Option<Push>)>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rotten(&self) -> std::sync::MutexGuard<'_, BTreeMap<(RecordKey, SyncCount), String>> {
        self.rotten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writes(&self) -> usize {
        self.log().len()
    }

    fn until(&self, writes: usize) -> Self {
        let earlier = Self::default();
        for (address, expected, push) in self.log().iter().take(writes) {
            let done = match push {
                Some(push) => earlier.append(address, *expected, push),
                None => earlier.delete(address, *expected),
            };
            debug_assert!(done.is_ok_and(|done| done == Swap::Done));
        }
        earlier
    }

    fn keep(&self, address: &Address, expected: SyncCount, push: Option<&Push>) {
        self.log().push((address.clone(), expected, push.cloned()));
    }
}

impl Storage for Rewindable {
    fn read(&self, address: &Address, selection: Selection<'_>) -> Result<View, StorageError> {
        let mut view: View = self.storage.read(address, selection)?;
        let rotten = self.rotten();
        if !rotten.is_empty() && address.dataset == dataset() {
            for record in &mut view.records {
                let Record {
                    key, sync_count, ..
                } = record;
                if let Some(value) = rotten.get(&(key.clone(), *sync_count)) {
                    record.value = Some(value.clone());
                }
            }
        }
        Ok(view)
    }

    fn list(
        &self,
        owner: &Owner,
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
        let swap = self.storage.append(address, expected, push)?;
        if swap == Swap::Done {
            self.keep(address, expected, Some(push));
        }
        Ok(swap)
    }

    fn delete(&self, address: &Address, expected: SyncCount) -> Result<Swap, StorageError> {
        let swap = self.storage.delete(address, expected)?;
        if swap == Swap::Done {
            self.keep(address, expected, None);
        }
        Ok(swap)
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
