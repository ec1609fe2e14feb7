//! Sessions beside other calls: they share, are dropped, and meet edits, deletions and the end.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use driftless::transport::{Endpoint, EnvironmentCredentials, ExchangeError, HyperTransport};
use driftless::{Client, Dataset, PutError, SyncError};
use driftless_store::MemoryStore;
use driftless_wire::Operation::{self, DeleteDataset, ListRecords, UpdateRecords};
use driftless_wire::{ApiError, ErrorCode};

use crate::fake::{Fake, Fault};
use crate::service::{IDENTITY, POOL};

/// Polls a future once, which begins the call.
async fn begin<F: Future>(future: &mut Pin<&mut F>) {
    let begun = poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending()));
    assert!(begun.await);
}

/// Polls a future so many times, and drops it then unless it is ready before.
async fn poll_times<F: Future>(future: F, times: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

#[tokio::test]
async fn calls_made_during_a_session_share_the_one_that_follows() {
    let fake = Fake::new();
    let notes = fake.device().dataset("notes").unwrap();
    fake.hold(Some(ListRecords));
    let mut first = pin!(notes.synchronize());
    begin(&mut first).await;
    let mut later = [
        pin!(notes.synchronize()),
        pin!(notes.synchronize()),
        pin!(notes.synchronize()),
    ];
    for call in &mut later {
        begin(call).await;
    }
    notes.put("key", 1).unwrap();
    fake.hold(None);
    let first = first.await.unwrap();
    let [b, c, d] = later;
    let (b, c, d) = tokio::join!(b, c, d);
    let shared = b.unwrap();
    assert_eq!((&c.unwrap(), &d.unwrap()), (&shared, &shared));
    assert_eq!(
        fake.requests().len() as u32,
        first.requests + shared.requests
    );
    assert!(!notes.has_unsynced());
}

#[tokio::test]
async fn call_that_waits_runs_a_session_of_its_own_if_the_one_it_waits_for_is_dropped() {
    let fake = Fake::new();
    let notes = fake.device().dataset("notes").unwrap();
    notes.put("key", 1).unwrap();
    fake.hold(Some(ListRecords));
    let mut first = Box::pin(notes.synchronize());
    begin(&mut first.as_mut()).await;
    let mut second = pin!(notes.synchronize());
    begin(&mut second).await;
    drop(first);
    fake.hold(None);
    second.await.unwrap();
    assert!(!notes.has_unsynced());
}

/// What stands before the session that is dropped.
async fn prepare(fake: &Arc<Fake>, case: Case, a: &Dataset, b: &Dataset) {
    a.put("common", 1).unwrap();
    a.synchronize().await.unwrap();
    b.synchronize().await.unwrap();
    b.put("theirs", 2).unwrap();
    b.increment("count", 2).unwrap();
    b.synchronize().await.unwrap();
    a.put("ours", 3).unwrap();
    a.increment("count", 3).unwrap();
    let lost = || ExchangeError::Interrupted("lost".into());
    match case {
        Case::Plain => {}
        Case::Conflict => {
            let conflict = ApiError::new(ErrorCode::ResourceConflict, "");
            fake.fail(UpdateRecords, Fault::Before(conflict.into()));
        }
        Case::AnswerLost => fake.fail(UpdateRecords, Fault::After(lost())),
        Case::Deletion => {
            a.delete().unwrap();
            a.put("ours", 3).unwrap();
            a.increment("count", 3).unwrap();
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Case {
    Plain,
    Conflict,
    AnswerLost,
    Deletion,
}

/// Whenever the future of a session is dropped: nothing is lost, memory and store stay equal, the
/// next session works, and nothing counts twice.
async fn check_dropped(case: Case) {
    for times in 0.. {
        let (fake, store) = (Fake::new(), Arc::new(MemoryStore::new()));
        let (phone, tablet) = (fake.builder(&store).open().unwrap(), fake.device());
        let (a, b) = (
            phone.dataset("notes").unwrap(),
            tablet.dataset("notes").unwrap(),
        );
        prepare(&fake, case, &a, &b).await;
        let ended = poll_times(a.synchronize(), times).await;
        a.put("after", times as i64).unwrap();
        a.synchronize().await.unwrap();
        b.synchronize().await.unwrap();
        assert_eq!(a.state(), b.state(), "{case:?} dropped after {times} polls");
        let total = if case == Case::Deletion { 3 } else { 5 };
        assert_eq!(
            a.counter("count"),
            Some(total),
            "{case:?} dropped after {times} polls"
        );
        assert_eq!(a.contains_key("theirs"), case != Case::Deletion);
        assert!(a.contains_key("ours") && !a.has_unsynced());
        phone.close().unwrap();
        let again = fake.builder(&Arc::new(store.reopen())).open().unwrap();
        assert_eq!(again.dataset("notes").unwrap().state(), b.state());
        if let Some(result) = ended {
            assert!(
                times > 4,
                "a session of several steps was ready after {times} polls"
            );
            result.unwrap();
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_session_loses_nothing() {
    check_dropped(Case::Plain).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn session_dropped_around_a_conflict_loses_nothing() {
    check_dropped(Case::Conflict).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn session_dropped_around_a_lost_answer_counts_nothing_twice() {
    check_dropped(Case::AnswerLost).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn session_dropped_around_a_deletion_deletes_what_was_meant() {
    check_dropped(Case::Deletion).await;
}

/// The blocking threads are busy, so that steps of dropped sessions wait in their queue.
#[test]
fn steps_of_dropped_sessions_that_come_late_do_no_harm() {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    runtime.block_on(async {
        let fake = Fake::new();
        let notes = fake.device().dataset("notes").unwrap();
        notes.put("key", 1).unwrap();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let busy = tokio::task::spawn_blocking(move || wait.recv());
        for _ in 0..3 {
            assert!(poll_times(notes.synchronize(), 1).await.is_none());
        }
        let mut last = pin!(notes.synchronize());
        begin(&mut last).await;
        go.send(()).unwrap();
        busy.await.unwrap().unwrap();
        last.await.unwrap();
        assert_eq!(fake.requests(), [ListRecords, UpdateRecords]);
        notes.put("key", 2).unwrap();
    });
}

#[tokio::test]
async fn trap_37_edits_made_during_a_session_stay_and_go_with_the_next() {
    for held in [ListRecords, UpdateRecords] {
        let fake = Fake::new();
        let notes = fake.device().dataset("notes").unwrap();
        notes.put("before", 1).unwrap();
        fake.hold(Some(held));
        let requests = if held == ListRecords { 1 } else { 2 };
        let (report, ()) = tokio::join!(notes.synchronize(), async {
            fake.arrived(requests).await;
            notes.put("meanwhile", 2).unwrap();
            notes.remove("before").unwrap();
            fake.hold(None);
        });
        report.unwrap();
        assert_eq!(notes.keys(), ["meanwhile"]);
        // Only what was there when the push was planned is in it.
        assert_eq!(notes.has_unsynced(), held == UpdateRecords);
        notes.synchronize().await.unwrap();
        assert!(!notes.has_unsynced());
        let other = fake.device().dataset("notes").unwrap();
        other.synchronize().await.unwrap();
        assert_eq!(other.keys(), ["meanwhile"]);
    }
}

#[tokio::test]
async fn deletion_during_a_session_begins_it_anew() {
    for held in [ListRecords, UpdateRecords] {
        let fake = Fake::new();
        let (a, b) = (
            fake.device().dataset("notes").unwrap(),
            fake.device().dataset("notes").unwrap(),
        );
        a.put("first", 1).unwrap();
        a.synchronize().await.unwrap();
        b.synchronize().await.unwrap();
        a.put("second", 2).unwrap();
        fake.hold(Some(held));
        let requests = if held == ListRecords { 4 } else { 5 };
        let (report, ()) = tokio::join!(a.synchronize(), async {
            fake.arrived(requests).await;
            a.delete().unwrap();
            fake.hold(None);
        });
        assert!(report.unwrap().deleted);
        assert_eq!(fake.requests().last(), Some(&DeleteDataset));
        assert!(a.is_empty() && !a.has_unsynced());
        assert!(b.synchronize().await.unwrap().began_anew);
        assert!(b.is_empty());
        a.put("third", 3).unwrap();
    }
}

#[tokio::test]
async fn closing_ends_a_session_that_waits_for_the_network() {
    let (fake, store) = (Fake::new(), Arc::new(MemoryStore::new()));
    let client = fake.builder(&store).open().unwrap();
    let notes = client.dataset("notes").unwrap();
    notes.put("key", 1).unwrap();
    fake.hold(Some(UpdateRecords));
    let (report, second, ()) = tokio::join!(notes.synchronize(), notes.synchronize(), async {
        fake.arrived(2).await;
        client.close().unwrap();
    });
    assert!(matches!(report, Err(SyncError::Closed)));
    assert!(matches!(second, Err(SyncError::Closed)));
    assert!(matches!(notes.put("key", 2), Err(PutError::Closed)));
    fake.hold(None);
    let again = fake.builder(&Arc::new(store.reopen())).open().unwrap();
    let notes = again.dataset("notes").unwrap();
    assert!(notes.has_unsynced() && notes.contains_key("key"));
    notes.synchronize().await.unwrap();
    assert_eq!(fake.requests().last(), Some(&UpdateRecords));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_beside_edits_and_sessions_keeps_what_was_acknowledged() {
    for round in 0..20 {
        let (fake, store) = (Fake::new(), Arc::new(MemoryStore::new()));
        let client = fake.builder(&store).open().unwrap();
        let notes = client.dataset("notes").unwrap();
        let writer = std::thread::spawn({
            let notes = notes.clone();
            move || {
                for number in 0.. {
                    let value = "x".repeat(2_000);
                    match notes.put_all([
                        ("count".to_owned(), number.into()),
                        ("long".to_owned(), value.into()),
                    ]) {
                        Ok(()) => {}
                        Err(PutError::Closed) => return number - 1,
                        Err(error) => panic!("{error:?}"),
                    }
                }
                unreachable!("the client is closed some time")
            }
        });
        let session = tokio::spawn({
            let notes = notes.clone();
            async move { while notes.synchronize().await.is_ok() {} }
        });
        fake.arrived(2 + round).await;
        client.close().unwrap();
        session.await.unwrap();
        let last: i64 = writer.join().unwrap();
        let again = fake.builder(&Arc::new(store.reopen())).open().unwrap();
        let found = again.dataset("notes").unwrap();
        assert_eq!(found.state(), notes.state());
        assert_eq!(
            found.get("count"),
            (last >= 0).then(|| driftless::Value::Scalar(last.into()))
        );
    }
}

#[test]
fn without_a_runtime_there_is_a_typed_error() {
    let fake = Fake::new();
    let notes = fake.device().dataset("notes").unwrap();
    notes.put("key", 1).unwrap();
    let mut call = pin!(notes.synchronize());
    let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(Err(SyncError::NoRuntime))));
    assert_eq!(fake.requests(), Vec::<Operation>::new());
}

/// Whoever opens a client may have a runtime or not, and may be in one.
#[test]
fn opening_needs_no_runtime() {
    let home = tempfile::tempdir().unwrap();
    let open = || {
        let credentials = EnvironmentCredentials::new(|_| None);
        let endpoint = Endpoint::region("eu-central-1").unwrap();
        let transport = HyperTransport::builder(endpoint, Arc::new(credentials)).build();
        let builder = Client::builder(home.path()).pool(POOL.parse().unwrap());
        let builder = builder.identity(IDENTITY.parse().unwrap());
        let client = builder.transport(Arc::new(transport)).open().unwrap();
        client.dataset("notes").unwrap().put("key", 1).unwrap();
        client
    };
    open().close().unwrap();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    runtime.block_on(async {
        let client = open();
        let error = client
            .dataset("notes")
            .unwrap()
            .synchronize()
            .await
            .unwrap_err();
        assert!(matches!(error, SyncError::Request(_)), "{error:?}");
        client.close().unwrap();
    });
}
