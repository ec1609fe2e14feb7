//! What devices edit when nobody says what: every kind of value, few keys, so that they collide.

use driftless::{Dataset, Path, PutError, Scalar, Value, path};
use serde::{Deserialize, Serialize};

use crate::draw::Draw;

/// One edit of a dataset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Edit {
    /// Puts a number.
    Put(u16, i64),
    /// Puts a text as a whole, of so many characters.
    PutText(u16, u16),
    /// Puts several numbers.
    PutAll(Vec<(u16, i64)>),
    /// Removes a key that holds numbers and texts.
    Remove(u16),
    /// Adds to a counter.
    Increment(u8, i64),
    /// Changes a text: a place, how many characters go, how many come.
    Type(u8, u16, u8, u8),
    /// Several edits that stand together: a number and a counter.
    Transaction(u16, u8, i64),
    /// Removes a counter.
    RemoveCounter(u8),
    /// Removes a text.
    RemoveTyped(u8),
    /// Inserts values into a list: a place, and how many; every other one is a map.
    Insert(u8, u16, u8),
    /// Puts a number on an element of a list.
    PutElement(u8, u16, i64),
    /// Removes an element of a list.
    RemoveElement(u8, u16),
    /// Adds to a counter inside of an element.
    CountElement(u8, u16, i64),
    /// Puts numbers as a whole list.
    PutList(u8, Vec<i64>),
    /// Puts a number at a key of a map.
    PutInside(u8, u8, i64),
    /// Removes such a number.
    RemoveInside(u8, u8),
    /// Adds to a counter in a map in a map.
    CountInside(u8, i64),
    /// Adds a member to a set; the bool says that it is one in a map.
    Add(u8, bool, u8),
    /// Removes a member.
    Discard(u8, bool, u8),
    /// Removes a list, a map, a set, or what stands in a map.
    RemoveObject(u8),
    /// Puts so many bytes that do not deflate, so that limits come near and logs become long.
    PutBytes(u16, u16),
}

/// Which edits are drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kinds {
    /// How many keys hold scalars.
    pub(crate) keys: u16,
    /// Whether counters and texts are removed.
    pub(crate) removes_objects: bool,
    /// Whether there are large values.
    pub(crate) puts_bytes: bool,
}

impl Edit {
    /// Puts more bytes than logs take before they are folded, at a key of their own.
    pub(crate) const FILLING: Self = Self::PutBytes(u16::MAX, 30_000);

    /// Put with it, more bytes than one part of a base takes.
    pub(crate) const FILLING_MORE: [Self; 2] = [
        Self::PutBytes(u16::MAX - 1, 55_000),
        Self::PutBytes(u16::MAX - 2, 55_000),
    ];

    /// Draws an edit.
    pub(crate) fn draw(draw: &mut Draw, kinds: Kinds) -> Self {
        let Kinds { keys, .. } = kinds;
        let key = draw.below(usize::from(keys)) as u16;
        let object = draw.below(2) as u8;
        if kinds.puts_bytes && draw.chance(0.2) {
            return Self::PutBytes(key, draw.magnitude(100.0, 12_000.0) as u16);
        }
        let kinds = if kinds.removes_objects { 36 } else { 32 };
        match draw.below(kinds) {
            0..=4 => Self::Put(key, draw.between(-9, 9)),
            5 => Self::PutText(key, draw.below(60) as u16),
            6 => {
                let several = (0..draw.below(6))
                    .map(|_| (draw.below(usize::from(keys)) as u16, draw.between(-9, 9)));
                Self::PutAll(several.collect())
            }
            7 | 8 => Self::Remove(key),
            9..=11 => Self::Increment(object, draw.between(-9, 9)),
            12..=16 => Self::Type(
                object,
                draw.below(1_000) as u16,
                draw.below(3) as u8,
                draw.below(5) as u8,
            ),
            17 => Self::Transaction(key, object, draw.between(-9, 9)),
            18..=20 => Self::Insert(object, draw.below(1_000) as u16, 1 + draw.below(3) as u8),
            21 => Self::PutElement(object, draw.below(1_000) as u16, draw.between(-9, 9)),
            22 => Self::RemoveElement(object, draw.below(1_000) as u16),
            23 => Self::CountElement(object, draw.below(1_000) as u16, draw.between(-9, 9)),
            24 => {
                let values = (0..draw.below(5)).map(|_| draw.between(-9, 9));
                Self::PutList(object, values.collect())
            }
            25 | 26 => Self::PutInside(object, draw.below(3) as u8, draw.between(-9, 9)),
            27 => Self::RemoveInside(object, draw.below(3) as u8),
            28 => Self::CountInside(object, draw.between(-9, 9)),
            29 | 30 => Self::Add(object, draw.chance(0.4), draw.below(5) as u8),
            31 => Self::Discard(object, draw.chance(0.4), draw.below(5) as u8),
            32 => Self::RemoveCounter(object),
            33 => Self::RemoveTyped(object),
            _ => Self::RemoveObject(draw.below(10) as u8),
        }
    }

