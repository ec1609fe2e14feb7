//! The elements of a list or a text, kept as runs.
//!
//! Every element that was ever inserted stays as *skeleton*, dead ones too: later inserts refer to them. Elements with
//! consecutive ids of one author, each inserted after the one before, form a [`Run`]; a text of 100,000 typed characters is
//! some thousand runs. The cut into runs is canonical (maximal runs of one kind), so equal sequences are equal values.
//!
//! Order is that of an RGA: an element stands after its reference, before elements of lower id with the same reference.

use std::collections::BTreeMap;

use crate::id::{Actor, OpId};
use crate::state::Register;
use crate::value::{Content, Scalar};

/// Consecutive elements: ids `start`, `start + 1`, …, each inserted after the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The id of the first element.
    pub start: OpId,
    /// The element after which the first one was inserted, or `None` for the front.
    pub reference: Option<OpId>,
    /// What the elements hold.
    pub body: Body,
}

/// What the elements of a run hold; a run holds one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Live elements that hold one character each.
    Characters {
        /// The characters, one an element.
        text: String,
        /// How many they are.
        count: u32,
    },
    /// Live elements that hold anything else.
    Values(Vec<Content>),
    /// So many elements whose inserted value is gone.
    Dead(u32),
}

/// Consecutive element ids of one author.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first id.
    pub start: OpId,
    /// How many ids.
    pub len: u32,
}

impl Body {
    /// Returns the body of one element with this content.
    #[must_use]
    pub fn one(content: Content) -> Self {
        match content {
            Content::Scalar(Scalar::String(text)) if is_one_character(&text) => {
                Self::Characters { text, count: 1 }
            }
            other => Self::Values(vec![other]),
        }
    }

    /// Returns the body of these characters, one an element.
    #[must_use]
    pub fn characters(text: String) -> Self {
        let count =
            u32::try_from(text.chars().count()).expect("a text has fewer than 2^32 characters");
        Self::Characters { text, count }
    }

    /// Returns how many elements there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        match self {
            Self::Characters { count, .. } | Self::Dead(count) => *count,
            Self::Values(values) => u32::try_from(values.len()).expect("ids are 32 bits wide"),
        }
    }

    /// Tells whether there is no element, which no run of a state has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tells whether the inserted values are there.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        !matches!(self, Self::Dead(_))
    }

    /// Tells whether this is the one way to hold these elements.
    pub(crate) fn is_canonical(&self) -> bool {
        match self {
            Self::Characters { text, count } => text.chars().count() == *count as usize,
            Self::Values(values) => !values.iter().any(
                |value| matches!(value, Content::Scalar(Scalar::String(text)) if is_one_character(text)),
            ),
            Self::Dead(_) => true,
        }
    }

    fn slice(&self, from: u32, len: u32) -> Self {
        match self {
            Self::Characters { text, count } if from == 0 && len == *count => Self::Characters {
                text: text.clone(),
                count: len,
            },
            Self::Characters { text, .. } => {
                let (start, end) = (byte_of(text, from), byte_of(text, from + len));
                Self::Characters {
                    text: text[start..end].to_owned(),
                    count: len,
                }
            }
            Self::Values(values) => {
                Self::Values(values[from as usize..(from + len) as usize].to_vec())
            }
            Self::Dead(_) => Self::Dead(len),
        }
    }

    /// Appends `next` if it is of the same kind, else gives it back.
    fn append(&mut self, next: Self) -> Result<(), Self> {
        match (self, next) {
            (
                Self::Characters { text, count },
                Self::Characters {
                    text: more,
                    count: n,
                },
            ) => {
                text.push_str(&more);
                *count += n;
            }
            (Self::Values(values), Self::Values(more)) => values.extend(more),
            (Self::Dead(count), Self::Dead(n)) => *count += n,
            (_, other) => return Err(other),
        }
        Ok(())
    }

    /// Returns the contents of the live elements one by one; nothing for dead ones.
    pub(crate) fn contents(&self) -> Box<dyn Iterator<Item = Content> + '_> {
        match self {
            Self::Characters { text, .. } => Box::new(
                text.chars()
                    .map(|c| Content::Scalar(Scalar::String(c.to_string()))),
            ),
            Self::Values(values) => Box::new(values.iter().cloned()),
            Self::Dead(_) => Box::new(std::iter::empty()),
        }
    }
}

fn is_one_character(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some() && characters.next().is_none()
}

/// Returns the byte at which the character with this number begins.
fn byte_of(text: &str, character: u32) -> usize {
    if text.is_ascii() {
        return (character as usize).min(text.len());
    }
    text.char_indices()
        .nth(character as usize)
        .map_or(text.len(), |(at, _)| at)
}

