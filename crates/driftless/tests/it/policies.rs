//! Policies: what is read at keys that several devices wrote.

use driftless::{Policy, Value};

use crate::fake::Fake;
use crate::values::Two;

fn two() -> Two {
    let fake = Fake::new();
    let device = || {
        let builder = fake.builder(&std::sync::Arc::default());
        builder
            .policy("score.", Policy::Max)
            .policy("score.time.", Policy::Min)
            .policy("seen", Policy::Union)
            .open()
            .unwrap()
    };
    Two::of([device(), device()])
}

#[tokio::test]
async fn best_value_is_read_wherever_it_was_written() {
    let two = two();
    // What this device puts later is the latest, and worse.
    two.b.put("other", 1).unwrap();
    for (dataset, score, time) in [(&two.a, 30, 1.5), (&two.b, 20, 2.5)] {
        dataset.put("score.level1", score).unwrap();
        dataset.put("score.time.level1", time).unwrap();
    }
    let mut changes = two.b.changes();
    two.meet().await;
    let told = std::iter::from_fn(|| changes.try_next()).map(|change| (change.key, change.new));
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            ("score.level1".to_owned(), Some(30.into())),
            ("score.time.level1".to_owned(), Some(1.5.into())),
        ]
    );
    for dataset in [&two.a, &two.b] {
        assert_eq!(dataset.get("score.level1"), Some(30.into()));
        assert_eq!(dataset.get("score.time.level1"), Some(1.5.into()));
        assert_eq!(dataset.conflicts("score.level1").len(), 2);
    }
    // A lower score resolves the conflict in favour of the higher one.
    two.b.put("score.level1", 25).unwrap();
    two.b
        .put_all([("score.time.level1".to_owned(), 9.0.into())])
        .unwrap();
    two.meet().await;
    assert_eq!(two.a.get("score.level1"), Some(30.into()));
    assert_eq!(two.a.get("score.time.level1"), Some(1.5.into()));
    assert_eq!(two.a.conflicts("score.level1").len(), 1);
    assert_eq!(two.a.entries().len(), 3);
}

#[tokio::test]
async fn policy_decides_nothing_that_is_stored() {
    let fake = Fake::new();
    let builder = fake.builder(&std::sync::Arc::default());
    let with = builder.policy("", Policy::Max).open().unwrap();
    let two = Two::of([with, fake.device()]);
    two.a.put("n", 9).unwrap();
    two.b.put("n", 2).unwrap();
    two.b.put("n", 1).unwrap();
    two.meet().await;
    assert_eq!(two.a.get("n"), Some(9.into()));
    assert_eq!(two.b.get("n"), Some(1.into()));
}

#[tokio::test]
async fn lists_and_sets_are_united_and_puts_take_nothing_away() {
    let two = two();
    two.a.put("seen.pages", Value::set([1, 2])).unwrap();
    two.b.put("seen.pages", Value::set([3])).unwrap();
    two.meet().await;
    two.a.put("seen.pages", Value::set([4])).unwrap();
    assert_eq!(two.a.get("seen.pages"), Some(Value::set([1, 2, 3, 4])));
    two.a.put("seen.list", Value::list(["a", "b"])).unwrap();
    two.a.put("seen.list", Value::list(["b", "c"])).unwrap();
    assert_eq!(two.a.get("seen.list"), Some(Value::list(["a", "b", "c"])));
    two.b.put("seen.list", Value::set(["d"])).unwrap();
    two.meet().await;
    let members: Vec<Value> = match two.b.get("seen.list") {
        Some(Value::List(values)) => values,
        Some(Value::Set(members)) => members.into_iter().map(Value::Scalar).collect(),
        other => panic!("{other:?}"),
    };
    assert!(
        ["a", "b", "c", "d"]
            .iter()
            .all(|member| members.contains(&(*member).into()))
    );
}

#[tokio::test]
async fn value_of_two_lists_that_were_put_apart_is_read_once() {
    let two = two();
    two.a.put("seen.list", Value::list(["a", "b"])).unwrap();
    two.b.put("seen.list", Value::list(["b", "c"])).unwrap();
    two.meet().await;
    let read = two.a.get("seen.list");
    let Some(Value::List(values)) = &read else {
        panic!("{read:?}")
    };
    let mut sorted: Vec<String> = values.iter().map(|value| format!("{value:?}")).collect();
    sorted.sort();
    let expected = ["a", "b", "c"].map(|value| format!("{:?}", Value::from(value)));
    assert_eq!(sorted, expected);
    assert_eq!(two.b.get("seen.list"), read);
    two.b.put("seen.list", Value::list(["d"])).unwrap();
    two.meet().await;
    let Some(Value::List(values)) = two.a.get("seen.list") else {
        panic!()
    };
    assert_eq!(values.len(), 4);
}