    /// Makes the edit.
    ///
    /// # Errors
    ///
    /// What the dataset says.
    pub fn apply(&self, dataset: &Dataset) -> Result<(), PutError> {
        match self {
            Self::Put(key, value) => dataset.put(scalar(*key), *value),
            Self::PutText(key, len) => {
                let text: String = characters(*key).take(usize::from(*len)).collect();
                dataset.put(scalar(*key), text)
            }
            Self::PutAll(values) => {
                let values = values.iter();
                dataset.put_all(values.map(|(key, value)| (scalar(*key), Scalar::from(*value))))
            }
            Self::Remove(key) => dataset.remove(scalar(*key)).map(drop),
            Self::Increment(key, by) => dataset.increment(counter(*key), *by),
            Self::Type(key, at, delete, insert) => {
                let key = text(*key);
                let len = dataset.text(&key).map_or(0, |text| text.chars().count());
                let at_most = usize::from(*at) % (len + 1);
                let delete = usize::from(*delete).min(len - at_most);
                let insert: String = characters(*at).take(usize::from(*insert)).collect();
                dataset.splice_text(&key, at_most, delete, &insert)
            }
            Self::Transaction(key, object, value) => dataset.transaction(|edit| {
                edit.put(scalar(*key), *value)?;
                edit.increment(counter(*object), *value)
            }),
            Self::RemoveCounter(key) => dataset.remove(counter(*key)).map(drop),
            Self::RemoveTyped(key) => dataset.remove(text(*key)).map(drop),
            Self::Insert(key, at, count) => {
                let at = usize::from(*at) % (elements(dataset, *key) + 1);
                let value = |n: u8| match n % 2 {
                    0 => Value::from(i64::from(n)),
                    _ => Value::map([("kind", Value::from("map")), ("n", Value::Counter(1))]),
                };
                dataset.insert_all(list(*key), Some(at), (0..*count).map(value))
            }
            Self::PutElement(key, at, value) => match element(dataset, *key, *at) {
                Some(element) => dataset.put(element, *value),
                None => Ok(()),
            },
            Self::RemoveElement(key, at) => match element(dataset, *key, *at) {
                Some(element) => dataset.remove(element).map(drop),
                None => Ok(()),
            },
            Self::CountElement(key, at, by) => match element(dataset, *key, *at) {
                Some(element) => dataset.increment(element.key("n"), *by),
                None => Ok(()),
            },
            Self::PutList(key, values) => {
                dataset.put(list(*key), Value::list(values.iter().copied()))
            }
            Self::PutInside(key, inner, value) => dataset.put(inside(*key, *inner), *value),
            Self::RemoveInside(key, inner) => dataset.remove(inside(*key, *inner)).map(drop),
            Self::CountInside(key, by) => dataset.increment(path![map(*key), "in", "n"], *by),
            Self::Add(key, is_inside, member) => dataset
                .add(set(*key, *is_inside), i64::from(*member))
                .map(drop),
            Self::Discard(key, is_inside, member) => dataset
                .discard(set(*key, *is_inside), i64::from(*member))
                .map(drop),
            Self::RemoveObject(which) => {
                let key = which % 2;
                let path = match which / 2 {
                    0 => list(key).into(),
                    1 => map(key).into(),
                    2 => set(key, false),
                    3 => set(key, true),
                    _ => path![map(key), "in"],
                };
                dataset.remove(path).map(drop)
            }
            Self::PutBytes(key, len) => dataset.put(scalar(*key), noise(*key, *len)),
        }
    }
}

/// Returns bytes that look random, the same for the same numbers.
pub(crate) fn noise(key: u16, len: u16) -> Vec<u8> {
    let mut bytes = vec![0; usize::from(len)];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&key.to_le_bytes()).update(&len.to_le_bytes());
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}

fn scalar(key: u16) -> String {
    format!("s{key}")
}

fn counter(key: u8) -> String {
    format!("c{key}")
}

fn text(key: u8) -> String {
    format!("t{key}")
}

fn list(key: u8) -> String {
    format!("l{key}")
}

fn map(key: u8) -> String {
    format!("o{key}")
}

fn set(key: u8, is_inside: bool) -> Path {
    if is_inside {
        path![map(key), "tags"]
    } else {
        format!("e{key}").into()
    }
}

fn inside(key: u8, inner: u8) -> Path {
    path![map(key), format!("k{inner}")]
}

/// Returns how many elements a list has.
fn elements(dataset: &Dataset, key: u8) -> usize {
    match dataset.get(list(key)) {
        Some(Value::List(values)) => values.len(),
        _ => 0,
    }
}

/// Returns an element of a list that has any.
fn element(dataset: &Dataset, key: u8, at: u16) -> Option<Path> {
    let at = usize::from(at).checked_rem(elements(dataset, key))?;
    Some(path![list(key), at])
}

fn characters(from: u16) -> impl Iterator<Item = char> {
    (0..).map(move |n| char::from(b'a' + ((u32::from(from) + n) % 26) as u8))
}
