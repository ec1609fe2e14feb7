//! `wipe`: data that leave this device, and stay at the service.

use driftless::{Client, DatasetKey, Owner, Scope, Unsynced, WipeError, Wiped};
use serde_json::{Value as Json, json};

use crate::args::state::{WipeArgs, WipeScope};
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::settings::Settings;

/// What goes.
struct Going {
    datasets: Vec<Wiped>,
    /// Whether the device is registered for pushes: nothing could take that back afterwards.
    is_registered: bool,
}

pub(crate) fn wipe(settings: &Settings, args: WipeArgs, output: &Output) -> Result<(), Failure> {
    settings.with_existing_client(|client| {
        let scope = args.scope.scope();
        let going = Going::of(client, scope)?;
        if args.yes {
            let unsynced = match args.lose_unsynced {
                true => Unsynced::Lose,
                false => Unsynced::Keep,
            };
            client.wipe(scope, unsynced).map_err(failure)?;
        }
        output.answer(
            || going.object(&args),
            || match args.yes {
                true => "removed from this device\n".to_owned(),
                false => going.text(args.scope),
            },
        )?;
        match args.yes {
            true => Ok(()),
            false => Err(Failure::usage(
                "nothing was removed; give --yes to remove it",
            )),
        }
    })
}

impl Going {
    fn of(client: &Client, scope: Scope) -> Result<Self, Failure> {
        Ok(Self {
            datasets: client.would_wipe(scope)?,
            is_registered: client.identity().is_some() && client.device_id()?.is_some(),
        })
    }

    fn object(&self, args: &WipeArgs) -> Json {
        let datasets = self.datasets.iter();
        let object = |wiped: &Wiped| {
            let identity = match wiped.key.owner() {
                Owner::Identity(identity) => Some(identity),
                _ => None,
            };
            json!({ "dataset": wiped.key.name(), "identity": identity, "unsynced": wiped.has_unsynced })
        };
        json!({
            "scope": args.scope.name(),
            "wiped": args.yes,
            "datasets": datasets.map(object).collect::<Vec<Json>>(),
            "registered": self.is_registered,
        })
    }

    fn text(&self, scope: WipeScope) -> String {
        let mut text =
            "these would be removed from this device; what the service has stays there:\n"
                .to_owned();
        for Wiped {
            key, has_unsynced, ..
        } in &self.datasets
        {
            let note = match has_unsynced {
                true => ": has edits that only stand here",
                false => "",
            };
            text += &format!("  dataset {}{note}\n", named(key));
        }
        if self.is_registered {
            text += "  the registration for pushes, which go on to come: `push unregister` ends them before\n";
        }
        if scope == WipeScope::Device {
            text += "  who the device is\n";
        }
        text
    }
}

/// Names the datasets whose edits would be lost, and what to do.
fn failure(error: WipeError) -> Failure {
    let WipeError::Unsynced { datasets } = &error else {
        return error.into();
    };
    let names: Vec<String> = datasets.iter().map(named).collect();
    let message = format!(
        "nothing was removed, for edits were not synchronized of {}; sync first, or give --lose-unsynced",
        names.join(", ")
    );
    Failure::new(Exit::Unsynced, message)
}

fn named(key: &DatasetKey) -> String {
    match key.owner() {
        Owner::Identity(identity) => format!("{} of {identity}", key.name()),
        _ => format!("{} of nobody yet", key.name()),
    }
}
