//! `push` registers a device, subscribes it, and handles what a push brings.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

use driftless::transport::{Credentials, Endpoint, HyperTransport, StaticCredentials, Transport};
use driftless_wire::{PushSync, Request, SetIdentityPoolConfigurationRequest};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Device, IDENTITY, POOL, SECRET, Service, failure_of, object_of};
use crate::pools::{BOTH, ask, pools, serve};

const TOKEN: &str = "a-token-of-the-platform";

/// A service, and one guest of its pool.
struct World {
    _directory: TempDir,
    service: Service,
    identity: String,
    credentials: Value,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let service = serve(directory.path(), &pools(directory.path(), BOTH));
        let body = json!({ "IdentityPoolId": POOL }).to_string();
        let identity = ask(&service, "GetId", &body).1["IdentityId"].clone();
        let body = json!({ "IdentityId": identity }).to_string();
        let answer = ask(&service, "GetCredentialsForIdentity", &body).1;
        Self {
            _directory: directory,
            service,
            identity: identity.as_str().unwrap().to_owned(),
            credentials: answer["Credentials"].clone(),
        }
    }

    /// Lets the pool push to devices of Google, as its operator does.
    fn set_up(&self) {
        let endpoint = Endpoint::url(&self.service.endpoint, "us-east-1").unwrap();
        let operator = Arc::new(StaticCredentials::new(Credentials {
            access_key_id: "test".to_owned(),
            secret_access_key: SECRET.to_owned(),
            session_token: None,
            expires_at: None,
        }));
        let request = Request::SetIdentityPoolConfiguration(SetIdentityPoolConfigurationRequest {
            identity_pool_id: POOL.parse().unwrap(),
            push_sync: Some(PushSync {
                application_arns: vec!["arn:aws:sns:us-east-1:123:app/GCM/app".to_owned()],
                role_arn: None,
            }),
            cognito_streams: None,
        });
        let transport = HyperTransport::builder(endpoint, operator).build();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(transport.exchange(request)).unwrap();
    }

    fn device(&self) -> Device {
        Device::of(&self.service)
    }

    /// Returns a command of a device of the guest.
    fn command(&self, device: &Device, args: &[&str]) -> Command {
        let mut command = device.undecided(args);
        let of = |name: &str| self.credentials[name].as_str().unwrap();
        command
            .env("DRIFTLESS_IDENTITY", &self.identity)
            .env("AWS_ACCESS_KEY_ID", of("AccessKeyId"))
            .env("AWS_SECRET_ACCESS_KEY", of("SecretKey"))
            .env("AWS_SESSION_TOKEN", of("SessionToken"))
            .env("DRIFTLESS_PUSH_TOKEN", TOKEN);
        command
    }

    fn run(&self, device: &Device, args: &[&str]) -> Value {
        object_of(&mut self.command(device, args))
    }

    fn fail(&self, device: &Device, args: &[&str]) -> (i32, Value) {
        failure_of(&mut self.command(device, args))
    }

    /// Returns what the service says when the dataset has a count.
    fn payload(&self, name: &str, count: i64) -> Value {
        json!({
            "source": "cognito-sync", "identityPoolId": POOL, "identityId": self.identity,
            "datasetName": name, "syncCount": count,
        })
    }
}

const REGISTER: &[&str] = &["push", "register", "--platform", "GCM"];

#[test]
fn device_registers_subscribes_and_leaves() {
    let world = World::new();
    let device = world.device();
    world.run(&device, &["put", "k", "v", "-d", "notes"]);
    let subscribe = ["push", "subscribe", "-d", "notes"];
    assert_eq!(
        world.fail(&device, REGISTER).0,
        16,
        "the pool is not set up"
    );
    world.set_up();
    assert_eq!(world.fail(&device, &subscribe).0, 16, "not registered yet");
    let mut operator = world.device().undecided(REGISTER);
    operator.env("DRIFTLESS_PUSH_TOKEN", TOKEN);
    assert_eq!(
        failure_of(&mut operator).0,
        9,
        "the operator is no identity"
    );
    let id = world.run(&device, REGISTER)["device"].clone();
    assert!(id.is_string());
    assert_eq!(
        world.run(&device, REGISTER)["device"],
        id,
        "the token is known"
    );

    let way = |way: &str| json!({ "datasets": [{ "dataset": "notes", "subscription": way }] });
    assert_eq!(world.run(&device, &subscribe), way("waiting"));
    world.run(&device, &["sync", "-d", "notes"]);
    assert_eq!(
        world.run(&device, &["push", "subscribe", "--all"]),
        way("standing")
    );
    let status = world.run(&device, &["status", "--all"]);
    assert_eq!(
        (&status["device"], &status["datasets"][0]["subscription"]),
        (&id, &json!("standing"))
    );

    let unsubscribe = ["push", "unsubscribe", "-d", "notes"];
    assert_eq!(world.run(&device, &unsubscribe), json!({ "datasets": [] }));
    world.run(&device, &subscribe);
    let all = world.run(&device, &["push", "unsubscribe", "--all"]);
    assert_eq!(all, json!({ "datasets": [] }));
    let left = world.run(&device, &["push", "unregister"]);
    assert_eq!(left, json!({ "was_registered": true, "device": id }));
    let left = world.run(&device, &["push", "unregister"]);
    assert_eq!(left, json!({ "was_registered": false, "device": null }));
}

