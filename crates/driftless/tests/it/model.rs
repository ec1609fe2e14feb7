//! The public API against an ordinary map: one device that edits, restarts, loses power and synchronizes.
//!
//! `PROPTEST_CASES` draws more cases; a quarter of that number is run.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use driftless::transport::ExchangeError;
use driftless::wire::Operation;
use driftless::{
    Changes, Client, Dataset, Durability, EditError, Origin, PutError, RefusedEdit, Scalar, Value,
    path,
};
use driftless_record::RESERVED_PREFIX;
use driftless_store::MemoryStore;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use tokio::runtime::Runtime;

use crate::fake::{Fake, Fault};

prop_state_machine! {
    #![proptest_config(ProptestConfig {
        cases: (ProptestConfig::default().cases / 4).max(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Whatever is called, and wherever the device restarts or loses power: each call answers what a map would, the
    /// dataset shows what the map holds, consumers hear the difference, and the service gets it.
    #[test]
    fn a_dataset_is_a_map(sequential 1..60 => Device);
}

/// One call that edits.
#[derive(Clone, Debug)]
enum Edit {
    Put(String, Scalar),
    PutAll(Vec<(String, Scalar)>),
    Remove(String),
    Increment(String, i64),
    /// Where in the text, and how much of the rest goes; the bool goes one beyond the end.
    Splice(String, Index, Index, bool, String),
    /// Where in the list; the bool goes one beyond the end.
    Insert(String, Index, bool, Scalar),
    RemoveElement(String, Index),
    Add(String, Scalar),
    Discard(String, Scalar),
}

/// How a transaction ends that no edit has stopped.
#[derive(Clone, Copy, Debug)]
enum End {
    Done,
    Failed,
    Panicked,
}

#[derive(Clone, Copy, Debug)]
enum Restart {
    Closed,
    /// The process dies.
    Dropped,
    /// The machine loses power.
    Crashed,
}

#[derive(Clone, Copy, Debug)]
enum Lost {
    Nothing,
    Request(Operation),
    Answer(Operation),
}

#[derive(Clone, Debug)]
enum Call {
    Edit(Edit),
    Transaction(Vec<Edit>, End),
    Delete,
    Restart(Restart),
    Synchronize(Lost),
    TakeChanges,
    Listen,
}

/// What a map holds at a key.
#[derive(Clone, Debug, PartialEq)]
enum Entry {
    Scalar(Scalar),
    Counter(i64),
    Text(Vec<char>),
    List(Vec<Scalar>),
    Set(BTreeSet<Scalar>),
}

impl Entry {
    /// The kind of what merges inside.
    fn kind(&self) -> Option<&'static str> {
        match self {
            Self::Scalar(_) => None,
            Self::Counter(_) => Some("counter"),
            Self::Text(_) => Some("text"),
            Self::List(_) => Some("list"),
            Self::Set(_) => Some("set"),
        }
    }
}

type Map = BTreeMap<String, Entry>;

/// What an edit answers: whether anything changed, or why it was refused.
type Answer = Result<bool, EditRefusal>;

#[derive(Clone, Debug, PartialEq)]
enum EditRefusal {
    Edit(EditError),
    Reserved,
}

/// What is known of the device and the service; `None` where a lost answer or a loss of power leaves it open.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// The service holds the dataset.
    is_stored: Option<bool>,
    /// There were edits since.
    is_ahead: Option<bool>,
    /// A deletion is still to be sent.
    is_deleting: Option<bool>,
}

#[derive(Clone, Debug)]
struct Model {
    durability: Durability,
    map: Map,
    known: Known,
    /// What a loss of power leaves, if that is known.
    durable: Option<Map>,
    /// The answers to the edits of the last call.
    answers: Vec<Answer>,
}

