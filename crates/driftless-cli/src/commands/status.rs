//! `status`: how datasets stand, here and at the service: what waits for a sync, when the last one was, how they are kept.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use driftless::{Client, Dataset, DatasetName, DeviceId, IdentityId, Subscription};
use driftless_wire::{Dataset as RemoteDataset, Timestamp};
use serde_json::{Value as Json, json};
use tokio::runtime::Runtime;

use crate::args::state::StatusArgs;
use crate::commands::sync::runtime;
use crate::exit::Failure;
use crate::output::{Output, bytes, shortened, table};
use crate::progress;
use crate::settings::{Settings, dataset_or_all, not_in_store};
use crate::value::moment_text;

/// What is known of the device and its datasets.
struct Status {
    identity: Option<IdentityId>,
    /// The id by which the service knows the device, if it is registered for pushes.
    device: Option<DeviceId>,
    /// When the service was asked for what it has, by this device's clock.
    asked: Option<Timestamp>,
    datasets: Vec<Entry>,
}

struct Entry {
    name: DatasetName,
    here: Here,
    there: Option<RemoteDataset>,
    subscription: Option<Subscription>,
}

/// What this device has of a dataset.
enum Here {
    Open(Dataset),
    /// It is damaged or of a later version; `doctor` tells more.
    Unreadable,
    /// Only the service has it.
    Nothing,
}

pub(crate) fn status(
    settings: &Settings,
    args: StatusArgs,
    output: &Output,
) -> Result<(), Failure> {
    if args.remote {
        settings.check_for_sync()?;
    }
    let named = dataset_or_all(args.dataset, args.all)?;
    let runtime = runtime()?;
    settings.with_existing_client(|client| {
        if args.remote {
            settings.logins.identify(client, &runtime)?;
        }
        let remote = args.remote.then_some(&runtime);
        let status = match &named {
            Some(name) => of_one(client, name, remote, output)?,
            None => of_all(client, remote, output)?,
        };
        output.answer(|| object(&status), || text(&status))
    })
}

fn of_one(
    client: &Client,
    name: &DatasetName,
    remote: Option<&Runtime>,
    output: &Output,
) -> Result<Status, Failure> {
    let is_here = client.datasets()?.contains(name);
    let dataset = client.dataset(name.as_str())?;
    let (there, asked) = match remote {
        Some(runtime) => {
            let spinner = progress::spinner(output, "asking the service".to_owned());
            let described = runtime.block_on(dataset.describe());
            spinner.finish_and_clear();
            (described?, Some(now()))
        }
        None => {
            let mut catalog = client.catalog()?;
            let entry = catalog.datasets.remove(name);
            (entry.and_then(|entry| entry.there), catalog.refreshed)
        }
    };
    let here = match (is_here, &there) {
        (true, _) => Here::Open(dataset),
        (false, Some(_)) => Here::Nothing,
        (false, None) => return Err(not_in_store(name)),
    };
    let name = name.clone();
    with_subscriptions(client, asked, vec![(name, here, there)])
}

fn of_all(client: &Client, remote: Option<&Runtime>, output: &Output) -> Result<Status, Failure> {
    let catalog = match remote {
        Some(runtime) => {
            let spinner = progress::spinner(output, "asking the service".to_owned());
            let refreshed = runtime.block_on(client.refresh());
            spinner.finish_and_clear();
            refreshed?
        }
        None => client.catalog()?,
    };
    let found = catalog.datasets.into_iter().map(|(name, entry)| {
        let here = match entry.is_here {
            // A damaged dataset is told as such, for the others are usable.
            true => client
                .dataset(name.as_str())
                .map_or(Here::Unreadable, Here::Open),
            false => Here::Nothing,
        };
        (name, here, entry.there)
    });
    with_subscriptions(client, catalog.refreshed, found.collect())
}

