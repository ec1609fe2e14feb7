//! The client through its public API, against the real server on loopback.

mod data_path;
mod service;
mod two_devices;
