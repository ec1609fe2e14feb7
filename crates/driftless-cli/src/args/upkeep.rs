//! Arguments of the commands that look after datasets, and of those that describe the program.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};
use clap_complete::Shell;
use driftless::{DatasetName, LocalStoreKind};

use crate::args::DatasetArg;

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("of").args(["dataset", "all"]))]
pub(crate) struct SizeArgs {
    /// The dataset; DRIFTLESS_DATASET by default
    #[arg(long, short, value_name = "NAME")]
    pub(crate) dataset: Option<DatasetName>,
    /// Every dataset in the store
    #[arg(long)]
    pub(crate) all: bool,
    /// What one key takes, in place of the whole dataset
    #[arg(conflicts_with = "all")]
    pub(crate) key: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ImportStoreArgs {
    /// The file; of JavaScript the text that `JSON.stringify(localStorage)` returns
    pub(crate) file: PathBuf,
    /// Which old client left it
    #[arg(long, value_enum)]
    pub(crate) kind: OldClient,
}

/// An old client of Cognito Sync.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum OldClient {
    /// cognito_dataset_cache.db
    Android,
    /// aws_cognito_sync.db, also of Xamarin and Unity
    Dotnet,
    /// CognitoData.sqlite3
    Ios,
    /// localStorage of amazon-cognito-js, as a JSON object
    Javascript,
}

impl OldClient {
    pub(crate) const fn kind(self) -> LocalStoreKind {
        match self {
            Self::Android => LocalStoreKind::Android,
            Self::Dotnet => LocalStoreKind::DotNet,
            Self::Ios => LocalStoreKind::Ios,
            Self::Javascript => LocalStoreKind::JavaScript,
        }
    }
}

/// Seconds in a year: a clock that counts on from now has room for so many.
const YEAR: u64 = 365 * 24 * 60 * 60;

#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    pub(crate) of: DatasetArg,
    /// Synchronize once, print what changed by that, and end
    #[arg(long)]
    pub(crate) once: bool,
    /// End after so long
    #[arg(long = "for", value_name = "SECONDS", conflicts_with = "once")]
    pub(crate) duration: Option<u64>,
    /// How often to ask the service for news, a request each time; it is only asked at the start by default
    #[arg(long, value_name = "SECONDS", conflicts_with = "once",
        value_parser = clap::value_parser!(u64).range(1..=YEAR))]
    pub(crate) every: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// The dataset; all datasets in the store and at the service by default
    #[arg(long, short, value_name = "NAME")]
    pub(crate) dataset: Option<DatasetName>,
    /// Repair what can be: set damaged datasets of the store aside, and synchronize
    #[arg(long)]
    pub(crate) repair: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Write a page for the program and one for each command into this directory, made where it is missing
    #[arg(long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
}
