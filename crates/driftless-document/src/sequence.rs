//! The elements of a list or a text.
//!
//! Every element that was ever inserted stays as *skeleton*, dead ones too: later inserts refer to them. They are kept as
//! canonical runs, so that equal sequences are equal values.
//!
//! Order is that of an RGA: an element stands after its reference, before elements of lower id with the same reference.

use std::collections::BTreeMap;

use crate::id::{Actor, OpId};
use crate::overlay::Slice;
use crate::run::{Body, Run, Span};
use crate::state::Register;
use crate::value::{Content, Scalar};

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

    /// Adds elements, none of which is there yet.
    pub(crate) fn insert(&mut self, run: Run) {
        let behind = (run.start.actor, run.end());
        self.place(run);
        if let Some(next) = self.runs.remove(&behind) {
            self.place(next);
        }
    }

    /// Puts a run behind the one before it, as part of that one where the two form one run.
    fn place(&mut self, run: Run) {
        let key = (run.start.actor, run.start.counter);
        let before = self.runs.range_mut(..key).next_back();
        let rest = match before {
            Some((_, before)) => before.extend(run),
            None => Some(run),
        };
        self.runs.extend(rest.map(|run| (key, run)));
    }

    /// Lets the inserted values of these elements go, all of which are there and live; the spans are in ascending order.
    ///
    /// Each run is cut once, wherever spans meet it, so that many spans in one long run cost no more than the run.
    pub(crate) fn kill(&mut self, spans: &[Span]) {
        let mut spans = spans.iter().copied().peekable();
        while let Some(span) = spans.peek() {
            let found = self.find(span.start).map(|(run, _)| run.start);
            let start = found.expect("only elements that are there are killed");
            let run = self.runs.remove(&(start.actor, start.counter));
            let run = run.expect("the run was just found");
            let mut pieces = Vec::new();
            let mut rest = Some(Slice::whole(&run));
            while let Some((slice, span)) = rest.zip(spans.peek_mut()) {
                if span.start.actor != start.actor || span.start.counter >= run.end() {
                    break;
                }
                let (live, from) = slice.split(span.start.counter - slice.span().start.counter);
                pieces.extend(live.map(Slice::to_run));
                let from = from.expect("the span begins in the run");
                let len = span.len.min(from.span().len);
                let (dead, behind) = from.split(len);
                pieces.extend(dead.map(Slice::to_dead));
                rest = behind;
                if len == span.len {
                    spans.next();
                } else {
                    *span = Span {
                        start: span.start.plus(len),
                        len: span.len - len,
                    };
                }
            }
            pieces.extend(rest.map(Slice::to_run));
            // Neighbours among the pieces are of two kinds, so that only the outermost ones can become part of other runs.
            let last = pieces.pop().expect("a run has elements");
            let mut pieces = pieces.into_iter();
            pieces.by_ref().take(1).for_each(|first| self.place(first));
            let keyed = |piece: Run| ((piece.start.actor, piece.start.counter), piece);
            self.runs.extend(pieces.map(keyed));
            self.insert(last);
        }
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

    /// Returns what was inserted as an element, unless that went.
    pub(crate) fn inserted(&self, element: OpId) -> Option<Content> {
        let (run, at) = self.find(element)?;
        run.slice(at, 1).body.contents().next()
    }

    /// Tells whether an element is visible.
    pub(crate) fn shows(&self, element: OpId) -> bool {
        let is_live = |(run, _): (&Run, u32)| run.body.is_live();
        self.find(element).is_some_and(is_live) || self.sets.contains_key(&element)
    }

    /// Returns what each visible element shows, in order.
    pub(crate) fn visible(&self) -> Vec<(OpId, Content)> {
        let shown = |element: Element| (element.winner, element.content);
        self.elements().into_iter().map(shown).collect()
    }

    /// Returns the visible elements, in order.
    pub(crate) fn elements(&self) -> Vec<Element> {
        let mut out = Vec::new();
        let mut cuts = Cuts::default();
        for (run, from, len) in self.ordered() {
            let piece = cuts.piece(run, from, len);
            let mut inserted = piece.contents();
            for at in from..from + len {
                let element = run.start.plus(at);
                let inserted = inserted.next().map(|content| (element, content));
                let set = self
                    .sets
                    .get(&element)
                    .and_then(|register| register.last().cloned());
                let shown = set.or(inserted);
                out.extend(shown.map(|(winner, content)| Element {
                    id: element,
                    winner,
                    content,
                }));
            }
        }
        out
    }

    /// Returns the characters of a text; elements that hold anything else show as U+FFFC, as in automerge.
    pub(crate) fn text(&self) -> String {
        let holds_others = |run: &Run| matches!(run.body, Body::Values(_));
        if !self.sets.is_empty() || self.runs().any(holds_others) {
            let shown = |(_, content)| match content {
                Content::Scalar(Scalar::String(text)) => text,
                _ => "\u{fffc}".to_owned(),
            };
            return self.visible().into_iter().map(shown).collect();
        }
        let mut out = String::new();
        let mut cuts = Cuts::default();
        for (run, from, len) in self.ordered() {
            out.push_str(cuts.piece(run, from, len).text());
        }
        out
    }
}

/// A visible element, and what it shows.
#[derive(Clone, Debug)]
pub(crate) struct Element {
    pub(crate) id: OpId,
    /// The operation that put what it shows.
    pub(crate) winner: OpId,
    pub(crate) content: Content,
}

/// Where the pieces of each run were cut before: they come in ascending order, so that each character is passed once.
#[derive(Default)]
pub(crate) struct Cuts<'a>(BTreeMap<OpId, Slice<'a>>);

impl<'a> Cuts<'a> {
    pub(crate) fn piece(&mut self, run: &'a Run, from: u32, len: u32) -> Slice<'a> {
        let start = run.start;
        let rest = self.0.remove(&start).unwrap_or_else(|| Slice::whole(run));
        let (_, rest) = rest.split(start.counter + from - rest.span().start.counter);
        let (piece, behind) = rest.expect("a piece lies behind the one before").split(len);
        self.0.extend(behind.map(|behind| (start, behind)));
        piece.expect("a piece has elements")
    }
}
