//! The laws of states, checked over random histories against plain automerge documents that keep everything.
//!
//! A history is a list of small numbers that an interpreter turns into edits of 3 to 5 documents: dense conflicts on five
//! keys, nested maps, lists and texts, counters, partial merges, and documents that stay away for long. So it shrinks.

use automerge::transaction::Transactable;
use automerge::{
    ActorId, AutoCommit, Automerge, Change, ObjId, ObjType, Prop, ROOT, ReadDoc, ScalarValue, Value,
};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use crate::emit::emit;
use crate::id::Actor;
use crate::live::Live;
use crate::ops::MARK_KEY;
use crate::state::State;

pub(crate) type Step = (u8, u8, u16, u16);

pub(crate) fn actor(number: u8) -> Actor {
    Actor::random([number, 0x5a, number.wrapping_mul(37), 4, 5, 6, 7, 8])
}

pub(crate) fn fresh(number: u8) -> AutoCommit {
    AutoCommit::new_with_encoding(automerge::TextEncoding::UnicodeCodePoint)
        .with_actor(ActorId::from(actor(number).to_bytes()))
}

fn objects(document: &AutoCommit) -> Vec<(ObjId, ObjType)> {
    let mut found = vec![(ROOT, ObjType::Map)];
    let mut at = 0;
    while at < found.len() && found.len() < 16 {
        let (object, object_type) = found[at].clone();
        let mut children = Vec::new();
        match object_type {
            ObjType::Map | ObjType::Table => {
                for key in document.keys(&object) {
                    children.extend(document.get_all(&object, key).unwrap());
                }
            }
            ObjType::List => {
                for index in 0..document.length(&object) {
                    children.extend(document.get_all(&object, index).unwrap());
                }
            }
            ObjType::Text => {}
        }
        for (value, id) in children {
            if let Value::Object(object_type) = value {
                found.push((id, object_type));
            }
        }
        at += 1;
    }
    found
}

fn is_counter(document: &AutoCommit, object: &ObjId, prop: impl Into<Prop>) -> bool {
    matches!(document.get(object, prop), Ok(Some((Value::Scalar(s), _))) if matches!(*s, ScalarValue::Counter(_)))
}

fn edit(document: &mut AutoCommit, (_, kind, a, b): Step) {
    let objects = objects(document);
    let (object, object_type) = objects[a as usize % objects.len()].clone();
    let makes = [ObjType::Map, ObjType::List, ObjType::Text];
    let make = makes[b as usize % makes.len()];
    let number = i64::from(b % 1_000);
    match object_type {
        ObjType::Map | ObjType::Table => {
            let key = format!("k{}", b % 5);
            match kind % 11 {
                0..=3 if is_counter(document, &object, &*key) && kind % 2 == 0 => {
                    document.increment(&object, key, number - 500).unwrap();
                }
                0..=3 => document.put(&object, key, number).unwrap(),
                4 | 5 => document.delete(&object, key).unwrap(),
                6 | 7 if is_counter(document, &object, &*key) => {
                    document.increment(&object, key, number - 500).unwrap();
                }
                6 | 7 => document
                    .put(&object, key, ScalarValue::counter(number))
                    .unwrap(),
                8 if objects.len() < 12 => {
                    document.put_object(&object, key, make).unwrap();
                }
                9 => document.put(&object, key, "s").unwrap(),
                _ => document.put(&object, key, f64::NAN).unwrap(),
            }
        }
        ObjType::Text => {
            let length = document.length(&object);
            let at = b as usize % (length + 1);
            let delete = if kind % 2 == 0 {
                (kind as usize / 2 % 4).min(length - at)
            } else {
                0
            };
            let insert: String = "aé𝄞xyz"
                .chars()
                .cycle()
                .skip(kind as usize)
                .take(kind as usize % 5)
                .collect();
            document
                .splice_text(&object, at, delete as isize, &insert)
                .unwrap();
        }
        ObjType::List => {
            let length = document.length(&object);
            let at = b as usize % (length + 1);
            match kind % 9 {
                0 | 1 => document.insert(&object, at, number).unwrap(),
                2 => document.insert(&object, at, "q").unwrap(),
                3 | 4 if at < length => document.delete(&object, at).unwrap(),
                5 if at < length => document.put(&object, at, number).unwrap(),
                6 if at < length && is_counter(document, &object, at) => {
                    document.increment(&object, at, 2).unwrap();
                }
                6 => document
                    .insert(&object, at, ScalarValue::counter(number))
                    .unwrap(),
                7 if objects.len() < 12 && at < length => {
                    document.put_object(&object, at, make).unwrap();
                }
                7 if objects.len() < 12 => {
                    document.insert_object(&object, at, make).unwrap();
                }
                _ => {}
            }
        }
    }
}

