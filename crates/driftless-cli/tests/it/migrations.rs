//! Datasets that move from one service to another, with a network that loses answers and runs that break off.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use driftless::transport::{
    BoxFuture, Credentials, Endpoint, ExchangeError, Exchanged, HyperTransport, StaticCredentials,
    Transport,
};
use driftless_cli::migration::{
    Journal, Migration, Outcome, Owner, Refusal, Route, Service as End,
};
use driftless_wire::{
    DatasetName, ListRecordsRequest, Op, Operation, Record, RecordPatch, Request, Response,
    SyncCount, SyncSessionToken, UpdateRecordsRequest,
};
use serde_json::json;
use tempfile::TempDir;

use crate::harness::{Device, IDENTITY, POOL, SECRET, Service, failure_of, object_of};

const OTHER: &str = "us-east-1:00000000-0000-0000-0000-00000000000c";

/// A way to a service that loses the answers of some operation, after the service has carried it out or before.
struct Way {
    real: HyperTransport,
    fails: Operation,
    carried_out: bool,
    left: AtomicU32,
}

impl Transport for Way {
    fn exchange(&self, request: Request) -> BoxFuture<'_, Result<Exchanged, ExchangeError>> {
        Box::pin(async move {
            let hit = request.operation() == self.fails
                && self
                    .left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |it| it.checked_sub(1))
                    .is_ok();
            if !hit {
                return self.real.exchange(request).await;
            }
            if self.carried_out {
                self.real.exchange(request).await?;
            }
            Err(ExchangeError::Interrupted("lost on the way".into()))
        })
    }
}

fn way(service: &Service) -> Way {
    let endpoint = Endpoint::url(&service.endpoint, "us-east-1").unwrap();
    let credentials = Arc::new(StaticCredentials::new(Credentials {
        access_key_id: "test".to_owned(),
        secret_access_key: SECRET.to_owned(),
        session_token: None,
        expires_at: None,
    }));
    Way {
        real: HyperTransport::builder(endpoint, credentials).build(),
        fails: Operation::ListRecords,
        carried_out: false,
        left: AtomicU32::new(0),
    }
}

