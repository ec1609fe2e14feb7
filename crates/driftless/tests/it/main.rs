//! The client through its public API, against the real server on loopback or its core in this
//! process.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod adoption;
mod auto;
mod buffered;
mod catalog;
mod changes;
mod contradiction;
mod data_path;
mod deletion;
mod edits;
mod failures;
mod fake;
mod identities;
#[cfg(feature = "local-store-import")]
mod local_store;
mod logs;
mod model;
mod old_client;
mod plain_only;
mod policies;
mod pushes;
mod requests;
mod service;
mod service_faults;
mod sessions;
mod stores;
mod storm;
mod subscriptions;
mod two_devices;
mod typed;
mod undo;
mod values;
#[cfg(feature = "network-watcher")]
mod watcher;
mod wipe;
