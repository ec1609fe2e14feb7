//! Lists, nested maps and sets of two devices.

use driftless::{Client, Dataset, Origin, PutError, Value, path};

use crate::fake::Fake;

/// Two devices with one dataset; the clients are kept, for they close when they are dropped.
pub(crate) struct Two {
    pub(crate) a: Dataset,
    pub(crate) b: Dataset,
    _clients: [Client; 2],
}

impl Two {
    pub(crate) fn new() -> Self {
        let fake = Fake::new();
        Self::of([fake.device(), fake.device()])
    }

    pub(crate) fn of(clients: [Client; 2]) -> Self {
        let [a, b] = &clients;
        Self {
            a: a.dataset("notes").unwrap(),
            b: b.dataset("notes").unwrap(),
            _clients: clients,
        }
    }

    /// Lets both see what the other one did.
    pub(crate) async fn meet(&self) {
        for dataset in [&self.a, &self.b, &self.a] {
            dataset.synchronize().await.unwrap();
        }
        assert_eq!(self.a.state(), self.b.state());
    }
}

#[tokio::test]
async fn values_that_both_devices_made_offline_are_one() {
    let two = Two::new();
    two.a.push("todo", "milk").unwrap();
    two.b.push("todo", "bread").unwrap();
    two.a.put(path!["trip", "hotel"], "Miramar").unwrap();
    two.b.put(path!["trip", "nights"], 2).unwrap();
    assert!(two.a.add("tags", "food").unwrap());
    assert!(two.b.add("tags", "travel").unwrap());
    two.meet().await;
    let todo = two.a.get("todo").unwrap();
    assert!(
        [["milk", "bread"], ["bread", "milk"]]
            .map(Value::list)
            .contains(&todo)
    );
    let trip = [("hotel", Value::from("Miramar")), ("nights", 2.into())];
    assert_eq!(two.b.get("trip"), Some(Value::map(trip)));
    assert_eq!(two.b.get("tags"), Some(Value::set(["food", "travel"])));
    assert!(two.a.contains("tags", "travel") && !two.a.add("tags", "food").unwrap());
    assert!(two.b.discard("tags", "food").unwrap() && !two.b.contains("tags", "food"));
}

#[tokio::test]
async fn edits_inside_of_an_element_merge_and_are_told_at_its_root_key() {
    let two = Two::new();
    let item = Value::map([("title", Value::text("milk")), ("done", false.into())]);
    two.a.push("todo", item).unwrap();
    two.meet().await;
    let mut changes = two.b.changes();
    two.a.put(path!["todo", 0, "done"], true).unwrap();
    two.a.increment(path!["todo", 0, "count"], 2).unwrap();
    two.b
        .splice_text(path!["todo", 0, "title"], 4, 0, "!")
        .unwrap();
    let change = changes.try_next().unwrap();
    assert_eq!(
        (change.key.as_str(), change.origin),
        ("todo", Origin::Local)
    );
    two.meet().await;
    let change = changes.try_next().unwrap();
    assert_eq!(
        (change.key.as_str(), change.origin),
        ("todo", Origin::Remote)
    );
    let expected = Value::map([
        ("title", Value::text("milk!")),
        ("done", true.into()),
        ("count", Value::Counter(2)),
    ]);
    assert_eq!(two.a.get(path!["todo", 0]), Some(expected));
    assert_eq!(change.new, two.a.get("todo"));
    assert!(two.a.remove(path!["todo", 0]).unwrap());
    two.meet().await;
    assert_eq!(two.b.get("todo"), Some(Value::list::<Value>([])));
}

#[tokio::test]
async fn conflict_tells_who_wrote_each_value_and_when() {
    let two = Two::new();
    two.a.put("theme", "dark").unwrap();
    two.b.put("theme", "light").unwrap();
    two.meet().await;
    let conflicts = two.a.conflicts("theme");
    let told = |of: &Dataset| {
        let mut all = conflicts.iter();
        all.find(|found| found.author() == of.author()).unwrap()
    };
    assert_eq!(told(&two.a).value, "dark".into());
    assert_eq!(told(&two.b).value, "light".into());
    assert!(conflicts.iter().all(|found| found.time.is_some()));
}

#[test]
fn transaction_sees_what_it_made_and_is_taken_back_as_a_whole() {
    let client = Fake::new().device();
    let notes = client.dataset("notes").unwrap();
    notes.push("todo", 1).unwrap();
    let before = notes.state();
    let failed: Result<(), PutError> = notes.transaction(|edit| {
        edit.insert_all("todo", Some(0), [0.into()])?;
        edit.add("tags", "a")?;
        edit.put(path!["trip", "days"], Value::list([1, 2]))?;
        assert_eq!(edit.get(path!["trip", "days", 1]), Some(2.into()));
        edit.push("tags", "a list is no set")
    });
    assert!(matches!(failed, Err(PutError::Refused(_))));
    assert_eq!(notes.state(), before);
}

#[test]
fn value_that_does_not_fit_is_refused_and_a_small_change_of_a_large_one_is_not() {
    let fake = Fake::new();
    let client = fake.device();
    let notes = client.dataset("notes").unwrap();
    // Half of a dataset, of nothing that deflates.
    let texts = |seed: u32| {
        (0..6_000).map(move |n| blake3::hash(&[seed, n].map(u32::to_be_bytes).concat()).to_string())
    };
    notes.put("large", Value::list(texts(0))).unwrap();
    let before = notes.state();
    let more = notes.put("more", Value::map(texts(1).zip(texts(2))));
    assert!(matches!(more, Err(PutError::Refused(_))));
    assert_eq!(notes.state(), before);
    let mut values: Vec<String> = texts(0).collect();
    values[1_000] = "changed".to_owned();
    notes.put("large", Value::list(values.clone())).unwrap();
    assert_eq!(notes.get("large"), Some(Value::list(values)));
}