impl Run {
    /// Returns how many elements there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.body.len()
    }

    /// Tells whether there is no element, which no run of a state has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.body.is_empty()
    }

    /// Returns the id behind the last element's.
    pub(crate) fn end(&self) -> u32 {
        self.start.counter + self.len()
    }

    pub(crate) fn slice(&self, from: u32, len: u32) -> Self {
        let reference = if from == 0 {
            self.reference
        } else {
            Some(self.start.plus(from - 1))
        };
        Self {
            start: self.start.plus(from),
            reference,
            body: self.body.slice(from, len),
        }
    }

    /// Returns the live elements that are no plain characters: only those can be objects or counters.
    pub(crate) fn uncommon(&self) -> impl Iterator<Item = (OpId, &Content)> {
        let values = match &self.body {
            Body::Values(values) => values.as_slice(),
            _ => &[],
        };
        (0..).map(|at| self.start.plus(at)).zip(values)
    }

    pub(crate) fn dead(&self) -> Self {
        Self {
            body: Body::Dead(self.len()),
            ..*self
        }
    }

    /// Tells whether `next` would become a part of this run.
    pub(crate) fn takes(&self, next: &Self) -> bool {
        self.is_followed_by(next)
            && std::mem::discriminant(&self.body) == std::mem::discriminant(&next.body)
    }

    fn is_followed_by(&self, next: &Self) -> bool {
        self.start.actor == next.start.actor
            && self.end() == next.start.counter
            && next.reference == Some(next.start.minus_one())
    }
}

impl OpId {
    /// Returns the id `by` counters further, unless that is no id.
    pub(crate) fn checked_plus(self, by: u32) -> Option<Self> {
        Some(Self {
            counter: self.counter.checked_add(by)?,
            actor: self.actor,
        })
    }

    const fn minus_one(self) -> Self {
        Self {
            counter: self.counter - 1,
            actor: self.actor,
        }
    }
}

/// Appends a run to runs in ascending order of (actor, counter), joined to the last one where the two form one run.
pub(crate) fn push_run(runs: &mut Vec<Run>, run: Run) {
    if let Some(last) = runs.last_mut()
        && last.is_followed_by(&run)
    {
        match last.body.append(run.body) {
            Ok(()) => {}
            Err(body) => runs.push(Run { body, ..run }),
        }
        return;
    }
    runs.push(run);
}

/// Appends an id to spans in ascending order of (actor, counter).
pub(crate) fn push_span(spans: &mut Vec<Span>, span: Span) {
    match spans.last_mut() {
        Some(last)
            if last.start.actor == span.start.actor
                && last.start.counter + last.len == span.start.counter =>
        {
            last.len += span.len;
        }
        _ => spans.push(span),
    }
}

/// All elements of one list or text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sequence {
    runs: BTreeMap<(Actor, u32), Run>,
    /// Values put on an element after its insertion.
    pub(crate) sets: BTreeMap<OpId, Register>,
}

impl Sequence {
    /// Builds a sequence from runs in ascending order of (actor, counter), as [`push_run`] leaves them.
    pub(crate) fn from_runs(runs: Vec<Run>) -> Self {
        let runs = runs
            .into_iter()
            .map(|run| ((run.start.actor, run.start.counter), run))
            .collect();
        Self {
            runs,
            sets: BTreeMap::new(),
        }
    }

    /// Returns the runs in ascending order of (actor, counter).
    pub(crate) fn runs(&self) -> impl Iterator<Item = &Run> {
        self.runs.values()
    }

    /// Returns the run that holds this element, and the element's place in it.
    pub(crate) fn find(&self, id: OpId) -> Option<(&Run, u32)> {
        let (_, run) = self.runs.range(..=(id.actor, id.counter)).next_back()?;
        (run.start.actor == id.actor && id.counter < run.end())
            .then(|| (run, id.counter - run.start.counter))
    }

    /// Tells whether any of these ids is an element already.
    pub(crate) fn overlaps(&self, start: OpId, len: u32) -> bool {
        self.runs
            .range(..(start.actor, start.counter + len))
            .next_back()
            .is_some_and(|(_, run)| run.start.actor == start.actor && run.end() > start.counter)
    }

    /// Adds elements, none of which is there yet.
    pub(crate) fn insert(&mut self, run: Run) {
        let (actor, start, end) = (run.start.actor, run.start.counter, run.end());
        self.place(run);
        if let Some(next) = self.runs.remove(&(actor, end)) {
            self.place(next);
        }
        debug_assert!(self.find(OpId::new(start, actor)).is_some());
    }

    /// Puts a run behind the one before it, as part of that one where the two form one run.
    fn place(&mut self, run: Run) {
        let key = (run.start.actor, run.start.counter);
        let before = self
            .runs
            .range_mut(..key)
            .next_back()
            .map(|(_, before)| before);
        let run = match before {
            Some(before) if before.is_followed_by(&run) => match before.body.append(run.body) {
                Ok(()) => return,
                Err(body) => Run { body, ..run },
            },
            _ => run,
        };
        self.runs.insert(key, run);
    }

