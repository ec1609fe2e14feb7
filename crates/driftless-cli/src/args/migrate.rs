//! Arguments of `migrate`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use driftless::IdentityPoolId;

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("target").required(true).args(["to", "to_region"]).multiple(true))]
pub(crate) struct MigrateArgs {
    /// The URL of the service to copy to; Amazon Cognito Sync in --to-region by default
    #[arg(long, value_name = "URL")]
    pub(crate) to: Option<String>,
    /// The region that requests to the target are signed for; us-east-1 by default where --to is given
    #[arg(long, value_name = "REGION")]
    pub(crate) to_region: Option<String>,
    /// The identity pool at the target, if it is another
    #[arg(long, value_name = "ID")]
    pub(crate) to_pool: Option<IdentityPoolId>,
    /// A file with an identity on each line, and after a space what it is at the target if that differs
    #[arg(long, value_name = "FILE")]
    pub(crate) identities: Option<PathBuf>,
    /// The file that tells what was begun and done, made where it is missing; with it the migration goes on
    #[arg(long, value_name = "FILE", required_unless_present = "dry_run")]
    pub(crate) state: Option<PathBuf>,
    /// Only tell what would be copied
    #[arg(long, conflicts_with = "state")]
    pub(crate) dry_run: bool,
}
