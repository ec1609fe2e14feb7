//! Virtual time: what happens when, and what is waited for.
//!
//! Whatever a client waits for outside of itself stands here as an entry: a pause, a step of a
//! session, a request on its way, an answer. The world takes the earliest and makes it happen; two
//! of one moment happen in the order in which they were entered. Nothing waits for real.

use std::cmp::{self, Reverse};
use std::collections::BinaryHeap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use driftless::transport::{BoxFuture, Clock, Courier, ExchangeError, Timer};
use driftless::{Work, Workers};
use driftless_wire::Timestamp;
use tokio::sync::oneshot;

use crate::fault::Fault;

/// When every world begins: some day in 2023, in ms since 1970.
const BEGIN: i64 = 1_700_000_000_000;

/// The longest that a step of a session or a fold waits for a thread, in ms.
const WORK_DELAY: u64 = 3;

/// What an exchange over the network comes to.
pub(crate) type Carried = Result<http::Response<Bytes>, ExchangeError>;

/// One run of one device's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Life {
    pub(crate) device: usize,
    pub(crate) run: u32,
}

/// A request that leaves a device.
#[derive(Debug)]
pub(crate) struct Letter {
    pub(crate) from: Life,
    pub(crate) request: http::Request<Bytes>,
    pub(crate) reply: oneshot::Sender<Carried>,
}

/// What happens at its time.
pub(crate) enum Event {
    /// A pause is over.
    Ring(oneshot::Sender<()>),
    /// A thread takes up work.
    Work(Life, Work),
    /// A request leaves a device.
    Leave(Letter),
    /// A request arrives at the service.
    Arrive(Arrival),
    /// An answer, or the end of waiting for one, reaches a device.
    Return(oneshot::Sender<Carried>, Carried),
}

/// A request at the door of the service.
pub(crate) struct Arrival {
    pub(crate) from: Life,
    pub(crate) request: http::Request<Bytes>,
    /// Whoever waits for the answer, if somebody does.
    pub(crate) reply: Option<oneshot::Sender<Carried>>,
    /// What the service or the way back does to it.
    pub(crate) fault: Option<Fault>,
}

/// The time, and all that is to happen.
pub(crate) struct Agenda {
    inner: Mutex<Inner>,
}

struct Inner {
    /// In ms since the world began.
    now: i64,
    entered: u64,
    entries: BinaryHeap<Reverse<Entry>>,
}

struct Entry {
    at: i64,
    number: u64,
    event: Event,
}

impl Agenda {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::new(Inner {
                now: 0,
                entered: 0,
                entries: BinaryHeap::new(),
            }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the ms since the world began.
    pub(crate) fn now(&self) -> i64 {
        self.lock().now
    }

    /// Returns the true time of day.
    pub(crate) fn time(&self) -> Timestamp {
        Timestamp::from_millis(BEGIN + self.now())
    }

    /// Enters what is to happen in so many ms.
    pub(crate) fn enter(&self, in_ms: i64, event: Event) {
        self.lock().enter(in_ms, event);
    }

    /// Takes the earliest entry until a time, and goes on to its time.
    pub(crate) fn next(&self, until: i64) -> Option<Event> {
        let mut inner = self.lock();
        if inner.entries.peek()?.0.at > until {
            return None;
        }
        let Reverse(entry) = inner.entries.pop()?;
        inner.now = inner.now.max(entry.at);
        Some(entry.event)
    }

    /// Goes on to a time at which nothing happens.
    pub(crate) fn pass(&self, until: i64) {
        let mut inner = self.lock();
        inner.now = inner.now.max(until);
    }
}

impl Inner {
    fn enter(&mut self, in_ms: i64, event: Event) {
        self.entered += 1;
        self.entries.push(Reverse(Entry {
            at: self.now + in_ms.max(0),
            number: self.entered,
            event,
        }));
    }
}

impl fmt::Debug for Agenda {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agenda").field("now", &self.now()).finish()
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// What one run of a device's process sees of the world outside: its clock, which may be wrong, its
/// timers, its threads, its network.
#[derive(Debug)]
pub(crate) struct Outside {
    pub(crate) agenda: Arc<Agenda>,
    pub(crate) life: Life,
    /// How many ms the clock is ahead.
    pub(crate) skew: i64,
    /// How much work threads have taken up.
    pub(crate) taken: AtomicU64,
}

impl Clock for Outside {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.agenda.time().as_millis() + self.skew)
    }
}

impl Timer for Outside {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let agenda = Arc::clone(&self.agenda);
        Box::pin(async move {
            let (ring, rung) = oneshot::channel();
            let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4);
            agenda.enter(millis, Event::Ring(ring));
            // Only the end of the world leaves a pause without an end.
            drop(rung.await);
        })
    }
}

impl Workers for Outside {
    fn step(&self, work: Work) -> bool {
        self.enter_work(work)
    }

    fn background(&self, work: Work) -> bool {
        self.enter_work(work)
    }
}

impl Outside {
    fn enter_work(&self, work: Work) -> bool {
        // Some threads are slower than others; which one takes up the work is as good as random.
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        let delay = (number.wrapping_mul(7) ^ u64::from(self.life.run)) % (WORK_DELAY + 1);
        // One in sixteen is held up for long.
        let delay = match number % 16 {
            7 => 100 * delay,
            _ => delay,
        };
        self.agenda
            .enter(delay as i64, Event::Work(self.life, work));
        true
    }
}

impl Courier for Outside {
    fn carry(&self, request: http::Request<Bytes>) -> BoxFuture<'_, Carried> {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            let from = self.life;
            self.agenda.enter(
                0,
                Event::Leave(Letter {
                    from,
                    request,
                    reply,
                }),
            );
            answer
                .await
                .unwrap_or_else(|_| Err(ExchangeError::Interrupted("the world ended".into())))
        })
    }
}
