//! Whether two states can come from one history.
//!
//! No honest author gives out an id twice, and who has seen an operation has seen what came before it. So two honest states
//! agree about every operation that both know, and a join of them differs from each only by what that one has not seen. A
//! hostile server can store a state that is valid by itself and breaks this; what a join made of it, no delta could say.

use std::collections::BTreeMap;

use crate::diff::position;
use crate::id::{Actor, ObjectId, OpId};
use crate::join::regroup;
use crate::overlay::{Piece, overlay};
use crate::run::Run;
use crate::sequence::Sequence;
use crate::state::{Count, CountKey, Items, Object, Register, State};

impl State {
    /// Returns an operation that the two states tell differently, if there is one: then they must not be joined.
    ///
    /// States of honest devices never contradict each other. It costs about as much as the join.
    #[must_use]
    pub fn contradicts(&self, other: &Self) -> Option<OpId> {
        shared_objects(self, other)
            .or_else(|| own_objects(self, other))
            .or_else(|| own_objects(other, self))
            .or_else(|| totals(self, other))
            .or_else(|| claims_that_meet(self, other))
    }
}

fn shared_objects(a: &State, b: &State) -> Option<OpId> {
    a.objects.iter().find_map(|(id, object)| {
        let other = b.objects.get(id)?;
        let ObjectId::Made(make) = *id else {
            return contents(a, b, object, other);
        };
        let is_one = object.place == other.place && object.items.kind() == other.items.kind();
        if is_one {
            contents(a, b, object, other)
        } else {
            Some(make)
        }
    })
}

fn contents(a: &State, b: &State, object: &Object, other: &Object) -> Option<OpId> {
    match (&object.items, &other.items) {
        (Items::Map(_, x), Items::Map(_, y)) => places(x, y),
        (Items::Sequence(_, x), Items::Sequence(_, y)) => {
            elements(a, b, x, y).or_else(|| places(&x.sets, &y.sets))
        }
        _ => unreachable!("objects of one kind hold the same kind of items"),
    }
}

fn places<K: Ord>(x: &BTreeMap<K, Register>, y: &BTreeMap<K, Register>) -> Option<OpId> {
    x.iter().find_map(|(key, left)| {
        let right = y.get(key).filter(|right| *right != left)?;
        let differs = |(id, content): &&(OpId, _)| {
            position(right, *id).is_ok_and(|at| right[at].1 != *content)
        };
        left.iter().find(differs).map(|(id, _)| *id)
    })
}

/// What one side has seen and does not have was never there; what both have is the same.
fn elements(a: &State, b: &State, x: &Sequence, y: &Sequence) -> Option<OpId> {
    let mut found = None;
    overlay(x, y, |piece| {
        let (start, agree) = match piece {
            Piece {
                left: Some(left),
                right: Some(right),
            } => (left.span().start, left.agrees_with(&right)),
            Piece {
                left: Some(run),
                right: None,
            } => (run.span().start, !b.has_seen(run.span().start)),
            Piece {
                left: None,
                right: Some(run),
            } => (run.span().start, !a.has_seen(run.span().start)),
            Piece {
                left: None,
                right: None,
            } => unreachable!("a piece has a side"),
        };
        if !agree {
            found = found.or(Some(start));
        }
    });
    found
}

/// Whoever has not seen an object has not seen an element of it.
fn own_objects(a: &State, b: &State) -> Option<OpId> {
    let unseen = a.objects.iter().filter(|(id, _)| match id {
        ObjectId::Root => false,
        ObjectId::Made(make) => !b.has_seen(*make),
    });
    let mut runs = unseen.flat_map(|(_, object)| object.items.runs());
    runs.find(|run| b.has_seen(run.start)).map(|run| run.start)
}

/// Whoever has seen more of an author has all of the author's totals, and those that the other side could know are the same.
fn totals(a: &State, b: &State) -> Option<OpId> {
    let lives = |id: &OpId| match (a.counters.contains_key(id), b.counters.contains_key(id)) {
        (true, false) => !b.has_seen(*id),
        (false, true) => !a.has_seen(*id),
        (here, there) => here && there,
    };
    let (x, y) = (regroup(&a.counts, lives), regroup(&b.counts, lives));
    let mut keys = x.keys().chain(y.keys());
    let differs = |key: &&CountKey| {
        let (left, right) = (x.get(*key), y.get(*key));
        let seen = |state: &State| state.seen_from(key.actor);
        let (ahead, behind, limit) = if seen(a) >= seen(b) {
            (left, right, seen(b))
        } else {
            (right, left, seen(a))
        };
        let is_new = |count: &&Count| count.last > limit;
        left != right
            && (ahead.is_none() || (!ahead.is_some_and(|count| is_new(&count)) && ahead != behind))
    };
    let key = keys.find(differs)?;
    let count = x.get(key).or_else(|| y.get(key))?;
    Some(OpId::new(count.last, key.actor))
}