fn with_subscriptions(
    client: &Client,
    asked: Option<Timestamp>,
    found: Vec<(DatasetName, Here, Option<RemoteDataset>)>,
) -> Result<Status, Failure> {
    let identity = client.identity();
    let (device, subscriptions) = match &identity {
        Some(_) => (client.device_id()?, client.subscriptions()?),
        None => (None, BTreeMap::new()),
    };
    let entry = |(name, here, there)| Entry {
        subscription: subscriptions.get(&name).copied(),
        name,
        here,
        there,
    };
    Ok(Status {
        identity,
        device,
        asked,
        datasets: found.into_iter().map(entry).collect(),
    })
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = i64::try_from(since.unwrap_or_default().as_millis());
    Timestamp::from_millis(millis.unwrap_or(i64::MAX))
}

fn object(status: &Status) -> Json {
    json!({
        "identity": status.identity,
        "device": status.device,
        "asked": status.asked.map(Timestamp::as_millis),
        "datasets": status.datasets.iter().map(entry_object).collect::<Vec<Json>>(),
    })
}

fn entry_object(entry: &Entry) -> Json {
    let mut object = json!({
        "dataset": entry.name,
        "here": !matches!(entry.here, Here::Nothing),
        "unreadable": matches!(entry.here, Here::Unreadable),
        "subscription": entry.subscription.map(way),
        "remote": entry.there.as_ref().map(|there| json!({
            "records": there.num_records,
            "bytes": there.data_storage,
            "modified": there.last_modified_date.map(Timestamp::as_millis),
        })),
    });
    if let Here::Open(dataset) = &entry.here {
        let last = dataset.last_sync();
        object["keys"] = json!(dataset.len());
        object["unsynced"] = json!(dataset.has_unsynced());
        object["unsynced_keys"] = json!(dataset.unsynced_keys());
        object["last_sync"] =
            json!(last.map(|it| json!({ "at": it.at.as_millis(), "count": it.count })));
        object["plain"] = json!(dataset.is_plain());
        object["plain_only"] = json!(dataset.is_plain_only());
    }
    object
}

fn text(status: &Status) -> String {
    let header = [
        "dataset",
        "keys",
        "unsynced",
        "last sync",
        "plain records",
        "pushes",
        "at the service",
    ];
    let mut text = table(header, status.datasets.iter().map(row));
    for entry in &status.datasets {
        if let Here::Open(dataset) = &entry.here {
            let keys = dataset.unsynced_keys();
            let shown = keys.iter().map(|key| shortened(key));
            text += &shown.fold(String::new(), |lines, key| {
                format!("{lines}{}/{key} is not synced\n", entry.name)
            });
        }
    }
    match status.asked {
        Some(asked) => {
            let asked = moment_text(asked.as_millis());
            text + &format!("the service was asked at {asked}\n")
        }
        None => text,
    }
}

fn row(entry: &Entry) -> [String; 7] {
    let [keys, unsynced, last, plain] = match &entry.here {
        Here::Open(dataset) => here(dataset),
        Here::Unreadable => ["", "cannot be read", "", ""].map(str::to_owned),
        Here::Nothing => ["", "not here", "", ""].map(str::to_owned),
    };
    let there = entry.there.as_ref().map(|there| {
        let size = bytes(there.data_storage.unsigned_abs());
        format!("{} records, {size}", there.num_records)
    });
    [
        entry.name.to_string(),
        keys,
        unsynced,
        last,
        plain,
        entry.subscription.map_or("", way).to_owned(),
        there.unwrap_or_default(),
    ]
}

fn here(dataset: &Dataset) -> [String; 4] {
    let unsynced = match (dataset.unsynced_keys().len(), dataset.has_unsynced()) {
        (0, true) => "yes".to_owned(),
        (0, false) => String::new(),
        (1, _) => "1 key".to_owned(),
        (keys, _) => format!("{keys} keys"),
    };
    let last = dataset.last_sync();
    let plain = match (dataset.is_plain_only(), dataset.is_plain()) {
        (true, _) => "only",
        (false, true) => "too",
        (false, false) => "",
    };
    [
        dataset.len().to_string(),
        unsynced,
        last.map_or_else(|| "never".to_owned(), |it| moment_text(it.at.as_millis())),
        plain.to_owned(),
    ]
}

/// Returns the word for how far a subscription has come.
pub(crate) const fn way(subscription: Subscription) -> &'static str {
    match subscription {
        Subscription::Waiting => "waiting",
        Subscription::Standing => "standing",
    }
}
