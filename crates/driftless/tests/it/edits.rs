//! Edits that are refused, fail or panic: nothing of them stays, here or in the store.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use driftless::{
    Client, Dataset, DatasetError, EditError, Limits, Outcome, PutError, RefusedEdit, Scalar, Value,
};
use driftless_store::MemoryStore;

use crate::failures::check_text;
use crate::fake::Fake;

fn assert_handle<T: Clone + Send + Sync + 'static>() {}

#[test]
fn handles_can_be_shared_between_threads() {
    fn assert_send<T: Send>(_: T) {}
    assert_handle::<Client>();
    assert_handle::<Dataset>();
    let client = Fake::new().device();
    let notes = client.dataset("notes").unwrap();
    assert_send(notes.synchronize());
    assert_send(client.remote_datasets());
    assert_send(notes.changes().next());
}

/// Runs edits on a dataset with one value, and checks that it is unchanged in memory and store.
fn check(edits: impl FnOnce(&Dataset)) {
    let (fake, store) = (Fake::new(), Arc::new(MemoryStore::new()));
    let client = fake.builder(&store).open().unwrap();
    let notes = client.dataset("notes").unwrap();
    notes.put("stays", 1).unwrap();
    let before = notes.state();
    edits(&notes);
    assert_eq!(notes.state(), before);
    let again = fake.builder(&Arc::new(store.reopen())).open().unwrap();
    assert_eq!(again.dataset("notes").unwrap().state(), before);
    notes.put("later", 2).unwrap();
    let again = fake.builder(&Arc::new(store.reopen())).open().unwrap();
    assert_eq!(again.dataset("notes").unwrap().entries(), notes.entries());
}

fn refused(result: Result<impl std::fmt::Debug, PutError>) -> RefusedEdit {
    match result {
        Err(PutError::Refused(refused)) => refused,
        other => panic!("{other:?}"),
    }
}

#[test]
fn bad_key_is_refused() {
    check(|notes| {
        for key in [String::new(), "k".repeat(129), "é".repeat(65)] {
            let len = key.len();
            let wrong = RefusedEdit::Edit(EditError::Key(len));
            assert_eq!(refused(notes.put(&key, 1)), wrong);
            assert_eq!(refused(notes.remove(&key)), wrong);
            assert_eq!(refused(notes.increment(&key, 1)), wrong);
            assert_eq!(refused(notes.splice_text(&key, 0, 0, "x")), wrong);
            assert_eq!(
                refused(notes.put_all([("a".into(), 1.into()), (key, 1.into())])),
                wrong
            );
        }
        for key in ["_driftless.", "_driftless.head", "_driftless.log.0"] {
            assert_eq!(refused(notes.put(key, 1)), RefusedEdit::ReservedKey);
            assert_eq!(refused(notes.remove(key)), RefusedEdit::ReservedKey);
            let happened = "keys that begin with _driftless. are reserved";
            let told = [happened, "nothing changed", "choose another key"];
            check_text(&notes.put(key, 1).unwrap_err(), told);
        }
    });
    let notes = Fake::new().device().dataset("notes").unwrap();
    notes.put("k".repeat(128), 1).unwrap();
    notes.put("_driftless", 1).unwrap();
}

#[test]
fn bad_edit_is_refused() {
    check(|notes| {
        let error = refused(notes.splice_text("text", 0, 1, ""));
        assert!(matches!(
            error,
            RefusedEdit::Edit(EditError::OutOfRange { len: 0, .. })
        ));
        let error = refused(notes.put("key", Scalar::Counter(1)));
        assert_eq!(error, RefusedEdit::Edit(EditError::NotPlain));
    });
    let notes = Fake::new().device().dataset("notes").unwrap();
    notes.increment("count", i64::MAX).unwrap();
    let error = refused(notes.increment("count", 1));
    assert!(matches!(
        error,
        RefusedEdit::Edit(EditError::Overflow {
            total: i64::MAX,
            by: 1
        })
    ));
    let error = refused(notes.splice_text("count", 0, 0, "x"));
    assert!(matches!(
        error,
        RefusedEdit::Edit(EditError::OtherKind { .. })
    ));
    assert_eq!(notes.counter("count"), Some(i64::MAX));
}

#[test]
fn bad_dataset_name_is_refused() {
    let client = Fake::new().device();
    for name in ["", "a b", "näme", "a/b", &"n".repeat(129)] {
        assert!(
            matches!(client.dataset(name), Err(DatasetError::Name(_))),
            "{name}"
        );
        assert!(
            matches!(client.set_aside(name), Err(DatasetError::Name(_))),
            "{name}"
        );
    }
    assert_eq!(client.datasets().unwrap(), []);
    client.dataset(&"n".repeat(128)).unwrap();
}

#[test]
fn trap_40_value_over_the_limit_is_refused_with_the_sizes() {
    check(|notes| {
        let error = notes.put("big", "x".repeat(1_000_000)).unwrap_err();
        let told = [
            "of 850000 characters",
            "nothing changed",
            "remove something first",
        ];
        check_text(&error, told);
        let RefusedEdit::Full { wanted, size } = refused(Err::<(), _>(error)) else {
            panic!("not full")
        };
        assert!(wanted > 1_000_000 && size.live < 1_000 && size.refused_above == 850_000);
    });
}

