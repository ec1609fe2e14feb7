//! Whether an edit fits: refused at the `put`, with sizes, never dropped at the sync [COGNITO trap 40].
//!
//! The exact size of a state is that of its encoded base, which takes milliseconds to know. So it is bounded from above by
//! what was measured last and what came since, and measured again only when the bound says that it might not fit.

use driftless_document::{Clock, State};
use driftless_record::{Limits, past_of_state, size_of_state};

/// Characters that a byte takes as text, in hundredths, and a little for the frames.
const TEXT_PERCENT: usize = 126;

/// Characters that the frames of an empty state take at most, head included, keys and all.
const FRAMES: usize = 256;

/// An upper bound of what the state takes, and what stands beside it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// Characters of records.
    text: usize,
    /// Bytes before they are deflated.
    inflated: usize,
    /// Bytes of the plain records.
    beside: usize,
}

/// What a dataset takes and may take, keys included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Size {
    /// Characters that the live data take as one fresh base, plain records included; what stands at the service may be more.
    pub live: usize,
    /// What of it is for elements of lists and texts that are deleted; compacting gives it back.
    pub dead: usize,
    /// What of it is for the clock; compacting gives back what belongs to old authors of whom nothing lives.
    pub clock: usize,
    /// Above this, edits that grow are refused: 85 % of the dataset's limit.
    pub refused_above: usize,
    /// Above this, an app should tell: 70 % of the dataset's limit.
    pub warned_above: usize,
    /// Bytes that the live data take before they are deflated.
    pub inflated: usize,
    /// Above this, edits that grow are refused too, for readers inflate no more.
    pub inflated_limit: usize,
}

/// What one key takes of its dataset: what removing it would give back.
///
/// What is alike deflates together, so the keys of a dataset take less than it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeySize {
    /// Characters, its plain record included.
    pub live: usize,
    /// What of it is for elements of lists and texts that are deleted; compacting gives it back too.
    pub dead: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            text: FRAMES,
            inflated: 0,
            beside: 0,
        }
    }
}

impl Room {
    /// Takes note that the encoded state grew by at most so many bytes.
    pub(crate) fn grow(&mut self, bytes: usize) {
        self.text = self.text.saturating_add(as_text(bytes));
        self.inflated = self.inflated.saturating_add(bytes);
    }

    /// Takes note that the encoded state has so many bytes.
    pub(crate) fn restart(&mut self, bytes: usize) {
        *self = Self {
            beside: self.beside,
            ..Self::default()
        };
        self.grow(bytes);
    }

    /// Takes note of what the plain records take.
    pub(crate) const fn set_beside(&mut self, bytes: usize) {
        self.beside = bytes;
    }

    /// Takes note that the plain records will grow by at most so many bytes.
    pub(crate) const fn grow_beside(&mut self, bytes: usize) {
        self.beside = self.beside.saturating_add(bytes);
    }

    /// Measures what is taken.
    pub(crate) fn size(&self, state: &State, limits: &Limits) -> Size {
        let encoded = driftless_record::encode(&state.diff(&State::new()), &Clock::new());
        let past = past_of_state(state);
        Size {
            live: size_of_state(state) + self.beside,
            dead: past.dead,
            clock: past.clock,
            refused_above: limits.live_bytes(),
            warned_above: limits.warn_bytes(),
            inflated: encoded.len(),
            inflated_limit: limits.dataset_bytes(),
        }
    }

    /// Returns the sizes if an edit of so many bytes, with so many of plain records, does not fit.
    pub(crate) fn refuses(
        &mut self,
        bytes: usize,
        beside: usize,
        state: &State,
        limits: &Limits,
    ) -> Option<Size> {
        let fits = |live: usize, inflated: usize| {
            live.saturating_add(as_text(bytes)).saturating_add(beside) <= limits.live_bytes()
                && inflated.saturating_add(bytes) <= limits.dataset_bytes()
        };
        if fits(self.text.saturating_add(self.beside), self.inflated) {
            return None;
        }
        let delta = state.diff(&State::new());
        self.text = size_of_state(state);
        self.inflated = driftless_record::encode(&delta, &Clock::new()).len();
        let is_refused = !fits(self.text.saturating_add(self.beside), self.inflated);
        is_refused.then(|| self.size(state, limits))
    }
}

fn as_text(bytes: usize) -> usize {
    bytes.saturating_mul(TEXT_PERCENT) / 100
}