/// What gives out ids that stay given out, whatever was removed.
type Claim = ((Actor, u32), u32, Option<ObjectId>);

/// An element of one list or text is no element of another one, and no increment.
fn claims_that_meet(a: &State, b: &State) -> Option<OpId> {
    let (own, theirs) = (claims(a), claims(b));
    let mut theirs = theirs.iter().peekable();
    own.iter().find_map(|(start, last, holder)| {
        // What ends before this one begins can meet nothing that follows.
        while theirs
            .next_if(|(at, last, _)| (at.0, *last) < *start)
            .is_some()
        {}
        let mut meets = theirs
            .clone()
            .take_while(|(at, ..)| at.0 == start.0 && at.1 <= *last);
        let (at, ..) = meets.find(|(.., other)| other != holder)?;
        Some(OpId::new(at.1.max(start.1), start.0))
    })
}

fn claims(state: &State) -> Vec<Claim> {
    let runs = state.objects.iter().flat_map(|(id, object)| {
        object.items.runs().map(|run| {
            (
                (run.start.actor, run.start.counter),
                run.end() - 1,
                Some(*id),
            )
        })
    });
    let counts = state
        .counts
        .iter()
        .map(|(key, count)| ((key.actor, count.last), count.last, None));
    let mut claims: Vec<Claim> = runs.chain(counts).collect();
    claims.sort_unstable();
    claims
}

impl Items {
    fn runs(&self) -> impl Iterator<Item = &Run> {
        let sequence = match self {
            Self::Sequence(_, sequence) => Some(sequence),
            Self::Map(..) => None,
        };
        sequence.into_iter().flat_map(Sequence::runs)
    }
}

#[cfg(test)]
mod tests {
    use crate::diff::ObjectDelta;
    use crate::run::Body;
    use crate::samples::{a, b, characters, rich, second};
    use crate::value::{Content, ObjectType, Scalar};

    use super::*;

    /// Changes what one side wrote on top of the same state, and tells where it contradicts what the other side wrote.
    fn check(change: impl FnOnce(&mut crate::Delta), expected: Option<OpId>) {
        let (ours, mut theirs) = (rich().0.apply(&second()).unwrap(), second());
        change(&mut theirs);
        let theirs = rich().0.apply(&theirs).unwrap();
        assert_eq!(ours.contradicts(&theirs), expected);
        assert_eq!(theirs.contradicts(&ours).is_some(), expected.is_some());
    }

    fn text(delta: &mut crate::Delta) -> &mut crate::SequenceDelta {
        match delta.objects.get_mut(&ObjectId::Made(a(4))) {
            Some(ObjectDelta::Sequence(text)) => text,
            _ => panic!("the delta changes the text"),
        }
    }

    #[test]
    fn states_of_one_history_agree() {
        check(|_| (), None);
        let (older, _) = rich();
        assert_eq!(
            older.contradicts(&older.clone().apply(&second()).unwrap()),
            None
        );
        assert_eq!(State::new().contradicts(&older), None);
    }

    #[test]
    fn other_characters_under_the_same_ids_are_found() {
        check(
            |delta| text(delta).inserted[0].body = Body::characters("neu".into()),
            Some(b(30)),
        );
        check(
            |delta| text(delta).inserted[0].reference = Some(a(8)),
            Some(b(30)),
        );
    }

    #[test]
    fn element_that_was_seen_and_is_not_there_is_found() {
        check(
            |delta| text(delta).inserted = vec![characters(b(31), Some(a(5)), "ew")],
            Some(b(30)),
        );
    }

    #[test]
    fn element_that_is_an_increment_elsewhere_is_found() {
        let swap = |delta: &mut crate::Delta| {
            text(delta).inserted.clear();
            delta.counts.values_mut().for_each(|count| count.last = 31);
        };
        check(swap, Some(b(30)));
    }

    #[test]
    fn other_total_of_the_same_increments_is_found() {
        check(
            |delta| delta.counts.values_mut().for_each(|count| count.sum += 1),
            Some(b(50)),
        );
        check(|delta| delta.counts.clear(), Some(b(50)));
    }

    #[test]
    fn other_value_under_the_same_id_is_found() {
        let change = |content: Content| {
            move |delta: &mut crate::Delta| {
                let Some(ObjectDelta::Map(keys)) = delta.objects.get_mut(&ObjectId::Root) else {
                    panic!("the delta changes the root");
                };
                let number = keys.get_mut("number").unwrap();
                number.added.extend([(b(22), content)]);
            }
        };
        check(change(Content::Scalar(Scalar::Int(2))), Some(b(22)));
        check(change(Content::Object(ObjectType::Map)), Some(b(22)));
    }
}
