//! Arguments of the commands that look after datasets, and of those that describe the program.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use clap_complete::Shell;
use driftless::DatasetName;

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("of").required(true).args(["dataset", "all"]))]
pub(crate) struct SizeArgs {
    /// The dataset
    #[arg(long, short, env = "DRIFTLESS_DATASET", value_name = "NAME")]
    pub(crate) dataset: Option<DatasetName>,
    /// Every dataset in the store
    #[arg(long)]
    pub(crate) all: bool,
    /// What one key takes, in place of the whole dataset
    #[arg(conflicts_with = "all")]
    pub(crate) key: Option<String>,
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
