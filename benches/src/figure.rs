//! One measured number and its unit.

use std::fmt;
use std::time::Duration;

/// One measured number and its unit. Only figures of one unit are compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Figure {
    /// A time.
    Time(Duration),
    /// How often one thing goes into another.
    Ratio(f64),
    /// Characters of records, keys included.
    Characters(f64),
    /// Bytes.
    Bytes(usize),
    /// Any other count.
    Count(f64),
}

impl Figure {
    /// Returns a time of so many milliseconds.
    #[must_use]
    pub const fn millis(millis: u64) -> Self {
        Self::Time(Duration::from_millis(millis))
    }

    /// Tells whether this is at most the other one.
    ///
    /// # Panics
    ///
    /// If the units differ.
    #[must_use]
    pub fn is_within(self, bar: Self) -> bool {
        assert_eq!(
            std::mem::discriminant(&self),
            std::mem::discriminant(&bar),
            "{self} and {bar} have different units"
        );
        self.number() <= bar.number()
    }

    fn number(self) -> f64 {
        match self {
            Self::Time(time) => time.as_secs_f64(),
            Self::Ratio(number) | Self::Characters(number) | Self::Count(number) => number,
            Self::Bytes(bytes) => bytes as f64,
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Time(time) if time < Duration::from_millis(1) => {
                write!(f, "{:.1} µs", time.as_secs_f64() * 1e6)
            }
            Self::Time(time) => write!(f, "{:.2} ms", time.as_secs_f64() * 1e3),
            Self::Ratio(ratio) => write!(f, "{ratio:.2} ×"),
            Self::Characters(characters) => write!(f, "{characters:.0} characters"),
            Self::Bytes(bytes) if bytes >= 1_000_000 => write!(f, "{:.1} MB", bytes as f64 / 1e6),
            Self::Bytes(bytes) => write!(f, "{bytes} B"),
            Self::Count(count) => write!(f, "{count}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_show_their_unit() {
        let check = |figure: Figure, shown: &str| assert_eq!(figure.to_string(), shown);
        check(Figure::Time(Duration::from_nanos(1_250)), "1.2 µs");
        check(Figure::Time(Duration::from_micros(20_000)), "20.00 ms");
        check(Figure::Ratio(1.456), "1.46 ×");
        check(Figure::Characters(306.6), "307 characters");
        check(Figure::Bytes(999_999), "999999 B");
        check(Figure::Bytes(16_000_000), "16.0 MB");
        check(Figure::Count(2.0), "2");
    }

    #[test]
    fn bar_is_met_by_its_own_value() {
        assert!(Figure::Ratio(1.5).is_within(Figure::Ratio(1.5)));
        assert!(!Figure::Bytes(2).is_within(Figure::Bytes(1)));
    }

    #[test]
    #[should_panic(expected = "different units")]
    fn different_units_are_not_compared() {
        let _ = Figure::Bytes(1).is_within(Figure::Count(2.0));
    }
}
