//! `migrate`: whose datasets go where, how far that is, and what became of each.

use std::path::Path;
use std::sync::Arc;

use driftless::transport::{Endpoint, EnvironmentCredentials, HyperTransport, Transport};
use driftless_cli::migration::{Amount, Journal, MigrateError, Migration, Outcome, Owner};
use driftless_cli::migration::{Route, Service};
use driftless_wire::{DatasetName, IdentityId};
use indicatif::ProgressBar;
use serde_json::{Value as Json, json};

use crate::args::migrate::MigrateArgs;
use crate::commands::sync::runtime;
use crate::exit::{Exit, Failure};
use crate::files;
use crate::output::{Output, bytes, table};
use crate::progress;
use crate::settings::{DEFAULT_REGION, Settings, endpoint_at};

/// Room for some two million identities.
const MAX_FILE_BYTES: u64 = 256 * 1024 * 1024;

/// What became of the datasets that were reached.
type Rows = Vec<(IdentityId, DatasetName, Outcome)>;

pub(crate) fn migrate(
    settings: &Settings,
    args: MigrateArgs,
    output: &Output,
) -> Result<(), Failure> {
    if settings.logins.is_pool() {
        let message = "migrate signs with key pairs, not as a guest or with a login";
        return Err(Failure::usage(message));
    }
    let owners = match &args.identities {
        Some(file) => read(file)?,
        None => vec![same(settings.identity()?)],
    };
    let (from, from_name) = settings.service_and_name()?;
    let (to, to_name) = target(&args)?;
    let route = Route {
        from: from_name,
        from_pool: settings.pool()?,
        to: to_name,
        to_pool: args.to_pool.map_or_else(|| settings.pool(), Ok)?,
    };
    let journal = args.state.map(|file| Journal::open(&file, &route));
    let mut journal = journal.transpose()?;
    let migration = Migration::new(
        Service::new(from, route.from_pool),
        Service::new(to, route.to_pool),
    );
    let bar = progress::bar(output, "migrating", owners.len());
    let mut rows = Rows::new();
    let done = runtime()?.block_on(async {
        for owner in &owners {
            copy(&migration, owner, journal.as_mut(), &bar, &mut rows).await?;
            bar.inc(1);
        }
        Ok::<(), MigrateError>(())
    });
    bar.finish_and_clear();
    report(&rows, output)?;
    done?;
    let refused = rows
        .iter()
        .filter(|(.., it)| matches!(it, Outcome::Refused(_)));
    match refused.count() {
        0 => Ok(()),
        count => {
            let message = format!("{count} of {} datasets were not copied", rows.len());
            Err(Failure::new(Exit::Incomplete, message))
        }
    }
}

/// Copies what one identity has, or only tells of it where there is no journal.
async fn copy(
    migration: &Migration,
    owner: &Owner,
    mut journal: Option<&mut Journal>,
    bar: &ProgressBar,
    rows: &mut Rows,
) -> Result<(), MigrateError> {
    for name in migration.datasets(owner).await? {
        // A sign of life for who has one identity with much.
        bar.tick();
        let outcome = match &mut journal {
            Some(journal) => migration.copy(owner, &name, journal).await?,
            None => migration.foresee(owner, &name).await?,
        };
        rows.push((owner.source.clone(), name, outcome));
    }
    Ok(())
}

fn same(identity: IdentityId) -> Owner {
    Owner {
        source: identity.clone(),
        target: identity,
    }
}

fn target(args: &MigrateArgs) -> Result<(Arc<dyn Transport>, String), Failure> {
    let region = args.to_region.as_deref().unwrap_or(DEFAULT_REGION);
    let (endpoint, name) = match &args.to {
        Some(url) => (endpoint_at("--to", url, region)?, url.as_str()),
        None => (Endpoint::region(region)?, region),
    };
    // Not the ones of the source: a session token is for the service that gave it.
    let credentials = EnvironmentCredentials::new(|name| {
        std::env::var(name.replacen("AWS_", "DRIFTLESS_TO_", 1)).ok()
    });
    check_credentials()?;
    let transport = HyperTransport::builder(endpoint, Arc::new(credentials)).build();
    Ok((Arc::new(transport), name.to_owned()))
}

