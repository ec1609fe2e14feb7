//! Arguments of the commands that tell how datasets stand, set how they are kept, and remove them from the device.

use clap::{Args, Subcommand};

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
