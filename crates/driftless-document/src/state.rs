//! The state of a dataset: the live operations with their ids, and a clock of what has been seen.
//!
//! States form a join-semilattice (`join.rs`), and `state(a merged with b) == join(state(a), state(b))`, where the merge is
//! automerge's. A state holds no history: what was overwritten or deleted is only remembered by the clock, apart from the
//! skeleton of lists and texts, to which concurrent inserts refer.
//!
//! Every state in memory is valid, since it comes from automerge, from a join, or from [`State::apply`], which checks: op
//! ids are unique and known to the clock, references exist and are older, totals belong to live counters, and every object
//! can be reached from the root. That is what makes [`emit`](crate::emit) safe, for automerge itself checks little.

use std::collections::BTreeMap;

use crate::id::{Actor, ObjectId, OpId};
use crate::kind::Kind;
use crate::run::Body;
use crate::sequence::Sequence;
use crate::set;
use crate::value::{Content, ObjectType, Scalar, Value};

/// What concurrent writers put in one place, ascending by op id; the last one wins, and an empty one is not kept.
pub(crate) type Register = Vec<(OpId, Content)>;

/// Per author the highest counter of an operation that was seen, operations since overwritten or deleted included.
pub type Clock = BTreeMap<Actor, u32>;

/// The live operations of a dataset with their ids, and its clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    pub(crate) clock: Clock,
    /// Every object that can be reached from the root, which is always there.
    pub(crate) objects: BTreeMap<ObjectId, Object>,
    pub(crate) counts: BTreeMap<CountKey, Count>,
    pub(crate) times: BTreeMap<OpId, i64>,
    /// Every live counter.
    pub(crate) counters: BTreeMap<OpId, Counter>,
}

/// How deep objects may stand in each other; more is refused, since readers and `Drop` go down by recursion.
pub(crate) const MAX_DEPTH: usize = 128;

/// The furthest time from 1970 in ms, which is what a JSON number holds exactly; automerge panics on wider differences.
pub(crate) const MAX_TIME: i64 = 1 << 53;

/// Whose increments are added up, and of which counters.
///
/// An increment names every counter that stood in its place, so that one total belongs to a set of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CountKey {
    /// The author of the increments.
    pub actor: Actor,
    /// The counters that they name, ascending, those that still live; never empty.
    pub counters: Vec<OpId>,
}

/// A live counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counter {
    pub(crate) place: Place,
    /// The sum of all totals that name it, so that it can be read without looking at them.
    sum: i64,
}

impl Counter {
    /// Returns to 0 for totals that are set anew.
    pub(crate) const fn forget(&mut self) {
        self.sum = 0;
    }
}

/// The total of one author's increments of a set of counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// The counter of the author's last increment.
    pub last: u32,
    /// The sum of all increments; wraps around like automerge's.
    pub sum: i64,
}

impl Count {
    /// Adds what the same author added to the same counters under another name.
    pub(crate) fn add(&mut self, other: Self) {
        self.last = self.last.max(other.last);
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

/// An object and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    /// Its place, or `None` for the root.
    pub(crate) place: Option<Place>,
    pub(crate) items: Items,
}

/// Where an object or a counter stands: in this object, at this key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) object: ObjectId,
    pub(crate) key: Key,
}

/// A place inside of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Map(String),
    Element(OpId),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Items {
    Map(ObjectType, BTreeMap<String, Register>),
    Sequence(ObjectType, Sequence),
}

impl Items {
    pub(crate) const fn kind(&self) -> ObjectType {
        match self {
            Self::Map(kind, _) | Self::Sequence(kind, _) => *kind,
        }
    }

    pub(crate) fn new(object_type: ObjectType) -> Self {
        if object_type.is_sequence() {
            Self::Sequence(object_type, Sequence::default())
        } else {
            Self::Map(object_type, BTreeMap::new())
        }
    }
}

