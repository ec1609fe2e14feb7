//! Guests and logins: whose data a device shows, and that no token is shown.

use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Device, IDENTITY, Service, failure_of, object_of};
use crate::pools::{BOTH, pools, serve, token};

struct World {
    directory: TempDir,
    service: Service,
}

/// Takes away whatever only operators have.
fn of_pool(mut command: Command) -> Command {
    for name in [
        "DRIFTLESS_IDENTITY",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
    ] {
        command.env_remove(name);
    }
    command
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let service = serve(directory.path(), &pools(directory.path(), BOTH));
        Self { directory, service }
    }

    fn login(&self, subject: &str) -> String {
        let token = token(&self.directory.path().join("pools.json"), subject);
        format!("login.example={token}")
    }

    fn guest(&self, device: &Device, args: &[&str]) -> Command {
        let mut command = of_pool(device.command(args));
        command.env("DRIFTLESS_GUEST", "true");
        command
    }

    fn of(&self, subject: &str, device: &Device, args: &[&str]) -> Command {
        let mut command = of_pool(device.command(args));
        command.env("DRIFTLESS_LOGIN", self.login(subject));
        command
    }

    fn identify(&self, mut command: Command) -> Value {
        let identity = object_of(command.arg("identify"));
        assert!(identity["identity"].is_string(), "{identity}");
        identity
    }
}

/// Returns a command that names a device and no dataset.
fn bare(device: &Device) -> Command {
    of_pool(device.undecided(&[]))
}

fn value(command: &mut Command) -> Value {
    object_of(command)["value"].clone()
}

#[test]
fn guest_stays_the_same_and_takes_the_data_along_to_a_login() {
    let world = World::new();
    let device = Device::of(&world.service);
    object_of(&mut world.guest(&device, &["put", "k", "v"]));
    let synced = object_of(&mut world.guest(&device, &["sync"]));
    assert_eq!(synced["datasets"][0]["unsynced"], false);
    let mut guest = bare(&device);
    guest.env("DRIFTLESS_GUEST", "true");
    let guest = world.identify(guest);
    assert_eq!(
        (&guest["before"], &guest["data"]),
        (&guest["identity"], &json!(null))
    );
    let report = object_of(&mut world.guest(&device, &["doctor"]));
    assert!(
        report["datasets"][0]["service"]["records"].as_i64() > Some(0),
        "{report}"
    );

    let other = Device::of(&world.service);
    object_of(&mut world.of("ann", &other, &["put", "own", "1"]));
    object_of(&mut world.of("ann", &other, &["sync"]));
    let mut ann = bare(&device);
    ann.env("DRIFTLESS_LOGIN", world.login("ann"));
    let ann = world.identify(ann);
    assert_eq!(ann["before"], guest["identity"]);
    assert_eq!((&ann["data"], &ann["left"]), (&json!("moved"), &json!([])));
    for device in [&device, &other, &device] {
        object_of(&mut world.of("ann", device, &["sync"]));
    }
    for device in [&device, &other] {
        assert_eq!(value(&mut world.of("ann", device, &["get", "k"])), "v");
        assert_eq!(value(&mut world.of("ann", device, &["get", "own"])), "1");
    }
}

#[test]
fn somebody_else_sees_nothing_of_who_signed_out() {
    let world = World::new();
    let device = Device::of(&world.service);
    object_of(&mut world.of("ann", &device, &["put", "k", "ann's"]));
    object_of(&mut world.of("ann", &device, &["sync"]));
    let mut out = bare(&device);
    let out = object_of(out.env("DRIFTLESS_GUEST", "1").arg("sign-out"));
    assert!(
        out["before"].is_string() && out["identity"].is_null(),
        "{out}"
    );
    object_of(&mut world.of("bob", &device, &["sync"]));
    assert_eq!(
        failure_of(&mut world.of("bob", &device, &["get", "k"])).0,
        3
    );
    // Nobody signed out before this one.
    let synced = object_of(&mut world.of("ann", &device, &["sync"]));
    assert_eq!(synced["datasets"][0]["unsynced"], false);
    assert_eq!(value(&mut world.of("ann", &device, &["get", "k"])), "ann's");
}

#[test]
fn tokens_of_logins_are_shown_nowhere() {
    let world = World::new();
    let device = Device::of(&world.service);
    let secret = world.login("ann");
    let secret = secret.split_once('=').unwrap().1;
    let check = |args: &[&str], login: &str, code: i32| {
        let mut command = of_pool(device.command(args));
        command.args(["--login", login, "--log", "trace"]);
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
        assert!(!text.contains(secret), "{args:?}");
    };
    check(&["sync"], &format!("login.example={secret}"), 0);
    check(&["sync"], secret, 2);
    check(&["sync"], &format!("={secret}"), 2);
    check(&["sync", "--guest"], &format!("login.example={secret}"), 2);
    check(&["sync"], &format!("login.example={secret}x"), 9);
    check(&["sync"], &format!("other.example={secret}"), 9);
    let mut help = device.command(&["sync", "--help"]);
    let help = help.env("DRIFTLESS_LOGIN", secret).output().unwrap();
    assert!(!String::from_utf8(help.stdout).unwrap().contains(secret));
}

#[test]
fn pool_that_cannot_be_asked_keeps_nothing_from_being_edited() {
    let world = World::new();
    let device = Device::of(&world.service);
    drop(world.service);
    let guest = |args: &[&str]| {
        let mut command = of_pool(device.command(args));
        command.env("DRIFTLESS_GUEST", "true");
        command
    };
    object_of(&mut guest(&["put", "k", "v"]));
    assert_eq!(failure_of(&mut guest(&["sync"])).0, 8);
    assert_eq!(value(&mut guest(&["get", "k"])), "v");
}

#[test]
fn what_needs_a_pool_or_a_key_pair_says_so() {
    let device = Device::alone();
    for command in ["identify", "sign-out"] {
        assert_eq!(failure_of(&mut device.undecided(&[command])).0, 2);
    }
    let mut nowhere = device.undecided(&["identify", "--guest"]);
    assert_eq!(failure_of(&mut nowhere).0, 2, "no service is named");
    let to = [
        "migrate",
        "--guest",
        "--to",
        "http://127.0.0.1:1",
        "--dry-run",
    ];
    let mut migrate = device.undecided(&to);
    migrate.args(["--identity", IDENTITY, "--endpoint", "http://127.0.0.1:1"]);
    assert_eq!(failure_of(&mut migrate).0, 2);
}