/// Plays a history: a step edits a document, or merges another one into it; the last document stays away until the end.
pub(crate) fn play(steps: &[Step], count: u8) -> Vec<AutoCommit> {
    let mut documents: Vec<AutoCommit> = (1..=count).map(fresh).collect();
    for (number, step) in steps.iter().enumerate() {
        let away = number > steps.len() / 3;
        let among = if away {
            documents.len() - 1
        } else {
            documents.len()
        };
        let own = step.0 as usize % documents.len();
        edit(&mut documents[own], *step);
        if step.0 % 3 != 0 {
            documents[own].commit();
        }
        if step.0 >= 200 && own < among {
            // A clone of an open transaction would commit it a second time.
            documents[(own + 1) % among].commit();
            let mut other = documents[(own + 1) % among].clone();
            documents[own].merge(&mut other).unwrap();
        }
    }
    documents.iter_mut().for_each(|document| {
        document.commit();
    });
    documents
}

pub(crate) fn changes(document: &mut AutoCommit) -> Vec<Change> {
    document.get_changes(&[])
}

pub(crate) fn build(changes: Vec<Change>) -> Automerge {
    let mut document = Automerge::new_with_encoding(automerge::TextEncoding::UnicodeCodePoint);
    document.apply_changes(changes).unwrap();
    document
}

/// Everything that can be seen: all conflict values with their ids, the winners, the order of elements, the texts.
pub(crate) fn dump(document: &Automerge) -> String {
    let mut out = String::new();
    dump_object(document, &ROOT, ObjType::Map, &mut out);
    out
}

fn dump_place(document: &Automerge, object: &ObjId, prop: Prop, out: &mut String) {
    use std::fmt::Write;
    let name = |id: &ObjId| id.to_string();
    if let Some((_, winner)) = document.get(object, prop.clone()).unwrap() {
        write!(out, "<{}>", name(&winner)).unwrap();
    }
    for (value, id) in document.get_all(object, prop).unwrap() {
        match value {
            Value::Object(object_type) => dump_object(document, &id, object_type, out),
            Value::Scalar(scalar) => write!(out, "{}={scalar:?}|", name(&id)).unwrap(),
        }
    }
}

fn dump_object(document: &Automerge, object: &ObjId, object_type: ObjType, out: &mut String) {
    match object_type {
        ObjType::Map | ObjType::Table => {
            out.push('{');
            // automerge 0.12 names a key twice where an increment stands between conflicting counters.
            let keys: std::collections::BTreeSet<String> = document.keys(object).collect();
            for key in keys.into_iter().filter(|key| key != MARK_KEY) {
                out.push_str(&key);
                dump_place(document, object, key.into(), out);
            }
            out.push('}');
        }
        ObjType::List | ObjType::Text => {
            if object_type == ObjType::Text {
                out.push_str(&document.text(object).unwrap());
            }
            out.push('[');
            for index in 0..document.length(object) {
                dump_place(document, object, index.into(), out);
            }
            out.push(']');
        }
    }
}

fn merged(documents: &[AutoCommit]) -> AutoCommit {
    let mut all = documents[0].clone();
    for document in &documents[1..] {
        all.merge(&mut document.clone()).unwrap();
    }
    all.commit();
    all
}

fn heads(changes: &[Change]) -> automerge::ChangeHash {
    changes.last().unwrap().hash()
}

/// A state, the document it emits and plain automerge show the same; it saves, loads and reads back.
fn check_state_of(document: &mut AutoCommit) -> TestCaseResult {
    let state = State::of(&changes(document));
    let emitted = emit(&state);
    let rebuilt = build(emitted.clone());
    prop_assert_eq!(dump(&rebuilt), dump(document.document()));
    prop_assert_eq!(&State::of(&emitted), &state);
    prop_assert_eq!(&State::of(&rebuilt.get_changes(&[])), &state);
    let loaded = Automerge::load(&rebuilt.save()).unwrap();
    prop_assert_eq!(loaded.get_heads(), rebuilt.get_heads());
    let delta = state.diff(&State::new());
    prop_assert_eq!(&State::new().apply(&delta).unwrap(), &state);
    prop_assert_eq!(State::of(&emit(&state)), state);
    Ok(())
}

