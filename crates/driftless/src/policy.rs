//! What a read takes from several values that concurrent writers left, and what a put makes of them.
//!
//! A policy is a way to look at a key, chosen in code by its prefix. It never decides what is stored or joined: two versions
//! of an app with different policies hold the same, read it differently, and may change their minds.

use std::collections::BTreeMap;

use driftless_document::{Document, Path, Scalar, Value};

/// How the values that concurrent writers left at a key become one.
///
/// It looks at whole values at keys of the dataset, not at what stands inside of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Policy {
    /// The last one in the order of operations wins, on every device the same.
    #[default]
    Latest,
    /// The highest number or timestamp wins; a put of a lower one leaves the higher one.
    ///
    /// Numbers compare by what they stand for, and timestamps come behind all numbers. Values of other types are read only
    /// where there is no number or timestamp, and a put of one takes the place of what stands there.
    Max,
    /// The lowest number or timestamp wins; a put of a higher one leaves the lower one. All else is as in
    /// [`Max`](Self::Max).
    Min,
    /// Lists and sets are united; a put adds what is not there yet, and takes nothing away.
    ///
    /// A list shows each value once, where it stands first, and those of other lists behind its own: lists that were put
    /// concurrently at one key have become one list, in which a value may stand twice. Positions, of
    /// [`insert`](crate::Dataset::insert) and in paths, count them all. Values of other types are read only where there is no list
    /// or set, and a put of one takes the place of what stands there.
    Union,
}

impl Policy {
    /// Returns what of several values is read, the one that wins by itself first; `None` of none.
    fn read(self, mut values: Vec<Value>) -> Option<Value> {
        let best = |values: &[Value], best: fn(Vec<Scalar>) -> Option<Scalar>| {
            best(values.iter().filter_map(rankable).cloned().collect()).map(Value::Scalar)
        };
        let chosen = match self {
            Self::Latest => None,
            Self::Max => best(&values, |scalars| scalars.into_iter().max()),
            Self::Min => best(&values, |scalars| scalars.into_iter().min()),
            Self::Union => {
                let collections = values.iter().filter(|value| is_collection(value));
                let collections = collections.map(|value| match value {
                    Value::List(_) => united(&Value::List(Vec::new()), value.clone()),
                    value => value.clone(),
                });
                collections.reduce(|first, next| united(&first, next))
            }
        };
        chosen.or_else(|| (!values.is_empty()).then(|| values.swap_remove(0)))
    }

    /// Returns what a put of a value writes over one that is read.
    fn write(self, shown: Value, value: Value) -> Value {
        let is_one_kind = match self {
            Self::Latest => false,
            Self::Max | Self::Min => rankable(&shown).is_some() && rankable(&value).is_some(),
            Self::Union => is_collection(&shown) && is_collection(&value),
        };
        match (is_one_kind, self, value) {
            // In the form of what is put, which is what the app works with.
            (true, Self::Union, Value::Set(members)) => united(&Value::Set(members), shown),
            (true, Self::Union, value) => united(&shown, value),
            (true, _, value) => self.read(vec![shown, value.clone()]).unwrap_or(value),
            (false, _, value) => value,
        }
    }
}

/// Returns what `Max` and `Min` compare.
const fn rankable(value: &Value) -> Option<&Scalar> {
    match value {
        Value::Scalar(
            scalar @ (Scalar::Int(_) | Scalar::Uint(_) | Scalar::Float(_) | Scalar::Timestamp(_)),
        ) => Some(scalar),
        _ => None,
    }
}

const fn is_collection(value: &Value) -> bool {
    matches!(value, Value::List(_) | Value::Set(_))
}

/// Returns a list or set, and of another one what it lacks. A set takes scalars only.
fn united(first: &Value, next: Value) -> Value {
    let values = match next {
        Value::List(values) => values,
        Value::Set(members) => members.into_iter().map(Value::Scalar).collect(),
        _ => Vec::new(),
    };
    match first {
        Value::Set(members) => {
            let scalars = values.into_iter().filter_map(|value| match value {
                Value::Scalar(scalar) => Some(scalar),
                _ => None,
            });
            Value::Set(members.iter().cloned().chain(scalars).collect())
        }
        Value::List(list) => {
            let mut list = list.clone();
            for value in values {
                if !list.contains(&value) {
                    list.push(value);
                }
            }
            Value::List(list)
        }
        other => other.clone(),
    }
}

/// The policies of an app, by prefix.
#[derive(Clone, Debug, Default)]
pub(crate) struct Policies(BTreeMap<String, Policy>);

