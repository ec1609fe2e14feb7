//! ListRecords in pages, alone and with pushes between them.

use std::collections::BTreeMap;

use driftless_wire::{ApiError, ErrorCode, ListRecordsResponse};

use crate::support::{World, brief, put, remove};

fn page(
    world: &World,
    since: u32,
    size: u32,
    before: Option<&ListRecordsResponse>,
) -> Result<ListRecordsResponse, ApiError> {
    world.list_with("d", |request| {
        request.last_sync_count = Some(since.into());
        request.max_results = Some(size);
        request.next_token = before.map(|page| page.next_token.clone().unwrap());
    })
}

fn five() -> World {
    let world = World::new();
    world
        .push("d", vec![put("b", "1", 0), put("a", "1", 0)])
        .unwrap();
    world
        .push(
            "d",
            vec![put("c", "2", 0), put("d", "2", 0), put("e", "2", 0)],
        )
        .unwrap();
    world
}

#[track_caller]
fn check_bad(result: Result<ListRecordsResponse, ApiError>) {
    let error = result.unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidParameter);
    assert_eq!(error.message, "NextToken not valid for these inputs");
}

#[test]
fn pages_are_one_list_with_one_token_and_one_count() {
    let world = five();
    let whole = world.list("d", 0);
    for size in 1..=6 {
        let mut pages = vec![page(&world, 0, size, None).unwrap()];
        while pages.last().unwrap().next_token.is_some() {
            pages.push(page(&world, 0, size, pages.last()).unwrap());
        }
        assert_eq!(
            pages.len(),
            5_usize.div_ceil(size as usize),
            "no empty page at the end"
        );
        let records: Vec<_> = pages.iter().flat_map(|page| page.records.clone()).collect();
        assert_eq!(records, whole.records);
        for page in &pages {
            assert_eq!(page.sync_session_token, pages[0].sync_session_token);
            assert_eq!(page.dataset_sync_count, 2.into());
            assert_eq!(page.count as usize, page.records.len());
        }
    }
}

#[test]
fn pages_since_a_count_begin_there() {
    let world = five();
    let first = page(&world, 1, 2, None).unwrap();
    assert_eq!(
        brief(&first.records),
        [("c", Some("2"), 2), ("d", Some("2"), 2)]
    );
    let last = page(&world, 1, 2, Some(&first)).unwrap();
    assert_eq!(
        (brief(&last.records), last.next_token),
        (vec![("e", Some("2"), 2)], None)
    );
}

#[test]
fn push_between_pages_shows_in_the_count_and_nothing_is_missed() {
    let world = five();
    let first = page(&world, 0, 3, None).unwrap();
    world
        .push("d", vec![put("a", "3", 1), remove("e", 2)])
        .unwrap();
    let last = page(&world, 0, 9, Some(&first)).unwrap();
    assert_eq!(
        (first.dataset_sync_count, last.dataset_sync_count),
        (2.into(), 3.into())
    );
    let mut seen = BTreeMap::new();
    for record in first.records.into_iter().chain(last.records) {
        seen.insert(record.key.clone(), record);
    }
    let mut now = world.list("d", 0).records;
    now.sort_by(|a, b| a.key.cmp(&b.key));
    assert_eq!(seen.into_values().collect::<Vec<_>>(), now);
}

#[test]
fn page_token_is_good_only_for_the_list_it_continues() {
    let world = five();
    let first = page(&world, 0, 1, None).unwrap();
    check_bad(page(&world, 1, 1, Some(&first)));
    let token = first.next_token.clone();
    let elsewhere = world.list_with("e", |request| request.next_token = token.clone());
    check_bad(elsewhere);
    check_bad(world.list_with("d", |request| request.next_token = Some("AAAA".to_owned())));
    world.pass(30 * 60 * 1_000);
    check_bad(page(&world, 0, 1, Some(&first)));
}

#[test]
fn deletion_between_pages_ends_the_list() {
    let world = five();
    let first = page(&world, 0, 1, None).unwrap();
    world.delete("d").unwrap();
    check_bad(page(&world, 0, 1, Some(&first)));
    world.push("d", vec![put("a", "1", 0)]).unwrap();
    check_bad(page(&world, 0, 1, Some(&first)));
}

#[test]
fn pages_of_a_dataset_that_lives_again_say_so_each() {
    let world = five();
    world.delete("d").unwrap();
    world
        .push("d", vec![put("a", "1", 0), put("b", "1", 0)])
        .unwrap();
    let first = page(&world, 2, 1, None).unwrap();
    let last = page(&world, 2, 1, Some(&first)).unwrap();
    assert_eq!(brief(&first.records), [("a", Some("1"), 4)]);
    assert_eq!(brief(&last.records), [("b", Some("1"), 4)]);
    for page in [first, last] {
        assert!(page.dataset_exists && page.dataset_deleted_after_requested_sync_count);
    }
}