impl Edit {
    fn perform(&self, map: &mut Map) -> Answer {
        match self {
            Self::Put(key, value) => put_all(map, &[(key.clone(), value.clone())].into()),
            Self::PutAll(values) => put_all(map, &values.iter().cloned().collect()),
            Self::Remove(key) => {
                check_key(key)?;
                Ok(map.remove(key).is_some())
            }
            Self::Increment(key, by) => increment(map, key, *by),
            Self::Splice(key, ..) => {
                let (at, delete, insert) = self.place(map);
                splice(map, key, at, delete, insert)
            }
            Self::Insert(key, _, _, value) => insert(map, key, self.index(map), value),
            Self::RemoveElement(key, _) => {
                check_key(key)?;
                let at = self.index(map);
                match map.get_mut(key) {
                    Some(Entry::List(list)) if at < list.len() => {
                        list.remove(at);
                        Ok(true)
                    }
                    _ => Ok(false),
                }
            }
            Self::Add(key, member) => {
                check_key(key)?;
                check_plain(member)?;
                check_kind(map, key, "set")?;
                let is_new = !matches!(map.get(key), Some(Entry::Set(_)));
                let mut set = match map.remove(key) {
                    Some(Entry::Set(set)) => set,
                    _ => BTreeSet::new(),
                };
                let is_added = set.insert(member.clone());
                map.insert(key.clone(), Entry::Set(set));
                Ok(is_new || is_added)
            }
            Self::Discard(key, member) => {
                check_key(key)?;
                check_plain(member)?;
                match map.get_mut(key) {
                    Some(Entry::Set(set)) => Ok(set.remove(member)),
                    _ => Ok(false),
                }
            }
        }
    }

    /// Which element of the list as it is.
    fn index(&self, map: &Map) -> usize {
        let len = |key| match map.get(key) {
            Some(Entry::List(list)) => list.len(),
            _ => 0,
        };
        match self {
            Self::Insert(key, _, true, _) => len(key) + 1,
            Self::Insert(key, at, false, _) => at.index(len(key) + 1),
            Self::RemoveElement(key, at) => at.index(len(key).max(1)),
            _ => panic!("only elements have an index"),
        }
    }

    /// Where a splice is made in the text as it is.
    fn place(&self, map: &Map) -> (usize, usize, &str) {
        let Self::Splice(key, at, delete, is_beyond, insert) = self else {
            panic!("only splices have a place")
        };
        let len = match map.get(key) {
            Some(Entry::Text(text)) => text.len(),
            _ => 0,
        };
        let at = at.index(len + 1);
        let delete = if *is_beyond {
            len - at + 1
        } else {
            delete.index(len - at + 1)
        };
        (at, delete, insert)
    }
}

fn check_key(key: &str) -> Result<(), EditRefusal> {
    if key.starts_with(RESERVED_PREFIX) {
        Err(EditRefusal::Reserved)
    } else if key.is_empty() {
        Err(EditRefusal::Edit(EditError::Key(0)))
    } else {
        Ok(())
    }
}

fn check_plain(value: &Scalar) -> Result<(), EditRefusal> {
    if matches!(value, Scalar::Counter(_)) {
        return Err(EditRefusal::Edit(EditError::NotPlain));
    }
    Ok(())
}

/// Refuses a key at which something else merges.
fn check_kind(map: &Map, key: &str, wanted: &'static str) -> Result<(), EditRefusal> {
    match map.get(key).and_then(Entry::kind) {
        Some(found) if found != wanted => {
            Err(EditRefusal::Edit(EditError::OtherKind { wanted, found }))
        }
        _ => Ok(()),
    }
}

fn insert(map: &mut Map, key: &str, at: usize, value: &Scalar) -> Answer {
    check_key(key)?;
    check_kind(map, key, "list")?;
    let mut list = match map.get(key) {
        Some(Entry::List(list)) => list.clone(),
        _ => Vec::new(),
    };
    if at > list.len() {
        let (end, len) = (at, list.len());
        return Err(EditRefusal::Edit(EditError::OutOfRange { at, end, len }));
    }
    check_plain(value)?;
    list.insert(at, value.clone());
    map.insert(key.to_owned(), Entry::List(list));
    Ok(true)
}

fn put_all(map: &mut Map, values: &BTreeMap<String, Scalar>) -> Answer {
    if values.keys().any(|key| key.starts_with(RESERVED_PREFIX)) {
        return Err(EditRefusal::Reserved);
    }
    for (key, value) in values {
        check_key(key)?;
        check_plain(value)?;
    }
    let before = map.clone();
    let entries = values
        .iter()
        .map(|(key, value)| (key.clone(), Entry::Scalar(value.clone())));
    map.extend(entries);
    Ok(*map != before)
}

