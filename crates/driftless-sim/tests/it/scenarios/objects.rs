//! Objects that meet a namesake: removed and made again, or made under two parents.

use std::collections::BTreeMap;

use driftless::document::State;
use driftless_document::{
    Actor, Body, Content, Contents, Delta, ObjectDelta, ObjectId, ObjectType, OpId, RegisterDelta,
    Removed, Run, SequenceDelta,
};
use driftless_record::{Life, Limits, Lineage, Standing, plan};
use driftless_sim::{End, Step, Story};
use driftless_wire::Record;

use super::Stage;

/// Whether the namesake was ever at the service before it was removed.
#[test]
fn namesake_of_an_object_that_was_removed_elsewhere_keeps_its_content() {
    for was_seen in [false, true] {
        let mut stage = Stage::new(3, Story::Ends);
        stage.write(0, "text", "theirs");
        stage.increment(0, "count", 1);
        if was_seen {
            stage.sync(0);
            stage.sync(2);
        }
        stage.remove(0, "text");
        stage.remove(0, "count");
        stage.put(0, "other", 1);
        stage.sync(0);
        stage.write(1, "text", "mine");
        stage.increment(1, "count", 7);
        stage.take(Step::Restart(1, End::PowerLost));
        stage.settle(&["count", "other", "text"]);
        assert_eq!(stage.text(0, "text").as_deref(), Some("mine"));
        assert_eq!(stage.counter(0, "count"), Some(7));
    }
}

#[test]
fn object_made_and_removed_offline_leaves_its_namesake_alive() {
    let mut stage = Stage::new(2, Story::Ends);
    stage.write(0, "text", "theirs");
    stage.increment(0, "count", 3);
    stage.sync(0);
    stage.write(1, "text", "mine");
    stage.increment(1, "count", 10);
    stage.remove(1, "text");
    stage.remove(1, "count");
    stage.take(Step::Restart(1, End::PowerLost));
    stage.settle(&["count", "text"]);
    assert_eq!(stage.text(1, "text").as_deref(), Some("theirs"));
    assert_eq!(stage.counter(1, "count"), Some(3));
}

#[test]
fn what_is_typed_into_an_object_that_others_removed_goes_with_it() {
    let mut stage = Stage::new(2, Story::Ends);
    stage.write(0, "text", "shared");
    stage.put(0, "other", 1);
    stage.sync(0);
    stage.sync(1);
    stage.write(1, "text", "typed ");
    stage.remove(0, "text");
    stage.sync(0);
    stage.sync(1);
    assert_eq!(stage.text(1, "text"), None);
    // The next one of that name is another object.
    stage.write(1, "text", "again");
    stage.settle(&["other", "text"]);
    assert_eq!(stage.text(0, "text").as_deref(), Some("again"));
}

/// Nested objects cannot be edited yet, so that a later version writes them here; this one keeps,
/// joins, stores and folds them.
#[test]
fn nested_texts_of_one_name_under_two_parents_stay_apart() {
    let mut later = LaterVersion::new();
    later.put_lists();
    let mut stage = Stage::new(2, Story::Ends);
    stage.put(0, "mine", 1);
    let pushed = later.push(&stage.0.records());
    stage.0.write(pushed);
    stage.sync(0);
    stage.sync(1);
    later.write_into("home", "bread ");
    let pushed = later.push(&stage.0.records());
    stage.0.write(pushed);
    // Enough pushes that runs and a base are written anew.
    for number in 0..150 {
        stage.put(number % 2, "mine", number as i64);
        stage.sync(number % 2);
    }
    stage.take(Step::Restart(0, End::Killed));
    stage.settle(&["home", "mine", "work"]);
    let state = stage.dataset(0).state();
    assert_eq!(nested(&state, "home").as_deref(), Some("bread milk"));
    assert_eq!(nested(&state, "work").as_deref(), Some("report"));
    // Removing a parent takes its child alone.
    stage.remove(1, "home");
    stage.settle(&["mine", "work"]);
    let state = stage.dataset(0).state();
    assert_eq!(nested(&state, "home"), None);
    assert_eq!(nested(&state, "work").as_deref(), Some("report"));
}

/// A device of a version that edits nested objects.
struct LaterVersion {
    actor: Actor,
    state: State,
}