/// Two services, and what is done to them record by record.
struct World {
    directory: TempDir,
    source: Service,
    target: Service,
    runtime: tokio::runtime::Runtime,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            source: Service::start(&directory.path().join("source")),
            target: Service::start(&directory.path().join("target")),
            runtime: tokio::runtime::Runtime::new().unwrap(),
            directory,
        }
    }

    fn state(&self) -> std::path::PathBuf {
        self.directory.path().join("state")
    }

    fn list(&self, service: &Service, name: &str) -> (Vec<Record>, SyncSessionToken) {
        let request = Request::ListRecords(ListRecordsRequest {
            identity_pool_id: POOL.parse().unwrap(),
            identity_id: IDENTITY.parse().unwrap(),
            dataset_name: name.parse().unwrap(),
            last_sync_count: None,
            next_token: None,
            max_results: None,
            sync_session_token: None,
        });
        let answer = self.runtime.block_on(way(service).exchange(request));
        let Response::ListRecords(page) = answer.unwrap().response else {
            panic!("another answer");
        };
        (page.records, page.sync_session_token.unwrap())
    }

    fn values(&self, service: &Service, name: &str) -> Vec<(String, Option<String>)> {
        let records = self.list(service, name).0.into_iter();
        let mut values: Vec<_> = records.map(|it| (it.key.to_string(), it.value)).collect();
        values.sort();
        values
    }

    /// Writes records as any client does; `None` removes.
    fn write(&self, service: &Service, name: &str, values: &[(&str, Option<&str>)]) {
        let (records, sync_session_token) = self.list(service, name);
        let count = |key: &str| {
            let mut found = records.iter().filter(|it| it.key.as_str() == key);
            found.next().map_or(SyncCount::ZERO, |it| it.sync_count)
        };
        let patches = values.iter().map(|(key, value)| RecordPatch {
            op: if value.is_some() {
                Op::Replace
            } else {
                Op::Remove
            },
            key: key.parse().unwrap(),
            value: value.map(str::to_owned),
            sync_count: count(key),
            device_last_modified_date: None,
        });
        let request = Request::UpdateRecords(UpdateRecordsRequest {
            identity_pool_id: POOL.parse().unwrap(),
            identity_id: IDENTITY.parse().unwrap(),
            dataset_name: name.parse().unwrap(),
            sync_session_token,
            device_id: None,
            record_patches: patches.collect(),
        });
        self.runtime
            .block_on(way(service).exchange(request))
            .unwrap();
    }

    /// Copies `notes` with the library, over this way to the target.
    fn copy(&self, target: Way) -> Result<Outcome, String> {
        let route = Route {
            from: self.source.endpoint.clone(),
            from_pool: POOL.parse().unwrap(),
            to: self.target.endpoint.clone(),
            to_pool: POOL.parse().unwrap(),
        };
        let mut journal = Journal::open(&self.state(), &route).map_err(|it| it.to_string())?;
        let end = |way| End::new(Arc::new(way), POOL.parse().unwrap());
        let migration = Migration::new(end(way(&self.source)), end(target));
        let owner = Owner {
            source: IDENTITY.parse().unwrap(),
            target: IDENTITY.parse().unwrap(),
        };
        let name: DatasetName = "notes".parse().unwrap();
        let copied = migration.copy(&owner, &name, &mut journal);
        self.runtime.block_on(copied).map_err(|it| it.to_string())
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command =
            Device::of(&self.source).undecided(&["migrate", "--to", &self.target.endpoint]);
        command
            .env("DRIFTLESS_TO_ACCESS_KEY_ID", "test")
            .env("DRIFTLESS_TO_SECRET_ACCESS_KEY", SECRET)
            .args(args);
        command
    }

    fn resumable(&self) -> Command {
        let state = self.state();
        self.command(&["--state", state.to_str().unwrap()])
    }
}

fn value(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn datasets_of_devices_go_on_at_the_target() {
    let world = World::new();
    let (a, b) = (Device::of(&world.source), Device::of(&world.target));
    a.run(&["put", "title", "Groceries"]);
    a.run(&["increment", "visits", "2"]);
    a.run(&["sync"]);
    let planned = object_of(&mut world.command(&["--dry-run"]));
    assert_eq!(planned["datasets"][0]["outcome"], "would be copied");
    assert_eq!(world.values(&world.target, "notes"), []);
    let report = object_of(&mut world.resumable());
    assert_eq!(report["datasets"][0]["outcome"], "copied");
    assert_eq!(
        report["datasets"][0]["records"],
        planned["datasets"][0]["records"]
    );
    assert_eq!(
        world.values(&world.target, "notes"),
        world.values(&world.source, "notes")
    );
    b.run(&["sync"]);
    assert_eq!(b.run(&["export"]), a.run(&["export"]));
    let again = object_of(&mut world.resumable());
    assert_eq!(again["datasets"][0]["outcome"], "done before");
    for amount in ["records", "bytes", "tombstones_left"] {
        assert_eq!(again["datasets"][0][amount], report["datasets"][0][amount]);
    }
}

#[test]
fn device_goes_on_at_the_target_with_its_store() {
    let world = World::new();
    let device = Device::of(&world.source);
    for number in ["1", "2", "3"] {
        device.run(&["put", "k", number]);
        device.run(&["sync"]);
    }
    object_of(&mut world.resumable());
    let moved = |args: &[&str]| {
        object_of(
            device
                .command(args)
                .env("DRIFTLESS_ENDPOINT", &world.target.endpoint),
        )
    };
    moved(&["put", "k", "4"]);
    assert_eq!(moved(&["sync"])["datasets"][0]["unsynced"], false);
    let fresh = Device::of(&world.target);
    fresh.run(&["sync"]);
    assert_eq!(fresh.text(&["get", "k"]), "4\n");
}

#[test]
fn tombstones_stay_behind_and_empty_values_do_not() {
    let world = World::new();
    world.write(
        &world.source,
        "notes",
        &[("gone", Some("x")), ("empty", Some("")), ("k", Some("v"))],
    );
    world.write(&world.source, "notes", &[("gone", None)]);
    let report = object_of(&mut world.resumable());
    assert_eq!(report["datasets"][0]["tombstones_left"], 1);
    let expected = [
        ("empty".to_owned(), value("")),
        ("k".to_owned(), value("v")),
    ];
    assert_eq!(world.values(&world.target, "notes"), expected);
}

#[test]
fn what_the_target_has_is_never_replaced() {
    let world = World::new();
    world.write(&world.source, "notes", &[("k", Some("new"))]);
    world.write(&world.source, "other", &[("k", Some("v"))]);
    world.write(&world.target, "notes", &[("mine", Some("old"))]);
    let output = world.resumable().arg("--json").output().unwrap();
    assert_eq!(output.status.code(), Some(15));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        report["datasets"][0]["reason"],
        "the target has other records in it"
    );
    assert_eq!(
        report["datasets"][1]["outcome"], "copied",
        "the others are copied"
    );
    assert_eq!(
        world.values(&world.target, "notes"),
        [("mine".to_owned(), value("old"))]
    );
    let equal = World::new();
    equal.write(&equal.source, "notes", &[("k", Some("v"))]);
    equal.write(&equal.target, "notes", &[("k", Some("v"))]);
    assert_eq!(
        failure_of_report(&equal),
        15,
        "equal records are those of others too"
    );
}

