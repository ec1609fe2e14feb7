//! Which datasets there are, what they take, what waits in them, and when they were synchronized.

use std::sync::Arc;

use driftless::transport::ExchangeError;
use driftless::{CatalogError, Client, DatasetError, SyncError, Value, wire};
use driftless_store::{MemoryStore, Store};
use driftless_wire::Operation::{DescribeDataset, ListDatasets, ListRecords};
use driftless_wire::{IdentityId, ListDatasetsResponse, Response, SyncCount};

use crate::fake::{Fake, Fault, StoppedClock};
use crate::service::{IDENTITY, POOL};

fn no_network() -> Fault {
    Fault::Before(ExchangeError::Connect("no network".into()))
}

async fn push(client: &Client, dataset: &str) {
    let dataset = client.dataset(dataset).unwrap();
    dataset.put("key", "value").unwrap();
    dataset.synchronize().await.unwrap();
}

/// Lists the names with whether each is here, and whether it is there.
fn places(catalog: &driftless::Catalog) -> Vec<(&str, bool, bool)> {
    let datasets = catalog.datasets.iter();
    datasets
        .map(|(name, entry)| (name.as_str(), entry.is_here, entry.there.is_some()))
        .collect()
}

#[tokio::test]
async fn datasets_here_and_there_are_one_list_that_is_kept_offline() {
    let fake = Fake::new();
    push(&fake.device(), "there").await;
    let store = Arc::new(MemoryStore::new());
    let client = fake
        .builder(&store)
        .clock(StoppedClock::at(7_000))
        .open()
        .unwrap();
    push(&client, "both").await;
    client.dataset("here").unwrap().put("key", 1).unwrap();
    client.dataset("open").unwrap();
    let before = client.catalog().unwrap();
    let local = [
        ("both", true, false),
        ("here", true, false),
        ("open", true, false),
    ];
    assert_eq!((places(&before), before.refreshed), (local.to_vec(), None));
    fake.requests();
    let catalog = client.refresh().await.unwrap();
    assert_eq!(fake.requests(), [ListDatasets]);
    let all = [
        ("both", true, true),
        ("here", true, false),
        ("open", true, false),
        ("there", false, true),
    ];
    assert_eq!(places(&catalog), all);
    assert_eq!(catalog.refreshed.unwrap().as_millis(), 7_000);
    assert_eq!(catalog.taken(), (2, 20));
    let both = catalog.datasets[&"both".parse().unwrap()]
        .there
        .clone()
        .unwrap();
    assert!(catalog.storage() > u64::try_from(both.data_storage).unwrap());
    fake.fail(ListDatasets, no_network());
    let offline = client.refresh().await;
    assert!(matches!(
        offline,
        Err(CatalogError::Sync(SyncError::Request(_)))
    ));
    drop(client);
    let client = fake.builder(&store).open().unwrap();
    let mut restarted = client.catalog().unwrap();
    restarted.datasets.insert(
        "open".parse().unwrap(),
        catalog.datasets[&"open".parse().unwrap()].clone(),
    );
    assert_eq!(restarted, catalog);
}

#[tokio::test]
async fn list_of_several_pages_is_one_catalog() {
    let fake = Fake::new();
    let names: Vec<String> = (0..20)
        .map(|number| format!("dataset-{number:02}"))
        .collect();
    let client = fake.device();
    for name in &names {
        push(&client, name).await;
    }
    let Ok(Response::ListDatasets(all)) =
        fake.handle(wire::Request::ListDatasets(wire::ListDatasetsRequest {
            identity_pool_id: POOL.parse().unwrap(),
            identity_id: IDENTITY.parse().unwrap(),
            next_token: None,
            max_results: Some(7),
        }))
    else {
        panic!("a list is answered by a list")
    };
    assert_eq!(all.datasets.len(), 7);
    fake.requests();
    // The first page is a short one, the others come as asked for.
    fake.fail(ListDatasets, Fault::Instead(Response::ListDatasets(all)));
    let catalog = client.refresh().await.unwrap();
    assert_eq!(fake.requests(), [ListDatasets, ListDatasets]);
    assert_eq!(catalog.taken(), (20, 20));
    assert!(catalog.datasets.keys().map(|name| name.as_str()).eq(&names));
}

