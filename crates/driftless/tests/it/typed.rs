//! serde types into a dataset and out of it.

use std::collections::{BTreeMap, BTreeSet};

use driftless::{PutAsError, Scalar, Value, path};
use serde::{Deserialize, Serialize};

use crate::fake::Fake;
use crate::values::Two;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Trip {
    hotel: String,
    nights: u8,
    price: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    kind: Kind,
    stops: Vec<Stop>,
    tags: BTreeSet<String>,
    by_name: BTreeMap<String, (i64, char)>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
enum Kind {
    #[default]
    Work,
    Leisure(u32),
    Other {
        why: String,
    },
    Both(bool, ()),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Stop(String);

fn trip() -> Trip {
    Trip {
        hotel: "Miramar".to_owned(),
        nights: 3,
        price: Some(-0.5),
        note: Some("late".to_owned()),
        kind: Kind::Other {
            why: "friends".to_owned(),
        },
        stops: vec![Stop("Rome".to_owned()), Stop("Bari".to_owned())],
        tags: ["a".to_owned(), "b".to_owned()].into(),
        by_name: [("x".to_owned(), (i64::MIN, 'é'))].into(),
    }
}

#[test]
fn what_was_put_is_read() {
    let client = Fake::new().device();
    let notes = client.dataset("notes").unwrap();
    assert_eq!(notes.get_as::<Trip>("trip"), Ok(None));
    let kinds = [Kind::Work, Kind::Leisure(4), Kind::Both(true, ())];
    let trips = kinds.map(|kind| Trip { kind, ..trip() });
    for trip in trips.into_iter().chain([trip(), Trip::default()]) {
        notes.put_as("trip", &trip).unwrap();
        assert_eq!(notes.get_as("trip"), Ok(Some(trip.clone())));
        notes.put_as(path!["all", "trips"], &[&trip]).unwrap();
        assert_eq!(notes.get_as(path!["all", "trips", 0]), Ok(Some(trip)));
    }
    assert_eq!(notes.get_as(path!["trip", "nights"]), Ok(Some(0_u64)));
}

#[tokio::test]
async fn structs_merge_field_by_field() {
    let two = Two::new();
    two.a.put_as("trip", &trip()).unwrap();
    two.meet().await;
    let edit = |of: &driftless::Dataset, change: fn(&mut Trip)| {
        let mut trip: Trip = of.get_as("trip").unwrap().unwrap();
        change(&mut trip);
        of.put_as("trip", &trip).unwrap();
    };
    edit(&two.a, |trip| trip.nights = 9);
    edit(&two.a, |trip| trip.note = None);
    edit(&two.b, |trip| trip.stops.push(Stop("Oslo".to_owned())));
    edit(&two.b, |trip| trip.by_name.clear());
    two.meet().await;
    let mut expected = trip();
    (expected.nights, expected.note) = (9, None);
    expected.stops.push(Stop("Oslo".to_owned()));
    expected.by_name.clear();
    assert_eq!(two.a.get_as("trip"), Ok(Some(expected)));
}

#[test]
fn value_takes_the_form_of_what_stands_there() {
    #[derive(Serialize)]
    struct Page {
        title: &'static str,
        visits: i32,
        read: i64,
        tags: [&'static str; 2],
    }
    let client = Fake::new().device();
    let notes = client.dataset("notes").unwrap();
    notes
        .splice_text(path!["page", "title"], 0, 0, "Home")
        .unwrap();
    notes.increment(path!["page", "visits"], 1).unwrap();
    notes
        .put(path!["page", "read"], Scalar::Timestamp(1))
        .unwrap();
    notes
        .put(path!["page", "tags"], Value::set(["old"]))
        .unwrap();
    notes.put(path!["page", "of a later version"], 1).unwrap();
    let page = Page {
        title: "Homes",
        visits: 5,
        read: 7,
        tags: ["b", "a"],
    };
    notes.put_as("page", &page).unwrap();
    let expected = Value::map([
        ("title", Value::text("Homes")),
        ("visits", Value::Counter(5)),
        ("read", Scalar::Timestamp(7).into()),
        ("tags", Value::set(["a", "b"])),
        ("of a later version", 1.into()),
    ]);
    assert_eq!(notes.get("page"), Some(expected));
}

#[test]
fn what_is_no_value_and_what_is_no_such_type_is_refused() {
    let client = Fake::new().device();
    let notes = client.dataset("notes").unwrap();
    notes.put("text", "abc").unwrap();
    let wrong = notes.get_as::<u8>("text").unwrap_err();
    assert!(wrong.to_string().contains("invalid type"), "{wrong}");
    assert!(notes.get_as::<Kind>("text").is_err());
    let key = BTreeMap::from([(1, 1)]);
    let refused = notes.put_as("map", &key);
    assert!(matches!(refused, Err(PutAsError::Value(_))));
    assert!(matches!(
        notes.put_as("n", &u64::MAX),
        Err(PutAsError::Value(_))
    ));
    assert!(matches!(notes.put_as("", &1), Err(PutAsError::Put(_))));
    assert_eq!(notes.keys(), ["text"]);
}
