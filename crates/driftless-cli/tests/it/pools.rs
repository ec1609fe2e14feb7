//! A service with identity pools: guests, logins, and what is wrong with a file of pools.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::{POOL, SECRET, Service, driftless, failure_of, object_of};

const KEY: &str = "a key of at least thirty-two bytes\n";

/// Writes a file of pools beside a key, and returns its path.
pub(crate) fn pools(directory: &Path, text: &str) -> PathBuf {
    fs::write(directory.join("login.key"), KEY).unwrap();
    fs::write(directory.join("short.key"), "short").unwrap();
    let path = directory.join("pools.json");
    fs::write(&path, text.replace("POOL", POOL)).unwrap();
    path
}

pub(crate) const BOTH: &str =
    r#"{"POOL": {"guests": true, "logins": {"login.example": {"key-file": "login.key"}}}}"#;

pub(crate) fn serve(directory: &Path, pools: &Path) -> Service {
    let mut command = driftless();
    command
        .env("DRIFTLESS_ACCESS_KEY_ID", "test")
        .env("DRIFTLESS_SECRET_ACCESS_KEY", SECRET)
        .args(["serve", "--json", "--listen", "127.0.0.1:0", "--pools"])
        .arg(pools)
        .arg("--data")
        .arg(directory.join("data"));
    Service::started(command)
}

/// Asks Cognito Identity; returns the status and the body.
pub(crate) fn ask(service: &Service, operation: &str, body: &str) -> (u16, Value) {
    let address = service.endpoint.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST / HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         x-amz-target: AWSCognitoIdentityService.{operation}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap())
}

pub(crate) fn token(pools: &Path, subject: &str) -> String {
    let mut command = driftless();
    command.args(["login-token", "--pool", POOL, "--provider", "login.example"]);
    command.args(["--subject", subject, "--pools"]).arg(pools);
    object_of(&mut command)["token"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn guests_and_logins_of_the_file_get_identities_and_credentials() {
    let directory = tempfile::tempdir().unwrap();
    let pools = pools(directory.path(), BOTH);
    let service = serve(directory.path(), &pools);
    let (status, guest) = ask(
        &service,
        "GetId",
        &format!(r#"{{"IdentityPoolId":"{POOL}"}}"#),
    );
    assert_eq!(status, 200, "{guest}");
    let logins = format!(r#""Logins":{{"login.example":"{}"}}"#, token(&pools, "ann"));
    let body = format!(r#"{{"IdentityPoolId":"{POOL}",{logins}}}"#);
    let (_, ann) = ask(&service, "GetId", &body);
    assert_eq!(ask(&service, "GetId", &body).1, ann);
    let body = format!(r#"{{"IdentityId":{},{logins}}}"#, guest["IdentityId"]);
    let (status, merged) = ask(&service, "GetCredentialsForIdentity", &body);
    assert_eq!((status, &merged["IdentityId"]), (200, &ann["IdentityId"]));
    assert!(merged["Credentials"]["SecretKey"].is_string());
}

#[test]
fn service_without_pools_gives_no_identities() {
    let directory = tempfile::tempdir().unwrap();
    let service = Service::start(directory.path());
    let (status, error) = ask(
        &service,
        "GetId",
        &format!(r#"{{"IdentityPoolId":"{POOL}"}}"#),
    );
    assert_eq!(
        (status, &error["__type"]),
        (400, &"ResourceNotFoundException".into())
    );
}

#[test]
fn file_that_is_wrong_is_told_before_anything_is_served() {
    let directory = tempfile::tempdir().unwrap();
    let check = |text: &str, code: i32| {
        let path = pools(directory.path(), text);
        let mut command = driftless();
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--pools"])
            .arg(path);
        command.arg("--data").arg(directory.path().join("data"));
        let (exit, error) = failure_of(&mut command);
        assert_eq!(exit, code, "{text}: {error}");
        assert!(!directory.path().join("data").exists());
    };
    check("", 13);
    check(r#"{"nobody": {}}"#, 13);
    check(r#"{"POOL": {"guest": true}}"#, 13);
    check(r#"{"POOL": {}, "POOL": {"guests": true}}"#, 13);
    check(
        r#"{"POOL": {"logins": {"p": {"key-file": "short.key"}}}}"#,
        13,
    );
    check(r#"{"POOL": {"logins": {"p": {"key-file": "no.key"}}}}"#, 7);
}

#[test]
fn login_of_a_provider_that_the_pool_has_not_is_a_mistake_of_usage() {
    let directory = tempfile::tempdir().unwrap();
    let pools = pools(directory.path(), BOTH);
    let mut command = driftless();
    command.args(["login-token", "--pool", POOL, "--provider", "other.example"]);
    command.args(["--subject", "ann", "--pools"]).arg(pools);
    assert_eq!(failure_of(&mut command).0, 2);
}
