//! What the records of a dataset hold, decoded.

use std::sync::Arc;

use driftless_document::State;

use crate::head::{Earlier, Head, Predecessor};
use crate::lineage::{Checksum, Lineage};

/// What the records of one dataset hold, decoded, with what planning the next push needs to know of them.
///
/// Kept from one read to the next, it saves decoding what was decoded before. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Stored {
    pub(crate) lineage: Lineage,
    pub(crate) head: Option<Head>,
    /// The highest generation that any base frame or the head names; the next one is higher.
    pub(crate) highest: u32,
    /// The base that the chain below stands on.
    pub(crate) base: Option<Base>,
    pub(crate) chain: Chain,
    /// The ends of other bases' chains that this state includes.
    pub(crate) included: Vec<Checksum>,
    pub(crate) state: Arc<State>,
    pub(crate) needs_repair: bool,
    /// The state includes what head stands for.
    pub(crate) reaches_head: bool,
    /// See [`Stored::before_vain_compaction`].
    pub(crate) is_vain: bool,
}

/// A base that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Base {
    pub(crate) generation: u32,
    pub(crate) parts: u8,
    pub(crate) tip: Checksum,
    /// Characters of records, keys included.
    pub(crate) text: usize,
}

/// The runs and logs on a base.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    pub(crate) sequence: u32,
    pub(crate) tip: Checksum,
    /// The slots of the runs, in order.
    pub(crate) runs: Vec<u32>,
    /// Where the last run ends, or the base if there is none, and the state there: what the next run is made from.
    pub(crate) anchor: Anchor,
    /// Characters of the records of runs and logs, keys included.
    pub(crate) text: usize,
    /// Bytes of their deltas, not deflated.
    pub(crate) raw: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Anchor {
    pub(crate) sequence: u32,
    pub(crate) tip: Checksum,
    pub(crate) state: Arc<State>,
    /// What of the chain's text belongs to runs.
    pub(crate) text: usize,
    /// What of the chain's raw bytes belongs to runs.
    pub(crate) raw: usize,
}

impl Stored {
    /// Returns the state; where several bases could be read, the join of all.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Returns which life of the dataset this is.
    #[must_use]
    pub const fn lineage(&self) -> Lineage {
        self.lineage
    }

    /// Returns this life and those that it came from by compaction, as far as head names them, the last first.
    pub fn lives(&self) -> impl Iterator<Item = Lineage> {
        let before = self.head.and_then(|head| head.predecessor);
        let before: Vec<Lineage> = before.iter().flat_map(Predecessor::lives).collect();
        std::iter::once(self.lineage).chain(before)
    }

    /// Returns the head, or `None` if it can't be read.
    #[must_use]
    pub const fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    /// Returns the point of the chain that the state stands for; `None` if no base can be read.
    ///
    /// Equal tips mean equal states, unless something needs repair.
    #[must_use]
    pub fn tip(&self) -> Option<Checksum> {
        self.base.map(|_| self.chain.tip)
    }

    /// Returns the generation of the base that was read, or `None` if none can be.
    #[must_use]
    pub fn generation(&self) -> Option<u32> {
        self.base.map(|base| base.generation)
    }

    /// Tells whether something is damaged, missing or torn, so that the next push writes a new base even if nothing changed.
    ///
    /// After an incremental list, list from 0 before believing it.
    #[must_use]
    pub const fn needs_repair(&self) -> bool {
        self.needs_repair
    }

    /// Tells whether the state lacks pushes that head speaks of: their frames are damaged, torn or gone.
    ///
    /// True also where head is that of a compaction which never began: what else it stands for, nothing tells.
    #[must_use]
    pub const fn lacks_pushes(&self) -> bool {
        self.head.is_some() && !self.reaches_head
    }

    /// Returns this life as the one that a compaction of what is stored comes from.
    #[must_use]
    pub fn as_predecessor(&self) -> Predecessor {
        Predecessor {
            lineage: self.lineage,
            counter: self.state.max_counter(),
            earlier: Earlier::of(self.lives().skip(1)),
        }
    }

    /// Returns what is stored of the life before, where a compaction was to begin this one and came only in part: no more of
    /// it than head and parts of its base stands, and of the life before no base can be read either.
    ///
    /// Nobody has ever read this life then, so the one before goes on, damaged.
    #[must_use]
    pub fn before_vain_compaction(&self) -> Option<Self> {
        let head = self.head.filter(|_| self.is_vain)?.before_compaction()?;
        Some(Self {
            lineage: head.lineage,
            head: Some(head),
            is_vain: false,
            ..self.clone()
        })
    }

    /// Returns the characters of the records that the state stands in, keys included: base, runs and logs, without head.
    #[must_use]
    pub fn text_len(&self) -> usize {
        self.base.map_or(0, |base| base.text + self.chain.text)
    }
}