/// 500 bytes that do not deflate, so that their size is known.
fn value(number: u32) -> Vec<u8> {
    let mut bytes = vec![0; 500];
    blake3::Hasher::new()
        .update(&number.to_le_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

#[tokio::test]
async fn full_dataset_refuses_growth_takes_removals_and_goes_on() {
    let fake = Fake::new();
    let limits = Limits::default().with_dataset_bytes(20_000);
    let builder = fake.builder(&Arc::new(MemoryStore::new())).limits(limits);
    let notes = builder.open().unwrap().dataset("notes").unwrap();
    let mut puts = 0;
    let size = loop {
        match notes.put(format!("key{puts}"), value(puts)) {
            Ok(()) => puts += 1,
            Err(PutError::Refused(RefusedEdit::Full { wanted, size })) => {
                assert!(wanted > 500);
                break size;
            }
            Err(error) => panic!("{error:?}"),
        }
    };
    assert!(puts > 15, "{puts}");
    assert_eq!(size, notes.size());
    assert!(size.live + 800 > size.refused_above && size.refused_above == 17_000);
    assert_eq!(notes.len() as u32, puts);
    assert_eq!(notes.synchronize().await.unwrap().outcome, Outcome::Synced);
    assert!(matches!(notes.increment("one more", 1), Ok(())) || notes.size().live > 16_900);

    assert!(notes.remove("key0").unwrap());
    assert!(notes.remove("key1").unwrap());
    notes.put("small", value(99)).unwrap();
    assert_eq!(notes.synchronize().await.unwrap().outcome, Outcome::Synced);
    let other = fake.device().dataset("notes").unwrap();
    other.synchronize().await.unwrap();
    assert_eq!(other.state(), notes.state());
}

/// Two devices fill the dataset apart: what is joined does not fit, and nothing of it is lost.
#[tokio::test]
async fn joined_data_that_do_not_fit_stay_readable_until_something_goes() {
    let fake = Fake::new();
    let limits = Limits::default().with_dataset_bytes(20_000);
    let device = || {
        fake.builder(&Arc::new(MemoryStore::new()))
            .limits(limits)
            .open()
            .unwrap()
    };
    let (a, b) = (
        device().dataset("notes").unwrap(),
        device().dataset("notes").unwrap(),
    );
    for n in 0..20 {
        a.put(format!("a{n}"), value(n)).unwrap();
        b.put(format!("b{n}"), value(100 + n)).unwrap();
    }
    a.synchronize().await.unwrap();
    let report = b.synchronize().await.unwrap();
    let Outcome::Full(size) = report.outcome else {
        panic!("{report:?}")
    };
    assert!(size.live > size.refused_above);
    assert_eq!((report.wrote, b.len(), b.has_unsynced()), (None, 40, true));
    assert!(matches!(
        refused(b.put("more", value(1))),
        RefusedEdit::Full { .. }
    ));
    for n in 0..20 {
        assert!(b.remove(format!("a{n}")).unwrap());
    }
    assert_eq!(b.synchronize().await.unwrap().outcome, Outcome::Synced);
    a.synchronize().await.unwrap();
    assert_eq!(a.state(), b.state());
    assert_eq!(a.len(), 20);
}

#[test]
fn failing_transaction_leaves_nothing() {
    check(|notes| {
        let result = notes.transaction::<(), PutError>(|transaction| {
            transaction.put("stays", 2)?;
            transaction.increment("count", 1)?;
            transaction.splice_text("text", 0, 0, "x")?;
            transaction.remove("stays")?;
            assert_eq!(transaction.get("stays"), None);
            transaction.put("", 1)
        });
        assert!(matches!(
            refused(result),
            RefusedEdit::Edit(EditError::Key(0))
        ));
    });
}

#[test]
fn panicking_transaction_leaves_nothing_and_the_dataset_usable() {
    check(|notes| {
        let run = AssertUnwindSafe(|| {
            notes.transaction::<(), PutError>(|transaction| {
                transaction.put("stays", 2)?;
                panic!("in the middle")
            })
        });
        assert!(catch_unwind(run).is_err());
    });
}

#[test]
fn transaction_is_durable_as_one() {
    let (fake, store) = (Fake::new(), Arc::new(MemoryStore::new()));
    let notes = fake
        .builder(&store)
        .open()
        .unwrap()
        .dataset("notes")
        .unwrap();
    let answer = notes.transaction::<_, PutError>(|transaction| {
        transaction.put("a", 1)?;
        transaction.increment("count", 2)?;
        transaction.increment("count", 3)?;
        transaction.splice_text("text", 0, 0, "hello")?;
        Ok(transaction.get("count"))
    });
    assert_eq!(answer.unwrap(), Some(Value::Counter(5)));
    store.crash();
    let again = fake.builder(&Arc::new(store.reopen())).open().unwrap();
    let again = again.dataset("notes").unwrap();
    assert_eq!(again.state(), notes.state());
    assert_eq!(
        (again.counter("count"), again.text("text")),
        (Some(5), Some("hello".to_owned()))
    );
}
