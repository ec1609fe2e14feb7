//! How thoroughly to measure.

/// How thoroughly to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Everything once or a few times: shows that it runs, and not how fast.
    Quick,
    /// As often as a figure needs.
    Full,
}

impl Mode {
    /// Returns what the command line asks for; cargo's own arguments are passed over.
    #[must_use]
    pub fn from_args() -> Self {
        if std::env::args().any(|argument| argument == "--quick") {
            Self::Quick
        } else {
            Self::Full
        }
    }

    /// Returns how often to do something.
    #[must_use]
    pub const fn times(self, quick: usize, full: usize) -> usize {
        match self {
            Self::Quick => quick,
            Self::Full => full,
        }
    }
}
