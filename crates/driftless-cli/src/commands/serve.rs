//! `serve`: the self-hosted service, until a signal asks it to stop.

use std::path::PathBuf;

use driftless_server::{Config, DataDir, KeyPair, Server};
use serde_json::json;

use crate::args::ServeArgs;
use crate::commands::sync::runtime;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::pools::Pools;

pub(crate) fn serve(args: ServeArgs, output: &Output) -> Result<(), Failure> {
    let listen = args.listen;
    let pools = match &args.pools {
        Some(path) => Pools::read(path)?.open()?,
        None => Vec::new(),
    };
    let (config, credentials) = open(args)?;
    let config = pools
        .into_iter()
        .fold(config, |config, (id, pool)| config.with_pool(id, pool));
    runtime()?.block_on(async {
        // Before the address is told: who reads it may ask for the stop at once.
        let stop = stop_signal()?;
        let server = Server::bind(listen, config).await?;
        let address = server.local_addr();
        output.answer(
            || json!({ "listening": address, "credentials": credentials }),
            || {
                let place = credentials.as_ref().map_or_else(
                    || "operators sign with the given key pair\n".to_owned(),
                    |path| format!("operators sign with the key pair in {}\n", path.display()),
                );
                format!("{place}listening on http://{address}\n")
            },
        )?;
        Ok(server.run(stop).await?)
    })
}

/// Opens the directory for a given key pair, or for its own; tells where the pair is, if in a file.
fn open(args: ServeArgs) -> Result<(Config, Option<PathBuf>), Failure> {
    if let Some(path) = args.credentials {
        let key_pair = KeyPair::read(&path).map_err(|error| {
            Failure::new(Exit::Io, format!("cannot use {}: {error}", path.display()))
        })?;
        return Ok((DataDir::open_for(&args.data, key_pair)?, Some(path)));
    }
    if let (Some(id), Some(secret)) = (args.access_key_id, args.secret_access_key) {
        return Ok((
            DataDir::open_for(&args.data, KeyPair::new(id, secret))?,
            None,
        ));
    }
    let data = DataDir::open(&args.data)?;
    let credentials = data.credentials().to_owned();
    Ok((data.into_config(), Some(credentials)))
}

/// Returns what ends when a signal asks the process to.
#[cfg(unix)]
pub(crate) fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
pub(crate) fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    Ok(async {
        // Without a handler the system ends the process at once, which the store survives.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
