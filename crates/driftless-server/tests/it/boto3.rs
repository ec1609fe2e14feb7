//! A client that is not ours: boto3 against a running server.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use driftless_server::{DataDir, Pool, Server, SharedKeyLogins};
use tokio::sync::oneshot;

const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/boto3_client.py");
const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

const POOL: &str = "us-east-1:01234567-89ab-cdef-0123-456789abcdef";
/// The key that the client signs logins with.
const KEY: &str = "a key of at least thirty-two bytes";

/// An interpreter with boto3: the one named in the environment, or the workspace's own.
fn python() -> Option<PathBuf> {
    match env::var_os("DRIFTLESS_PYTHON") {
        Some(path) => Some(path.into()),
        None => Some(Path::new(WORKSPACE).join(".venv/bin/python")).filter(|path| path.exists()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_works_unchanged() {
    let Some(python) = python() else {
        assert_ne!(
            env::var("DRIFTLESS_NO_SKIP").as_deref(),
            Ok("1"),
            "no Python with boto3"
        );
        println!("skipped: neither DRIFTLESS_PYTHON nor .venv has a Python with boto3");
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let data = DataDir::open(directory.path()).unwrap();
    let credentials = data.credentials().to_owned();
    let logins = SharedKeyLogins::new(KEY.as_bytes()).unwrap();
    let pool = Pool::new()
        .with_guests()
        .with_logins("login.example", Arc::new(logins));
    let config = data.into_config().with_pool(POOL.parse().unwrap(), pool);
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), config)
        .await
        .unwrap();
    let endpoint = format!("http://{}", server.local_addr());
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async { drop(stopped.await) }));
    let client = tokio::task::spawn_blocking(move || {
        Command::new(python)
            .arg(CLIENT)
            .arg(endpoint)
            .arg(KEY)
            .env("AWS_SHARED_CREDENTIALS_FILE", credentials)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env_remove("AWS_PROFILE")
            .output()
    });
    let output = client.await.unwrap().unwrap();
    drop(stop);
    running.await.unwrap().unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
