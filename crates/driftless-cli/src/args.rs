//! What can be asked for: commands, flags, and the variables that stand for flags.

pub(crate) mod migrate;
pub(crate) mod push;
pub(crate) mod secret;
pub(crate) mod state;
pub(crate) mod upkeep;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use driftless::{DatasetName, Path, Step};

use crate::args::migrate::MigrateArgs;
use crate::args::push::PushArgs;
use crate::args::state::{PlainArgs, StatusArgs, WipeArgs};
use crate::args::upkeep::{
    CompletionsArgs, DoctorArgs, ImportStoreArgs, ManArgs, SizeArgs, WatchArgs,
};
use crate::exit;
use crate::settings::Settings;
use crate::value::Type;

/// Offline-first datasets that merge by themselves.
#[derive(Debug, Parser)]
#[command(name = "driftless", version, after_help = exit::help())]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) settings: Settings,
    /// Print one JSON object instead of text for people
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Log to stderr what this filter lets through, such as `debug` or `driftless=debug`
    #[arg(long, global = true, env = "DRIFTLESS_LOG", value_name = "FILTER")]
    pub(crate) log: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Put a value at a key, in place of all that stands there
    Put(PutArgs),
    /// Insert a value into the list at a key, which begins empty
    Insert(InsertArgs),
    /// Add a member to the set at a key, which begins empty
    Add(PutArgs),
    /// Remove a member of the set at a key
    Discard(PutArgs),
    /// Print the value at a key
    Get(KeyArgs),
    /// Remove what stands at a key
    Remove(KeyArgs),
    /// Add to the counter at a key, which begins at 0
    Increment(IncrementArgs),
    /// Edit the text at a key, which begins empty; devices that edit it at once keep both edits
    Text(TextArgs),
    /// List the keys of a dataset, or the datasets
    List(ListArgs),
    /// List the values that devices left at one key without knowing of each other
    Conflicts(ConflictsArgs),
    /// Exchange edits with the service
    Sync(SyncArgs),
    /// Delete a dataset: here at once, at the service by the next sync
    Delete(DatasetArg),
    /// Write a dataset as JSON
    Export(ExportArgs),
    /// Make the keys of an exported dataset stand here as they stand in its file
    Import(ImportArgs),
    /// Take over what an old Cognito Sync client had not sent, from the file that it left
    ImportStore(ImportStoreArgs),
    /// Ask the identity pool whose data to show, as each sync does: after a login
    Identify,
    /// Forget who the device is, so that the next person sees nothing of this one; the data stay in the store
    SignOut,
    /// Be told by a push service of changes that others make, and read what it brings
    Push(PushArgs),
    /// Remove data from this device, not from the service
    Wipe(WipeArgs),
    /// Tell how datasets stand: what waits for a sync, when the last one was, how they are kept
    Status(StatusArgs),
    /// Keep a dataset as plain records too, for old clients of Cognito Sync, or give that up
    Plain(PlainArgs),
    /// Print changes as they come, those of other devices too
    Watch(WatchArgs),
    /// Tell what is wrong with the store, and with what the service holds, and repair it if asked to
    Doctor(DoctorArgs),
    /// Tell what a dataset takes of its limit, and what of that only its past
    Size(SizeArgs),
    /// Exchange edits with the service, and write there anew without what only the past needs
    Compact(DatasetArg),
    /// Copy all datasets of an identity, or of many, from one service to another
    Migrate(MigrateArgs),
    /// Serve datasets to devices, over the Amazon Cognito Sync API
    Serve(ServeArgs),
    /// Sign a login for a person, with the key of a provider of a service's pool
    LoginToken(LoginTokenArgs),
    /// Print a script that completes commands in a shell
    Completions(CompletionsArgs),
    /// Print the manual page, or write one for each command too
    Man(ManArgs),
    /// Show devices that edit offline, sync, and agree; with a trace, replay a recorded session
    Demo(DemoArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DatasetArg {
    /// The dataset
    #[arg(long, short, env = "DRIFTLESS_DATASET", value_name = "NAME")]
    pub(crate) dataset: DatasetName,
}

#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    #[command(flatten)]
    pub(crate) of: DatasetArg,
    /// The key
    pub(crate) key: String,
    /// A step into what stands at the key, and so on: a place in a list from 0, or a key of a map; write =7 for the key 7
    #[arg(long = "in", value_name = "STEP", value_parser = step)]
    pub(crate) steps: Vec<Step>,
}

impl KeyArgs {
    pub(crate) fn path(&self) -> Path {
        let steps = self.steps.iter().cloned();
        steps.fold(Path::from(&self.key), Path::step)
    }
}

/// Reads a step: a number is a place in a list, unless a sign before it says that it is a key.
fn step(text: &str) -> Result<Step, std::convert::Infallible> {
    let key = || Step::Key(text.strip_prefix('=').unwrap_or(text).to_owned());
    Ok(text.parse().map_or_else(|_| key(), Step::Index))
}

#[derive(Debug, Args)]
pub(crate) struct PutArgs {
    #[command(flatten)]
    pub(crate) place: KeyArgs,
    /// The value; none for --type null
    #[arg(allow_hyphen_values = true)]
    pub(crate) value: Option<String>,
    /// Take the value from this file, or with - from stdin
    #[arg(long, value_name = "FILE", conflicts_with = "value")]
    pub(crate) file: Option<PathBuf>,
    /// What the value is
    #[arg(long = "type", id = "kind", value_enum, default_value_t = Type::String)]
    pub(crate) kind: Type,
}

