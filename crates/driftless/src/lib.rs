//! Offline-first datasets that merge by themselves and sync through Amazon Cognito Sync records.
//!
//! A [`Client`] holds the data of one person on one device, in a directory. Its [`Dataset`]s are
//! dictionaries that are read and edited without a network; [`Dataset::synchronize`] exchanges them
//! with the service. There is no conflict to resolve: devices that have seen the same edits show
//! the same data.
//!
//! ```
//! use driftless::{Client, PutError, Scalar, Value, path};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let home = tempfile::tempdir()?;
//! # let directory = home.path();
//! let client = Client::builder(directory)
//!     .pool("us-east-1:00000000-0000-0000-0000-000000000001".parse()?)
//!     .open()?;
//! let trip = client.dataset("trip")?;
//! let mut changes = trip.changes();
//!
//! // Each returns when the disk has it.
//! trip.put("hotel", "Miramar")?;
//! trip.increment("nights", 2)?;
//! trip.splice_text("packing", 0, 0, "a map")?;
//! assert_eq!(trip.get("hotel"), Some(Value::Scalar(Scalar::from("Miramar"))));
//! assert_eq!(trip.counter("nights"), Some(2));
//! assert_eq!(changes.try_next().map(|change| change.key).as_deref(), Some("hotel"));
//!
//! // Lists, sets and nested maps merge inside; a path leads there.
//! trip.push("days", Value::map([("city", "Rome")]))?;
//! trip.put(path!["days", 0, "nights"], 2)?;
//! trip.add(path!["days", 0, "tags"], "food")?;
//! assert_eq!(trip.get_as::<u32>(path!["days", 0, "nights"])?, Some(2));
//!
//! // All or none, and synchronized together.
//! let failed = trip.transaction(|edit| {
//!     edit.remove("hotel")?;
//!     edit.put("", "a key has at least one byte")
//! });
//! assert!(matches!(failed, Err(PutError::Refused(_))));
//! assert!(trip.contains_key("hotel") && trip.has_unsynced());
//! client.close()?;
//! # Ok(())
//! # }
//! ```
//!
//! `examples/two_devices.rs` goes on from there: a service, two devices, and `synchronize`. `todo.rs`, `settings.rs` and
//! `notes.rs` beside it are small apps.
//!
//! # What waits for what
//!
//! | | waits for |
//! | --- | --- |
//! | [`Dataset::get`], and whatever else reads a dataset | memory, and an edit that is being written |
//! | [`Dataset::put`], and whatever else edits | the disk, as [`Durability`] says |
//! | [`ClientBuilder::open`], [`Client::dataset`] for a new name, [`Client::datasets`], [`Client::catalog`], [`Client::sizes`], [`Client::device_id`], [`Client::subscriptions`], [`Client::sign_out`], [`Client::set_aside`], [`Client::would_wipe`], [`Client::wipe`], `Client::import_local_store`, [`Client::close`] | the disk |
//! | [`Client::identity`], [`Client::logins_changed`] | memory, and a call of the line above that has not ended |
//! | [`Dataset::synchronize`], [`Dataset::compact`], [`Dataset::describe`], [`Client::handle_push`], [`Client::remote_datasets`], [`Client::refresh`] | the network, without blocking the thread |
//! | [`Client::identify`] | the network without blocking the thread, and nothing while credentials last |
//! | [`Client::register_device`], [`Client::unregister_device`], [`Dataset::subscribe`], [`Client::subscribe_all`] and their counterparts | the disk, and then the network and other calls of this line, without blocking the thread |
//! | [`Dataset::synchronize_on_connectivity`] | a network that may be used, and then the same as [`Dataset::synchronize`] |
//! | [`Client::auto_sync`] | nothing: it synchronizes in tasks of its own from then on |
//! | [`Dataset::hint`], [`Client::identity_changes`], [`IdentityChanges::last`], [`AutoSync::outcomes`] | nothing |
//! | [`Changes::next`], [`AutoSync::changed`], [`IdentityChanges::next`] | a change, without blocking the thread |
//!
//! Only what waits for the network needs a tokio runtime. Its disk work is done on the runtime's
//! blocking threads. What blocks is short, but an
//! async task that must not wait at all calls it from `spawn_blocking`.
//!
//! # What holds
//!
//! - **An acknowledged edit is there after any crash**, at the durability it was made with.
//! - **A future may be dropped at any time**, that of `synchronize` too. What was joined stays,
//!   what was on its way is found out by the next session.
//! - **An error loses nothing.** A refused edit changes nothing, a failed synchronization keeps the
//!   edits unsynced. Each operation has its own error, and each variant says what to do.
//! - Data are kept per identity and never change hands; a store belongs to one identity pool.
//!
//! # How edits merge
//!
//! | two devices, concurrently | outcome everywhere |
//! | --- | --- |
//! | put different values at one place | one winner; the others stay readable through [`Dataset::conflicts`] until someone writes there; a [`Policy`] may show another one |
//! | put and remove at one place | the put stays |
//! | increment one counter | the increments add up |
//! | edit one text or list | both edits are in, in one order; what was inserted together stays together |
//! | add and remove members of one set, keys of one map | all of them; of one member or key the addition stays |
//! | create the same text, list, map, set or counter at one place | one of it, with what both wrote |
//! | edit inside of something, and replace or remove it | the replacement or removal wins |
//!
//! # What is logged
//!
//! Each session has a `tracing` span named `synchronize` at level info, with these fields:
//! `dataset` (the name), and when it ends `outcome` (`synced`, `full` or `failed`), `error` (of a
//! failed one), and of the others `requests`, `bytes_up`, `bytes_down`, `conflicts`, and
//! `changed_here` and `changed_there` (numbers of keys). A session whose future is dropped has no
//! outcome. The spans of its requests are in it; their fields stand in the documentation of
//! [`transport`]. No key, value, token or credential is in any span or event.
//!
//! # Features
//!
//! `local-store-import`, off by default, adds `Client::import_local_store`: for an app that is updated in place, it takes
//! over what the old Cognito Sync client had not sent. It compiles SQLite in.
//! `network-watcher`, off by default, adds `WatchedConnectivity`, which hears from the operating system whether there is
//! a network, for [`ClientBuilder::connectivity`].
//!
//! # Where things are
//!
//! | | |
//! | --- | --- |
//! | `builder.rs`, `client.rs`, `shared.rs` | opening, the datasets that are open, closing |
//! | `dataset.rs` | what an app calls |
//! | `slot.rs` | one open dataset under its lock: edits and how they become durable |
//! | `turns.rs`, `driver.rs` | whose turn it is to synchronize, and a session step by step |
//! | `local_store.rs` | taking over what an old client had not sent (feature `local-store-import`) |
//! | `auto.rs`, `connectivity.rs`, `watcher.rs` | synchronizing by itself, and what the network is like |
//! | `catalog.rs` | which datasets there are, here and at the service, and what they take |
//! | `push.rs` | what the service's pushes say, and whether it is news |
//! | `subscriptions.rs`, `devices.rs` | being told of changes: what is asked of the service, what is remembered of it |
//! | `workers.rs` | the threads that wait for the disk |
//! | `identity.rs`, `wipe.rs` | whose data are shown, and what becomes of them when that changes; removing data |
//! | `changes.rs` | what consumers hear |
//! | `error.rs`, `remedy.rs`, `report.rs` | what operations return |
//!
//! What is merged and pushed is decided in `driftless-merge`, which does no IO; the bytes on disk
//! are those of [`store`], the ones at the service those of `driftless-record`.

