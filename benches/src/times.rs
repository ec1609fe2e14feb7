//! Many times of one thing. Means are not told: one pause of the system would decide them.

use std::time::{Duration, Instant};

use crate::figure::Figure;

/// Many times of one thing.
#[derive(Clone, Debug, Default)]
pub struct Times {
    times: Vec<Duration>,
}

impl Times {
    /// Returns the times of so many runs.
    #[must_use]
    pub fn of<T>(runs: usize, mut run: impl FnMut() -> T) -> Self {
        (0..runs).map(|_| timed(&mut run).0).collect()
    }

    /// Adds a time.
    pub fn push(&mut self, time: Duration) {
        self.times.push(time);
    }

    /// Returns the time that half of the runs took at most.
    ///
    /// # Panics
    ///
    /// If there are no times.
    #[must_use]
    pub fn median(&self) -> Figure {
        self.percentile(50)
    }

    /// Returns the time that so many percent of the runs took at most.
    ///
    /// # Panics
    ///
    /// If there are no times.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> Figure {
        let mut sorted = self.times.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        Figure::Time(sorted[rank - 1])
    }

    /// Returns how often the median of another thing goes into this one.
    #[must_use]
    pub fn over(&self, other: &Self) -> Figure {
        let median = |times: &Self| match times.median() {
            Figure::Time(time) => time.as_secs_f64(),
            _ => unreachable!("a median of times is a time"),
        };
        Figure::Ratio(median(self) / median(other))
    }
}

impl FromIterator<Duration> for Times {
    fn from_iter<I: IntoIterator<Item = Duration>>(times: I) -> Self {
        Self {
            times: times.into_iter().collect(),
        }
    }
}

/// Runs something and tells how long it took; its answer is dropped after that.
pub fn timed<T>(run: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let answer = std::hint::black_box(run());
    (start.elapsed(), answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentile_is_a_time_that_was_measured() {
        let times: Times = (1..=200).rev().map(Duration::from_millis).collect();
        assert_eq!(times.median(), Figure::Time(Duration::from_millis(100)));
        assert_eq!(
            times.percentile(99),
            Figure::Time(Duration::from_millis(198))
        );
        assert_eq!(
            times.percentile(100),
            Figure::Time(Duration::from_millis(200))
        );
        let one: Times = [Duration::from_millis(50)].into_iter().collect();
        assert_eq!(one.percentile(99), one.median());
        assert_eq!(times.over(&one), Figure::Ratio(2.0));
    }
}
