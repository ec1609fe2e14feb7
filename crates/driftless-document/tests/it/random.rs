//! Random edits on several devices, against one automerge document that never forgets.

use driftless_document::{Actor, Document, Edit, EditError, Reference, State, Value};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

const KEYS: [&str; 4] = ["a", "b", "text", "count"];

#[derive(Clone, Debug)]
enum Step {
    Put(usize, i64),
    Remove(usize),
    Increment(usize, i64),
    Splice(usize, u16, u8, String),
    /// What another device has comes in.
    Join(usize),
    /// The device starts again: from its state alone, or with the document as it was saved some steps ago.
    Restart(bool),
    /// The device saves its document, to find it at a restart.
    Save,
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..KEYS.len();
    prop_oneof![
        3 => (key.clone(), any::<i8>()).prop_map(|(key, value)| Step::Put(key, value.into())),
        2 => key.clone().prop_map(Step::Remove),
        3 => (key.clone(), any::<i16>()).prop_map(|(key, by)| Step::Increment(key, by.into())),
        6 => (key, any::<u16>(), 0..4_u8, "[aé𝄞x]{0,5}")
            .prop_map(|(key, at, delete, insert)| Step::Splice(key, at, delete, insert)),
        4 => (0..5_usize).prop_map(Step::Join),
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
            Step::Join(_) | Step::Restart(_) | Step::Save => Ok(Edit::default()),
        }
    }
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
