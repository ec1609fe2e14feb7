//! Arguments of the commands that tell how datasets stand, set how they are kept, and remove them from the device.

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use driftless::{DatasetName, Scope};

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
#[command(group = ArgGroup::new("of").args(["dataset", "all"]))]
pub(crate) struct StatusArgs {
    /// The dataset; DRIFTLESS_DATASET by default
    #[arg(long, short, value_name = "NAME")]
    pub(crate) dataset: Option<DatasetName>,
    /// Every dataset in the store, and those that only the service is known to have
    #[arg(long)]
    pub(crate) all: bool,
    /// Ask the service what it has, one request; what it told last by default
    #[arg(long)]
    pub(crate) remote: bool,
}

#[derive(Debug, Args)]
pub(crate) struct WipeArgs {
    /// Whose data to remove
    #[arg(long, value_enum, default_value_t = WipeScope::Identity)]
    pub(crate) scope: WipeScope,
    /// Remove edits too that the service does not have; nothing is removed by default while there are any
    #[arg(long)]
    pub(crate) lose_unsynced: bool,
    /// Remove them; without it nothing is removed, and what would go is told
    #[arg(long)]
    pub(crate) yes: bool,
}

/// Whose data are removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum WipeScope {
    /// Those of the identity whose data are shown
    Identity,
    /// Those of every identity that used the store, and who the device is
    Device,
}

impl WipeScope {
    pub(crate) const fn scope(self) -> Scope {
        match self {
            Self::Identity => Scope::Identity,
            Self::Device => Scope::Device,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Device => "device",
        }
    }
}
