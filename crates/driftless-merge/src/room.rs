//! Whether an edit fits: refused at the `put`, with sizes, never dropped at the sync [COGNITO trap 40].
//!
//! The exact size of a state is that of its encoded base, which takes milliseconds to know. So it is bounded from above by
//! what was measured last and what came since, and measured again only when the bound says that it might not fit.
//!
//! A plain dataset holds each text twice, as state and as a plain record. It has a limit of records too, which leaves the
//! slots of the state their room: a record that the service took once stays for ever, as a tombstone at least.

use driftless_document::{Clock, State, Value};
use driftless_record::{Limits, past_of_state, share_of_key, size_of_state, text_of};
use driftless_wire::RecordKey;

use crate::local::Operation;
use crate::replica::Replica;

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
    /// The plain records; `None` until they are counted.
    beside: Option<Beside>,
}

/// The plain records as they will be when all is pushed, tombstones included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Beside {
    /// Their keys and values.
    pub(crate) bytes: usize,
    /// How many they are.
    pub(crate) records: usize,
}

impl Beside {
    const fn and(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            records: self.records.saturating_add(other.records),
        }
    }
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
    /// Above this, edits that grow are refused: 85 % of the dataset's limit, all of it in one that is kept as plain records only.
    pub refused_above: usize,
    /// Above this, an app should tell: 70 % of the dataset's limit.
    pub warned_above: usize,
    /// Bytes that the live data take before they are deflated.
    pub inflated: usize,
    /// Above this, edits that grow are refused too, for readers inflate no more.
    pub inflated_limit: usize,
    /// How many plain records there will be when all is pushed, removed ones included: a record never goes away entirely. 0 in a
    /// dataset that never had any.
    pub records: usize,
    /// Above this, edits that need a new plain record are refused: the service's limit of records, less the room for the slots
    /// that hold the state ([`Limits::plain_records`]), or all of it in a dataset that is kept as plain records only.
    pub records_limit: usize,
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
            beside: None,
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

    /// Takes note that the plain records must be counted again.
    pub(crate) const fn forget_beside(&mut self) {
        self.beside = None;
    }

    /// Takes note that the plain records will grow by at most so much.
    fn grow_beside(&mut self, growth: Beside) {
        self.beside = self.beside.map(|beside| beside.and(growth));
    }

    /// Tells whether so many more bytes are known to fit.
    const fn fits(&self, wanted: usize, beside: Beside, limits: &Limits) -> bool {
        let live = self.text.saturating_add(beside.bytes);
        live.saturating_add(as_text(wanted)) <= limits.live_bytes()
            && self.inflated.saturating_add(wanted) <= limits.dataset_bytes()
    }

    /// Measures the state.
    fn measure(&mut self, state: &State) {
        let delta = state.diff(&State::new());
        self.text = size_of_state(state);
        self.inflated = driftless_record::encode(&delta, &Clock::new()).len();
    }
}

const fn as_text(bytes: usize) -> usize {
    bytes.saturating_mul(TEXT_PERCENT) / 100
}