fn increment(map: &mut Map, key: &str, by: i64) -> Answer {
    check_key(key)?;
    check_kind(map, key, "counter")?;
    let total = match map.get(key) {
        Some(Entry::Counter(total)) => *total,
        _ => 0,
    };
    let sum = total.checked_add(by);
    let sum = sum.ok_or(EditRefusal::Edit(EditError::Overflow { total, by }))?;
    map.insert(key.to_owned(), Entry::Counter(sum));
    Ok(true)
}

fn splice(map: &mut Map, key: &str, at: usize, delete: usize, insert: &str) -> Answer {
    check_key(key)?;
    check_kind(map, key, "text")?;
    let (mut text, is_there) = match map.get(key) {
        Some(Entry::Text(text)) => (text.clone(), true),
        _ => (Vec::new(), false),
    };
    let (end, len) = (at + delete, text.len());
    if end > len {
        return Err(EditRefusal::Edit(EditError::OutOfRange { at, end, len }));
    }
    text.splice(at..end, insert.chars());
    map.insert(key.to_owned(), Entry::Text(text));
    Ok(!is_there || delete > 0 || !insert.is_empty())
}

impl Model {
    fn edit(&mut self, edit: &Edit) {
        let answer = edit.perform(&mut self.map);
        let has_changed = answer == Ok(true);
        self.answers.push(answer);
        self.changed(has_changed);
    }

    fn changed(&mut self, has_changed: bool) {
        if has_changed {
            self.known.is_ahead = Some(true);
            self.written();
        }
    }

    fn written(&mut self) {
        if self.durability == Durability::Disk {
            self.durable = Some(self.map.clone());
        }
    }

    fn transaction(&mut self, edits: &[Edit], end: End) {
        let before = self.map.clone();
        let answers: Vec<_> = edits
            .iter()
            .map(|edit| edit.perform(&mut self.map))
            .collect();
        let has_changed = answers.contains(&Ok(true));
        self.answers = answers;
        match end {
            End::Done => self.changed(has_changed),
            End::Failed | End::Panicked => self.map = before,
        }
    }

    fn delete(&mut self) {
        self.map.clear();
        let Known {
            is_stored,
            is_deleting,
            ..
        } = self.known;
        self.known = Known {
            is_stored: Some(false),
            is_ahead: Some(false),
            is_deleting: match (is_stored, is_deleting) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
        };
        self.written();
    }

    fn restart(&mut self, how: Restart) {
        match how {
            Restart::Closed => self.durable = Some(self.map.clone()),
            Restart::Dropped => {}
            Restart::Crashed => {
                self.map = self.durable.clone().expect("the precondition of a crash");
                self.known = Known {
                    is_stored: None,
                    is_ahead: None,
                    is_deleting: None,
                };
            }
        }
    }

    fn synchronize(&mut self, lost: Lost) {
        let Known {
            is_stored,
            is_ahead,
            is_deleting,
        } = self.known;
        let has_edits = match is_stored {
            Some(false) => Some(!self.map.is_empty()),
            _ => is_ahead,
        };
        if self.durability == Durability::Buffered {
            // What is sent is put on disk before.
            match (lost, has_edits, is_deleting) {
                (Lost::Nothing, Some(true), Some(false)) => self.durable = Some(self.map.clone()),
                (_, Some(false), Some(false)) => {}
                _ => self.durable = None,
            }
        }
        self.known = match lost {
            Lost::Nothing => Known {
                is_stored: match (self.map.is_empty(), is_stored, is_deleting) {
                    (false, ..) => Some(true),
                    (true, Some(true), Some(false)) => Some(true),
                    (true, Some(false), _) => Some(false),
                    _ => None,
                },
                is_ahead: Some(false),
                is_deleting: Some(false),
            },
            _ => Known {
                is_stored: None,
                is_ahead: None,
                is_deleting: None,
            },
        };
    }

    fn has_unsynced(&self) -> Option<bool> {
        let Known {
            is_stored,
            is_ahead,
            is_deleting,
        } = self.known;
        if is_deleting? {
            return Some(true);
        }
        match is_stored {
            Some(false) => Some(!self.map.is_empty()),
            Some(true) => is_ahead,
            None => is_ahead.filter(|is_ahead| !is_ahead),
        }
    }
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Call;

