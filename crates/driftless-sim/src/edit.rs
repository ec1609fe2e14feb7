//! What devices edit when nobody says what: every kind of value, few keys, so that they collide.

use driftless::{Dataset, PutError, Scalar};
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
}

impl Edit {
    /// Draws an edit; `keys` is how many keys hold scalars.
    pub(crate) fn draw(draw: &mut Draw, keys: u16, removes_objects: bool) -> Self {
        let key = draw.below(usize::from(keys)) as u16;
        let object = draw.below(2) as u8;
        let kinds = if removes_objects { 20 } else { 18 };
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
            18 => Self::RemoveCounter(object),
            _ => Self::RemoveTyped(object),
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
        }
    }
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

fn characters(from: u16) -> impl Iterator<Item = char> {
    (0..).map(move |n| char::from(b'a' + ((u32::from(from) + n) % 26) as u8))
}
