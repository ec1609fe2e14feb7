//! Two sequences laid over each other.
//!
//! What a join and a difference go by: the longest stretches of elements that both sides hold in one run each, or that only
//! one of them holds. Nothing is copied until a visitor asks for it.

use std::cmp::Ordering;

use crate::id::{Actor, OpId};
use crate::run::{Body, Run, Span, byte_of, characters};
use crate::sequence::Sequence;
use crate::value::Content;

/// Elements of two sequences, on at least one side.
pub(crate) struct Piece<'a> {
    pub(crate) left: Option<Slice<'a>>,
    pub(crate) right: Option<Slice<'a>>,
}

/// A part of a run.
#[derive(Clone, Copy)]
pub(crate) struct Slice<'a> {
    run: &'a Run,
    from: u32,
    /// The byte of its text at which the part begins.
    byte: usize,
    len: u32,
}

impl<'a> Slice<'a> {
    /// Returns all of a run.
    pub(crate) fn whole(run: &'a Run) -> Self {
        Self {
            run,
            from: 0,
            byte: 0,
            len: run.len(),
        }
    }

    /// Returns the first elements and those behind them; at most all of them come first.
    pub(crate) fn split(self, at: u32) -> (Option<Self>, Option<Self>) {
        let first = (at > 0).then_some(Self { len: at, ..self });
        (first, self.behind(at))
    }

    /// Returns the elements without what they hold.
    pub(crate) fn to_dead(self) -> Run {
        Run {
            start: self.span().start,
            reference: self.reference(),
            body: Body::Dead(self.len),
        }
    }

    /// Returns the contents of the live elements one by one; nothing for dead ones.
    pub(crate) fn contents(&self) -> Box<dyn Iterator<Item = Content> + 'a> {
        match &self.run.body {
            Body::Characters { .. } => Box::new(characters(self.text())),
            Body::Values(values) => Box::new(
                values[self.from as usize..][..self.len as usize]
                    .iter()
                    .cloned(),
            ),
            Body::Dead(_) => Box::new(std::iter::empty()),
        }
    }

    pub(crate) const fn is_live(&self) -> bool {
        self.run.body.is_live()
    }

    pub(crate) fn span(&self) -> Span {
        Span {
            start: self.run.start.plus(self.from),
            len: self.len,
        }
    }

    pub(crate) fn to_run(self) -> Run {
        let body = match &self.run.body {
            Body::Characters { .. } => Body::Characters {
                text: self.text().to_owned(),
                count: self.len,
            },
            Body::Values(_) | Body::Dead(_) => return self.run.slice(self.from, self.len),
        };
        Run {
            start: self.span().start,
            reference: self.reference(),
            body,
        }
    }

    /// Tells whether the same elements hold the same here, as far as both still hold something.
    pub(crate) fn agrees_with(&self, other: &Self) -> bool {
        self.reference() == other.reference()
            && match (&self.run.body, &other.run.body) {
                (Body::Dead(_), _) | (_, Body::Dead(_)) => true,
                (Body::Characters { .. }, Body::Characters { .. }) => self.text() == other.text(),
                (Body::Values(own), Body::Values(others)) => {
                    let values = |values: &'a [Content], slice: &Self| {
                        values[slice.from as usize..][..slice.len as usize].iter()
                    };
                    values(own, self).eq(values(others, other))
                }
                _ => false,
            }
    }

    /// Returns the characters, none if the elements hold anything else.
    pub(crate) fn text(&self) -> &'a str {
        let Body::Characters { text, count } = &self.run.body else {
            return "";
        };
        let rest = &text[self.byte..];
        &rest[..byte_of(rest, count - self.from, self.len)]
    }

    fn reference(&self) -> Option<OpId> {
        let (run, from) = (self.run, self.from);
        if from == 0 {
            run.reference
        } else {
            Some(run.start.plus(from - 1))
        }
    }

    /// Returns where it begins.
    const fn at(&self) -> (Actor, u32) {
        (self.run.start.actor, self.run.start.counter + self.from)
    }

    /// Returns how many elements come before the other side begins, or ends if both begin together; `None` if this side
    /// begins later.
    fn reach(&self, other: Option<&Self>) -> Option<u32> {
        let Some(other) = other.map(Self::at) else {
            return Some(self.len);
        };
        let own = self.at();
        match own.cmp(&other) {
            Ordering::Greater => None,
            Ordering::Less if own.0 == other.0 => Some(self.len.min(other.1 - own.1)),
            Ordering::Equal | Ordering::Less => Some(self.len),
        }
    }

    /// Returns what is left behind the first `by` elements.
    fn behind(self, by: u32) -> Option<Self> {
        if by == self.len {
            return None;
        }
        let byte = match &self.run.body {
            Body::Characters { text, count } => {
                self.byte + byte_of(&text[self.byte..], count - self.from, by)
            }
            Body::Values(_) | Body::Dead(_) => 0,
        };
        Some(Self {
            from: self.from + by,
            byte,
            len: self.len - by,
            ..self
        })
    }
}

/// Visits the pieces of two sequences in ascending order of (actor, counter).
pub(crate) fn overlay<'a>(
    left: &'a Sequence,
    right: &'a Sequence,
    mut visit: impl FnMut(Piece<'a>),
) {
    let mut lefts = left.runs().map(Slice::whole);
    let mut rights = right.runs().map(Slice::whole);
    let (mut l, mut r) = (lefts.next(), rights.next());
    loop {
        let own = l.and_then(|slice| slice.reach(r.as_ref()));
        let other = r.and_then(|slice| slice.reach(l.as_ref()));
        let len = match (own, other) {
            (Some(a), Some(b)) => a.min(b),
            (Some(a), None) | (None, Some(a)) => a,
            (None, None) => return,
        };
        let cut = |slice: Option<Slice<'a>>, takes_part: Option<u32>| {
            takes_part.and(slice).map(|slice| Slice { len, ..slice })
        };
        visit(Piece {
            left: cut(l, own),
            right: cut(r, other),
        });
        if own.is_some() {
            l = l
                .and_then(|slice| slice.behind(len))
                .or_else(|| lefts.next());
        }
        if other.is_some() {
            r = r
                .and_then(|slice| slice.behind(len))
                .or_else(|| rights.next());
        }
    }
}
