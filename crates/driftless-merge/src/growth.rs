//! By how much an edit can make the encoded state grow, at most.
//!
//! Of a whole value only what differs from what is shown is written, so only that counts.

use std::collections::BTreeMap;

use driftless_document::{Document, Path, Scalar, Step, Value};

use crate::local::Operation;

/// What one operation and its ids take at most, in bytes, beside key and value.
const OPERATION: usize = 40;

/// What a creation takes at most: an operation, and an author of its own.
const CREATION: usize = 2 * OPERATION;

impl Operation {
    /// Returns the bytes by which this can grow the encoded state of a document, or `None` if it can only shrink.
    pub(crate) fn growth(&self, document: &Document) -> Option<usize> {
        let bytes = match self {
            Self::Put(values) => values
                .iter()
                .map(|(key, value)| key.len() + of_scalar(value))
                .sum(),
            Self::PutAt(path, value) => {
                let inside = of_difference(value, document.get_at(path).as_ref());
                return (inside > 0).then(|| of_path(path) + inside);
            }
            Self::Remove(_) | Self::Discard(..) => return None,
            Self::Increment(path, _) => of_path(path) + OPERATION,
            // Each deleted character may cut a run in two.
            Self::SpliceText { insert, .. } if insert.is_empty() => return None,
            Self::SpliceText { path, insert, .. } => of_path(path) + of_text(insert),
            Self::Insert { path, values, .. } => {
                of_path(path) + values.iter().map(of_value).sum::<usize>()
            }
            Self::Add(path, member) => of_path(path) + of_member(member),
            Self::PutConcurrently { places, .. } => {
                let values = |(path, values): &(Path, Vec<Value>)| {
                    values
                        .iter()
                        .map(|it| of_path(path) + of_value(it))
                        .sum::<usize>()
                };
                places.iter().map(values).sum()
            }
            Self::Import { text: None, .. } => return None,
            Self::Import {
                key,
                text: Some(text),
            } => key.len() + of_text(text),
        };
        Some(bytes)
    }
}

/// All that a path leads through may have to be created.
fn of_path(path: &Path) -> usize {
    let step = |step: &Step| match step {
        Step::Key(key) => key.len(),
        _ => 0,
    };
    let keys = path.root().len() + path.steps().iter().map(step).sum::<usize>();
    keys + (1 + path.steps().len()) * CREATION
}

fn of_scalar(scalar: &Scalar) -> usize {
    scalar.size() + OPERATION
}

/// A member's key is its text, which has two digits for a byte and up to twenty for a number.
fn of_member(member: &Scalar) -> usize {
    2 * member.size() + OPERATION
}

fn of_text(text: &str) -> usize {
    text.len() + OPERATION
}

fn of_value(value: &Value) -> usize {
    match value {
        Value::Scalar(scalar) => of_scalar(scalar),
        other => CREATION + of_difference(other, None),
    }
}

/// Returns what a value takes beyond one that is shown in its place.
fn of_difference(value: &Value, shown: Option<&Value>) -> usize {
    if shown == Some(value) {
        return 0;
    }
    match (value, shown) {
        (Value::Text(new), Some(Value::Text(old))) => {
            let (new, old): (Vec<char>, Vec<char>) = (new.chars().collect(), old.chars().collect());
            let middle = middle(&new, &old).iter().map(|c| c.len_utf8());
            middle.sum::<usize>() + OPERATION
        }
        (Value::List(new), Some(Value::List(old))) => middle(new, old).iter().map(of_value).sum(),
        (Value::Map(new), Some(Value::Map(old))) => of_entries(new, old),
        (Value::Set(new), Some(Value::Set(old))) => new.difference(old).map(of_member).sum(),
        (Value::Scalar(scalar), _) => of_scalar(scalar),
        (Value::Counter(_), _) => CREATION,
        (Value::Text(text), _) => CREATION + of_text(text),
        (Value::List(values), _) => CREATION + values.iter().map(of_value).sum::<usize>(),
        (Value::Map(values), _) => CREATION + of_entries(values, &BTreeMap::new()),
        (Value::Set(members), _) => CREATION + members.iter().map(of_member).sum::<usize>(),
        // A value of a kind that this crate does not know is refused by the document.
        _ => 0,
    }
}

fn of_entries(new: &BTreeMap<String, Value>, old: &BTreeMap<String, Value>) -> usize {
    let entry = |(key, value): (&String, &Value)| match of_difference(value, old.get(key)) {
        0 => 0,
        bytes => key.len() + bytes,
    };
    new.iter().map(entry).sum()
}

/// Returns what stands in `new` between what begins and what ends like `old`.
fn middle<'a, T: PartialEq>(new: &'a [T], old: &[T]) -> &'a [T] {
    let head = new.iter().zip(old).take_while(|(a, b)| a == b).count();
    let ends = new[head..].iter().rev().zip(old[head..].iter().rev());
    let tail = ends.take_while(|(a, b)| a == b).count();
    &new[head..new.len() - tail]
}
