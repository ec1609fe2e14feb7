//! `changes()`: what a consumer hears, when, and how much of it waits for a slow one.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use driftless::{Change, Changes, Origin, Scalar, Value};
use driftless_store::MemoryStore;

use crate::fake::Fake;

fn int(number: i64) -> Option<Value> {
    Some(Value::Scalar(Scalar::Int(number)))
}

/// Takes what is there: key, old and new value, who.
fn take(changes: &mut Changes) -> Vec<(String, Option<Value>, Option<Value>, Origin)> {
    let taken = std::iter::from_fn(|| changes.try_next());
    taken
        .map(
            |Change {
                 key,
                 old,
                 new,
                 origin,
                 ..
             }| (key, old, new, origin),
        )
        .collect()
}

#[tokio::test]
async fn local_and_remote_changes_come_with_old_and_new_values() {
    let fake = Fake::new();
    let (a, b) = (
        fake.device().dataset("notes").unwrap(),
        fake.device().dataset("notes").unwrap(),
    );
    a.put("before", 0).unwrap();
    let mut changes = a.changes();
    a.put("key", 1).unwrap();
    a.put("key", 1).unwrap();
    assert_eq!(
        take(&mut changes),
        [("key".to_owned(), None, int(1), Origin::Local)]
    );
    a.synchronize().await.unwrap();
    assert_eq!(take(&mut changes), []);

    b.synchronize().await.unwrap();
    b.put("key", 2).unwrap();
    b.remove("before").unwrap();
    b.increment("count", 5).unwrap();
    b.synchronize().await.unwrap();
    assert_eq!(take(&mut changes), []);
    a.synchronize().await.unwrap();
    let mut remote = take(&mut changes);
    remote.sort_by(|x, y| x.0.cmp(&y.0));
    assert_eq!(
        remote,
        [
            ("before".to_owned(), int(0), None, Origin::Remote),
            (
                "count".to_owned(),
                None,
                Some(Value::Counter(5)),
                Origin::Remote
            ),
            ("key".to_owned(), int(1), int(2), Origin::Remote),
        ]
    );
    a.delete().unwrap();
    assert_eq!(take(&mut changes).len(), 2);
}

#[test]
fn slow_consumer_gets_one_change_per_key_and_others_their_own() {
    let notes = Fake::new().device().dataset("notes").unwrap();
    let (mut slow, mut quick) = (notes.changes(), notes.changes());
    for round in 1..=500 {
        notes.put("hot", round).unwrap();
        notes.put(format!("key{}", round % 3), round).unwrap();
        notes.put("fleeting", round).unwrap();
        notes.remove("fleeting").unwrap();
        let hot = (round > 1).then(|| int(round - 1)).flatten();
        assert_eq!(
            take(&mut quick)[0],
            ("hot".to_owned(), hot, int(round), Origin::Local)
        );
    }
    let keys = ["hot", "key1", "key2", "key0"].map(str::to_owned);
    let newest = [500, 499, 500, 498].map(int);
    let expected = keys
        .into_iter()
        .zip(newest)
        .map(|(key, new)| (key, None, new, Origin::Local));
    assert_eq!(take(&mut slow), expected.collect::<Vec<_>>());
}

#[test]
fn transaction_is_heard_when_it_is_done_and_a_refused_one_never() {
    let notes = Fake::new().device().dataset("notes").unwrap();
    let mut changes = notes.changes();
    notes
        .transaction::<_, driftless::PutError>(|transaction| {
            transaction.put("a", 1)?;
            transaction.put("a", 2)?;
            transaction.put("b", 3)?;
            assert_eq!(take(&mut changes), []);
            Ok(())
        })
        .unwrap();
    let heard = take(&mut changes);
    assert_eq!(heard.len(), 2);
    assert_eq!(heard[0], ("a".to_owned(), None, int(2), Origin::Local));
    notes
        .transaction::<(), driftless::PutError>(|transaction| {
            transaction.put("a", 9)?;
            transaction.put("", 9)
        })
        .unwrap_err();
    assert_eq!(take(&mut changes), []);
}

#[tokio::test]
async fn changes_wake_their_consumer_and_end_with_the_client() {
    let client = Fake::new().device();
    let notes = client.dataset("notes").unwrap();
    let mut changes = notes.changes();
    let (heard, ()) = tokio::join!(changes.next(), async { notes.put("a", 1).unwrap() });
    assert_eq!(heard.unwrap().new, int(1));
    notes.put("b", 2).unwrap();
    client.close().unwrap();
    assert_eq!(changes.next().await.unwrap().key, "b");
    assert_eq!(changes.next().await, None);
    assert_eq!(changes.next().await, None);
    assert_eq!(notes.changes().next().await, None);
}

#[test]
fn changes_end_when_the_last_handle_is_gone() {
    let notes = Fake::new().device().dataset("notes").unwrap();
    let mut changes = notes.changes();
    let mut next = pin!(changes.next());
    let context = &mut Context::from_waker(Waker::noop());
    assert!(next.as_mut().poll(context).is_pending());
    drop(notes);
    assert_eq!(next.as_mut().poll(context), Poll::Ready(None));
}

/// A consumer that looks into the store finds there what it hears of.
#[test]
fn change_is_durable_when_it_is_heard() {
    let (fake, store) = (Fake::new(), Arc::new(MemoryStore::new()));
    let client = fake.builder(&store).open().unwrap();
    let notes = client.dataset("notes").unwrap();
    let mut changes = notes.changes();
    for round in 0..20 {
        notes.put("key", round).unwrap();
        let heard = changes.try_next().unwrap();
        store.crash();
        let found = fake.builder(&Arc::new(store.reopen())).open().unwrap();
        assert_eq!(found.dataset("notes").unwrap().get("key"), heard.new);
    }
}