#[tokio::test]
async fn catalog_belongs_to_one_identity_and_damage_of_it_is_none() {
    let fake = Fake::new();
    let store = Arc::new(MemoryStore::new());
    let client = fake.builder(&store).open().unwrap();
    push(&client, "notes").await;
    client.refresh().await.unwrap();
    drop(client);
    let other: IdentityId = IDENTITY.replace("-0000-", "-0001-").parse().unwrap();
    let client = fake.builder(&store).identity(other).open().unwrap();
    assert_eq!(places(&client.catalog().unwrap()), []);
    drop(client);
    let setting = format!("catalog/{IDENTITY}");
    for broken in [&b"{"[..], br#"{"version":2,"datasets":"tomorrow's"}"#] {
        let durability = driftless::Durability::Disk;
        store
            .set_setting(&setting, Some(broken), durability)
            .unwrap();
        let client = fake.builder(&store).open().unwrap();
        assert_eq!(client.catalog().unwrap().refreshed, None);
    }
    let client = Client::with_store(Arc::new(MemoryStore::new()) as Arc<dyn Store>);
    let client = client.pool(POOL.parse().unwrap()).transport(fake);
    let client = client.open().unwrap();
    assert_eq!(places(&client.catalog().unwrap()), []);
    let refused = client.refresh().await;
    assert!(matches!(
        refused,
        Err(CatalogError::Sync(SyncError::NoIdentity))
    ));
}

#[tokio::test]
async fn described_is_what_the_service_has() {
    let fake = Fake::new();
    let client = fake.device();
    let notes = client.dataset("notes").unwrap();
    assert_eq!(notes.describe().await.unwrap(), None);
    push(&client, "notes").await;
    fake.requests();
    let described = notes.describe().await.unwrap().unwrap();
    assert_eq!(fake.requests(), [DescribeDataset]);
    let listed = client.remote_datasets().await.unwrap();
    assert_eq!(listed, [described]);
    let other = Response::ListDatasets(ListDatasetsResponse {
        datasets: Vec::new(),
        count: 0,
        next_token: None,
    });
    fake.fail(DescribeDataset, Fault::Instead(other));
    assert!(matches!(
        notes.describe().await,
        Err(SyncError::WrongAnswer)
    ));
}

#[tokio::test]
async fn changed_keys_are_those_that_the_service_does_not_have() {
    let fake = Fake::new();
    let store = Arc::new(MemoryStore::new());
    let client = fake.builder(&store).open().unwrap();
    let notes = client.dataset("notes").unwrap();
    for key in ["put", "removed", "left"] {
        notes.put(key, 1).unwrap();
    }
    notes.increment("counter", 1).unwrap();
    notes.splice_text("text", 0, 0, "abc").unwrap();
    notes.put("map", Value::map([("inside", 1)])).unwrap();
    assert_eq!(notes.unsynced_keys().len(), 6);
    notes.synchronize().await.unwrap();
    assert!(notes.unsynced_keys().is_empty() && !notes.is_changed("put"));
    notes.put("put", 2).unwrap();
    assert!(notes.remove("removed").unwrap());
    notes.increment("counter", 1).unwrap();
    notes.splice_text("text", 1, 1, "").unwrap();
    notes.put(driftless::path!["map", "inside"], 2).unwrap();
    let expected = ["counter", "map", "put", "removed", "text"];
    assert!(notes.unsynced_keys().iter().eq(&expected));
    drop((client, notes));
    let client = fake.builder(&store).open().unwrap();
    let notes = client.dataset("notes").unwrap();
    assert!(expected.iter().all(|key| notes.is_changed(key)));
    assert!(!notes.is_changed("left") && !notes.is_changed("nothing"));
    notes.synchronize().await.unwrap();
    assert!(notes.unsynced_keys().is_empty());
}

#[tokio::test]
async fn key_takes_what_its_removal_gives_back() {
    let fake = Fake::new();
    let client = fake.device();
    let notes = client.dataset("notes").unwrap();
    let long = "The quick brown fox jumps over the lazy dog; 0123456789 times it did so.";
    notes.put("small", 1).unwrap();
    notes.put("long", long).unwrap();
    notes.splice_text("text", 0, 0, long).unwrap();
    notes.increment("counter", 3).unwrap();
    notes.put("map", Value::map([("inside", long)])).unwrap();
    assert_eq!(notes.size_of("nothing"), None);
    let [small, large] = ["small", "long"].map(|key| notes.size_of(key).unwrap());
    assert!(small.live < large.live && large.dead == 0);
    for key in ["map", "text", "long", "counter"] {
        let (of_key, before) = (notes.size_of(key).unwrap(), notes.size());
        notes.remove(key).unwrap();
        let given_back = before.live - notes.size().live;
        // The clock of the removal takes a byte or two.
        assert!(
            of_key.live.abs_diff(given_back) <= 16,
            "{key}: {of_key:?}, {given_back}"
        );
    }
}

