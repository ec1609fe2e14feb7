//! Arguments of the commands that tell how datasets stand, set how they are kept, and remove them from the device.

use clap::{ArgGroup, Args, Subcommand};
use driftless::DatasetName;

use crate::args::DatasetArg;

#[derive(Debug, Args)]
pub(crate) struct PlainArgs {
    #[command(subcommand)]
    pub(crate) wish: PlainWish,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PlainWish {
    /// Keep the dataset as plain records too, for old clients of Cognito Sync, from the next sync on
    Keep(DatasetArg),
    /// Give the plain records up; the syncs after this remove them at the service
    Retire(DatasetArg),
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("of").required(true).multiple(true).args(["dataset", "all"]))]
pub(crate) struct StatusArgs {
    /// The dataset
    #[arg(long, short, env = "DRIFTLESS_DATASET", value_name = "NAME")]
    pub(crate) dataset: Option<DatasetName>,
    /// Every dataset in the store, and those that only the service is known to have, whatever --dataset says
    #[arg(long)]
    pub(crate) all: bool,
    /// Ask the service what it has, one request; what it told last by default
    #[arg(long)]
    pub(crate) remote: bool,
}
