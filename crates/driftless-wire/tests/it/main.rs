//! The API's forms through the public door: samples, round trips, hostile bytes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod errors_of_requests;
mod foreign_bytes;
mod identity;
mod operations;
mod round_trip;
mod samples;
mod strategies;
