//! What each command does, one file per group.

pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod edit;
pub(crate) mod identity;
pub(crate) mod import_store;
pub(crate) mod login_token;
pub(crate) mod migrate;
pub(crate) mod plain;
pub(crate) mod push;
pub(crate) mod read;
pub(crate) mod serve;
pub(crate) mod shell;
pub(crate) mod status;
pub(crate) mod sync;
pub(crate) mod transfer;
pub(crate) mod upkeep;
pub(crate) mod watch;
pub(crate) mod wipe;
