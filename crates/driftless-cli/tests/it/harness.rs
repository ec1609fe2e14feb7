//! Runs the binary: devices with a store each, and a service as a child process.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) const POOL: &str = "us-east-1:00000000-0000-0000-0000-00000000000a";
pub(crate) const IDENTITY: &str = "us-east-1:00000000-0000-0000-0000-00000000000b";
pub(crate) const SECRET: &str = "correct-horse";

/// Returns the binary without any setting of who runs the tests.
pub(crate) fn driftless() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_driftless"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("DRIFTLESS_") || text.starts_with("AWS_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs a command that must succeed, and returns its one JSON object.
pub(crate) fn object_of(command: &mut Command) -> Value {
    let output = command.arg("--json").output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    assert_eq!(errors, "", "a success says nothing on stderr");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Runs a command that must fail, and returns its exit code and the error that it prints.
pub(crate) fn failure_of(command: &mut Command) -> (i32, Value) {
    let output = command.arg("--json").output().unwrap();
    let error: Value = serde_json::from_slice(&output.stderr)
        .unwrap_or_else(|_| panic!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)));
    let code = output.status.code().unwrap();
    assert_eq!(error["error"]["exit"], code);
    (code, error["error"].clone())
}

/// A store, and where its data are synced.
pub(crate) struct Device {
    directory: TempDir,
    endpoint: Option<String>,
}

impl Device {
    /// Returns a device without a service.
    pub(crate) fn alone() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            endpoint: None,
        }
    }

    pub(crate) fn of(service: &Service) -> Self {
        Self {
            endpoint: Some(service.endpoint.clone()),
            ..Self::alone()
        }
    }

    pub(crate) fn at(endpoint: &str) -> Self {
        Self {
            endpoint: Some(endpoint.to_owned()),
            ..Self::alone()
        }
    }

    /// From now on the device synchronizes with this service.
    pub(crate) fn move_to(&mut self, service: &Service) {
        self.endpoint = Some(service.endpoint.clone());
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.directory.path().join("store")
    }

    /// Returns a command on the dataset `notes` of this device.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.undecided(args);
        if !args
            .iter()
            .any(|arg| ["--datasets", "--remote", "--all"].contains(arg))
        {
            command.args(["--dataset", "notes"]);
        }
        command
    }

    /// Returns a command that names no dataset.
    pub(crate) fn undecided(&self, args: &[&str]) -> Command {
        let mut command = driftless();
        command
            .env("DRIFTLESS_STORE", self.store())
            .env("DRIFTLESS_POOL", POOL)
            .env("DRIFTLESS_IDENTITY", IDENTITY)
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .args(args);
        if let Some(endpoint) = &self.endpoint {
            command.env("DRIFTLESS_ENDPOINT", endpoint);
        }
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Value {
        object_of(&mut self.command(args))
    }

    pub(crate) fn fail(&self, args: &[&str]) -> (i32, Value) {
        failure_of(&mut self.command(args))
    }

    pub(crate) fn text(&self, args: &[&str]) -> String {
        let output: Output = self.command(args).output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }
}

/// `driftless serve` as a child, which ends with this.
pub(crate) struct Service {
    child: Child,
    pub(crate) endpoint: String,
    /// What it printed when it was ready.
    pub(crate) ready: Value,
}

impl Service {
    /// Starts a service for the key pair that devices have.
    pub(crate) fn start(data: &Path) -> Self {
        let mut command = driftless();
        command
            .env("DRIFTLESS_ACCESS_KEY_ID", "test")
            .env("DRIFTLESS_SECRET_ACCESS_KEY", SECRET);
        Self::start_with(command, data)
    }

    pub(crate) fn start_with(mut command: Command, data: &Path) -> Self {
        command
            .args(["serve", "--json", "--listen", "127.0.0.1:0", "--data"])
            .arg(data);
        Self::started(command)
    }

    /// Starts a command that serves, and waits until it listens.
    pub(crate) fn started(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let endpoint = format!("http://{}", ready["listening"].as_str().unwrap());
        Self {
            child,
            endpoint,
            ready,
        }
    }

    /// Asks the service to stop, and returns its exit code.
    pub(crate) fn stop(mut self, signal: &str) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &id])
                .status()
                .unwrap()
                .success()
        );
        self.child.wait().unwrap().code()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