    /// Lets the inserted values of these elements go; returns false if one of them is not there or gone already.
    pub(crate) fn kill(&mut self, span: Span) -> bool {
        let (mut at, end) = (
            span.start.counter,
            span.start.counter.saturating_add(span.len),
        );
        while at < end {
            let Some((run, from)) = self.find(OpId::new(at, span.start.actor)) else {
                return false;
            };
            if !run.body.is_live() {
                return false;
            }
            let len = (run.len() - from).min(end - at);
            let pieces = [
                (from > 0).then(|| run.slice(0, from)),
                Some(run.slice(from, len).dead()),
                (from + len < run.len()).then(|| run.slice(from + len, run.len() - from - len)),
            ];
            let key = (run.start.actor, run.start.counter);
            self.runs.remove(&key);
            for piece in pieces.into_iter().flatten() {
                self.insert(piece);
            }
            at += len;
        }
        true
    }

    /// Returns the elements in the order that readers see, as pieces of runs, dead ones too.
    pub(crate) fn ordered(&self) -> Vec<(&Run, u32, u32)> {
        let mut children: BTreeMap<Option<(Actor, u32)>, Vec<&Run>> = BTreeMap::new();
        for run in self.runs.values() {
            let reference = run.reference.map(|id| (id.actor, id.counter));
            children.entry(reference).or_default().push(run);
        }
        for list in children.values_mut() {
            list.sort_unstable_by_key(|run| run.start);
        }
        // The top of the stack comes next: lists are ascending, and the highest id stands first.
        let mut stack: Vec<(&Run, u32)> = children
            .remove(&None)
            .unwrap_or_default()
            .into_iter()
            .map(|run| (run, 0))
            .collect();
        let mut pieces = Vec::new();
        while let Some((run, from)) = stack.pop() {
            let actor = run.start.actor;
            let first = Some((actor, run.start.counter + from));
            let behind = Some((actor, run.end()));
            let branch = children.range(first..behind).next().map(|(key, _)| *key);
            let Some(branch) = branch else {
                pieces.push((run, from, run.len() - from));
                continue;
            };
            let at = branch.expect("a range between elements holds elements").1 - run.start.counter;
            pieces.push((run, from, at + 1 - from));
            let siblings = children.remove(&branch).expect("the key was just found");
            let next = run.start.plus(at + 1);
            let successor = (at + 1 < run.len()).then_some((run, at + 1));
            let (lower, higher): (Vec<_>, Vec<_>) =
                siblings.into_iter().partition(|s| s.start < next);
            stack.extend(lower.into_iter().map(|s| (s, 0)));
            stack.extend(successor);
            stack.extend(higher.into_iter().map(|s| (s, 0)));
        }
        pieces
    }
}

/// Elements of two sequences: the longest stretch that both hold in one run each, or that only one of them holds.
pub(crate) struct Piece {
    pub(crate) left: Option<Run>,
    pub(crate) right: Option<Run>,
}

/// Lays two sequences over each other and visits the pieces, which are equal runs or differ, in ascending order of (actor,
/// counter).
pub(crate) fn overlay(left: &Sequence, right: &Sequence, mut visit: impl FnMut(Piece)) {
    let mut lefts = left.runs.values().map(|run| (run, 0));
    let mut rights = right.runs.values().map(|run| (run, 0));
    let (mut l, mut r) = (lefts.next(), rights.next());
    let at = |(run, from): (&Run, u32)| (run.start.actor, run.start.counter + from);
    loop {
        let (own, other) = match (l, r) {
            (None, None) => return,
            (Some((run, 0)), Some((same, 0))) if run == same => {
                visit(Piece {
                    left: Some(run.clone()),
                    right: Some(same.clone()),
                });
                (l, r) = (lefts.next(), rights.next());
                continue;
            }
            (l, r) => (l, r),
        };
        // How far each side reaches before the other one begins or ends.
        let reach = |own: Option<(&Run, u32)>, other: Option<(&Run, u32)>| {
            let (run, from) = own?;
            let rest = run.len() - from;
            let Some(other_at) = other.map(at) else {
                return Some(rest);
            };
            match at((run, from)).cmp(&other_at) {
                std::cmp::Ordering::Greater => None,
                std::cmp::Ordering::Equal => Some(rest),
                std::cmp::Ordering::Less if other_at.0 == run.start.actor => {
                    Some(rest.min(other_at.1 - run.start.counter - from))
                }
                std::cmp::Ordering::Less => Some(rest),
            }
        };
        let len = match (reach(own, other), reach(other, own)) {
            (Some(a), Some(b)) => a.min(b),
            (Some(a), None) | (None, Some(a)) => a,
            (None, None) => unreachable!("one of two places is not behind the other"),
        };
        let cut = |side: Option<(&Run, u32)>, takes_part: bool| {
            side.filter(|_| takes_part)
                .map(|(run, from)| run.slice(from, len))
        };
        let (takes_left, takes_right) = (reach(own, other).is_some(), reach(other, own).is_some());
        visit(Piece {
            left: cut(own, takes_left),
            right: cut(other, takes_right),
        });
        if takes_left {
            l = own
                .and_then(|side| further(side, len))
                .or_else(|| lefts.next());
        }
        if takes_right {
            r = other
                .and_then(|side| further(side, len))
                .or_else(|| rights.next());
        }
    }
}

fn further((run, from): (&Run, u32), by: u32) -> Option<(&Run, u32)> {
    (from + by < run.len()).then_some((run, from + by))
}
