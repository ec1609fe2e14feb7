//! What changed in a dataset, as it becomes durable.
//!
//! A consumer that is slower than the changes gets, per key, the oldest value it has not seen replaced and the newest one:
//! never an unbounded queue.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use driftless_document::{Document, Value};
use tokio::sync::Notify;

/// One key that changed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Change {
    /// The key.
    pub key: String,
    /// What the consumer saw there before, `None` if nothing.
    pub old: Option<Value>,
    /// What stands there now, `None` if nothing.
    pub new: Option<Value>,
    /// Who made the last of the changes.
    pub origin: Origin,
}

/// Who made a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// This client.
    Local,
    /// Another device; it came by a synchronization.
    Remote,
}

/// The changes of a dataset from the moment when it was asked for.
///
/// Dropping it ends it. It does not keep the client open.
#[derive(Debug)]
pub struct Changes {
    queue: Arc<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    changes: BTreeMap<String, Change>,
    is_over: bool,
}

impl Changes {
    /// Returns the next change, or `None` once the client is closed and all changes were taken.
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Change> {
        let queue = Arc::clone(&self.queue);
        loop {
            // Asked for before looking, so that what comes in between wakes it.
            let news = queue.news.notified();
            if let Some(change) = self.try_next() {
                return Some(change);
            }
            if queue.lock().is_over {
                return None;
            }
            news.await;
        }
    }

    /// Returns a change that is there already.
    pub fn try_next(&mut self) -> Option<Change> {
        self.queue
            .lock()
            .changes
            .pop_first()
            .map(|(_, change)| change)
    }
}

impl Queue {
    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, change: Change) {
        let mut waiting = self.lock();
        match waiting.changes.get_mut(&change.key) {
            Some(earlier) => {
                earlier.new = change.new;
                earlier.origin = change.origin;
            }
            None => drop(waiting.changes.insert(change.key.clone(), change)),
        }
        drop(waiting);
        self.news.notify_one();
    }
}

/// Those who listen to one dataset, and what was last shown to them.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    queues: Vec<Weak<Queue>>,
    shown: HashMap<String, Value>,
}

impl Listeners {
    pub(crate) fn listen(&mut self, document: &Document) -> Changes {
        self.forget_the_gone();
        if self.queues.is_empty() {
            let keys = document.state().keys().map(str::to_owned);
            self.shown = keys
                .filter_map(|key| Some((key.clone(), document.get(&key)?)))
                .collect();
        }
        let queue = Arc::new(Queue::default());
        self.queues.push(Arc::downgrade(&queue));
        Changes { queue }
    }

    /// Tells of keys that may look different now.
    pub(crate) fn tell<'a>(
        &mut self,
        keys: impl IntoIterator<Item = &'a String>,
        document: &Document,
        origin: Origin,
    ) {
        self.forget_the_gone();
        if self.queues.is_empty() {
            return;
        }
        for key in keys {
            let new = document.get(key);
            let old = match &new {
                Some(value) => self.shown.insert(key.clone(), value.clone()),
                None => self.shown.remove(key),
            };
            if old == new {
                continue;
            }
            let change = Change {
                key: key.clone(),
                old,
                new,
                origin,
            };
            self.queues
                .iter()
                .filter_map(Weak::upgrade)
                .for_each(|queue| queue.push(change.clone()));
        }
    }

    pub(crate) fn close(&mut self) {
        for queue in self.queues.drain(..).filter_map(|queue| queue.upgrade()) {
            queue.lock().is_over = true;
            queue.news.notify_one();
        }
    }

    fn forget_the_gone(&mut self) {
        self.queues.retain(|queue| queue.strong_count() > 0);
    }
}
