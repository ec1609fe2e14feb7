//! The command line from outside: the built binary, a service as a child process, recorded sessions.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod demo;
mod doctors;
mod edits;
mod exits;
mod harness;
mod logins;
mod migrations;
mod old_stores;
mod plain;
mod pools;
mod pushes;
mod samples;
mod statuses;
mod syncs;
mod traces;
mod transfer;
mod upkeep;
mod watches;
mod wipes;