#[test]
fn token_is_shown_nowhere() {
    let world = World::new();
    world.set_up();
    let device = world.device();
    for args in [
        REGISTER,
        &["push", "--help"],
        &["push", "register"],
        &["push", "register", "--help"],
    ] {
        let mut command = world.command(&device, args);
        let output = command.args(["--log", "trace"]).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        assert!(!text.contains(TOKEN), "{args:?}: {text}");
    }
    let mut empty = world.command(&device, REGISTER);
    assert_eq!(failure_of(empty.env("DRIFTLESS_PUSH_TOKEN", "")).0, 2);
}

#[test]
fn push_brings_what_it_tells_of_and_nothing_else() {
    let world = World::new();
    let (a, b) = (world.device(), world.device());
    for device in [&a, &b] {
        world.run(device, &["put", "own", "1", "-d", "notes"]);
        world.run(device, &["sync", "-d", "notes"]);
    }
    let file = a.store().with_file_name("push.json");
    let handle = |payload: &Value| {
        fs::write(&file, payload.to_string()).unwrap();
        world.command(&b, &["push", "handle", file.to_str().unwrap()])
    };
    world.run(&a, &["put", "k", "v", "-d", "notes"]);
    let synced = world.run(&a, &["sync", "-d", "notes"]);
    assert_eq!(synced["datasets"][0]["unsynced"], false);
    let status = world.run(&a, &["status", "-d", "notes"]);
    let count = status["datasets"][0]["last_sync"]["count"]
        .as_i64()
        .unwrap();

    let news = object_of(&mut handle(
        &json!({ "data": world.payload("notes", count) }),
    ));
    assert_eq!(
        (&news["news"], &news["dataset"]),
        (&json!(true), &json!("notes"))
    );
    assert!(
        news["changed_here"]
            .as_array()
            .unwrap()
            .contains(&json!("k")),
        "{news}"
    );
    let again = object_of(&mut handle(&world.payload("notes", count)));
    assert_eq!(again, json!({ "news": false }));

    assert_eq!(failure_of(&mut handle(&json!({ "data": 7 }))).0, 13);
    assert_eq!(failure_of(&mut handle(&world.payload("other", 1))).0, 3);
    let mut foreign = world.payload("notes", 9);
    foreign["identityId"] = json!(IDENTITY);
    assert_eq!(failure_of(&mut handle(&foreign)).0, 2);
    assert_eq!(failure_of(&mut handle(&json!("x".repeat(20_000)))).0, 13);
    assert_eq!(world.fail(&b, &["push", "handle", "missing.json"]).0, 7);
}

#[test]
fn payload_comes_from_the_standard_input_too() {
    let world = World::new();
    let device = world.device();
    let read = |payload: &[u8]| {
        let mut command = world.command(&device, &["push", "handle", "-", "--json"]);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        // It may end before it has read all.
        drop(child.stdin.take().unwrap().write_all(payload));
        child.wait().unwrap().code()
    };
    let unknown = world.payload("notes", 1).to_string();
    assert_eq!(read(unknown.as_bytes()), Some(3));
    assert_eq!(read(b"\xff"), Some(13));
    assert_eq!(read(&[b' '; 100_000]), Some(13));
}

#[test]
fn guest_that_leaves_offline_is_forgotten_at_once() {
    let world = World::new();
    world.set_up();
    let device = world.device();
    let guest = |args: &[&str]| {
        let mut command = device.undecided(args);
        command
            .env_remove("DRIFTLESS_IDENTITY")
            .env_remove("AWS_ACCESS_KEY_ID")
            .env_remove("AWS_SECRET_ACCESS_KEY")
            .env("DRIFTLESS_PUSH_TOKEN", TOKEN)
            .env("DRIFTLESS_GUEST", "true");
        command
    };
    object_of(&mut guest(&["put", "k", "v", "-d", "notes"]));
    object_of(&mut guest(&["sync", "-d", "notes"]));
    let id = object_of(&mut guest(REGISTER))["device"].clone();
    object_of(&mut guest(&["push", "subscribe", "-d", "notes"]));
    let status = || object_of(&mut guest(&["status", "-d", "notes"]));
    assert_eq!(status()["device"], id);
    drop(world.service);
    assert_eq!(failure_of(&mut guest(&["push", "unregister"])).0, 8);
    let status = status();
    assert_eq!(
        (&status["device"], &status["datasets"][0]["subscription"]),
        (&json!(null), &json!(null))
    );
}