fn failure_of_report(world: &World) -> i32 {
    failure_of(&mut world.resumable()).0
}

#[test]
fn lost_answer_of_the_update_is_found_out() {
    for carried_out in [true, false] {
        let world = World::new();
        world.write(
            &world.source,
            "notes",
            &[("a", Some("1")), ("b", Some("2"))],
        );
        let lossy = Way {
            fails: Operation::UpdateRecords,
            carried_out,
            left: AtomicU32::new(1),
            ..way(&world.target)
        };
        let first = world.copy(lossy).unwrap();
        match carried_out {
            true => assert!(matches!(first, Outcome::Copied(_)), "{first:?}"),
            false => {
                assert_eq!(first, Outcome::Refused(Refusal::Changed));
                assert!(matches!(
                    world.copy(way(&world.target)).unwrap(),
                    Outcome::Copied(_)
                ));
            }
        }
        assert_eq!(
            world.values(&world.target, "notes"),
            world.values(&world.source, "notes")
        );
    }
}

/// A run that ends between the update and its verification, wherever the update was torn.
#[test]
fn broken_run_is_taken_up_by_the_next() {
    let world = World::new();
    world.write(
        &world.source,
        "notes",
        &[("a", Some("1")), ("b", Some("2"))],
    );
    let unsent = Way {
        fails: Operation::UpdateRecords,
        left: AtomicU32::new(1),
        ..way(&world.target)
    };
    world.copy(unsent).unwrap();
    world.write(&world.target, "notes", &[("a", Some("1"))]);
    let mut torn = fs::read(world.state()).unwrap();
    torn.extend(b"{\"identity\":");
    fs::write(world.state(), torn).unwrap();
    assert!(matches!(
        world.copy(way(&world.target)).unwrap(),
        Outcome::Copied(_)
    ));
    assert_eq!(
        world.values(&world.target, "notes"),
        world.values(&world.source, "notes")
    );
    let done = world.copy(way(&world.target)).unwrap();
    let Outcome::Done(Some(amount)) = done else {
        panic!("{done:?}");
    };
    assert_eq!((amount.records, amount.bytes), (2, 4));
    let noted = fs::read_to_string(world.state()).unwrap();
    let (before, _) = noted.split_once(r#","amount""#).unwrap();
    fs::write(world.state(), format!("{before}}}\n")).unwrap();
    let done = world.copy(way(&world.target)).unwrap();
    assert_eq!(done, Outcome::Done(None), "amounts were not noted always");
}

#[test]
fn begun_dataset_that_others_wrote_is_left_alone() {
    let world = World::new();
    world.write(&world.source, "notes", &[("a", Some("1"))]);
    let unsent = Way {
        fails: Operation::UpdateRecords,
        left: AtomicU32::new(1),
        ..way(&world.target)
    };
    world.copy(unsent).unwrap();
    world.write(&world.target, "notes", &[("a", Some("other"))]);
    assert_eq!(
        world.copy(way(&world.target)).unwrap(),
        Outcome::Refused(Refusal::Changed)
    );
    assert_eq!(
        world.values(&world.target, "notes"),
        [("a".to_owned(), value("other"))]
    );
}

#[test]
fn state_file_of_another_migration_is_refused() {
    let world = World::new();
    world.write(&world.source, "notes", &[("k", Some("v"))]);
    object_of(&mut world.resumable());
    let before = fs::read(world.state()).unwrap();
    let mut other = world.resumable();
    other.args(["--to-pool", OTHER]);
    let (code, error) = failure_of(&mut other);
    let message = error["messages"][0].as_str().unwrap();
    assert_eq!(code, 13);
    assert!(
        message.contains(&format!("to pool {POOL} at ")),
        "it tells what is another: {message}"
    );
    assert_eq!(fs::read(world.state()).unwrap(), before);
    fs::write(world.state(), "not a journal").unwrap();
    assert_eq!(failure_of(&mut world.resumable()).0, 13);
    assert_eq!(fs::read(world.state()).unwrap(), b"not a journal");
}

#[cfg(unix)]
#[test]
fn state_that_is_no_file_is_not_read_for_ever() {
    let world = World::new();
    let mut command = world.command(&["--state", "/dev/zero"]);
    assert_eq!(failure_of(&mut command).0, 7);
}

#[test]
fn missing_credentials_of_the_target_are_named_as_the_target_has_them() {
    let world = World::new();
    for name in [
        "DRIFTLESS_TO_ACCESS_KEY_ID",
        "DRIFTLESS_TO_SECRET_ACCESS_KEY",
    ] {
        let (code, error) = failure_of(world.resumable().env_remove(name));
        let message = error["messages"][0].as_str().unwrap();
        assert_eq!(code, 9);
        assert!(
            message.starts_with(&format!("{name} is not set")),
            "{message}"
        );
    }
    assert!(!world.state().exists(), "nothing was begun");
}

#[test]
fn identities_of_a_file_can_have_other_ids_at_the_target() {
    let world = World::new();
    world.write(&world.source, "notes", &[("k", Some("v"))]);
    let file = world.directory.path().join("identities");
    let run = |text: &str| {
        fs::write(&file, text).unwrap();
        let mut command = world.resumable();
        command.arg("--identities").arg(as_text(&file));
        command
    };
    assert_eq!(failure_of(&mut run(&format!("{IDENTITY}\nnobody\n"))).0, 13);
    let report = object_of(&mut run(&format!(
        "# moved\n{OTHER}\n\n{IDENTITY} {OTHER}\n"
    )));
    assert_eq!(
        report["datasets"].as_array().unwrap().len(),
        1,
        "{OTHER} has none"
    );
    assert_eq!(
        world.values(&world.target, "notes"),
        [],
        "the other identity has it"
    );
    let device = Device::of(&world.target);
    let mut remote = device.undecided(&["list", "--remote"]);
    let listed = object_of(remote.env("DRIFTLESS_IDENTITY", OTHER));
    assert_eq!(listed["datasets"][0]["name"], json!("notes"));
}

fn as_text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn service_that_is_gone_is_a_network_failure() {
    let mut world = World::new();
    world.write(&world.source, "notes", &[("k", Some("v"))]);
    world.target.endpoint = "http://127.0.0.1:1".to_owned();
    let (code, error) = failure_of(&mut world.resumable());
    assert_eq!(
        (code, &error["messages"][0]),
        (
            8,
            &json!(
                "the target failed; what was copied stays there, run the same command again to go on with the rest"
            )
        )
    );
}
