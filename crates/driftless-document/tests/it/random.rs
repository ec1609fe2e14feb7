//! Random edits on several devices, against one automerge document that never forgets.

use driftless_document::{Actor, Document, Edit, EditError, Path, Reference, Scalar, State, Value};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

const KEYS: [&str; 5] = ["a", "b", "text", "count", "list"];

#[derive(Clone, Debug)]
enum Step {
    Put(usize, i64),
    Remove(usize),
    Increment(usize, i64),
    Splice(usize, u16, u8, String),
    /// A value, small or nested, is put as a whole.
    PutAt(Way, Nested),
    RemoveAt(Way),
    IncrementAt(Way, i64),
    Insert(Way, u16, Vec<Nested>),
    Add(Way, u8),
    Discard(Way, u8),
    /// What another device has comes in.
    Join(usize),
    /// The device starts again: from its state alone, or with the document as it was saved some steps ago.
    Restart(bool),
    /// The device saves its document, to find it at a restart.
    Save,
}

/// A path; its places are taken modulo what is there.
#[derive(Clone, Debug)]
struct Way(usize, Vec<(bool, u8)>);

impl Way {
    fn path(&self, document: &Document) -> Path {
        let mut path = Path::from(KEYS[self.0]);
        for (is_index, number) in &self.1 {
            let inside = document.get_at(&path);
            path = match inside {
                Some(Value::List(values)) if *is_index => {
                    path.index(usize::from(*number) % (values.len() + 1))
                }
                _ => path.key(KEYS[usize::from(*number) % KEYS.len()]),
            };
        }
        path
    }
}

fn way() -> impl Strategy<Value = Way> {
    let steps = prop::collection::vec((any::<bool>(), 0..6_u8), 0..3);
    (0..KEYS.len(), steps).prop_map(|(key, steps)| Way(key, steps))
}

/// A value that merges inside, or a number.
#[derive(Clone, Debug)]
struct Nested(Value);

fn nested() -> impl Strategy<Value = Nested> {
    let key = (0..KEYS.len()).prop_map(|key| KEYS[key].to_owned());
    let leaf = prop_oneof![
        3 => any::<i8>().prop_map(|number| Value::from(i64::from(number))),
        1 => any::<i8>().prop_map(|total| Value::Counter(total.into())),
        1 => "[aé𝄞x]{0,4}".prop_map(Value::Text),
    ];
    let value = leaf.prop_recursive(2, 8, 4, move |inner| {
        let member = (0..5_i64).prop_map(Scalar::from);
        prop_oneof![
            2 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            2 => prop::collection::btree_map(key.clone(), inner, 0..4).prop_map(Value::Map),
            1 => prop::collection::btree_set(member, 0..4).prop_map(Value::Set),
        ]
    });
    value.prop_map(Nested)
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..KEYS.len();
    prop_oneof![
        3 => (key.clone(), any::<i8>()).prop_map(|(key, value)| Step::Put(key, value.into())),
        2 => key.clone().prop_map(Step::Remove),
        3 => (key.clone(), any::<i16>()).prop_map(|(key, by)| Step::Increment(key, by.into())),
        6 => (key, any::<u16>(), 0..4_u8, "[aé𝄞x]{0,5}")
            .prop_map(|(key, at, delete, insert)| Step::Splice(key, at, delete, insert)),
        4 => (way(), nested()).prop_map(|(way, value)| Step::PutAt(way, value)),
        2 => way().prop_map(Step::RemoveAt),
        2 => (way(), any::<i8>()).prop_map(|(way, by)| Step::IncrementAt(way, by.into())),
        4 => (way(), any::<u16>(), prop::collection::vec(nested(), 1..4))
            .prop_map(|(way, at, values)| Step::Insert(way, at, values)),
        3 => (way(), 0..5_u8).prop_map(|(way, member)| Step::Add(way, member)),
        2 => (way(), 0..5_u8).prop_map(|(way, member)| Step::Discard(way, member)),
        6 => (0..5_usize).prop_map(Step::Join),
        1 => any::<bool>().prop_map(Step::Restart),
        1 => Just(Step::Save),
    ]
}

struct Device {
    document: Document,
    saved: Option<(Vec<u8>, State)>,
}

impl Device {
    fn new(number: u8) -> Self {
        Self {
            document: Document::new("notes", Actor::random([number; 8])),
            saved: None,
        }
    }