impl Policies {
    pub(crate) fn set(&mut self, prefix: String, policy: Policy) {
        self.0.insert(prefix, policy);
    }

    fn of(&self, key: &str) -> Policy {
        let prefixes = self.0.iter().filter(|(prefix, _)| key.starts_with(*prefix));
        let longest = prefixes.max_by_key(|(prefix, _)| prefix.len());
        longest.map_or(Policy::Latest, |(_, policy)| *policy)
    }

    /// Returns what is read at a key of the dataset.
    pub(crate) fn read(&self, document: &Document, key: &str) -> Option<Value> {
        match self.of(key) {
            Policy::Latest => document.get(key),
            policy => {
                let conflicts = document.state().conflicts(key).into_iter();
                policy.read(conflicts.map(|found| found.value).collect())
            }
        }
    }

    /// Returns what is read at a path.
    pub(crate) fn read_at(&self, document: &Document, path: &Path) -> Option<Value> {
        match path.as_root() {
            Some(key) => self.read(document, key),
            None => document.get_at(path),
        }
    }

    /// Returns all keys and what is read there.
    pub(crate) fn entries(&self, document: &Document) -> Vec<(String, Value)> {
        let keys = document.state().keys();
        keys.filter_map(|key| Some((key.to_owned(), self.read(document, key)?)))
            .collect()
    }

    /// Returns what a put of scalars writes.
    pub(crate) fn settle_all(
        &self,
        document: &Document,
        values: BTreeMap<String, Scalar>,
    ) -> BTreeMap<String, Scalar> {
        let settle = |(key, scalar): (String, Scalar)| match self.settle(
            document,
            &Path::from(&key),
            Value::Scalar(scalar),
        ) {
            Value::Scalar(scalar) => (key, scalar),
            _ => unreachable!("the better of two is another scalar, or the one that is put"),
        };
        values.into_iter().map(settle).collect()
    }

    /// Returns what a put of a value writes at a path.
    pub(crate) fn settle(&self, document: &Document, path: &Path, value: Value) -> Value {
        let Some(key) = path.as_root() else {
            return value;
        };
        match (self.of(key), self.read(document, key)) {
            (Policy::Latest, _) | (_, None) => value,
            (policy, Some(shown)) => policy.write(shown, value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(policy: Policy, values: impl IntoIterator<Item = Value>, expected: impl Into<Value>) {
        let values: Vec<Value> = values.into_iter().collect();
        assert_eq!(policy.read(values), Some(expected.into()));
    }

    #[test]
    fn best_number_is_read_whatever_its_type() {
        check(Policy::Max, [3.into(), 3.5.into(), "9".into()], 3.5);
        check(Policy::Min, [3.into(), 3.5.into(), "1".into()], 3);
        let time = Scalar::Timestamp(-5);
        check(Policy::Max, [9.into(), time.clone().into()], time);
        check(Policy::Max, ["b".into(), "a".into()], "b");
    }

    #[test]
    fn lists_and_sets_are_united() {
        let lists = [Value::list([1, 2]), Value::list([2, 3]), 9.into()];
        check(Policy::Union, lists, Value::list([1, 2, 3]));
        check(Policy::Union, [Value::list([2, 1, 2])], Value::list([2, 1]));
        let both = [7.into(), Value::set(["a"]), Value::list(["b"])];
        check(Policy::Union, both, Value::set(["a", "b"]));
        check(Policy::Union, [7.into(), 8.into()], 7);
    }

    #[test]
    fn put_writes_the_better_of_what_is_shown_and_what_is_new() {
        let write = |policy: Policy, shown: Value, value: Value| policy.write(shown, value);
        assert_eq!(write(Policy::Max, 5.into(), 3.into()), 5.into());
        assert_eq!(write(Policy::Min, 5.into(), 3.into()), 3.into());
        assert_eq!(write(Policy::Max, 5.into(), "x".into()), "x".into());
        assert_eq!(write(Policy::Latest, 5.into(), 3.into()), 3.into());
        let (shown, new) = (Value::list([1, 2]), Value::list([3, 1]));
        assert_eq!(write(Policy::Union, shown, new), Value::list([1, 2, 3]));
    }

    #[test]
    fn longest_prefix_decides() {
        let mut policies = Policies::default();
        policies.set("score".to_owned(), Policy::Max);
        policies.set("score.time".to_owned(), Policy::Min);
        policies.set(String::new(), Policy::Union);
        assert_eq!(policies.of("score.level1"), Policy::Max);
        assert_eq!(policies.of("score.time.level1"), Policy::Min);
        assert_eq!(policies.of("other"), Policy::Union);
    }
}
