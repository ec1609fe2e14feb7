//! Arguments of the commands about pushes.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use driftless::{DatasetName, Platform};

use crate::args::secret::Secret;

#[derive(Debug, Args)]
pub(crate) struct PushArgs {
    #[command(subcommand)]
    pub(crate) command: PushCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PushCommand {
    /// Register the device at the service, with the token that the platform's push service gave it
    Register(RegisterArgs),
    /// End all pushes to the device, and forget its registration
    Unregister,
    /// Be told when others change a dataset
    Subscribe(SubscribeArgs),
    /// Be told of changes of a dataset no more
    Unsubscribe(SubscribeArgs),
    /// Read a push, and synchronize the dataset that it tells of if that is behind
    Handle(HandleArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RegisterArgs {
    /// Whose push service
    #[arg(long, value_enum, ignore_case = true)]
    pub(crate) platform: PushPlatform,
    /// The token; better given by the variable than by the flag, and never shown
    #[arg(
        long,
        env = "DRIFTLESS_PUSH_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true
    )]
    pub(crate) token: Secret,
}

/// A push service.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum PushPlatform {
    /// Apple's
    Apns,
    /// Apple's, for development
    #[value(alias = "apns_sandbox")]
    ApnsSandbox,
    /// Google's
    Gcm,
    /// Amazon's
    Adm,
}

impl PushPlatform {
    pub(crate) const fn platform(self) -> Platform {
        match self {
            Self::Apns => Platform::Apns,
            Self::ApnsSandbox => Platform::ApnsSandbox,
            Self::Gcm => Platform::Gcm,
            Self::Adm => Platform::Adm,
        }
    }
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("of").args(["dataset", "all"]))]
pub(crate) struct SubscribeArgs {
    /// The dataset; DRIFTLESS_DATASET by default
    #[arg(long, short, value_name = "NAME")]
    pub(crate) dataset: Option<DatasetName>,
    /// Every dataset in the store
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct HandleArgs {
    /// The file with the payload, as JSON; - reads the standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}
