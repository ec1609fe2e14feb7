//! A client that is not ours: boto3 against a running server.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use driftless_server::{DataDir, Server};
use tokio::sync::oneshot;

const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/boto3_client.py");
const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

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
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), data.into_config())
        .await
        .unwrap();
    let endpoint = format!("http://{}", server.local_addr());
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async { drop(stopped.await) }));
    let client = tokio::task::spawn_blocking(move || {
        Command::new(python)
            .arg(CLIENT)
            .arg(endpoint)
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