impl Default for State {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    /// Returns the state of a dataset in which nothing was ever written.
    #[must_use]
    pub fn new() -> Self {
        let root = Object {
            place: None,
            items: Items::new(ObjectType::Map),
        };
        Self {
            clock: Clock::new(),
            objects: BTreeMap::from([(ObjectId::Root, root)]),
            counts: BTreeMap::new(),
            times: BTreeMap::new(),
            counters: BTreeMap::new(),
        }
    }

    /// Takes note of a live content: an object is there from now on, and a counter has its place.
    pub(crate) fn born(&mut self, id: OpId, content: &Content, place: &Place) {
        match content {
            Content::Object(object_type) => {
                let object = Object {
                    place: Some(place.clone()),
                    items: Items::new(*object_type),
                };
                self.objects.insert(ObjectId::Made(id), object);
            }
            content if content.is_counter() => {
                let place = place.clone();
                self.counters.insert(id, Counter { place, sum: 0 });
            }
            Content::Scalar(_) => {}
        }
    }

    /// Returns the clock.
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Returns the highest counter that was seen from this author, 0 if none was.
    #[must_use]
    pub fn seen_from(&self, actor: Actor) -> u32 {
        self.clock.get(&actor).copied().unwrap_or(0)
    }

    /// Returns the highest counter that was seen from anybody, 0 if none was.
    #[must_use]
    pub fn max_counter(&self) -> u32 {
        self.clock.values().copied().max().unwrap_or(0)
    }

    /// Tells whether this operation was seen, alive or not.
    pub(crate) fn has_seen(&self, id: OpId) -> bool {
        id.counter <= self.seen_from(id.actor)
    }

