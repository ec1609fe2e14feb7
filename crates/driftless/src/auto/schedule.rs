//! When to synchronize by itself: the numbers, and what follows from them.

use std::time::Duration;

use crate::connectivity::Networks;

/// When a client [synchronizes by itself](crate::Client::auto_sync).
///
/// Each session is a request or two, and the service's are paid for. So sessions follow from
/// something: an edit, a hint, a network that came back. None follows from time alone.
#[derive(Clone, Debug)]
#[must_use]
pub struct Schedule {
    pub(crate) quiet: Duration,
    pub(crate) longest_wait: Duration,
    first_pause: Duration,
    longest_pause: Duration,
    pub(crate) networks: Networks,
    pub(crate) reconnect: Reconnect,
}

/// What is synchronized at the start, and when a network comes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reconnect {
    /// All open datasets, one request for each, so that what others wrote comes here.
    #[default]
    Everything,
    /// Those with edits that the service is not known to have. What others wrote comes with the
    /// next session.
    Unsynced,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            quiet: Duration::from_secs(2),
            longest_wait: Duration::from_secs(30),
            first_pause: Duration::from_secs(2),
            longest_pause: Duration::from_secs(15 * 60),
            networks: Networks::Any,
            reconnect: Reconnect::Everything,
        }
    }
}

impl Schedule {
    /// Sets how long a dataset is left alone by edits before a session begins; 2 s by default.
    ///
    /// Longer means fewer requests and later news for others.
    pub fn quiet(self, quiet: Duration) -> Self {
        Self { quiet, ..self }
    }

    /// Sets how long edits that do not cease put a session off at most; 30 s by default.
    pub fn longest_wait(self, longest_wait: Duration) -> Self {
        Self {
            longest_wait,
            ..self
        }
    }

    /// Sets the pauses after failures: each at most twice as long as the one before it, from the
    /// first to the longest. By default that is 2 s to 15 min.
    ///
    /// What is waited is a random part of it, between half and all. A success, and a network that
    /// came back, begin again with the first.
    pub fn pauses(self, first: Duration, longest: Duration) -> Self {
        Self {
            first_pause: first,
            longest_pause: longest,
            ..self
        }
    }

    /// Sets over which networks; over any by default.
    pub fn networks(self, networks: Networks) -> Self {
        Self { networks, ..self }
    }

    /// Sets what is synchronized at the start, and when a network comes back.
    pub fn reconnect(self, reconnect: Reconnect) -> Self {
        Self { reconnect, ..self }
    }

    /// Returns the pause after so many failures in a row; `part` in 0..=1 is random.
    pub(crate) fn pause(&self, failures: u32, part: f64) -> Duration {
        let doubled = failures.saturating_sub(1).min(31);
        let most = self.first_pause.saturating_mul(1 << doubled);
        most.min(self.longest_pause).mul_f64(0.5 + 0.5 * part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let (first, longest) = (Duration::from_secs(1), Duration::from_secs(5));
        let schedule = Schedule::default().pauses(first, longest);
        let pauses = [1, 2, 3, 4, u32::MAX].map(|failures| schedule.pause(failures, 1.0).as_secs());
        assert_eq!(pauses, [1, 2, 4, 5, 5]);
        assert_eq!(schedule.pause(4, 0.0), longest / 2);
    }
}
