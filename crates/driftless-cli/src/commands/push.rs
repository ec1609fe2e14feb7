//! `push`: being told of changes by the platform's push service, and what to do when that happens.

use std::collections::BTreeMap;

use driftless::{Client, DatasetName, Subscription};
use serde_json::{Value as Json, json};
use tokio::runtime::Runtime;

use crate::args::push::{HandleArgs, PushArgs, PushCommand, RegisterArgs, SubscribeArgs};
use crate::commands::status::way;
use crate::commands::sync::{check_fits, object, runtime};
use crate::exit::{Exit, Failure};
use crate::files;
use crate::output::{Output, table};
use crate::settings::{Settings, dataset_or_all};

/// Bytes of a payload that are read: push networks carry 4 KiB to 5 KiB, and the library refuses more than this.
const MAX_PAYLOAD: u64 = 16 * 1024;

pub(crate) fn push(settings: &Settings, args: PushArgs, output: &Output) -> Result<(), Failure> {
    settings.check_for_sync()?;
    let runtime = runtime()?;
    settings.with_client(|client| {
        identify(settings, client, &runtime)?;
        match &args.command {
            PushCommand::Register(args) => register(client, args, &runtime, output),
            PushCommand::Unregister => unregister(client, &runtime, output),
            PushCommand::Subscribe(args) => subscribe(client, args, &runtime, output),
            PushCommand::Unsubscribe(args) => unsubscribe(client, args, &runtime, output),
            PushCommand::Handle(args) => handle(client, args, &runtime, output),
        }
    })
}

/// Asks whose device it is. Where nobody answers and somebody is known, it is that one's, so that a wish is written down.
fn identify(settings: &Settings, client: &Client, runtime: &Runtime) -> Result<(), Failure> {
    match settings.logins.identify(client, runtime) {
        Err(failure) if failure.exit == Exit::Network && client.identity().is_some() => Ok(()),
        asked => asked,
    }
}

fn register(
    client: &Client,
    args: &RegisterArgs,
    runtime: &Runtime,
    output: &Output,
) -> Result<(), Failure> {
    let token = args.token.expose();
    if token.is_empty() {
        return Err(Failure::usage("the token is empty"));
    }
    let id = runtime.block_on(client.register_device(args.platform.platform(), token))?;
    output.answer(
        || json!({ "device": id }),
        || format!("registered as {id}\n"),
    )
}

fn unregister(client: &Client, runtime: &Runtime, output: &Output) -> Result<(), Failure> {
    let before = client.device_id()?;
    runtime.block_on(client.unregister_device())?;
    output.answer(
        || json!({ "was_registered": before.is_some(), "device": before }),
        || match &before {
            Some(id) => format!("{id} is told of nothing any more\n"),
            None => "nothing was to be done: the device is not registered\n".to_owned(),
        },
    )
}

fn subscribe(
    client: &Client,
    args: &SubscribeArgs,
    runtime: &Runtime,
    output: &Output,
) -> Result<(), Failure> {
    let subscriptions = match dataset_or_all(args.dataset.clone(), args.all)? {
        Some(name) => {
            let dataset = client.dataset(name.as_str())?;
            let subscription = runtime.block_on(dataset.subscribe())?;
            BTreeMap::from([(name, subscription)])
        }
        None => runtime.block_on(client.subscribe_all())?,
    };
    tell(&subscriptions, output)
}

fn unsubscribe(
    client: &Client,
    args: &SubscribeArgs,
    runtime: &Runtime,
    output: &Output,
) -> Result<(), Failure> {
    match dataset_or_all(args.dataset.clone(), args.all)? {
        Some(name) => runtime.block_on(client.dataset(name.as_str())?.unsubscribe())?,
        None => runtime.block_on(client.unsubscribe_all())?,
    }
    tell(&client.subscriptions()?, output)
}

/// Tells how far subscriptions have come.
fn tell(
    subscriptions: &BTreeMap<DatasetName, Subscription>,
    output: &Output,
) -> Result<(), Failure> {
    let each = || subscriptions.iter();
    output.answer(
        || {
            let object = |(name, it): (_, &Subscription)| {
                json!({ "dataset": name, "subscription": way(*it) })
            };
            json!({ "datasets": each().map(object).collect::<Vec<Json>>() })
        },
        || {
            let row = |(name, it): (&DatasetName, &Subscription)| {
                [name.to_string(), way(*it).to_owned()]
            };
            table(["dataset", "subscription"], each().map(row))
        },
    )
}

fn handle(
    client: &Client,
    args: &HandleArgs,
    runtime: &Runtime,
    output: &Output,
) -> Result<(), Failure> {
    let payload = files::read_text(&args.file, MAX_PAYLOAD)?;
    let Some((dataset, report)) = runtime.block_on(client.handle_push(&payload))? else {
        return output.answer(
            || json!({ "news": false }),
            || "nothing was to be done: what it tells of is here\n".to_owned(),
        );
    };
    output.answer(
        || {
            let mut object = object(&dataset, &report);
            object["news"] = json!(true);
            object
        },
        || {
            let keys = report.changed_here.len();
            format!(
                "synchronized {}: {keys} keys changed here\n",
                dataset.name()
            )
        },
    )?;
    check_fits(&dataset, &report)
}
