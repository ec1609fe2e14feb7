//! What changed in a dataset, as it becomes durable.
//!
//! A consumer that is slower than the changes gets, per key, the oldest value that it has not seen
//! replaced and the newest one: never more than one change for each key, and no queue without end.
//! Keys come in the order in which they first changed, so that none waits for ever behind another.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use driftless_document::Value;
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

impl Changes {
    /// Returns the next change, or `None` once the client is closed and all changes were taken.
    ///
    /// It needs no particular runtime. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Change> {
        let queue = Arc::clone(&self.queue);
        loop {
            // Asked for before looking, so that what comes in between wakes it.
            let news = queue.news.notified();
            // In this order, for what came before the end is still given out.
            let is_over = queue.lock().is_over;
            if let Some(change) = self.try_next() {
                return Some(change);
            }
            if is_over {
                return None;
            }
            news.await;
        }
    }

    /// Returns a change that is there already.
    pub fn try_next(&mut self) -> Option<Change> {
        self.queue.lock().pop()
    }
}

/// What one consumer has not taken yet.
#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    changes: HashMap<String, Change>,
    /// The keys of `changes`, in the order in which they first changed.
    order: VecDeque<String>,
    is_over: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, change: Change) {
        self.lock().push(change);
        self.news.notify_one();
    }

    fn end(&self) {
        self.lock().is_over = true;
        self.news.notify_one();
    }
}

impl Waiting {
    fn push(&mut self, change: Change) {
        if let Some(earlier) = self.changes.get_mut(&change.key) {
            earlier.new = change.new;
            earlier.origin = change.origin;
        } else {
            self.order.push_back(change.key.clone());
            self.changes.insert(change.key.clone(), change);
        }
    }

    /// Takes the first change, passing over those that were taken back meanwhile.
    fn pop(&mut self) -> Option<Change> {
        while let Some(key) = self.order.pop_front() {
            let change = self.changes.remove(&key);
            if change
                .as_ref()
                .is_some_and(|change| change.old != change.new)
            {
                return change;
            }
        }
        None
    }
}

/// Those who listen to one dataset, and what was last shown to them.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    queues: Vec<Weak<Queue>>,
    shown: HashMap<String, Value>,
    is_over: bool,
}

impl Listeners {
    /// Begins to tell of changes; `entries` are all keys and what they show.
    pub(crate) fn listen<T: IntoIterator<Item = (String, Value)>>(
        &mut self,
        entries: impl FnOnce() -> T,
    ) -> Changes {
        let queue = Arc::new(Queue::default());
        if self.is_over {
            queue.end();
            return Changes { queue };
        }
        self.forget_the_gone();
        if self.queues.is_empty() {
            self.shown = entries().into_iter().collect();
        }
        self.queues.push(Arc::downgrade(&queue));
        Changes { queue }
    }

    /// Tells of keys that may look different now, which is what `read` says.
    pub(crate) fn tell<'a>(
        &mut self,
        keys: impl IntoIterator<Item = &'a String>,
        read: impl Fn(&str) -> Option<Value>,
        origin: Origin,
    ) {
        self.forget_the_gone();
        if self.queues.is_empty() {
            return;
        }
        for key in keys {
            let new = read(key);
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
            let queues = self.queues.iter().filter_map(Weak::upgrade);
            queues.for_each(|queue| queue.push(change.clone()));
        }
    }

    /// Ends what all consumers hear, now and later.
    pub(crate) fn close(&mut self) {
        self.is_over = true;
        self.shown = HashMap::new();
        let queues = self.queues.drain(..);
        queues
            .filter_map(|queue| queue.upgrade())
            .for_each(|queue| queue.end());
    }

    fn forget_the_gone(&mut self) {
        self.queues.retain(|queue| queue.strong_count() > 0);
        if self.queues.is_empty() {
            self.shown = HashMap::new();
        }
    }
}

/// Nothing changes any more once all handles are gone.
impl Drop for Listeners {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use driftless_document::Scalar;

    use super::*;

    fn change(key: &str, old: Option<i64>, new: Option<i64>) -> Change {
        let value = |number| Value::Scalar(Scalar::Int(number));
        Change {
            key: key.to_owned(),
            old: old.map(value),
            new: new.map(value),
            origin: Origin::Local,
        }
    }

    fn check(pushed: &[Change], expected: &[Change]) {
        let mut waiting = Waiting::default();
        pushed
            .iter()
            .cloned()
            .for_each(|change| waiting.push(change));
        let popped: Vec<Change> = std::iter::from_fn(|| waiting.pop()).collect();
        assert_eq!(popped, expected);
        assert!(waiting.order.is_empty() && waiting.changes.is_empty());
    }

    #[test]
    fn changes_of_one_key_become_one() {
        let (first, second) = (change("a", Some(1), Some(2)), change("a", Some(2), None));
        check(&[first, second], &[change("a", Some(1), None)]);
    }

    #[test]
    fn key_that_changes_all_the_time_does_not_pass_another() {
        let (z, a) = (change("z", None, Some(1)), change("a", None, Some(1)));
        check(&[z.clone(), a.clone()], &[z, a]);
    }

    #[test]
    fn what_was_taken_back_is_no_change() {
        let (there, back) = (change("a", Some(1), Some(2)), change("a", Some(2), Some(1)));
        check(
            &[there, back, change("b", None, Some(1))],
            &[change("b", None, Some(1))],
        );
    }
}
