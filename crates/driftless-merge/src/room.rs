//! Whether an edit fits: refused at the `put`, with sizes, never dropped at the sync [COGNITO trap 40].
//!
//! The exact size of a state is that of its encoded base, which takes milliseconds to know. So it is bounded from above by
//! what was measured last and what came since, and measured again only when the bound says that it might not fit.

use driftless_document::State;
use driftless_record::{Limits, size_of_state};

/// Characters that a byte takes as text, in hundredths, and a little for the frames.
const TEXT_PERCENT: usize = 126;

/// An upper bound of the characters that the state takes in records.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Room {
    bound: usize,
}

/// What a dataset takes and may take, in characters of records, keys included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Size {
    /// What the live data take as one fresh base; what stands at the service may be more.
    pub live: usize,
    /// Above this, edits that grow are refused: 85 % of the dataset's limit.
    pub refused_above: usize,
    /// Above this, an app should tell: 70 % of the dataset's limit.
    pub warned_above: usize,
}

impl Size {
    pub(crate) fn of(state: &State, limits: &Limits) -> Self {
        Self {
            live: size_of_state(state),
            refused_above: limits.live_bytes(),
            warned_above: limits.warn_bytes(),
        }
    }
}

impl Room {
    /// Takes note that the encoded state grew by at most so many bytes.
    pub(crate) fn grow(&mut self, bytes: usize) {
        self.bound = self.bound.saturating_add(bytes.saturating_mul(TEXT_PERCENT) / 100);
    }

    /// Returns the sizes if an edit of so many bytes does not fit.
    pub(crate) fn refuses(&mut self, bytes: usize, state: &State, limits: &Limits) -> Option<Size> {
        let wanted = bytes.saturating_mul(TEXT_PERCENT) / 100;
        if self.bound.saturating_add(wanted) <= limits.live_bytes() {
            return None;
        }
        let size = Size::of(state, limits);
        self.bound = size.live;
        (size.live.saturating_add(wanted) > size.refused_above).then_some(size)
    }
}
