//! Exchanges with a scripted server on the loopback interface.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod clock_skew;
mod failures;
mod identity_pool;
mod logs;
mod retries;
mod server;
mod signing;
mod world;
