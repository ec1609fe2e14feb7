//! `doctor` tells what is damaged, leaves it alone, and repairs it if asked to.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use driftless::store::{DiskStore, Store};
use driftless::transport::{Credentials, Endpoint, HyperTransport, StaticCredentials, Transport};
use driftless_merge::{Commit, DatasetKey, Durability, Owner};
use driftless_wire::{
    ListRecordsRequest, ListRecordsResponse, Op, RecordPatch, Request, Response, SyncCount,
    UpdateRecordsRequest,
};
use serde_json::{Value, json};

use crate::harness::{Device, IDENTITY, POOL, SECRET, Service, failure_of, object_of};

/// A foreign hand at the service.
struct Hand(Arc<dyn Transport>);

impl Hand {
    fn new(service: &Service) -> Self {
        let credentials = StaticCredentials::new(Credentials {
            access_key_id: "test".to_owned(),
            secret_access_key: SECRET.to_owned(),
            session_token: None,
            expires_at: None,
        });
        let endpoint = Endpoint::url(&service.endpoint, "us-east-1").unwrap();
        Self(Arc::new(
            HyperTransport::builder(endpoint, Arc::new(credentials)).build(),
        ))
    }

    async fn list(&self) -> ListRecordsResponse {
        let request = Request::ListRecords(ListRecordsRequest {
            identity_pool_id: POOL.parse().unwrap(),
            identity_id: IDENTITY.parse().unwrap(),
            dataset_name: "notes".parse().unwrap(),
            last_sync_count: None,
            next_token: None,
            max_results: None,
            sync_session_token: None,
        });
        match self.0.exchange(request).await.unwrap().response {
            Response::ListRecords(page) => page,
            other => panic!("{other:?}"),
        }
    }

    /// Writes values over records, or removes them.
    fn write(&self, changes: &[(&str, Option<&str>)]) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let page = self.list().await;
            let patch = |(key, value): &(&str, Option<&str>)| {
                let mut records = page.records.iter();
                let stands = records.find(|record| record.key.as_str() == *key);
                RecordPatch {
                    op: if value.is_some() {
                        Op::Replace
                    } else {
                        Op::Remove
                    },
                    key: (*key).parse().unwrap(),
                    value: value.map(str::to_owned),
                    sync_count: stands.map_or(SyncCount::ZERO, |record| record.sync_count),
                    device_last_modified_date: None,
                }
            };
            let request = Request::UpdateRecords(UpdateRecordsRequest {
                identity_pool_id: POOL.parse().unwrap(),
                identity_id: IDENTITY.parse().unwrap(),
                dataset_name: "notes".parse().unwrap(),
                sync_session_token: page.sync_session_token.clone().unwrap(),
                device_id: None,
                record_patches: changes.iter().map(patch).collect(),
            });
            self.0.exchange(request).await.unwrap();
        });
    }
}

/// Runs the doctor, and returns its exit code and its report.
fn doctor(device: &Device, args: &[&str]) -> (i32, Value) {
    let mut command = device.undecided(&["doctor", "--json"]);
    let output = command.args(args).output().unwrap();
    let report = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code().unwrap(), report)
}

/// Returns the severity and the text of the first finding of a report.
fn first(report: &Value) -> (&str, &str) {
    let finding = &report["datasets"][0]["findings"][0];
    let text = |member: &str| finding[member].as_str().unwrap_or_default();
    (text("severity"), text("what"))
}

#[test]
fn healthy_store_and_dataset_have_no_findings() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path());
    let device = Device::of(&service);
    assert_eq!(doctor(&device, &[]).0, 7);
    assert!(!device.store().exists(), "no store is made to be looked at");
    device.run(&["put", "k", "v"]);
    let (code, report) = doctor(&device, &[]);
    assert_eq!(code, 0);
    assert_eq!(first(&report).0, "note", "an edit waits");
    let (code, report) = doctor(&device, &["--repair"]);
    assert_eq!((code, first(&report)), (0, ("", "")));
    assert_eq!(report["datasets"][0]["store"]["unsynced"], false);
    assert_eq!(report["datasets"][0]["service"]["reserved"], 2);
    let text = device.undecided(&["doctor"]).output().unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.ends_with("nothing is damaged\n"), "{text}");
}

#[test]
fn damaged_dataset_of_the_store_is_told_and_comes_back_from_the_service() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path());
    let device = Device::of(&service);
    device.run(&["put", "k", "v"]);
    device.run(&["sync"]);
    object_of(&mut device.undecided(&["put", "--dataset", "whole", "k", "v"]));
    let store = DiskStore::open(device.store()).unwrap().store;
    let owner = Owner::Identity(IDENTITY.parse().unwrap());
    let mut commit = Commit::new(DatasetKey::new(owner, "notes".parse().unwrap()));
    commit.deltas.push(b"no delta".to_vec());
    store.commit(commit, Durability::Disk).unwrap();
    store.close().unwrap();

    let (code, report) = doctor(&device, &[]);
    assert_eq!((code, first(&report).0), (6, "repairable"));
    assert_eq!(report["datasets"][1]["store"]["keys"], 1);
    assert_eq!(doctor(&device, &[]).0, 6, "looking repairs nothing");
    let (code, report) = doctor(&device, &["--repair"]);
    assert_eq!(
        (code, &report["datasets"][0]["repaired"]),
        (0, &json!(true))
    );
    assert_eq!(device.text(&["get", "k"]), "v\n");
    let alone = doctor(&device, &["--dataset", "notes"]);
    assert_eq!(alone.0, 0);
}