/// What the state shows is what automerge shows.
fn check_reads(document: &mut AutoCommit) -> TestCaseResult {
    let state = State::of(&changes(document));
    for (object, object_type) in objects(document) {
        let ObjId::Id(counter, actor, _) = &object else {
            continue;
        };
        let id = crate::id::OpId::new(*counter as u32, crate::ops::actor_of(actor));
        let content = crate::value::Content::Object(crate::ops::object_type_of(object_type));
        let value = state.value(id, &content);
        match (object_type, value) {
            (ObjType::Text, value) => {
                prop_assert_eq!(value.as_str().unwrap(), document.text(&object).unwrap())
            }
            (ObjType::List, crate::value::Value::List(values)) => {
                prop_assert_eq!(values.len(), document.length(&object));
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_joins(documents: &mut [AutoCommit]) -> TestCaseResult {
    let states: Vec<State> = documents
        .iter_mut()
        .map(|document| State::of(&changes(document)))
        .collect();
    let all = State::of(&changes(&mut merged(documents)));
    let forward = states
        .iter()
        .fold(State::new(), |joined, state| joined.join(state));
    let backward = states
        .iter()
        .rev()
        .fold(State::new(), |joined, state| state.join(&joined));
    prop_assert_eq!(&forward, &all);
    prop_assert_eq!(&backward, &all);
    prop_assert_eq!(heads(&emit(&forward)), heads(&emit(&all)));
    let (a, b, c) = (&states[0], &states[1], &states[2]);
    prop_assert_eq!(a.contradicts(b), None);
    prop_assert_eq!(all.contradicts(c), None);
    prop_assert_eq!(a.join(b), b.join(a));
    prop_assert_eq!(a.join(b).join(c), a.join(&b.join(c)));
    prop_assert_eq!(&a.join(a), a);
    prop_assert_eq!(a.join(b).join(b), a.join(b));
    for state in &states {
        let delta = all.diff(state);
        prop_assert_eq!(&state.clone().apply(&delta).unwrap(), &all);
        prop_assert!(all.diff(&all).is_empty());
    }
    Ok(())
}

/// A document that is brought forward join by join shows what one that is built afresh shows, and goes on working.
fn check_incremental(documents: &mut [AutoCommit]) -> TestCaseResult {
    let mut state = State::new();
    let mut live = Live::rebuild(actor(99), &state);
    for document in documents {
        let joined = state.join(&State::of(&changes(document)));
        live.advance(&state, &joined.diff(&state), &joined);
        state = joined;
        prop_assert_eq!(dump(live.automerge()), dump(&build(emit(&state))));
        let mut seen = State::of(&live.automerge().get_changes(&[]));
        seen.clock.clone_from(&state.clock);
        prop_assert_eq!(&seen, &state);
        live = Live::load(actor(99), &live.save()).unwrap();
    }
    Ok(())
}

/// What is compacted shows the same, reads back, and holds nothing of the past.
fn check_compaction(documents: &mut [AutoCommit]) -> TestCaseResult {
    let state = State::of(&changes(&mut merged(documents)));
    let compacted = state.compacted(actor(99), state.max_counter()).unwrap();
    prop_assert_eq!(shown(&compacted), shown(&state));
    prop_assert_eq!(&State::of(&emit(&compacted)), &compacted);
    build(emit(&compacted));
    let dead = |state: &State| state.population().dead;
    let sets = compacted
        .objects
        .values()
        .map(|object| match &object.items {
            crate::state::Items::Sequence(_, sequence) => sequence.sets.len(),
            crate::state::Items::Map(..) => 0,
        });
    prop_assert!(dead(&compacted) <= sets.sum());
    prop_assert!(compacted.clock().len() <= state.clock().len() + 1);
    // What lives keeps its ids, so that compacting again finds nothing to do but to add totals up anew.
    let again = compacted.compacted(actor(98), 0).unwrap();
    prop_assert_eq!(&again, &compacted);
    // Whose operations are new stay in the clock, so that a device knows what of its edits was there.
    let young = state.compacted(actor(99), 0).unwrap();
    prop_assert_eq!(shown(&young), shown(&state));
    prop_assert!(
        state
            .clock()
            .iter()
            .all(|(author, counter)| young.seen_from(*author) == *counter)
    );
    Ok(())
}

/// Every conflict value without its id, and the order of elements.
pub(crate) fn shown(state: &State) -> Vec<Vec<crate::value::Value>> {
    let conflicts = |key| {
        state
            .conflicts(key)
            .into_iter()
            .map(|conflict| conflict.value)
    };
    state.keys().map(|key| conflicts(key).collect()).collect()
}

pub(crate) fn histories(longest: usize) -> impl Strategy<Value = (Vec<Step>, u8)> {
    (prop::collection::vec(any::<Step>(), 1..longest), 3_u8..=5)
}

proptest! {


    /// `state(emit(s)) == s`, and emit shows what automerge shows, for every document of a random history.
    #[test]
    fn emitted_state_reads_back_and_shows_what_automerge_shows((steps, count) in histories(120)) {
        for document in &mut play(&steps, count) {
            check_state_of(document)?;
            check_reads(document)?;
        }
    }

    /// `join` is commutative, associative, idempotent, equals automerge's merge, and `old.apply(new.diff(old)) == new`.
    #[test]
    fn join_is_the_merge((steps, count) in histories(120)) {
        check_joins(&mut play(&steps, count))?;
    }

    /// A compacted state shows what the state shows.
    #[test]
    fn compacted_state_shows_the_same((steps, count) in histories(120)) {
        check_compaction(&mut play(&steps, count))?;
    }

    /// An automerge document that follows joins change by change equals one that is rebuilt from the state.
    #[test]
    fn incremental_join_equals_the_rebuild((steps, count) in histories(120)) {
        check_incremental(&mut play(&steps, count))?;
    }
}