#[tokio::test]
async fn key_of_a_text_tells_what_its_past_takes() {
    let notes = Fake::new().device().dataset("notes").unwrap();
    for round in 0..50 {
        notes.splice_text("text", round, 0, "ab").unwrap();
        notes.splice_text("text", round, 1, "").unwrap();
    }
    notes.put("scalar", 1).unwrap();
    let text = notes.size_of("text").unwrap();
    assert!(text.dead > 0 && text.dead < text.live, "{text:?}");
    assert_eq!(notes.size_of("scalar").unwrap().dead, 0);
    assert_eq!(notes.size().dead, text.dead);
}

#[tokio::test]
async fn plain_record_counts_as_part_of_its_key() {
    let notes = Fake::new().device().dataset("notes").unwrap();
    notes.put("key", "value").unwrap();
    let before = notes.size_of("key").unwrap();
    notes.keep_plain_records().unwrap();
    let after = notes.size_of("key").unwrap();
    assert_eq!(after.live - before.live, "key".len() + "value".len());
}

#[tokio::test]
async fn sizes_of_all_datasets_are_known_without_opening_them() {
    let fake = Fake::new();
    let store = Arc::new(MemoryStore::new());
    let client = fake.builder(&store).open().unwrap();
    for name in ["a", "b"] {
        client.dataset(name).unwrap().put("key", name).unwrap();
    }
    let expected = client.dataset("a").unwrap().size();
    drop(client);
    let client = fake.builder(&store).open().unwrap();
    let b = client.dataset("b").unwrap();
    b.put("more", "to measure").unwrap();
    let sizes = client.sizes().unwrap();
    let names: Vec<&str> = sizes.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    let live = |name: &str| sizes[&name.parse().unwrap()].as_ref().unwrap().live;
    assert_eq!((live("a"), live("b")), (expected.live, b.size().live));
    client.close().unwrap();
    assert!(matches!(client.sizes(), Err(DatasetError::Closed)));
}

#[tokio::test]
async fn last_sync_is_the_last_session_that_went_well_and_survives_a_restart() {
    let fake = Fake::new();
    let store = Arc::new(MemoryStore::new());
    let open = |at| {
        let builder = fake.builder(&store).clock(StoppedClock::at(at));
        let client = builder.open().unwrap();
        client.dataset("notes").unwrap()
    };
    let notes = open(1_000);
    assert_eq!(notes.last_sync(), None);
    notes.put("key", 1).unwrap();
    fake.fail(ListRecords, no_network());
    notes.synchronize().await.unwrap_err();
    assert_eq!(notes.last_sync(), None);
    notes.synchronize().await.unwrap();
    drop(notes);
    let notes = open(2_000);
    let first = notes.last_sync().unwrap();
    assert_eq!(
        (first.at.as_millis(), first.count),
        (1_000, SyncCount::from(1))
    );
    // A session that finds nothing is one too.
    notes.synchronize().await.unwrap();
    drop(notes);
    let notes = open(3_000);
    let second = notes.last_sync().unwrap();
    assert_eq!(
        (second.at.as_millis(), second.count),
        (2_000, SyncCount::from(1))
    );
    notes.delete().unwrap();
    assert_eq!(notes.last_sync(), None);
    notes.synchronize().await.unwrap();
    let third = notes.last_sync().unwrap();
    assert_eq!(
        (third.at.as_millis(), third.count),
        (3_000, SyncCount::ZERO)
    );
}

#[tokio::test]
async fn session_of_a_dataset_that_never_was_keeps_nothing() {
    let fake = Fake::new();
    let client = fake.device();
    let notes = client.dataset("notes").unwrap();
    notes.synchronize().await.unwrap();
    assert!(notes.last_sync().is_some());
    assert_eq!(client.datasets().unwrap(), []);
}
