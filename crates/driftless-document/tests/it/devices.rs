//! Two devices with one dataset, and how they meet.

use driftless_document::{Actor, Document};

/// Returns the empty dataset `notes` on a device of its own.
pub(crate) fn device(number: u8) -> Document {
    Document::new("notes", Actor::random([number; 8]))
}

/// Returns the dataset on two devices that have seen the same; the second one's ids win.
pub(crate) fn pair<T>(prepare: impl FnOnce(&mut Document) -> T) -> (Document, Document) {
    let (mut one, mut two) = (device(1), device(2));
    let _edit = prepare(&mut one);
    meet(&mut one, &mut two);
    (one, two)
}

/// Lets two devices see what the other one did; they then hold the same.
pub(crate) fn meet(one: &mut Document, two: &mut Document) {
    let before = one.state().clone();
    let delta = one.join(two.state());
    assert_eq!(
        before.apply(&delta).as_ref(),
        Ok(one.state()),
        "a join tells what it did"
    );
    let _delta = two.join(one.state());
    assert_eq!(one.state(), two.state());
}
