//! `watch`: changes of a dataset, a line each, until a signal or the time that was asked for.
//!
//! With a service and an identity the dataset is synchronized meanwhile, so that what others write comes. A session that fails
//! is told on stderr and tried again; it ends nothing.

use std::time::Duration;

use driftless::{AutoSync, Change, Changes, Client, Dataset, Origin, Schedule, SyncError};
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::args::upkeep::WatchArgs;
use crate::commands::serve::stop_signal;
use crate::commands::sync::{check_fits, runtime};
use crate::exit::Failure;
use crate::output::{Output, print, shortened};
use crate::settings::Settings;
use crate::value;

pub(crate) fn watch(settings: &Settings, args: WatchArgs, output: &Output) -> Result<(), Failure> {
    let is_synced = settings.has_service()?;
    if args.once || args.every.is_some() {
        settings.check_for_sync()?;
    }
    if !is_synced {
        settings.check_store()?;
    }
    let runtime = runtime()?;
    settings.with_client(|client| {
        if args.once {
            settings.logins.identify(client, &runtime)?;
        }
        let dataset = client.dataset(args.of.dataset.as_str())?;
        let changes = dataset.changes();
        if args.once {
            return runtime.block_on(once(&dataset, changes, output));
        }
        runtime.block_on(follow(client, &dataset, changes, is_synced, &args, output))
    })
}

async fn once(dataset: &Dataset, mut changes: Changes, output: &Output) -> Result<(), Failure> {
    let report = dataset.synchronize().await?;
    while let Some(change) = changes.try_next() {
        tell(dataset, &change, output)?;
    }
    check_fits(dataset, &report)
}

async fn follow(
    client: &Client,
    dataset: &Dataset,
    mut changes: Changes,
    is_synced: bool,
    args: &WatchArgs,
    output: &Output,
) -> Result<(), Failure> {
    // Before anything is told: who reads it may ask for the end at once.
    let mut stop = std::pin::pin!(stop_signal()?);
    let mut auto = match is_synced {
        true => Some(client.auto_sync(Schedule::default().quiet(Duration::from_millis(200)))?),
        false => None,
    };
    let mut end = std::pin::pin!(after(args.duration));
    let period = args.every.map(Duration::from_secs);
    let mut ticks = period.map(|period| interval_at(Instant::now() + period, period));
    if let Some(ticks) = &mut ticks {
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    }
    output.answer(
        || json!({ "watching": dataset.name(), "synchronizes": is_synced }),
        || format!("watching {}\n", dataset.name()),
    )?;
    loop {
        tokio::select! {
            change = changes.next() => match change {
                Some(change) => tell(dataset, &change, output)?,
                None => return Ok(()),
            },
            failed = failed(&mut auto, dataset) => output.warn(&Failure::from(failed)),
            () = tick(&mut ticks) => dataset.hint(),
            () = &mut stop => break,
            () = &mut end => break,
        }
    }
    // What came before the end is told.
    while let Some(change) = changes.try_next() {
        tell(dataset, &change, output)?;
    }
    Ok(())
}

async fn after(seconds: Option<u64>) {
    match seconds {
        Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
        None => std::future::pending().await,
    }
}

async fn tick(ticks: &mut Option<tokio::time::Interval>) {
    match ticks {
        Some(ticks) => _ = ticks.tick().await,
        None => std::future::pending().await,
    }
}

/// Waits for a session of the dataset that fails, and tells each failure once.
async fn failed(auto: &mut Option<AutoSync>, dataset: &Dataset) -> SyncError {
    while let Some(auto) = auto
        && let Some(mut ended) = auto.ended().await
    {
        if let Some(Err(error)) = ended.remove(dataset.name()) {
            return error;
        }
    }
    std::future::pending().await
}

fn tell(dataset: &Dataset, change: &Change, output: &Output) -> Result<(), Failure> {
    let origin = match change.origin {
        Origin::Local => "local",
        _ => "remote",
    };
    if output.is_json() {
        let object = json!({
            "dataset": dataset.name(),
            "key": change.key,
            "old": change.old.as_ref().map(value::typed),
            "new": change.new.as_ref().map(value::typed),
            "origin": origin,
        });
        return print(&format!("{object}\n"));
    }
    let text = |value: &Option<driftless::Value>| {
        let text = value.as_ref().map(value::text);
        text.map_or_else(|| "nothing".to_owned(), |text| shortened(&text))
    };
    let (key, old, new) = (shortened(&change.key), text(&change.old), text(&change.new));
    print(&format!("{key}: {old} -> {new} ({origin})\n"))
}