    fn init_state() -> BoxedStrategy<Self> {
        let durability = select(vec![Durability::Disk, Durability::Buffered]);
        let model = durability.prop_map(|durability| Self {
            durability,
            map: Map::new(),
            known: Known {
                is_stored: Some(false),
                is_ahead: Some(false),
                is_deleting: Some(false),
            },
            durable: Some(Map::new()),
            answers: Vec::new(),
        });
        model.boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<Call> {
        let end =
            prop_oneof![4 => Just(End::Done), 1 => Just(End::Failed), 1 => Just(End::Panicked)];
        let lost = prop_oneof![
            6 => Just(Lost::Nothing),
            1 => operation().prop_map(Lost::Request),
            1 => operation().prop_map(Lost::Answer),
        ];
        let restart = select(vec![Restart::Closed, Restart::Dropped, Restart::Crashed]);
        let call = prop_oneof![
            24 => edit().prop_map(Call::Edit),
            4 => (prop::collection::vec(edit_of_one(), 0..5), end)
                .prop_map(|(edits, end)| Call::Transaction(edits, end)),
            1 => Just(Call::Delete),
            4 => restart.prop_map(Call::Restart),
            5 => lost.prop_map(Call::Synchronize),
            3 => Just(Call::TakeChanges),
            1 => Just(Call::Listen),
        ];
        call.boxed()
    }

    fn preconditions(model: &Self, call: &Call) -> bool {
        match call {
            Call::Edit(edit) => !creates_empty_text(&model.map, std::slice::from_ref(edit)),
            Call::Transaction(edits, _) => !creates_empty_text(&model.map, edits),
            Call::Restart(Restart::Crashed) => model.durable.is_some(),
            _ => true,
        }
    }

    fn apply(mut model: Self, call: &Call) -> Self {
        model.answers.clear();
        match call {
            Call::Edit(edit) => model.edit(edit),
            Call::Transaction(edits, end) => model.transaction(edits, *end),
            Call::Delete => model.delete(),
            Call::Restart(how) => model.restart(*how),
            Call::Synchronize(lost) => model.synchronize(*lost),
            Call::TakeChanges | Call::Listen => {}
        }
        model
    }
}

/// Tells whether an edit creates a text and writes nothing into it.
///
/// All devices that create a text create the same one. If the answer to the push of an empty one was lost, nothing tells
/// whether it came from here, so that removing it here may bring back what may be another device's.
fn creates_empty_text(map: &Map, edits: &[Edit]) -> bool {
    let mut map = map.clone();
    edits.iter().any(|edit| {
        let had_text = |map: &Map, key: &str| matches!(map.get(key), Some(Entry::Text(_)));
        let is_empty = match edit {
            Edit::Splice(key, .., insert) => insert.is_empty() && !had_text(&map, key),
            _ => false,
        };
        drop(edit.perform(&mut map));
        is_empty
    })
}

fn key() -> impl Strategy<Value = String> {
    let bad = vec![String::new(), format!("{RESERVED_PREFIX}x")];
    let keys = [
        "a",
        "b",
        "c",
        "ab",
        "ä",
        "\u{0}",
        "key of more than one word",
    ];
    prop_oneof![
        30 => select(keys.map(str::to_owned).to_vec()),
        1 => select(bad),
    ]
}

/// All types of values, of which few are drawn, so that equal ones are put again.
fn scalar() -> impl Strategy<Value = Scalar> {
    let scalars = vec![
        Scalar::Null,
        Scalar::Bool(true),
        Scalar::Bool(false),
        Scalar::Int(0),
        Scalar::Int(i64::MIN),
        Scalar::Uint(u64::MAX),
        Scalar::Float(0.0),
        Scalar::Float(-0.0),
        Scalar::Float(f64::NAN),
        Scalar::String(String::new()),
        Scalar::String("text".to_owned()),
        Scalar::Bytes(vec![]),
        Scalar::Bytes(vec![0, 255]),
        Scalar::Timestamp(-1),
        Scalar::Counter(1),
    ];
    prop_oneof![
        4 => select(scalars),
        1 => any::<i64>().prop_map(Scalar::Int),
        1 => ".{0,30}".prop_map(Scalar::String),
    ]
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        10 => edit_of_one(),
        1 => prop::collection::vec((key(), scalar()), 0..4).prop_map(Edit::PutAll),
    ]
}

