//! Threads for work that waits for the disk.

use std::fmt;

use tokio::runtime::Handle;

/// Work to be done once. It catches what it panics with.
pub type Work = Box<dyn FnOnce() + Send>;

/// Where a client does what waits for the disk and is not asked for by a call that blocks.
///
/// By default that is tokio's blocking threads and a thread for each fold. A simulator brings its own,
/// so that it decides when what is done.
pub trait Workers: Send + Sync + fmt::Debug {
    /// Does a step of a session, not before this returns; a caller waits for it.
    ///
    /// Returns whether it will be done; what is dropped in place of being done counts as not.
    fn step(&self, work: Work) -> bool;

    /// Does work that nobody waits for, not before this returns: it needs a lock that the caller
    /// holds. Returns whether it will be done.
    fn background(&self, work: Work) -> bool;
}

/// Threads of the tokio runtime that the caller is in, and threads of the system.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SystemWorkers;

impl Workers for SystemWorkers {
    fn step(&self, work: Work) -> bool {
        Handle::try_current()
            .map(|runtime| drop(runtime.spawn_blocking(work)))
            .is_ok()
    }

    fn background(&self, work: Work) -> bool {
        let thread = std::thread::Builder::new().name("driftless-fold".to_owned());
        thread.spawn(work).is_ok()
    }
}
