//! The records that carry frames, and their keys.

use std::fmt;

/// What every key of a reserved record begins with; no key of a user may.
pub const RESERVED_PREFIX: &str = "_driftless.";

/// The key of the record that holds head.
pub const HEAD_KEY: &str = "_driftless.head";

/// How many log slots there are; one of them is always free for the next delta.
pub const LOG_SLOTS: u32 = 64;

/// How many run slots there are.
pub const RUN_SLOTS: u32 = 16;

/// Tells whether a record's key belongs to Driftless.
#[must_use]
pub fn is_reserved(key: &str) -> bool {
    key.starts_with(RESERVED_PREFIX)
}

/// A record that can carry a frame; shown, it is the record's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Slot {
    Head,
    Log(u32),
    Run(u32),
    Base { side: u32, part: u8 },
}

impl Slot {
    /// Returns the slot of the log with this number.
    pub(crate) const fn log(sequence: u32) -> Self {
        Self::Log(sequence % LOG_SLOTS)
    }

    /// Returns the slot of a part of this generation's base.
    pub(crate) const fn base(generation: u32, part: u8) -> Self {
        Self::Base {
            side: generation % 2,
            part,
        }
    }

    /// Returns the slot with this key.
    pub(crate) fn parse(key: &str) -> Option<Self> {
        let name = key.strip_prefix(RESERVED_PREFIX)?;
        let (kind, number) = name.split_once('.').unwrap_or((name, ""));
        let slot = match kind {
            "head" => Self::Head,
            "log" => Self::Log(number.parse().ok()?),
            "run" => Self::Run(number.parse().ok()?),
            "base" => {
                let (side, part) = number.split_once('.')?;
                Self::Base {
                    side: side.parse().ok()?,
                    part: part.parse().ok()?,
                }
            }
            _ => return None,
        };
        (slot.exists() && slot.to_string() == key).then_some(slot)
    }

    const fn exists(self) -> bool {
        match self {
            Self::Head => true,
            Self::Log(slot) => slot < LOG_SLOTS,
            Self::Run(slot) => slot < RUN_SLOTS,
            Self::Base { side, part } => side < 2 && part < crate::frame::MAX_PARTS,
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head => f.write_str(HEAD_KEY),
            Self::Log(slot) => write!(f, "{RESERVED_PREFIX}log.{slot}"),
            Self::Run(slot) => write!(f, "{RESERVED_PREFIX}run.{slot}"),
            Self::Base { side, part } => write!(f, "{RESERVED_PREFIX}base.{side}.{part}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(key: &str, slot: Option<Slot>) {
        assert_eq!(Slot::parse(key), slot, "{key}");
    }

    #[test]
    fn only_keys_that_would_be_written_are_slots() {
        check("_driftless.head", Some(Slot::Head));
        check("_driftless.log.63", Some(Slot::Log(63)));
        check("_driftless.run.0", Some(Slot::Run(0)));
        check("_driftless.base.1.7", Some(Slot::Base { side: 1, part: 7 }));
        for key in [
            "head",
            "_driftless.",
            "_driftless.head.",
            "_driftless.log.64",
            "_driftless.log.07",
        ] {
            check(key, None);
        }
        for key in [
            "_driftless.log.+7",
            "_driftless.run.16",
            "_driftless.base.2.0",
            "_driftless.base.0.64",
        ] {
            check(key, None);
        }
    }
}
