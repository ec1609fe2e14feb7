//! Whose turn it is: one session of a dataset at a time, and calls that wait share the next one.
//!
//! A call is answered by a session that began after the call did, so that what was written before
//! the call is in it [COGNITO trap 52]. A session whose future was dropped answers nobody: the next
//! call that waits runs one of its own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex as StdMutex, PoisonError};

use driftless_document::{branch, mutant};
use tokio::sync::Mutex;

use crate::error::SyncError;
use crate::report::Report;

/// The order of one dataset's sessions, which are numbered from 1.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    running: Mutex<()>,
    begun: AtomicU64,
    last: StdMutex<Option<Ended>>,
}

/// How a session ended.
#[derive(Debug)]
struct Ended {
    number: u64,
    result: Result<Report, SyncError>,
}

impl Turns {
    /// Waits for the turn and runs a session under its number, or returns what one gave that began
    /// meanwhile.
    pub(crate) async fn take<F>(&self, session: impl FnOnce(u64) -> F) -> Result<Report, SyncError>
    where
        F: Future<Output = Result<Report, SyncError>>,
    {
        let begun = self.begun.load(Ordering::SeqCst);
        let running = self.running.lock().await;
        if let Some(result) = self.ended_after(begun) {
            branch!(CallShared);
            return result;
        }
        let result = self.run(session).await;
        drop(running);
        result
    }

    /// Waits for the turn and runs a session of its own kind; calls that wait meanwhile may share it.
    pub(crate) async fn take_alone<F>(
        &self,
        session: impl FnOnce(u64) -> F,
    ) -> Result<Report, SyncError>
    where
        F: Future<Output = Result<Report, SyncError>>,
    {
        let running = self.running.lock().await;
        let result = self.run(session).await;
        drop(running);
        result
    }

    async fn run<F>(&self, session: impl FnOnce(u64) -> F) -> Result<Report, SyncError>
    where
        F: Future<Output = Result<Report, SyncError>>,
    {
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let result = session(number).await;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Ended {
            number,
            result: result.clone(),
        });
        result
    }

    /// Returns how the last session ended, if it began after this many others had.
    fn ended_after(&self, begun: u64) -> Option<Result<Report, SyncError>> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let after = last
            .as_ref()
            .filter(|ended| ended.number > begun || mutant!(AnsweredByEarlierSession));
        after.map(|ended| ended.result.clone())
    }
}
