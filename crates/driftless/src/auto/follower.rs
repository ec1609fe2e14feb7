//! Follows one dataset: waits until a session is wanted and makes sense, and runs it.
//!
//! Between sessions it holds neither the client nor the dataset, so both end when their handles
//! are gone; each wait ends with them.

use std::convert::Infallible;
use std::sync::{Arc, Weak};

use driftless_transport::Timer;
use tokio::sync::watch;

use super::schedule::{Reconnect, Schedule};
use super::{Ended, Outcomes};
use crate::connectivity::Reception;
use crate::error::SyncError;
use crate::report::Report;
use crate::shared::Shared;
use crate::slot::Slot;
use crate::workers::on_worker;

/// One dataset that is synchronized by itself.
pub(super) struct Follower {
    shared: Weak<Shared>,
    slot: Weak<Slot>,
    timer: Arc<dyn Timer>,
    wishes: watch::Receiver<u64>,
    /// How many wishes to fetch were seen.
    seen: u64,
    reception: Reception,
    schedule: Schedule,
    outcomes: Arc<watch::Sender<Outcomes>>,
    /// There may be something to fetch.
    fetches: bool,
    failures: u32,
}

/// What follows from how a session ended.
enum Next {
    /// Whatever is wanted then.
    Anything,
    /// The same again, after a pause.
    Again,
    /// Nothing until something changes: the same session would fail again.
    AfterChange,
    /// Nothing any more.
    Nothing,
}

impl Follower {
    pub(super) fn new(
        shared: &Arc<Shared>,
        slot: &Arc<Slot>,
        schedule: &Schedule,
        outcomes: &Arc<watch::Sender<Outcomes>>,
    ) -> Self {
        let wishes = slot.wishes.subscribe();
        Self {
            shared: Arc::downgrade(shared),
            slot: Arc::downgrade(slot),
            timer: Arc::clone(&shared.timer),
            // What was wished for while nobody followed is as good as a start.
            seen: 0,
            wishes,
            reception: Reception::new(&*shared.connectivity, schedule.networks),
            schedule: schedule.clone(),
            outcomes: Arc::clone(outcomes),
            fetches: schedule.reconnect == Reconnect::Everything,
            failures: 0,
        }
    }

    /// Follows until the client or the dataset ends.
    pub(super) async fn follow(mut self) -> Option<Infallible> {
        loop {
            while !self.is_wanted().await? {
                self.until_change().await?;
            }
            self.until_quiet().await?;
            if self.reception.until_usable().await {
                self.came_back();
            }
            // Somebody else may have synchronized meanwhile.
            if !self.is_wanted().await? {
                continue;
            }
            match self.synchronize().await? {
                Next::Anything => self.failures = 0,
                Next::Again => self.pause().await?,
                Next::AfterChange => self.until_change().await?,
                Next::Nothing => return None,
            }
        }
    }

    /// Tells whether a session would do something, as far as is known here.
    ///
    /// Edits that wait are told from what is durable, so a restart forgets none [COGNITO trap 53].
    async fn is_wanted(&mut self) -> Option<bool> {
        self.fetches |= *self.wishes.borrow() != self.seen;
        if self.fetches {
            return Some(true);
        }
        let slot = self.slot.upgrade()?;
        let workers = Arc::clone(&self.shared.upgrade()?.workers);
        let has_unsynced = move || slot.lock().replica.has_unsynced();
        on_worker(&*workers, has_unsynced).await.ok()
    }

    /// Waits for an edit, a hint, or a network that comes back.
    async fn until_change(&mut self) -> Option<()> {
        tokio::select! {
            wished = self.wishes.changed() => wished.ok(),
            () = self.reception.until_back() => {
                self.came_back();
                Some(())
            }
        }
    }

    fn came_back(&mut self) {
        self.failures = 0;
        self.fetches |= self.schedule.reconnect == Reconnect::Everything;
    }

    /// Waits until the dataset was left alone for a while, or the longest wait is over.
    async fn until_quiet(&mut self) -> Option<()> {
        let mut longest = self.timer.sleep(self.schedule.longest_wait);
        loop {
            tokio::select! {
                biased;
                () = &mut longest => return Some(()),
                wished = self.wishes.changed() => wished.ok()?,
                () = self.timer.sleep(self.schedule.quiet) => return Some(()),
            }
        }
    }

    /// Waits after a failure; a network that comes back ends that.
    async fn pause(&mut self) -> Option<()> {
        self.failures = self.failures.saturating_add(1);
        let part = f64::from(self.shared.upgrade()?.seeds.seed()[0]) / f64::from(u8::MAX);
        let pause = self.timer.sleep(self.schedule.pause(self.failures, part));
        tokio::select! {
            () = pause => {}
            () = self.reception.until_back() => self.came_back(),
        }
        Some(())
    }

    async fn synchronize(&mut self) -> Option<Next> {
        let (shared, slot) = (self.shared.upgrade()?, self.slot.upgrade()?);
        self.seen = *self.wishes.borrow_and_update();
        let fetches = std::mem::take(&mut self.fetches);
        let result = crate::driver::synchronize(&shared, &slot).await;
        self.fetches |= fetches && result.is_err();
        let next = Next::after(&result);
        self.outcomes.send_modify(|outcomes| {
            let before = outcomes.get(slot.name());
            let number = before.map_or(0, |ended| ended.number) + 1;
            outcomes.insert(slot.name().clone(), Ended { number, result });
        });
        Some(next)
    }
}

impl Next {
    fn after(result: &Result<Report, SyncError>) -> Self {
        match result {
            Ok(report) if report.is_full() => Self::AfterChange,
            Ok(_) => Self::Anything,
            Err(error) if error.may_pass() => Self::Again,
            Err(
                SyncError::Closed
                | SyncError::Broken
                | SyncError::Store(_)
                | SyncError::Panicked
                | SyncError::OtherIdentity,
            ) => Self::Nothing,
            Err(_) => Self::AfterChange,
        }
    }
}
