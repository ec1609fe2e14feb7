//! Deltas and the states that they make.

use driftless_document::{Actor, Clock, Document, Edit, EditError, Scalar, State};
use driftless_record::{decode, encode};

use crate::input::Input;

/// States with more values and elements are not loaded into automerge here, which would take most of the time.
const MAX_LOADED: usize = 4_096;

const MAX_EDITED_KEYS: usize = 8;

/// Reads a delta that goes onto nothing, and one that goes onto it; what applies is written again, loaded and edited.
///
/// ```text
/// length of the first delta u16 | first delta | second delta
/// ```
pub fn delta_decode(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let Some(base) = applied(&State::new(), input.block()) else {
        return;
    };
    check_state(&base);
    if let Some(state) = applied(&base, input.rest()) {
        check_state(&state);
        let delta = state.diff(&base);
        assert_eq!(
            base.clone().apply(&delta),
            Ok(state.clone()),
            "what changed applies"
        );
        assert_eq!(base.contradicts(&state), None, "a state and its successor");
        assert_eq!(base.join(&state), state, "a state and its successor");
    }
}

/// Reads two states; they contradict each other, or join as states do.
///
/// ```text
/// length of the first delta u16 | first delta | second delta
/// ```
pub fn state_join(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let (first, second) = (input.block(), input.rest());
    let Some((a, b)) = applied(&State::new(), first).zip(applied(&State::new(), second)) else {
        return;
    };
    assert_eq!(a.contradicts(&a), None, "a state never contradicts itself");
    assert_eq!(a.join(&a), a, "a join is idempotent");
    let contradiction = a.contradicts(&b);
    assert_eq!(
        contradiction.is_some(),
        b.contradicts(&a).is_some(),
        "both sides see a contradiction"
    );
    if contradiction.is_some() {
        return;
    }
    let joined = a.join(&b);
    assert_eq!(b.join(&a), joined, "a join is commutative");
    for side in [&a, &b] {
        assert_eq!(side.join(&joined), joined, "a join includes its sides");
        let delta = joined.diff(side);
        let bytes = encode(&delta, side.clock());
        assert_eq!(decode(&bytes, side.clock()).as_ref(), Ok(&delta));
        assert_eq!(side.clone().apply(&delta).as_ref(), Ok(&joined));
    }
    check_state(&joined);
}

fn applied(base: &State, bytes: &[u8]) -> Option<State> {
    let delta = decode(bytes, base.clock()).ok()?;
    assert_eq!(
        encode(&delta, base.clock()),
        bytes,
        "one delta has one encoding"
    );
    base.clone().apply(&delta).ok()
}

/// A state that passed the gate has an encoding of its own, and can be shown, loaded and edited.
fn check_state(state: &State) {
    let nothing = State::new();
    let bytes = encode(&state.diff(&nothing), &Clock::new());
    assert_eq!(applied(&nothing, &bytes).as_ref(), Some(state));
    if state.population().total() <= MAX_LOADED {
        check_document(state);
    }
}

/// Edits each of the first keys; every edit says what it did.
fn check_document(state: &State) {
    let mut document = Document::from_state("notes", Actor::random(*b"fuzzfuzz"), state.clone());
    let keys: Vec<String> = state
        .keys()
        .take(MAX_EDITED_KEYS)
        .map(str::to_owned)
        .collect();
    for key in keys.iter().map(String::as_str).chain(["new"]) {
        assert_eq!(
            document.get(key).is_some(),
            key != "new" || keys.contains(&key.to_owned())
        );
        let len = document.text(key).map_or(0, |text| text.chars().count());
        check_edit(&mut document, |document| document.increment(key, 1, 7));
        check_edit(&mut document, |document| {
            document.splice_text(key, len / 2, len - len / 2, "ab", 7)
        });
        check_edit(&mut document, |document| {
            document.put(key, Scalar::from(7), 7)
        });
    }
    for key in &keys {
        check_edit(&mut document, |document| document.remove(key, 7));
    }
}

fn check_edit(document: &mut Document, edit: impl Fn(&mut Document) -> Result<Edit, EditError>) {
    let before = document.state().clone();
    match edit(document) {
        Ok(edit) => {
            let after = edit
                .deltas
                .iter()
                .try_fold(before, |state, delta| state.apply(delta));
            assert_eq!(
                after.as_ref(),
                Ok(document.state()),
                "an edit tells what it did"
            );
        }
        Err(_) => assert_eq!(document.state(), &before, "a refused edit changes nothing"),
    }
}
