//! Records through the public API: what is encoded, torn, folded and read again.
#![expect(
    clippy::unwrap_used,
    reason = "a test may panic, and so may what only tests call"
)]

mod codec;
mod frames;
mod past;
mod planning;
mod reading;
mod samples;
mod sizes;
