//! A moment as the service writes it: seconds since the epoch, with a fraction.
//!
//! The service prints Java doubles, scientific notation included (`1.412974057151E9`), clients send
//! three to six decimals. The precision is the millisecond, and a number is rounded to it:
//! `1424801824.343` is not exact in binary, and cutting it off would give `.342`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds since the epoch of Unix.
///
/// In JSON it is a number of seconds. That keeps every millisecond within some 70,000 years of the
/// epoch; beyond, the nearest number that a double holds is kept, because old clients have written
/// milliseconds as seconds, and a date that is only shown must not make a record unreadable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Makes a timestamp from milliseconds since the epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Returns the milliseconds since the epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0 as f64 / 1_000.0)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        // The cast saturates.
        Ok(Self((seconds * 1_000.0).round() as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, millis: i64) {
        assert_eq!(
            serde_json::from_str::<Timestamp>(json).unwrap(),
            Timestamp(millis),
            "{json}"
        );
    }

    #[test]
    fn trap_36_every_form_that_was_seen_is_read() {
        check("1.412974057151E9", 1_412_974_057_151);
        check("1704164645", 1_704_164_645_000);
        check("1704164645.678", 1_704_164_645_678);
        check("1704164645.678901", 1_704_164_645_679);
        check("0", 0);
        check("-1.5", -1_500);
    }

    #[test]
    fn trap_35_fraction_is_rounded_and_not_cut_off() {
        check("1424801824.343", 1_424_801_824_343);
    }

    #[test]
    fn trap_35_milliseconds_written_as_seconds_are_a_far_date() {
        check("1424801824343", 1_424_801_824_343_000);
        check("1e300", i64::MAX);
    }

    #[test]
    fn text_is_not_a_date() {
        assert!(serde_json::from_str::<Timestamp>("\"2014-06-30T00:00:00Z\"").is_err());
    }

    #[test]
    fn written_form_has_three_decimals_at_most() {
        let json = serde_json::to_string(&Timestamp(1_704_164_645_678)).unwrap();
        assert_eq!(json, "1704164645.678");
    }
}
