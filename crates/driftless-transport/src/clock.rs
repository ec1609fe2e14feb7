//! Time as it is handed in: what a request is signed with, and how long a back-off waits.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use driftless_wire::Timestamp;

use crate::transport::BoxFuture;

/// Tells the time of day.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Returns the time of day; it may be wrong, and jump.
    fn now(&self) -> Timestamp;
}

/// Waits.
pub trait Timer: Send + Sync + fmt::Debug {
    /// Returns a future that is ready after a while; it is dropped with the exchange.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// The clock of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        to_timestamp(SystemTime::now())
    }
}

/// The timer of the tokio runtime that the exchange runs in.
#[derive(Debug, Clone, Copy, Default)]
pub struct TokioTimer;

impl Timer for TokioTimer {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        // Made when it is polled: without a runtime, making one panics.
        Box::pin(async move { tokio::time::sleep(duration).await })
    }
}

pub(crate) fn to_timestamp(time: SystemTime) -> Timestamp {
    let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(match time.duration_since(UNIX_EPOCH) {
        Ok(after) => millis(after),
        Err(before) => -millis(before.duration()),
    })
}

/// The last second that a signature's date, with its four digits of a year, can name.
const LAST_MILLIS: i64 = 253_402_300_799_000;

/// The nearest time that a signature can carry.
pub(crate) fn to_system_time(time: Timestamp) -> SystemTime {
    let millis = time.as_millis().clamp(0, LAST_MILLIS);
    UNIX_EPOCH + Duration::from_millis(millis.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(millis: i64, expected: i64) {
        let time = to_system_time(Timestamp::from_millis(millis));
        assert_eq!(to_timestamp(time).as_millis(), expected);
    }

    #[test]
    fn time_that_a_signature_cannot_carry_is_the_nearest_that_it_can() {
        check(1_704_164_645_678, 1_704_164_645_678);
        check(i64::MIN, 0);
        check(i64::MAX, LAST_MILLIS);
    }
}