    fn restart(&mut self, with_document: bool) {
        let old = &self.document;
        let mut document = Document::from_state("notes", old.actor(), old.state().clone());
        if let (true, Some((bytes, saved_at))) = (with_document, &self.saved) {
            document.attach(bytes, saved_at);
        }
        self.document = document;
    }

    fn edit(&mut self, step: &Step) -> Result<Edit, EditError> {
        let document = &mut self.document;
        match step {
            Step::Put(key, value) => document.put(KEYS[*key], (*value).into(), 1 + value.abs()),
            Step::Remove(key) => document.remove(KEYS[*key], 0),
            Step::Increment(key, by) => document.increment(KEYS[*key], *by, 5),
            Step::Splice(key, at, delete, insert) => {
                let length = document
                    .text(KEYS[*key])
                    .map_or(0, |text| text.chars().count());
                let at = usize::from(*at) % (length + 1);
                let delete = usize::from(*delete).min(length - at);
                document.splice_text(KEYS[*key], at, delete, insert, 0)
            }
            Step::PutAt(way, Nested(value)) => {
                let path = way.path(document);
                let edit = document.put_at(&path, value, 3)?;
                assert_eq!(document.get_at(&path).as_ref(), Some(value), "it was put");
                let again = document.put_at(&path, value, 3)?;
                assert!(again.is_empty(), "it stands there already");
                Ok(edit)
            }
            Step::RemoveAt(way) => document.remove(way.path(document), 0),
            Step::IncrementAt(way, by) => document.increment(way.path(document), *by, 5),
            Step::Insert(way, at, values) => {
                let path = way.path(document);
                let length = match document.get_at(&path) {
                    Some(Value::List(values)) => values.len(),
                    _ => 0,
                };
                let at = usize::from(*at) % (length + 1);
                let values: Vec<Value> = values.iter().map(|value| value.0.clone()).collect();
                document.insert(path, Some(at), &values, 7)
            }
            Step::Add(way, member) => document.add(way.path(document), &member_of(*member), 0),
            Step::Discard(way, member) => {
                document.discard(way.path(document), &member_of(*member), 0)
            }
            Step::Join(_) | Step::Restart(_) | Step::Save => Ok(Edit::default()),
        }
    }
}

fn member_of(number: u8) -> Scalar {
    i64::from(number).into()
}

/// Every edit tells in deltas what it did, and a refused one did nothing.
fn check_edit(device: &mut Device, step: &Step) -> Result<Edit, TestCaseError> {
    let mut state = device.document.state().clone();
    let edit = device.edit(step).unwrap_or_default();
    for delta in &edit.deltas {
        let before = state.clone();
        state = state.apply(delta).unwrap();
        prop_assert_eq!(&state.diff(&before), delta, "a delta is the difference");
    }
    prop_assert_eq!(&state, device.document.state());
    Ok(edit)
}

fn check_history(steps: &[(usize, Step)], count: u8) -> TestCaseResult {
    let mut devices: Vec<Device> = (1..=count).map(Device::new).collect();
    let mut all = Edit::default();
    for (number, step) in steps {
        let number = number % devices.len();
        let other = match step {
            Step::Join(other) => Some(devices[other % devices.len()].document.state().clone()),
            _ => None,
        };
        let device = &mut devices[number];
        match step {
            Step::Restart(with_document) => device.restart(*with_document),
            Step::Save => {
                device.saved = Some((device.document.save(), device.document.state().clone()));
            }
            _ => {}
        }
        if let Some(other) = other {
            prop_assert_eq!(device.document.state().contradicts(&other), None);
            let _delta = device.document.join(&other);
        }
        all.append(check_edit(device, step)?);
    }
    let joined = devices.iter().fold(State::new(), |all, device| {
        all.join(device.document.state())
    });
    let mut reference = Reference::new();
    reference.record(&all);
    prop_assert_eq!(&reference.state(), &joined);
    for device in &mut devices {
        let _delta = device.document.join(&joined);
        prop_assert_eq!(device.document.state(), &joined);
    }
    for key in KEYS {
        if let Some(Value::Text(text)) = joined.get(key) {
            prop_assert_eq!(reference.text(key), Some(text));
        }
    }
    Ok(())
}

proptest! {
    /// All devices that saw the same hold the same, which is what one automerge document with every edit holds.
    #[test]
    fn devices_hold_what_a_document_holds_that_never_forgets(
        steps in prop::collection::vec((0..5_usize, step()), 1..80),
        count in 2..=5_u8,
    ) {
        check_history(&steps, count)?;
    }
}
