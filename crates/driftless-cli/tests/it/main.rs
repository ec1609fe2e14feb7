//! The command line from outside: the built binary, a service as a child process, recorded sessions.

mod demo;
mod edits;
mod exits;
mod harness;
mod samples;
mod syncs;
mod traces;