fn edit_of_one() -> impl Strategy<Value = Edit> {
    let by = prop_oneof![8 => -5..5_i64, 1 => Just(i64::MAX), 1 => Just(i64::MIN)];
    let beyond = prop::bool::weighted(0.05);
    let place = (any::<Index>(), any::<Index>(), beyond);
    let text = prop_oneof![1 => Just(String::new()), 3 => "[a-cäß\u{1f600}\n]{1,6}"];
    prop_oneof![
        3 => (key(), scalar()).prop_map(|(key, value)| Edit::Put(key, value)),
        2 => key().prop_map(Edit::Remove),
        2 => (key(), by).prop_map(|(key, by)| Edit::Increment(key, by)),
        3 => (key(), place, text).prop_map(|(key, (at, delete, is_beyond), text)| {
            Edit::Splice(key, at, delete, is_beyond, text)
        }),
        3 => (key(), any::<Index>(), beyond, scalar())
            .prop_map(|(key, at, is_beyond, value)| Edit::Insert(key, at, is_beyond, value)),
        1 => (key(), any::<Index>()).prop_map(|(key, at)| Edit::RemoveElement(key, at)),
        2 => (key(), scalar()).prop_map(|(key, member)| Edit::Add(key, member)),
        1 => (key(), scalar()).prop_map(|(key, member)| Edit::Discard(key, member)),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    select(vec![
        Operation::ListRecords,
        Operation::UpdateRecords,
        Operation::DeleteDataset,
    ])
}

/// The device, and the service that it synchronizes with.
struct Device {
    fake: Arc<Fake>,
    runtime: Runtime,
    durability: Durability,
    store: Arc<MemoryStore>,
    client: Client,
    notes: Dataset,
    changes: Changes,
    /// What the consumer of changes has seen.
    seen: BTreeMap<String, Value>,
}

/// Why a transaction of the test ends.
#[derive(Debug)]
enum Ended {
    OnPurpose,
    Put(#[expect(dead_code, reason = "it is shown when that is a surprise")] PutError),
}

impl From<PutError> for Ended {
    fn from(error: PutError) -> Self {
        Self::Put(error)
    }
}

impl StateMachineTest for Device {
    type SystemUnderTest = Self;
    type Reference = Model;

    fn init_test(model: &Model) -> Self {
        let (fake, store) = (Fake::new(), Arc::new(MemoryStore::new()));
        let builder = fake.builder(&store).durability(model.durability);
        let client = builder.open().unwrap();
        let notes = client.dataset("notes").unwrap();
        Self {
            fake,
            runtime: tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap(),
            durability: model.durability,
            store,
            client,
            changes: notes.changes(),
            notes,
            seen: BTreeMap::new(),
        }
    }

    fn apply(mut device: Self, model: &Model, call: Call) -> Self {
        match call {
            Call::Edit(edit) => assert_eq!([device.edit(&edit)], *model.answers),
            Call::Transaction(edits, end) => device.transaction(&edits, end, &model.answers),
            Call::Delete => device.notes.delete().unwrap(),
            Call::Restart(how) => device = device.restart(how),
            Call::Synchronize(lost) => device.synchronize(lost),
            Call::TakeChanges => device.take_changes(),
            Call::Listen => device.listen(),
        }
        device
    }

    fn check_invariants(device: &Self, model: &Model) {
        let notes = &device.notes;
        let expected: Vec<_> = model
            .map
            .iter()
            .map(|(key, entry)| (key.clone(), value(entry)))
            .collect();
        assert_eq!(notes.entries(), expected);
        assert_eq!(notes.keys(), model.map.keys().cloned().collect::<Vec<_>>());
        assert_eq!(
            (notes.len(), notes.is_empty()),
            (expected.len(), expected.is_empty())
        );
        for key in ["a", "ä", "key of more than one word", "", "elsewhere"] {
            let entry = model.map.get(key);
            assert_eq!(notes.get(key), entry.map(value));
            assert_eq!(notes.contains_key(key), entry.is_some());
            let (text, counter) = match entry {
                Some(Entry::Text(text)) => (Some(text.iter().collect()), None),
                Some(Entry::Counter(total)) => (None, Some(*total)),
                _ => (None, None),
            };
            assert_eq!((notes.text(key), notes.counter(key)), (text, counter));
            let values: Vec<_> = notes
                .conflicts(key)
                .into_iter()
                .map(|one| one.value)
                .collect();
            assert_eq!(values, entry.map(value).into_iter().collect::<Vec<_>>());
        }
        if let Some(has_unsynced) = model.has_unsynced() {
            assert_eq!(notes.has_unsynced(), has_unsynced, "{:?}", model.known);
        }
    }
}

fn value(entry: &Entry) -> Value {
    match entry {
        Entry::Scalar(scalar) => Value::Scalar(scalar.clone()),
        Entry::Counter(total) => Value::Counter(*total),
        Entry::Text(text) => Value::Text(text.iter().collect()),
        Entry::List(list) => Value::list(list.iter().cloned()),
        Entry::Set(set) => Value::Set(set.clone()),
    }
}

impl Device {
    /// Makes an edit and tells whether it changed anything, as far as the API tells, else as the state does.
    fn edit(&self, edit: &Edit) -> Answer {
        let notes = &self.notes;
        let clock = || notes.state().clock().clone();
        let before = clock();
        let made = match edit {
            Edit::Put(key, value) => notes.put(key, value.clone()),
            Edit::PutAll(values) => notes.put_all(values.clone()),
            Edit::Remove(key) => {
                let stood = notes.contains_key(key);
                notes.remove(key).map(|removed| assert_eq!(removed, stood))
            }
            Edit::Increment(key, by) => notes.increment(key, *by),
            Edit::Splice(key, ..) => {
                let (at, delete, insert) = place(edit, notes.get(key));
                notes.splice_text(key, at, delete, insert)
            }
            Edit::Insert(key, _, _, value) => {
                notes.insert(key, index(edit, notes.get(key)), value.clone())
            }
            Edit::RemoveElement(key, _) => notes
                .remove(path![key, index(edit, notes.get(key))])
                .map(drop),
            Edit::Add(key, member) => {
                let was_in = notes.contains(key, member.clone());
                let added = notes.add(key, member.clone());
                added.map(|added| assert_eq!(added, !was_in))
            }
            Edit::Discard(key, member) => {
                let was_in = notes.contains(key, member.clone());
                let discarded = notes.discard(key, member.clone());
                discarded.map(|discarded| assert_eq!(discarded, was_in))
            }
        };
        made.map(|()| clock() != before).map_err(refusal)
    }

    fn transaction(&self, edits: &[Edit], end: End, expected: &[Answer]) {
        let run = AssertUnwindSafe(|| {
            self.notes.transaction::<_, Ended>(|transaction| {
                for (edit, expected) in edits.iter().zip(expected) {
                    let made = match edit {
                        Edit::Put(key, value) => transaction.put(key, value.clone()),
                        Edit::PutAll(_) => unreachable!("transactions are drawn without it"),
                        Edit::Remove(key) => transaction.remove(key),
                        Edit::Increment(key, by) => transaction.increment(key, *by),
                        Edit::Splice(key, ..) => {
                            let (at, delete, insert) = place(edit, transaction.get(key));
                            transaction.splice_text(key, at, delete, insert)
                        }
                        Edit::Insert(key, _, _, value) => {
                            let at = Some(index(edit, transaction.get(key)));
                            transaction.insert_all(key, at, [value.clone().into()])
                        }
                        Edit::RemoveElement(key, _) => {
                            let at = index(edit, transaction.get(key));
                            transaction.remove(path![key, at])
                        }
                        Edit::Add(key, member) => transaction.add(key, member.clone()),
                        Edit::Discard(key, member) => transaction.discard(key, member.clone()),
                    };
                    assert_eq!(made.map_err(refusal), expected.clone().map(drop));
                }
                match end {
                    End::Done => Ok(edits.len()),
                    End::Failed => Err(Ended::OnPurpose),
                    End::Panicked => std::panic::resume_unwind(Box::new("on purpose")),
                }
            })
        });
        match (end, catch_unwind(run)) {
            (End::Done, Ok(Ok(count))) => assert_eq!(count, edits.len()),
            (End::Failed, Ok(Err(Ended::OnPurpose))) => {}
            (End::Panicked, Err(panic)) if panic.is::<&str>() => {}
            (_, Ok(ended)) => panic!("{end:?}: {ended:?}"),
            (_, Err(panic)) => std::panic::resume_unwind(panic),
        }
    }

    fn restart(self, how: Restart) -> Self {
        let Self {
            fake,
            runtime,
            durability,
            store,
            client,
            notes,
            mut changes,
            seen,
        } = self;
        match how {
            Restart::Closed => {
                let entries = notes.entries();
                client.close().unwrap();
                // What came before the end is still given out, and nothing after it.
                assert_eq!(notes.entries(), entries);
                check_changes(&mut changes, &seen, entries);
                assert_eq!(runtime.block_on(changes.next()), None);
                assert!(matches!(notes.put("a", 1), Err(PutError::Closed)));
            }
            Restart::Dropped => {}
            Restart::Crashed => store.crash(),
        }
        drop((client, notes, changes));
        let store = Arc::new(store.reopen());
        let client = fake.builder(&store).durability(durability).open().unwrap();
        let notes = client.dataset("notes").unwrap();
        let seen = notes.entries().into_iter().collect();
        let changes = notes.changes();
        Self {
            fake,
            runtime,
            durability,
            store,
            client,
            notes,
            changes,
            seen,
        }
    }

    fn synchronize(&self, lost: Lost) {
        let error = || ExchangeError::Interrupted("lost".into());
        match lost {
            Lost::Nothing => {}
            Lost::Request(operation) => self.fake.fail(operation, Fault::Before(error())),
            Lost::Answer(operation) => self.fake.fail(operation, Fault::After(error())),
        }
        let done = self.runtime.block_on(self.notes.synchronize());
        self.fake.forgive();
        if matches!(lost, Lost::Nothing) {
            done.unwrap();
            // Another device gets what is here.
            let other = self.fake.device().dataset("notes").unwrap();
            self.runtime.block_on(other.synchronize()).unwrap();
            assert_eq!(other.entries(), self.notes.entries());
        }
    }

    fn take_changes(&mut self) {
        let entries = self.notes.entries();
        check_changes(&mut self.changes, &self.seen, entries.clone());
        self.seen = entries.into_iter().collect();
    }

    fn listen(&mut self) {
        self.changes = self.notes.changes();
        self.seen = self.notes.entries().into_iter().collect();
    }
}

/// Checks that a consumer hears, once for each key, what it saw there and what stands there now, and nothing else.
fn check_changes(
    changes: &mut Changes,
    seen: &BTreeMap<String, Value>,
    entries: Vec<(String, Value)>,
) {
    let now: BTreeMap<_, _> = entries.into_iter().collect();
    let mut heard = BTreeMap::new();
    while let Some(change) = changes.try_next() {
        assert_eq!(change.origin, Origin::Local);
        let is_first = heard.insert(change.key, (change.old, change.new)).is_none();
        assert!(is_first);
    }
    let keys = seen.keys().chain(now.keys());
    let differing = keys.filter(|&key| seen.get(key) != now.get(key));
    let expected: BTreeMap<_, _> = differing
        .map(|key| (key.clone(), (seen.get(key).cloned(), now.get(key).cloned())))
        .collect();
    assert_eq!(heard, expected);
}

/// Where a splice is made in the text that stands there.
fn place(edit: &Edit, stands: Option<Value>) -> (usize, usize, &str) {
    let Edit::Splice(key, ..) = edit else {
        panic!("only splices have a place")
    };
    let mut map = Map::new();
    if let Some(Value::Text(text)) = stands {
        map.insert(key.clone(), Entry::Text(text.chars().collect()));
    }
    edit.place(&map)
}

/// Which element of the list that stands there.
fn index(edit: &Edit, stands: Option<Value>) -> usize {
    let (Edit::Insert(key, ..) | Edit::RemoveElement(key, _)) = edit else {
        panic!("only elements have an index")
    };
    let mut map = Map::new();
    if let Some(Value::List(values)) = stands {
        map.insert(key.clone(), Entry::List(vec![Scalar::Null; values.len()]));
    }
    edit.index(&map)
}

fn refusal(error: PutError) -> EditRefusal {
    match error {
        PutError::Refused(RefusedEdit::Edit(error)) => EditRefusal::Edit(error),
        PutError::Refused(RefusedEdit::ReservedKey) => EditRefusal::Reserved,
        error => panic!("{error:?}"),
    }
}