impl Replica {
    /// Returns what the dataset takes and may take; it encodes the whole state to know.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size_with(self.document.state())
    }

    /// Returns what the dataset would take with this state.
    pub(crate) fn size_with(&self, state: &State) -> Size {
        if self.is_plain_only() {
            return self.size_of_records();
        }
        let encoded = driftless_record::encode(&state.diff(&State::new()), &Clock::new());
        let past = past_of_state(state);
        let beside = self.beside_of(state);
        Size {
            live: size_of_state(state) + beside.bytes,
            dead: past.dead,
            clock: past.clock,
            refused_above: self.limits.live_bytes(),
            warned_above: self.limits.warn_bytes(),
            inflated: encoded.len(),
            inflated_limit: self.limits.dataset_bytes(),
            records: beside.records,
            records_limit: self.limits.plain_records(),
        }
    }

    /// Returns what a dataset takes that is kept as plain records only: nothing of it is a past.
    fn size_of_records(&self) -> Size {
        let beside = self.beside_to_be();
        Size {
            live: beside.bytes,
            dead: 0,
            clock: 0,
            refused_above: self.limits.dataset_bytes(),
            warned_above: self.limits.warn_bytes(),
            inflated: beside.bytes,
            inflated_limit: self.limits.dataset_bytes(),
            records: beside.records,
            records_limit: self.limits.records(),
        }
    }

    /// Returns what a key takes, if anything stands there; it encodes the whole state four times to know.
    #[must_use]
    pub fn size_of(&self, key: &str) -> Option<KeySize> {
        let state = self.document.state();
        let value = state.get(key)?;
        let plain = text_of(&value).filter(|_| self.is_plain());
        let share = match self.is_plain_only() {
            true => driftless_record::Share::default(),
            false => share_of_key(state, key),
        };
        Some(KeySize {
            live: share.live + plain.map_or(0, |text| key.len() + text.len()),
            dead: share.dead,
        })
    }

    /// Returns the sizes if an edit that grows the state by so many bytes, and the plain records by so much, does not fit.
    pub(crate) fn refuses(&mut self, wanted: usize, growth: Beside) -> Option<Size> {
        let standing = self.room.beside.unwrap_or_else(|| self.beside_to_be());
        self.room.beside = Some(standing);
        if self.fits(wanted, standing, growth) {
            return None;
        }
        // What was counted since is only bounded from above.
        let standing = self.beside_to_be();
        self.room.beside = Some(standing);
        if !self.is_plain_only() {
            self.room.measure(self.document.state());
        }
        (!self.fits(wanted, standing, growth)).then(|| self.size())
    }

    fn fits(&self, wanted: usize, standing: Beside, growth: Beside) -> bool {
        let then = standing.and(growth);
        if self.is_plain_only() {
            return then.bytes <= self.limits.dataset_bytes()
                && then.records <= self.limits.records();
        }
        let is_counted = growth.records == 0 || then.records <= self.limits.plain_records();
        is_counted && self.room.fits(wanted, then, &self.limits)
    }

    /// Takes note of an edit that was made.
    pub(crate) fn grew(&mut self, wanted: usize, growth: Beside) {
        self.room.grow(wanted);
        self.room.grow_beside(growth);
    }

    /// Returns by how much the plain records grow at most with an operation that grows the state by so many bytes: bytes become
    /// Base64, and a key that has no record yet gets one.
    pub(crate) fn plain_growth(&self, operation: &Operation, wanted: usize) -> Beside {
        if !self.is_plain() {
            return Beside::default();
        }
        Beside {
            bytes: wanted.saturating_mul(4) / 3,
            records: operation
                .texts()
                .filter(|key| self.lacks_record(key))
                .count(),
        }
    }

    /// Tells whether neither a record nor anything on its way to one stands at a key. What is shown is asked last: a text is made
    /// whole to know it.
    pub(crate) fn lacks_record(&self, key: &str) -> bool {
        let record = RecordKey::try_from(key.to_owned());
        let is_recorded = record.is_ok_and(|record| self.mirror.contains_key(&record));
        let is_shown = || {
            self.document
                .get(key)
                .is_some_and(|it| text_of(&it).is_some())
        };
        !is_recorded && !is_shown()
    }

    /// Returns the plain records as they will be when all is pushed.
    fn beside_to_be(&self) -> Beside {
        self.beside_of(self.document.state())
    }

    /// Returns how many more plain records there may be once this state is pushed.
    pub(crate) fn plain_records_free(&self, state: &State) -> usize {
        let standing = self.beside_of(state).records;
        self.limits.plain_records().saturating_sub(standing)
    }

    /// Returns the plain records as they will be when this state is pushed.
    fn beside_of(&self, state: &State) -> Beside {
        let patches = match self.is_plain() {
            true => self.plain_patches(state),
            false => Vec::new(),
        };
        self.beside_after(&patches)
    }
}

impl Operation {
    /// Tells whether all that this puts has a text, at a key of the dataset.
    pub(crate) fn is_plain(&self) -> bool {
        let has_text = |value: &Value| text_of(value).is_some();
        match self {
            Self::Put(values) => {
                let mut values = values.values();
                values.all(|scalar| has_text(&Value::Scalar(scalar.clone())))
            }
            Self::PutAt(path, value) => path.as_root().is_some() && has_text(value),
            Self::Increment(path, _) | Self::SpliceText { path, .. } => path.as_root().is_some(),
            Self::Insert { .. } | Self::Add(..) => false,
            Self::PutConcurrently { places, .. } => places
                .iter()
                .all(|(path, values)| path.as_root().is_some() && values.iter().all(has_text)),
            Self::Remove(_) | Self::Discard(..) | Self::Import { .. } => true,
        }
    }

    /// Returns the keys at which this puts something that has a text.
    fn texts(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        let has_text = match self {
            Self::Put(values) => {
                let with_text = values
                    .iter()
                    .filter(|(_, scalar)| text_of(&Value::Scalar((*scalar).clone())).is_some());
                return Box::new(with_text.map(|(key, _)| key.as_str()));
            }
            Self::PutAt(path, value) => path.as_root().is_some() && text_of(value).is_some(),
            Self::Increment(path, _) | Self::SpliceText { path, .. } => path.as_root().is_some(),
            Self::PutConcurrently { .. } => true,
            Self::Import { text, .. } => text.is_some(),
            Self::Remove(_) | Self::Insert { .. } | Self::Add(..) | Self::Discard(..) => false,
        };
        match has_text {
            true => self.keys(),
            false => Box::new(std::iter::empty()),
        }
    }
}
