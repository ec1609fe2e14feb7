//! The calls that run: futures that are polled when something woke them, in the order in which it did.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use driftless::transport::BoxFuture;
use driftless::{Report, SyncError};

use crate::agenda::Life;

/// How a call of `synchronize` ended.
pub(crate) type Outcome = Result<Report, SyncError>;

/// All calls that run.
#[derive(Default)]
pub(crate) struct Tasks {
    begun: u64,
    running: BTreeMap<u64, Task>,
    woken: Arc<Mutex<Vec<u64>>>,
}

struct Task {
    life: Life,
    marks: usize,
    future: BoxFuture<'static, Outcome>,
    waker: Waker,
}

struct Alarm {
    number: u64,
    woken: Arc<Mutex<Vec<u64>>>,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        let mut woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
        if !woken.contains(&self.number) {
            woken.push(self.number);
        }
    }
}

impl Tasks {
    /// Begins a call when there are so many marks; it is polled by the next [`poll`](Self::poll).
    pub(crate) fn begin(&mut self, life: Life, marks: usize, future: BoxFuture<'static, Outcome>) {
        self.begun += 1;
        let alarm = Arc::new(Alarm {
            number: self.begun,
            woken: Arc::clone(&self.woken),
        });
        alarm.clone().wake();
        let waker = Waker::from(alarm);
        self.running.insert(
            self.begun,
            Task {
                life,
                marks,
                future,
                waker,
            },
        );
    }

    /// Polls what was woken until nothing is, and returns what ended, with the marks that there were when it began.
    pub(crate) fn poll(&mut self) -> Vec<(Life, usize, Outcome)> {
        let mut ended = Vec::new();
        while let Some(number) = self.next() {
            let Some(task) = self.running.get_mut(&number) else {
                continue;
            };
            let waker = task.waker.clone();
            if let Poll::Ready(outcome) =
                task.future.as_mut().poll(&mut Context::from_waker(&waker))
            {
                ended.push((task.life, task.marks, outcome));
                self.running.remove(&number);
            }
        }
        ended
    }

    fn next(&self) -> Option<u64> {
        let mut woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
        (!woken.is_empty()).then(|| woken.remove(0))
    }

    /// Drops the oldest call of a process; tells whether there was one.
    pub(crate) fn cancel(&mut self, life: Life) -> bool {
        let oldest = self.running.iter().find(|(_, task)| task.life == life);
        let number = oldest.map(|(number, _)| *number);
        number.is_some_and(|number| self.running.remove(&number).is_some())
    }

    /// Drops all calls of a process.
    pub(crate) fn end(&mut self, life: Life) {
        self.running.retain(|_, task| task.life != life);
    }

    /// Returns how many calls of a process run.
    pub(crate) fn of(&self, life: Life) -> usize {
        self.running
            .values()
            .filter(|task| task.life == life)
            .count()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks")
            .field("running", &self.running.len())
            .finish_non_exhaustive()
    }
}
