//! The client through its public API, against the real server on loopback or its core in this
//! process.

mod data_path;
mod fake;
mod requests;
mod service;
mod sessions;
mod two_devices;
