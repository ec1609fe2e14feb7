//! What a start finds again, and that the saved document of a snapshot is never laid onto another state.

use driftless_document::Value;
use driftless_merge::Output;

use crate::world::{Fault, World};

#[test]
fn edit_after_a_session_that_found_nothing_survives_a_restart() {
    let mut world = World::new(1);
    world.sync(0);
    world.put(0, "a", 1);
    world.restart(0);
    assert_eq!(world.state(0).get("a"), Some(Value::from(1)));
    world.settle();
}

#[test]
fn edit_after_a_list_that_was_made_twice_survives_a_restart() {
    let mut world = World::new(2);
    world.put(1, "first", 1);
    world.sync(1);
    world.page = Some(1);
    world.begin(0);
    world.answer(0, Fault::Nothing);
    world.abandon(0);
    world.put(0, "a", 1);
    world.restart(0);
    assert_eq!(world.state(0).get("a"), Some(Value::from(1)));
    world.settle();
}

#[test]
fn trap_7_count_is_kept_by_the_commit_that_keeps_what_was_listed() {
    for commits in [0, 1] {
        let mut world = World::new(2);
        world.put(0, "a", 1);
        world.sync(0);
        world.begin(1);
        world.answer_and_crash(1, Fault::Nothing, commits);
        let is_kept = world.state(1).get("a").is_some();
        assert_eq!(is_kept, commits == 1);
        world.begin(1);
        let Some(Output::List(list)) = &world.devices[1].pending else {
            unreachable!()
        };
        assert_eq!(list.last_sync_count.is_some(), is_kept);
        world.settle();
    }
}

#[test]
fn document_saved_before_a_join_is_brought_forward() {
    let mut world = World::new(2);
    world.write(0, "text", "abc");
    world.settle();
    world.fold(0);
    world.restart(0);
    // The saved document is loaded by the first edit, after the session has joined what another device wrote.
    world.write(1, "text", "x");
    (0..20).for_each(|number| world.put(1, "late", number));
    world.sync(1);
    world.sync(0);
    world.write(0, "text", "y");
    world.put(0, "late", "mine");
    // The put replaces what came, since the document knows it.
    assert_eq!(world.state(0).conflicts("late").len(), 1);
    world.settle();
    assert_eq!(
        world.state(0).get("text"),
        Some(Value::Text("yxabc".to_owned()))
    );
    assert_eq!(world.state(0).get("late"), Some(Value::from("mine")));
    world.check_reference();
}

#[test]
fn document_saved_before_edits_is_brought_forward() {
    let mut world = World::new(2);
    world.write(0, "text", "abc");
    world.fold(0);
    world.write(0, "text", "d");
    world.restart(0);
    world.write(1, "text", "x");
    world.sync(1);
    world.sync(0);
    world.write(0, "text", "e");
    world.settle();
    world.check_reference();
}

#[test]
fn new_author_after_edits_does_not_go_back_to_the_saved_document() {
    let mut world = World::new(1);
    world.write(0, "text", "abc");
    world.fold(0);
    world.write(0, "text", "d");
    let actor = world.actor();
    let commit = world.devices[0].replica.reincarnate(actor);
    world.devices[0].disk.keep(commit);
    world.write(0, "text", "e");
    assert_eq!(
        world.state(0).get("text"),
        Some(Value::Text("edabc".to_owned()))
    );
    world.settle();
    world.check_reference();
}

#[test]
fn deletion_is_kept_by_one_commit() {
    let mut world = World::new(1);
    world.write(0, "text", "abc");
    world.delete(0);
    world.restart(0);
    assert!(world.state(0).is_blank());
    world.write(0, "text", "d");
    world.restart(0);
    assert_eq!(
        world.state(0).get("text"),
        Some(Value::Text("d".to_owned()))
    );
}
