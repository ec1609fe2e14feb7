//! Threads for work that waits for the disk.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::error::SyncError;

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

/// Does work where the disk may be waited for, and returns what it gives. It is done to its end even
/// if the future is dropped.
pub(crate) async fn on_worker<T: Send + 'static>(
    workers: &dyn Workers,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, SyncError> {
    let (done, made) = oneshot::channel();
    let working = move || {
        // Whoever waited may have gone.
        drop(done.send(catch_unwind(AssertUnwindSafe(work))));
    };
    if !workers.step(Box::new(working)) {
        return Err(SyncError::NoRuntime);
    }
    match made.await {
        Ok(Ok(made)) => Ok(made),
        Ok(Err(_panic)) => Err(SyncError::Panicked),
        // The runtime is shutting down and begins nothing any more.
        Err(_) => Err(SyncError::NoRuntime),
    }
}
