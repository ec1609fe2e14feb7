//! A process ends between a push and the commit that would remember it, and goes on with other edits.

use driftless::wire::Operation;
use driftless_sim::{End, Step, Stop, Story};

use super::{HOUR, Stage};

const ENDS: [End; 3] = [End::Closed, End::Killed, End::PowerLost];

fn two(buffered: bool) -> Stage {
    let mut stage = Stage::with(2, Story::Plain, |setting| setting.buffered = buffered);
    stage.increment(0, "count", 5);
    stage.sync(0);
    stage.sync(1);
    stage.put(0, "key", 1);
    stage.increment(0, "count", 10);
    stage.write(0, "text", "first");
    stage
}

/// Other edits than those that were pushed; if they got the same ids, the devices would differ.
fn go_on(stage: &mut Stage) {
    stage.put(0, "key", 2);
    stage.put(0, "other", 3);
    stage.increment(0, "count", 100);
    stage.write(0, "text", "second ");
}

#[track_caller]
fn check(mut stage: Stage, what: &str) {
    stage.settle(&["count", "key", "other", "text"]);
    assert_eq!(stage.counter(0, "count"), Some(115), "{what}");
    assert_eq!(stage.number(0, "key"), Some(2), "{what}");
    assert_eq!(
        stage.text(0, "text").as_deref(),
        Some("second first"),
        "{what}"
    );
}

#[test]
fn edits_after_a_crash_between_push_and_commit_get_ids_of_their_own() {
    for (end, buffered) in ENDS.into_iter().flat_map(|end| [(end, false), (end, true)]) {
        let mut stage = two(buffered);
        stage.sync_until_stopped(0, Operation::UpdateRecords, Stop::Answer);
        stage.sync(1);
        assert_eq!(stage.counter(1, "count"), Some(15), "the push stands");
        stage.take(Step::Restart(0, end));
        go_on(&mut stage);
        stage.let_go(0);
        stage.sync(0);
        check(stage, &format!("{end:?}, buffered: {buffered}"));
    }
}

#[test]
fn push_that_arrives_after_its_process_ended_and_other_edits_were_made_is_harmless() {
    for (end, buffered) in ENDS.into_iter().flat_map(|end| [(end, false), (end, true)]) {
        let mut stage = two(buffered);
        stage.sync_until_stopped(0, Operation::UpdateRecords, Stop::Request);
        stage.take(Step::Restart(0, end));
        go_on(&mut stage);
        stage.sync_until_stopped(0, Operation::UpdateRecords, Stop::Request);
        // Both arrive, the late one first.
        stage.0.wait(60_000).unwrap();
        stage.let_go(0);
        check(stage, &format!("{end:?}, buffered: {buffered}"));
    }
}

/// The process dies before or after each of the commits of a session, killed or without power.
#[test]
fn session_that_dies_at_any_of_its_commits_loses_only_what_was_buffered() {
    let mut deaths = 0;
    for (commits, fate) in (0..6).flat_map(|commits| (0..8).map(move |fate| (commits, fate))) {
        let [keeps_next, loses_power, buffered] = [1, 2, 4].map(|bit| fate & bit != 0);
        let what = format!("{commits} commits, {fate:03b}");
        let mut stage = two(buffered);
        stage.increment(1, "count", 1_000);
        stage.sync(1);
        stage.take(Step::Doom(0, commits, keeps_next, loses_power));
        stage.take(Step::Sync(0));
        stage.0.wait(HOUR).unwrap();
        let has_died = stage.0.tally().get("crashes at a commit") > 0;
        deaths += u64::from(has_died);
        let may_lose = has_died && loses_power && buffered;
        assert!(may_lose || stage.number(0, "key") == Some(1), "{what}");
        // A death that did not come waits no longer.
        stage.take(Step::Restart(0, End::Killed));
        go_on(&mut stage);
        stage.0.settle().unwrap();
        let count = stage.counter(0, "count").unwrap();
        assert!(
            count == 1_115 || (may_lose && count == 1_105),
            "{what}: {count}"
        );
        assert_eq!(stage.number(1, "key"), Some(2), "{what}");
        let text = stage.text(1, "text").unwrap();
        assert!(
            text == "second first" || (may_lose && text == "second "),
            "{what}: {text}"
        );
    }
    assert!(deaths > 16, "{deaths} deaths");
}
