//! Consecutive elements of a list or text, which are kept and written together.
//!
//! Elements with consecutive ids of one author, each inserted after the one before, form a [`Run`]; a text of 100,000 typed
//! characters is some thousand runs. A run holds one kind of elements ([`Body`]), and the cut into runs is canonical:
//! maximal runs of one kind.

use crate::id::OpId;
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
            Self::Characters { text, count } => {
                let rest = &text[byte_of(text, *count, from)..];
                let text = rest[..byte_of(rest, count - from, len)].to_owned();
                Self::Characters { text, count: len }
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
            Self::Characters { text, .. } => Box::new(characters(text)),
            Self::Values(values) => Box::new(values.iter().cloned()),
            Self::Dead(_) => Box::new(std::iter::empty()),
        }
    }
}

/// Returns the characters of a text as contents.
pub(crate) fn characters(text: &str) -> impl Iterator<Item = Content> + '_ {
    text.chars()
        .map(|c| Content::Scalar(Scalar::String(c.to_string())))
}

fn is_one_character(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some() && characters.next().is_none()
}

/// Returns the byte at which a character begins in a text of `count` characters.
pub(crate) fn byte_of(text: &str, count: u32, character: u32) -> usize {
    if text.len() == count as usize {
        return character as usize;
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

    /// Returns the counter behind the last element's; runs of others may claim what is no counter.
    pub(crate) fn end(&self) -> u32 {
        self.start.counter.saturating_add(self.len())
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

    /// Appends `next` if the two form one run, else gives it back.
    pub(crate) fn extend(&mut self, next: Self) -> Option<Self> {
        if !self.is_followed_by(&next) {
            return Some(next);
        }
        let body = self.body.append(next.body).err()?;
        Some(Self { body, ..next })
    }

    fn is_followed_by(&self, next: &Self) -> bool {
        self.start.actor == next.start.actor
            && self.end() == next.start.counter
            && next
                .reference
                .is_some_and(|reference| reference.checked_plus(1) == Some(next.start))
    }
}

/// Appends a run to runs in ascending order of (actor, counter), joined to the last one where the two form one run.
pub(crate) fn push_run(runs: &mut Vec<Run>, run: Run) {
    let rest = match runs.last_mut() {
        Some(last) => last.extend(run),
        None => Some(run),
    };
    runs.extend(rest);
}

/// Appends ids to spans in ascending order of (actor, counter), joined to the last one where they follow it.
pub(crate) fn push_span(spans: &mut Vec<Span>, span: Span) {
    match spans.last_mut() {
        Some(last) if last.start.checked_plus(last.len) == Some(span.start) => {
            last.len = last.len.saturating_add(span.len);
        }
        _ => spans.push(span),
    }
}