#[test]
fn store_that_lost_edits_goes_on_if_it_is_repaired() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path());
    let device = Device::of(&service);
    device.run(&["put", "k", "v"]);
    device.run(&["sync"]);
    let store = DiskStore::open(device.store()).unwrap().store;
    // What a start writes that finds less than was acknowledged.
    let lost = Some(b"commits 3 to 4".as_slice());
    store
        .set_setting("lost-commits", lost, Durability::Disk)
        .unwrap();
    store.close().unwrap();
    let (code, error) = failure_of(&mut device.undecided(&["doctor"]));
    assert_eq!(code, 6);
    let message = error["messages"][0].as_str().unwrap();
    assert!(message.contains("commits 3 to 4") && message.contains("--repair"));
    let (code, error) = device.fail(&["get", "k"]);
    let message = error["messages"][0].as_str().unwrap();
    assert_eq!(code, 6);
    assert!(message.contains("what is left is whole") && message.contains("--accept-loss"));
    let (code, report) = doctor(&device, &["--repair"]);
    assert_eq!((code, &report["lost"]), (0, &json!("commits 3 to 4")));
    assert_eq!(report["datasets"][0]["repaired"], true);
    let (code, report) = doctor(&device, &[]);
    assert_eq!((code, &report["lost"]), (0, &Value::Null));
}

#[test]
fn damaged_records_are_told_and_written_anew() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path());
    let (device, hand) = (Device::of(&service), Hand::new(&service));
    for value in ["1", "2"] {
        device.run(&["put", "k", value]);
        device.run(&["sync"]);
    }
    for (spoiled, what) in [
        (("_driftless.log.1", None), "a hole"),
        (("_driftless.head", Some("garbage")), "_driftless.head"),
        (("_driftless.head", None), "head is missing"),
    ] {
        hand.write(&[spoiled]);
        let (code, report) = doctor(&device, &[]);
        let (severity, told) = first(&report);
        assert_eq!((code, severity), (10, "repairable"), "{report}");
        assert!(told.contains(what), "{told}");
        let (code, report) = doctor(&device, &["--repair"]);
        assert_eq!(code, 0, "{report}");
        assert_eq!(report["datasets"][0]["repaired"], true);
        device.run(&["put", "more", what]);
        device.run(&["sync"]);
        device.run(&["put", "more", "again"]);
        device.run(&["sync"]);
        let fresh = Device::of(&service);
        fresh.run(&["sync"]);
        assert_eq!(fresh.text(&["get", "k"]), "2\n");
    }
}

#[test]
fn sync_tells_people_that_it_repaired() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path());
    let (device, hand) = (Device::of(&service), Hand::new(&service));
    device.run(&["put", "k", "1"]);
    assert!(!device.text(&["sync"]).contains("damaged"));
    hand.write(&[("_driftless.head", Some("garbage"))]);
    let told = device.text(&["sync"]);
    assert!(
        told.contains("notes: what the service holds was damaged"),
        "{told}"
    );
}

#[test]
fn plain_records_of_old_clients_are_noted() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path());
    let (device, hand) = (Device::of(&service), Hand::new(&service));
    object_of(&mut device.undecided(&["put", "k", "v", "-d", "other"]));
    hand.write(&[("a", Some("1"))]);
    let (code, report) = doctor(&device, &[]);
    assert_eq!((code, first(&report).0), (0, "note"));
    assert!(first(&report).1.contains("only plain records"));
    device.run(&["sync"]);
    assert_eq!(first(&doctor(&device, &[]).1), ("", ""));
    hand.write(&[("a", Some("2")), ("b", Some("3"))]);
    let (code, report) = doctor(&device, &[]);
    assert_eq!(code, 0);
    assert!(first(&report).1.starts_with("2 plain records"), "{report}");
}

#[test]
fn store_is_compared_with_what_the_service_holds() {
    let data = tempfile::tempdir().unwrap();
    let service = Service::start(data.path());
    let (device, other) = (Device::of(&service), Device::of(&service));
    device.run(&["put", "k", "1"]);
    device.run(&["sync"]);
    other.run(&["sync"]);
    let check = |what: &str| {
        let (code, report) = doctor(&device, &[]);
        let (severity, told) = first(&report);
        assert_eq!((code, severity), (0, "note"), "{report}");
        assert!(told.contains(what), "{told}");
        device.run(&["sync"]);
        assert_eq!(first(&doctor(&device, &[]).1), ("", ""));
    };
    other.run(&["put", "k", "2"]);
    other.run(&["sync"]);
    check("others wrote there");
    other.run(&["delete"]);
    other.run(&["put", "k", "3"]);
    other.run(&["sync"]);
    check("another life");
    other.run(&["delete"]);
    other.run(&["sync"]);
    check("does not have it any more");
}

#[test]
fn service_that_was_taken_back_gets_what_it_lost() {
    let (data, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let service = Service::start(data.path());
    let mut device = Device::of(&service);
    device.run(&["put", "k", "1"]);
    device.run(&["sync"]);
    drop(service);
    copy(data.path(), backup.path());
    let service = Service::start(data.path());
    device.move_to(&service);
    device.run(&["put", "k", "2"]);
    device.run(&["sync"]);
    drop(service);
    let service = Service::start(backup.path());
    device.move_to(&service);
    let (code, report) = doctor(&device, &[]);
    let (severity, what) = first(&report);
    assert_eq!((code, severity), (10, "repairable"), "{report}");
    assert!(what.contains("taken back"), "{what}");
    let (code, report) = doctor(&device, &["--repair"]);
    assert_eq!((code, first(&report)), (0, ("", "")), "{report}");
    let fresh = Device::of(&service);
    fresh.run(&["sync"]);
    assert_eq!(fresh.text(&["get", "k"]), "2\n");
}

/// Copies a directory, with what is in it.
fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir_all(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