impl LaterVersion {
    fn new() -> Self {
        Self {
            actor: Actor::random([9; 8]),
            state: State::new(),
        }
    }

    fn id(&self, counter: u32) -> OpId {
        OpId::new(counter, self.actor)
    }

    /// Puts two maps at root keys, each with a text at the key `list`.
    fn put_lists(&mut self) {
        let root = [
            ("home", self.id(1), ObjectType::Map),
            ("work", self.id(2), ObjectType::Map),
        ];
        let mut objects = BTreeMap::from([(ObjectId::Root, made(&root))]);
        for (parent, list, text) in [(1, 3, "milk"), (2, 4, "report")] {
            let made = made(&[("list", self.id(list), ObjectType::Text)]);
            objects.insert(ObjectId::Made(self.id(parent)), made);
            // The texts begin at 5 and 9.
            let start = self.id(5 + 4 * (list - 3));
            objects.insert(ObjectId::Made(self.id(list)), typed(start, None, text));
        }
        self.apply(14, objects);
    }

    /// Types at the front of the list of a parent.
    fn write_into(&mut self, parent: &str, text: &str) {
        let list = if parent == "home" { 3 } else { 4 };
        let objects = BTreeMap::from([(
            ObjectId::Made(self.id(list)),
            typed(self.id(15), None, text),
        )]);
        self.apply(14 + text.len() as u32, objects);
    }

    fn apply(&mut self, last: u32, objects: BTreeMap<ObjectId, ObjectDelta>) {
        let delta = Delta {
            clock: [(self.actor, last)].into(),
            objects,
            ..Delta::default()
        };
        let state = std::mem::take(&mut self.state);
        self.state = state.apply(&delta).unwrap();
    }

    /// Returns the records that push its state onto what stands there.
    fn push(&mut self, standing: &[Record]) -> Vec<(String, Option<String>)> {
        let limits = Limits::default();
        let values = standing
            .iter()
            .filter_map(|record| Some((record.key.as_str(), record.value.as_deref()?)));
        let stored = driftless_record::read(values, &limits, None).unwrap();
        let life = match &stored {
            Some(stored) => {
                self.state = self.state.join(stored.state());
                Life::Continued(stored)
            }
            None => Life::Begun {
                lineage: Lineage::from_bytes([5; 8]),
                predecessor: None,
                over: None,
            },
        };
        let size = |record: &Record| record.value.as_ref().map_or(0, String::len);
        let sizes = standing
            .iter()
            .map(|record| (record.key.to_string(), size(record)));
        let standing = Standing {
            records: &sizes.collect(),
            ..Standing::NOTHING
        };
        plan(life, &self.state, &standing, &limits).unwrap().patches
    }
}

fn made(keys: &[(&str, OpId, ObjectType)]) -> ObjectDelta {
    let registers = keys.iter().map(|(key, id, object)| {
        let mut added = Contents::default();
        added.extend([(*id, Content::Object(*object))]);
        let removed = Removed::Nothing;
        ((*key).to_owned(), RegisterDelta { removed, added })
    });
    ObjectDelta::Map(registers.collect())
}

fn typed(start: OpId, reference: Option<OpId>, text: &str) -> ObjectDelta {
    let body = Body::characters(text.to_owned());
    ObjectDelta::Sequence(SequenceDelta {
        inserted: vec![Run {
            start,
            reference,
            body,
        }],
        ..SequenceDelta::default()
    })
}

/// Returns the text at the key `list` of a map at a root key; what was typed later stands in front.
fn nested(state: &State, parent: &str) -> Option<String> {
    let whole = state.diff(&State::new());
    let child = |object: ObjectId, key: &str| match whole.objects.get(&object)? {
        ObjectDelta::Map(keys) => {
            let (id, _) = keys.get(key)?.added.iter().last()?;
            Some(ObjectId::Made(*id))
        }
        ObjectDelta::Sequence(_) => None,
    };
    let list = child(child(ObjectId::Root, parent)?, "list")?;
    let ObjectDelta::Sequence(text) = whole.objects.get(&list)? else {
        return None;
    };
    let runs = text.inserted.iter().rev().map(|run| match &run.body {
        Body::Characters { text, .. } => text.as_str(),
        _ => "",
    });
    Some(runs.collect())
}
