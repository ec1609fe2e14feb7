//! Whole values into a place: what stands there becomes equal to the value, and only what differs is written.
//!
//! So what others write meanwhile, elsewhere in the same object, stays. A counter grows by the difference, a text changes
//! between what begins and what ends alike, keys and members come and go one by one. Of a list, equal elements stay what they
//! are; between them, elements are changed in place as long as both sides have any, then inserted or removed.

use std::collections::BTreeMap;

use crate::draft::Draft;
use crate::edit::EditError;
use crate::id::{ObjectId, OpId};
use crate::kind::Kind;
use crate::path::{MAX_NESTING, check_key};
use crate::run::characters;
use crate::sequence::Element;
use crate::set;
use crate::state::{Key, Place};
use crate::value::{Content, Value};

/// Above so many pairs of elements, a list is no more searched for equal ones.
const MOST_PAIRS: usize = 250_000;

impl Value {
    /// Returns what merges inside and shows such a value; `None` for a scalar.
    const fn kind(&self) -> Option<Kind> {
        match self {
            Self::Scalar(_) => None,
            Self::Counter(_) => Some(Kind::Counter),
            Self::Text(_) => Some(Kind::Text),
            Self::List(_) => Some(Kind::List),
            Self::Map(_) => Some(Kind::Map),
            Self::Set(_) => Some(Kind::Set),
        }
    }
}

impl Draft<'_> {
    /// Makes what stands in a place equal to a value; `depth` tells how many steps lead there.
    pub(crate) fn set(
        &mut self,
        place: &Place,
        value: &Value,
        depth: usize,
    ) -> Result<(), EditError> {
        match (value, value.kind()) {
            (Value::Scalar(scalar), _) => self.put(place, scalar),
            (_, None) => unreachable!("all other values merge inside"),
            (_, Some(_)) if depth > MAX_NESTING => Err(EditError::TooDeep),
            (value, Some(kind)) => {
                let id = self.only(place, kind)?;
                self.fill(place, id, value, depth)
            }
        }
    }

    /// Makes what merges inside equal to a value of its kind.
    fn fill(
        &mut self,
        place: &Place,
        id: OpId,
        value: &Value,
        depth: usize,
    ) -> Result<(), EditError> {
        match value {
            Value::Scalar(_) => unreachable!("a scalar has nothing inside"),
            Value::Counter(total) => {
                let is_it = |(other, _): &&(OpId, Content)| *other == id;
                let contents = self.state.contents_at(place);
                let there = contents.iter().find(is_it);
                let there = there.and_then(|(id, content)| self.state.value(*id, content).as_i64());
                let by = total.wrapping_sub(there.unwrap_or(0));
                if by != 0 {
                    self.increment(place, &[id], by);
                }
                Ok(())
            }
            Value::Text(text) => {
                self.set_text(id, text);
                Ok(())
            }
            Value::List(values) => self.set_list(id, values, depth),
            Value::Map(values) => {
                values.keys().try_for_each(|key| check_key(key))?;
                self.set_keys(id, values, depth)
            }
            Value::Set(members) => {
                let keys = members.iter().map(set::key_of);
                let keys: Option<Vec<String>> = keys.collect();
                let member = Value::Scalar(set::PRESENT);
                let keys = keys.ok_or(EditError::NotPlain)?.into_iter();
                self.set_keys(id, &keys.map(|key| (key, member.clone())).collect(), depth)
            }
        }
    }

    fn set_keys(
        &mut self,
        id: OpId,
        values: &BTreeMap<String, Value>,
        depth: usize,
    ) -> Result<(), EditError> {
        let object = ObjectId::Made(id);
        let place = |key: &String| Place {
            object,
            key: Key::Map(key.clone()),
        };
        let there = self.state.keys_in(object).into_iter().flatten();
        for (key, _) in there.filter(|(key, _)| !values.contains_key(*key)) {
            self.clear(&place(key));
        }
        values
            .iter()
            .try_for_each(|(key, value)| self.set(&place(key), value, depth + 1))
    }

    pub(crate) fn set_text(&mut self, id: OpId, text: &str) {
        let old = self.elements(id);
        let new: Vec<Content> = characters(text).collect();
        let is_same = |(old, new): &(&(OpId, Content), &Content)| old.1 == **new;
        let head = old.iter().zip(&new).take_while(is_same).count();
        let rest = (&old[head..], &new[head..]);
        let ends = rest.0.iter().rev().zip(rest.1.iter().rev());
        let tail = ends.take_while(is_same).count();
        for (element, _) in &rest.0[..rest.0.len() - tail] {
            self.remove_element(id, *element);
        }
        let mut behind = head.checked_sub(1).map(|last| old[last].0);
        for content in &rest.1[..rest.1.len() - tail] {
            behind = Some(self.insert(id, behind, content));
        }
    }

    fn set_list(&mut self, id: OpId, values: &[Value], depth: usize) -> Result<(), EditError> {
        let elements = self.elements_shown(id);
        let old: Vec<&Value> = elements.iter().map(|(_, value)| value).collect();
        let new: Vec<&Value> = values.iter().collect();
        let mut pairs = common(&old, &new);
        pairs.push((old.len(), new.len()));
        let (mut at, mut next) = (0_usize, 0);
        for (kept, equal) in pairs {
            let mut behind = at.checked_sub(1).map(|last| elements[last].0);
            for (element, _) in &elements[at..kept] {
                if next < equal {
                    let place = element_place(id, *element);
                    self.set(&place, new[next], depth + 1)?;
                    behind = Some(*element);
                    next += 1;
                } else {
                    self.remove_element(id, *element);
                }
            }
            self.insert_values(id, behind, &values[next..equal], depth)?;
            (at, next) = (kept + 1, equal + 1);
        }
        Ok(())
    }

    /// Inserts values behind an element, or at the front; `depth` is that of the list.
    pub(crate) fn insert_values(
        &mut self,
        list: OpId,
        mut behind: Option<OpId>,
        values: &[Value],
        depth: usize,
    ) -> Result<(), EditError> {
        // All elements first, under consecutive ids: they are one run, which nothing comes between.
        let mut made = Vec::new();
        for value in values {
            let content = match (value, value.kind()) {
                (Value::Scalar(scalar), _) if !scalar.is_plain() => {
                    return Err(EditError::NotPlain);
                }
                (Value::Scalar(scalar), _) => Content::Scalar(scalar.clone()),
                (_, Some(Kind::Set)) => return Err(EditError::SetInList),
                (_, Some(_)) if depth >= MAX_NESTING => return Err(EditError::TooDeep),
                (_, kind) => kind.expect("all others merge inside").content(),
            };
            let id = self.insert(list, behind, &content);
            made.push(id);
            behind = Some(id);
        }
        for (id, value) in made.into_iter().zip(values) {
            if value.kind().is_some() {
                self.fill(&element_place(list, id), id, value, depth + 1)?;
            }
        }
        Ok(())
    }

    /// Removes an element, whatever was put on it.
    pub(crate) fn remove_element(&mut self, sequence: OpId, element: OpId) {
        self.clear(&element_place(sequence, element));
    }

    fn elements(&self, id: OpId) -> Vec<(OpId, Content)> {
        let sequence = self.state.sequence(ObjectId::Made(id));
        let elements = sequence.map(|sequence| sequence.elements());
        let shown = |element: Element| (element.id, element.content);
        elements.into_iter().flatten().map(shown).collect()
    }

    fn elements_shown(&self, id: OpId) -> Vec<(OpId, Value)> {
        let sequence = self.state.sequence(ObjectId::Made(id));
        let elements = sequence.map(|sequence| sequence.elements());
        let shown = |element: Element| {
            let value = self.state.value(element.winner, &element.content);
            (element.id, value)
        };
        elements.into_iter().flatten().map(shown).collect()
    }
}