/// Refuses before anything is asked what the target's requests cannot be signed without, by its own names.
fn check_credentials() -> Result<(), Failure> {
    let mut needed = [
        "DRIFTLESS_TO_ACCESS_KEY_ID",
        "DRIFTLESS_TO_SECRET_ACCESS_KEY",
    ]
    .into_iter();
    let is_missing = |name: &&str| std::env::var_os(name).is_none_or(|value| value.is_empty());
    match needed.find(is_missing) {
        None => Ok(()),
        Some(name) => {
            let message = format!(
                "{name} is not set; requests to the target are signed with it, and nothing was asked or sent"
            );
            Err(Failure::new(Exit::Credentials, message))
        }
    }
}

/// Reads whose data to copy, all of it before anything is asked.
fn read(file: &Path) -> Result<Vec<Owner>, Failure> {
    let bytes = files::read(file, MAX_FILE_BYTES)?;
    let text = files::utf8(bytes, &file.display())?;
    let lines = text.lines().map(str::trim).zip(1..);
    let lines = lines.filter(|(line, _)| !line.is_empty() && !line.starts_with('#'));
    let owners = lines.map(|(line, number)| {
        owner(line).ok_or_else(|| {
            let message = format!("line {number} of {} names no identity", file.display());
            Failure::new(Exit::Input, message)
        })
    });
    owners.collect()
}

fn owner(line: &str) -> Option<Owner> {
    let mut words = line.split_whitespace();
    let source: IdentityId = words.next()?.parse().ok()?;
    let target = words.next().map_or(Ok(source.clone()), str::parse).ok()?;
    words.next().is_none().then_some(Owner { source, target })
}

fn report(rows: &Rows, output: &Output) -> Result<(), Failure> {
    let objects = || {
        rows.iter()
            .map(|(identity, name, outcome)| object(identity, name, outcome))
    };
    output.answer(
        || json!({ "datasets": objects().collect::<Vec<Json>>() }),
        || {
            let header = [
                "identity",
                "dataset",
                "",
                "records",
                "bytes",
                "tombstones left",
            ];
            table(
                header,
                rows.iter()
                    .map(|(identity, name, outcome)| row(identity, name, outcome)),
            )
        },
    )
}

fn object(identity: &IdentityId, name: &DatasetName, outcome: &Outcome) -> Json {
    let (word, amount, reason) = told(outcome);
    json!({
        "identity": identity,
        "dataset": name,
        "outcome": word,
        "reason": reason,
        "records": amount.map(|it| it.records),
        "bytes": amount.map(|it| it.bytes),
        "tombstones_left": amount.map(|it| it.tombstones),
    })
}

fn row(identity: &IdentityId, name: &DatasetName, outcome: &Outcome) -> [String; 6] {
    let (word, amount, reason) = told(outcome);
    let text = |of: fn(Amount) -> String| amount.map_or_else(String::new, of);
    [
        identity.to_string(),
        name.to_string(),
        reason.map_or_else(|| word.to_owned(), |reason| format!("{word}: {reason}")),
        text(|it| it.records.to_string()),
        text(|it| bytes(it.bytes as u64)),
        text(|it| it.tombstones.to_string()),
    ]
}

fn told(outcome: &Outcome) -> (&'static str, Option<Amount>, Option<String>) {
    match outcome {
        Outcome::Copied(amount) => ("copied", Some(*amount), None),
        Outcome::Done(amount) => ("done before", *amount, None),
        Outcome::Possible(amount) => ("would be copied", Some(*amount), None),
        Outcome::Refused(refusal) => ("refused", None, Some(refusal.to_string())),
        _ => ("unknown", None, None),
    }
}
