//! The engine through its public API, between devices and a real server core without IO.
#![expect(
    clippy::unwrap_used,
    reason = "a test may panic, and so may what only tests call"
)]

mod chaos;
mod children;
mod compaction;
mod life;
mod meeting;
mod plain;
mod plain_only;
mod push;
mod records;
mod recovery;
mod unsent;
mod world;