pub(crate) const fn element_place(sequence: OpId, element: OpId) -> Place {
    Place {
        object: ObjectId::Made(sequence),
        key: Key::Element(element),
    }
}

/// Returns places of both sides that hold equal values, in ascending order on both.
fn common<T: PartialEq>(old: &[T], new: &[T]) -> Vec<(usize, usize)> {
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let ends = old[head..].iter().rev().zip(new[head..].iter().rev());
    let tail = ends.take_while(|(a, b)| a == b).count();
    let (old_end, new_end) = (old.len() - tail, new.len() - tail);
    let middle = longest(&old[head..old_end], &new[head..new_end]);
    let heads = (0..head).map(|at| (at, at));
    let middles = middle.into_iter().map(|(a, b)| (head + a, head + b));
    let tails = (0..tail).map(|at| (old_end + at, new_end + at));
    heads.chain(middles).chain(tails).collect()
}

/// Returns a longest common subsequence, or none of two long ones.
fn longest<T: PartialEq>(old: &[T], new: &[T]) -> Vec<(usize, usize)> {
    if old.len().saturating_mul(new.len()) > MOST_PAIRS {
        return Vec::new();
    }
    let width = new.len() + 1;
    // How many are common behind each pair of places.
    let mut lengths = vec![0_u32; (old.len() + 1) * width];
    for a in (0..old.len()).rev() {
        for b in (0..new.len()).rev() {
            lengths[a * width + b] = if old[a] == new[b] {
                lengths[(a + 1) * width + b + 1] + 1
            } else {
                lengths[(a + 1) * width + b].max(lengths[a * width + b + 1])
            };
        }
    }
    let mut pairs = Vec::new();
    let (mut a, mut b) = (0, 0);
    while a < old.len() && b < new.len() {
        if old[a] == new[b] {
            pairs.push((a, b));
            (a, b) = (a + 1, b + 1);
        } else if lengths[(a + 1) * width + b] >= lengths[a * width + b + 1] {
            a += 1;
        } else {
            b += 1;
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::common;

    fn check(old: &str, new: &str, expected: &str) {
        let (old, new): (Vec<char>, Vec<char>) = (old.chars().collect(), new.chars().collect());
        let pairs = common(&old, &new);
        assert!(pairs.is_sorted_by(|x, y| x.0 < y.0 && x.1 < y.1));
        assert!(pairs.iter().all(|(a, b)| old[*a] == new[*b]));
        let kept: String = pairs.iter().map(|(a, _)| old[*a]).collect();
        assert_eq!(kept, expected);
    }

    #[test]
    fn what_is_common_keeps_its_order() {
        check("", "abc", "");
        check("abc", "abc", "abc");
        check("abcd", "axd", "ad");
        check("xabcy", "zabc", "abc");
        check("abcabc", "bcab", "bcab");
    }
}