pub use driftless_document as document;
pub use driftless_document::{
    Actor, Conflict, EditError, MAX_NESTING, Path, Scalar, Step, Value, path,
};
pub use driftless_merge::{
    DatasetKey, Durability, KeySize, LeftOver, Owner, RefusedEdit, SessionError, Size, Synced,
};
pub use driftless_record::{Limits, Lineage, Wrote};
pub use driftless_store as store;
pub use driftless_transport as transport;
pub use driftless_wire as wire;
pub use driftless_wire::{DatasetName, DeviceId, IdentityId, IdentityPoolId, Platform};

mod auto;
mod builder;
mod catalog;
mod changes;
mod claims;
mod client;
mod connectivity;
mod dataset;
mod devices;
mod driver;
mod error;
mod from_value;
mod identity;
mod local_of;
#[cfg(feature = "local-store-import")]
mod local_store;
mod policy;
mod push;
mod recorder;
mod remedy;
mod report;
mod seeds;
mod setting;
mod shared;
mod slot;
mod subscriptions;
mod to_value;
mod transaction;
mod turns;
mod undo;
#[cfg(feature = "network-watcher")]
mod watcher;
mod wipe;
mod workers;

pub use auto::{AutoSync, Reconnect, Schedule};
pub use builder::ClientBuilder;
pub use catalog::{Catalog, CatalogError, Entry};
pub use changes::{Change, Changes, Origin};
pub use client::Client;
pub use connectivity::{Connectivity, Network, Networks, ToldConnectivity};
pub use dataset::Dataset;
pub use devices::Subscription;
pub use error::{
    CloseError, DatasetError, DeviceError, OpenError, PutAsError, PutError, SyncError, UndoError,
    ValueError,
};
pub use identity::{Became, IdentityChange, IdentityChanges};
#[cfg(feature = "local-store-import")]
pub use local_store::{
    ImportedDataset, LocalStoreError, LocalStoreKind, LocalStoreReport, NotUnderstood, Overtaken,
};
pub use policy::Policy;
pub use push::PushError;
pub use recorder::Recorder;
pub use report::{Outcome, Report};
pub use transaction::Transaction;
#[cfg(feature = "network-watcher")]
pub use watcher::{WatchError, WatchedConnectivity};
pub use wipe::{Scope, Unsynced, WipeError, Wiped};
pub use workers::{Work, Workers};