    /// Tells whether no key holds anything.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.root().is_empty()
    }

    /// Returns the keys that hold something, in ascending byte order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.root().keys().map(String::as_str)
    }

    pub(crate) fn root(&self) -> &BTreeMap<String, Register> {
        match &self.objects[&ObjectId::Root].items {
            Items::Map(_, keys) => keys,
            Items::Sequence(..) => unreachable!("the root is a map from the start"),
        }
    }

    /// Returns the register at a root key, ascending by op id.
    pub(crate) fn register(&self, key: &str) -> &[(OpId, Content)] {
        self.root().get(key).map_or(&[], Vec::as_slice)
    }

    /// Returns the values that were put in a place, ascending by op id; what was inserted as an element is not among them.
    pub(crate) fn register_at(&self, object: ObjectId, key: &Key) -> &[(OpId, Content)] {
        let register = match (self.objects.get(&object).map(|object| &object.items), key) {
            (Some(Items::Map(_, keys)), Key::Map(key)) => keys.get(key),
            (Some(Items::Sequence(_, sequence)), Key::Element(element)) => {
                sequence.sets.get(element)
            }
            _ => None,
        };
        register.map_or(&[], Vec::as_slice)
    }

    /// Returns all that stands in a place, what was inserted as an element too, ascending by op id.
    pub(crate) fn contents_at(&self, place: &Place) -> Register {
        let inserted = match &place.key {
            Key::Element(element) => self
                .sequence(place.object)
                .and_then(|sequence| sequence.inserted(*element))
                .map(|content| (*element, content)),
            Key::Map(_) => None,
        };
        let put = self.register_at(place.object, &place.key);
        inserted.into_iter().chain(put.iter().cloned()).collect()
    }

    /// Returns the elements of a list or text, if that is what an object is.
    pub(crate) fn sequence(&self, object: ObjectId) -> Option<&Sequence> {
        match &self.objects.get(&object)?.items {
            Items::Sequence(_, sequence) => Some(sequence),
            Items::Map(..) => None,
        }
    }

    /// Returns the keys of a map or set, if that is what an object is.
    pub(crate) fn keys_in(&self, object: ObjectId) -> Option<&BTreeMap<String, Register>> {
        match &self.objects.get(&object)?.items {
            Items::Map(_, keys) => Some(keys),
            Items::Sequence(..) => None,
        }
    }

    /// Returns what a reader sees of one content.
    pub(crate) fn value(&self, id: OpId, content: &Content) -> Value {
        match content {
            Content::Scalar(Scalar::Counter(start)) => Value::Counter(self.total(id, *start)),
            Content::Scalar(scalar) => Value::Scalar(scalar.clone()),
            Content::Object(_) => self.object_value(id, Kind::of(id, content)),
        }
    }

    /// Returns the total of a counter: its start and all increments, wrapping around.
    pub(crate) fn total(&self, counter: OpId, start: i64) -> i64 {
        start.wrapping_add(self.counters.get(&counter).map_or(0, |counter| counter.sum))
    }

    /// Sets the total of one author for counters that live.
    pub(crate) fn set_count(&mut self, key: CountKey, count: Count) {
        let old = self.counts.get(&key).map_or(0, |old| old.sum);
        for id in &key.counters {
            let counter = self
                .counters
                .get_mut(id)
                .expect("totals name counters that live");
            counter.sum = counter.sum.wrapping_sub(old).wrapping_add(count.sum);
        }
        self.counts.insert(key, count);
    }

    fn object_value(&self, id: OpId, kind: Option<Kind>) -> Value {
        match &self.objects[&ObjectId::Made(id)].items {
            Items::Map(_, keys) if kind == Some(Kind::Set) => {
                Value::Set(set::members(keys).collect())
            }
            Items::Map(_, keys) => Value::Map(
                keys.iter()
                    .map(|(key, register)| (key.clone(), self.winner(register)))
                    .collect(),
            ),
            Items::Sequence(ObjectType::Text, sequence) => Value::Text(sequence.text()),
            Items::Sequence(_, sequence) => Value::List(
                sequence
                    .visible()
                    .into_iter()
                    .map(|(id, content)| self.value(id, &content))
                    .collect(),
            ),
        }
    }

    fn winner(&self, register: &Register) -> Value {
        let (id, content) = register.last().expect("empty registers are not kept");
        self.value(*id, content)
    }

    /// Returns the root key under which an object stands, however deep, or `None` for the root itself.
    pub(crate) fn root_key(&self, object: ObjectId) -> Option<&str> {
        let mut at = object;
        loop {
            let place = self.objects.get(&at)?.place.as_ref()?;
            if let (ObjectId::Root, Key::Map(key)) = (place.object, &place.key) {
                return Some(key);
            }
            at = place.object;
        }
    }

    /// Returns how many operations the state holds, and how they are kept.
    #[must_use]
    pub fn population(&self) -> Population {
        let mut population = Population {
            objects: self.objects.len() - 1,
            totals: self.counts.len(),
            ..Population::default()
        };
        for object in self.objects.values() {
            match &object.items {
                Items::Map(_, keys) => {
                    let values = keys.values().map(Vec::len).sum::<usize>();
                    population.live += values;
                    population.values += values;
                }
                Items::Sequence(_, sequence) => {
                    for run in sequence.runs() {
                        let elements = run.len() as usize;
                        population.runs += 1;
                        if let Body::Values(values) = &run.body {
                            population.values += values.len();
                        }
                        if run.body.is_live() {
                            population.live += elements;
                        } else {
                            population.dead += elements;
                        }
                    }
                    let values = sequence.sets.values().map(Vec::len).sum::<usize>();
                    population.live += values;
                    population.values += values;
                }
            }
        }
        population
    }
}

/// How many operations a state holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Population {
    /// Values at keys and in elements.
    pub live: usize,
    /// Elements of lists and texts that are only kept as skeleton.
    pub dead: usize,
    /// Those of the live ones that are no characters of a run, each of which is kept by itself.
    pub values: usize,
    /// Objects, without the root.
    pub objects: usize,
    /// Runs of elements.
    pub runs: usize,
    /// Totals of counters.
    pub totals: usize,
}

impl Population {
    /// Returns the sum of both.
    #[must_use]
    pub const fn total(self) -> usize {
        self.live.saturating_add(self.dead)
    }
}