#[derive(Debug, Args)]
pub(crate) struct InsertArgs {
    #[command(flatten)]
    pub(crate) put: PutArgs,
    /// In front of which element, from 0; the end of the list by default
    #[arg(long, value_name = "POSITION")]
    pub(crate) at: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct IncrementArgs {
    #[command(flatten)]
    pub(crate) place: KeyArgs,
    /// How much to add; may be negative
    #[arg(allow_negative_numbers = true, default_value_t = 1)]
    pub(crate) by: i64,
}

#[derive(Debug, Args)]
#[group(id = "change", required = true, multiple = true, args = ["delete", "insert"])]
pub(crate) struct TextArgs {
    #[command(flatten)]
    pub(crate) place: KeyArgs,
    /// Where to begin, in Unicode code points from 0; the end of the text by default
    #[arg(long, value_name = "POSITION")]
    pub(crate) at: Option<usize>,
    /// How many code points to remove there
    #[arg(long, value_name = "COUNT", requires = "at")]
    pub(crate) delete: Option<usize>,
    /// What to insert there
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) insert: Option<String>,
}

#[derive(Debug, Args)]
#[group(id = "what", multiple = false, args = ["dataset", "datasets", "remote"])]
pub(crate) struct ListArgs {
    /// The dataset whose keys to list; DRIFTLESS_DATASET by default
    #[arg(long, short, value_name = "NAME")]
    pub(crate) dataset: Option<DatasetName>,
    /// List the datasets in the store
    #[arg(long)]
    pub(crate) datasets: bool,
    /// List the datasets at the service
    #[arg(long)]
    pub(crate) remote: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ConflictsArgs {
    #[command(flatten)]
    pub(crate) of: DatasetArg,
    /// The key; all keys with several values by default
    pub(crate) key: Option<String>,
}

#[derive(Debug, Args)]
#[group(id = "what", multiple = false, args = ["dataset", "all"])]
pub(crate) struct SyncArgs {
    /// The dataset; DRIFTLESS_DATASET by default
    #[arg(long, short, value_name = "NAME")]
    pub(crate) dataset: Option<DatasetName>,
    /// Every dataset in the store
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    pub(crate) of: DatasetArg,
    /// The file to write instead of printing; one that exists is replaced
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The dataset; by default that which the file names
    #[arg(long, short, value_name = "NAME")]
    pub(crate) dataset: Option<DatasetName>,
    /// Import into a dataset that was never synchronized here; give it if the service holds nothing of the dataset
    #[arg(long)]
    pub(crate) unsynced: bool,
    /// The file that `export` wrote
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// The directory of the service, made where it is missing
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// A JSON file with the identity pools whose guests and logins get identities; none by default
    #[arg(long, value_name = "FILE")]
    pub(crate) pools: Option<PathBuf>,
    /// An AWS shared credentials file with the operator's key pair; one is made in DIR by default
    #[arg(long, value_name = "FILE")]
    pub(crate) credentials: Option<PathBuf>,
    /// The key pair's id, instead of a file
    #[arg(
        long,
        env = "DRIFTLESS_ACCESS_KEY_ID",
        value_name = "ID",
        conflicts_with = "credentials",
        requires = "secret_access_key"
    )]
    pub(crate) access_key_id: Option<String>,
    /// The key pair's secret; better given by the variable than by the flag
    #[arg(
        long,
        env = "DRIFTLESS_SECRET_ACCESS_KEY",
        value_name = "SECRET",
        hide_env_values = true,
        requires = "access_key_id"
    )]
    pub(crate) secret_access_key: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct LoginTokenArgs {
    /// The service's JSON file of identity pools
    #[arg(long, value_name = "FILE")]
    pub(crate) pools: PathBuf,
    /// The provider, as the pool has it
    #[arg(long, value_name = "NAME")]
    pub(crate) provider: String,
    /// The provider's name for the person
    #[arg(long, value_name = "NAME")]
    pub(crate) subject: String,
    /// How long the login is good
    #[arg(long, value_name = "SECONDS", default_value_t = 3_600)]
    pub(crate) valid_for: u32,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// How many devices; with a concurrent trace there is one per agent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(2..=64))]
    pub(crate) devices: Option<u8>,
    /// The seed of all that is random in the demonstration
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Keep the stores in this directory, which must be empty or missing
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
    /// Replay this recorded editing session, JSON or gzipped JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// How many transactions a device makes between two syncs
    #[arg(long, value_name = "K", default_value_t = 100, requires = "trace",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) burst: u32,
    /// Let all devices make K transactions each from one base before they sync
    #[arg(long, value_name = "K", requires = "trace", conflicts_with = "burst",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) overlap: Option<u32>,
    /// Replay only the first N transactions of a sequential trace
    #[arg(long, value_name = "N", requires = "trace")]
    pub(crate) limit: Option<usize>,
    /// What an edit waits for; `disk` by default, `buffered` with a trace
    #[arg(long, value_enum)]
    pub(crate) durability: Option<Wait>,
}

/// What an edit waits for.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Wait {
    /// The disk has it
    Disk,
    /// The operating system has it
    Buffered,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn every_command_stands_in_the_documentation() {
        let documented = include_str!("../../../docs/cli.md");
        let check = |command: &str| {
            let is_there = [" ", "`"]
                .iter()
                .any(|end| documented.contains(&format!("`{command}{end}")));
            assert!(is_there, "docs/cli.md has no `{command}`");
        };
        for command in Cli::command().get_subcommands() {
            check(command.get_name());
            for inner in command.get_subcommands() {
                check(&format!("{} {}", command.get_name(), inner.get_name()));
            }
        }
    }
}
