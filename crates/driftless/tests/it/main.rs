//! The client through its public API, against the real server on loopback.

mod service;
mod two_devices;
