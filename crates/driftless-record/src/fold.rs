//! What a push writes: a delta in a log or run, or a new base, and head; never more than the limits allow.
//!
//! A log costs one slot and head. Full logs are folded into a run, which stands for the same point of the chain, so that
//! other devices go on from what they know. When runs and logs outgrow the base, a new one is written, beside the old one
//! where there is room, and the push after that removes the old one. Other stale slots are overwritten later: removing them
//! would leave tombstones and cost patches, so that happens only where the limit presses.
//!
//! The slot of a frame that the stored state stands on is never written in the push that replaces it, unless a base has no
//! room beside the old one. So a torn push loses nothing that was stored.

use std::collections::BTreeMap;
use std::sync::Arc;

use driftless_document::{Clock, State, branch, mutant};
use driftless_wire::SyncCount;
use driftless_wire::limits::VALUE_CHARS;

use crate::chain::MAX_JUMP;
use crate::codec;
use crate::frame::{self, Frame, Kind, MAX_PARTS, text_len};
use crate::head::{Head, Predecessor};
use crate::limits::Limits;
use crate::lineage::{Checksum, Lineage};
use crate::size::{Encoded, HEAD_LEN, PART_BYTES, base_text, clock_len, dead_len};
use crate::slots::{LOG_SLOTS, RUN_SLOTS, Slot};
use crate::stored::{Anchor, Base, Chain, Stored};

/// Runs and logs may always grow to so many characters before a new base is written.
const SMALL: usize = 8 * 1024;

/// Characters of a log from which on it is written as a run right away.
const LARGE: usize = 4 * 1024;

/// Which life of a dataset a push belongs to.
#[derive(Clone, Copy, Debug)]
pub enum Life<'a> {
    /// That of the stored state.
    Continued(&'a Stored),
    /// A new one: nothing stands there, or it is compacted.
    Begun {
        /// 8 fresh random bytes.
        lineage: Lineage,
        /// The life that was compacted; a device that comes from there writes its removes again too.
        predecessor: Option<Predecessor>,
        /// What stands there, which the new base is written beside.
        over: Option<&'a Stored>,
    },
}

/// What stands in the dataset beside the state, and what head is to say of it.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    /// The reserved records, by key, with the bytes of their values; tombstones too, with 0.
    pub records: &'a BTreeMap<String, usize>,
    /// Bytes of the plain records as they will be after the push: keys and values, and keys of tombstones.
    pub other_bytes: usize,
    /// How many plain records there will be, tombstones included.
    pub other_records: usize,
    /// How many of those the push itself adds.
    pub other_added: usize,
    /// The sync count of the list that the push is planned on.
    pub seen: SyncCount,
    /// Whether the dataset is plain.
    pub plain: bool,
    /// Whether anything of this life, or of the one that it is compacted from, was ever damaged.
    pub mended: bool,
    /// The life that the stored one came from, as it was remembered, for where head cannot be read.
    pub predecessor: Option<Predecessor>,
}

impl Standing<'static> {
    /// Nothing at all stands there.
    pub const NOTHING: Self = Self {
        records: &BTreeMap::new(),
        other_bytes: 0,
        other_records: 0,
        other_added: 0,
        seen: SyncCount::ZERO,
        plain: false,
        mended: false,
        predecessor: None,
    };
}

/// What a push writes, and what then stands there.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Push {
    /// The records to write, by key; `None` removes one. All belong into one UpdateRecords.
    pub patches: Vec<(String, Option<String>)>,
    /// What the records hold once the push is known to stand.
    pub stored: Stored,
    /// How the state is written.
    pub wrote: Wrote,
}

impl Push {
    /// Returns the characters of the patches, keys included.
    #[must_use]
    pub fn text_len(&self) -> usize {
        self.patches
            .iter()
            .map(|(key, text)| key.len() + text.as_ref().map_or(0, String::len))
            .sum()
    }
}

/// How a push writes a state. Closed: the format has no other way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrote {
    /// Only head: the state stands there already.
    Head,
    /// As a log.
    Log,
    /// As a log, after the logs before it were folded into a run.
    Fold,
    /// As a run, together with the logs before it.
    Run,
    /// As a new base.
    Base,
}

/// Why a state can't be written. All sizes are characters of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The state doesn't fit. Removing keys helps; compacting gives back what `dead` and `clock` say.
    #[error(
        "{live} bytes ({dead} of them dead elements, {clock} the clock) do not fit into {limit}"
    )]
    Full {
        /// What a fresh base of the state and the other records take.
        live: usize,
        /// What of it is for elements of lists and texts that are deleted.
        dead: usize,
        /// What of it is for the clock.
        clock: usize,
        /// What live data may take.
        limit: usize,
    },
    /// The push adds plain records, and there is no room for so many beside all slots. Removing keys that have no record yet
    /// helps; removed records stay as tombstones.
    #[error("{records} plain records, removed ones included, are more than {limit}")]
    Records {
        /// How many there would be, tombstones included.
        records: usize,
        /// How many there may be: [`Limits::plain_records`].
        limit: usize,
    },
}

/// Plans the push that makes `state` what is stored. `state` must include the stored one, as its join with it does.
///
/// Nothing is changed by planning. If the state is the stored one, only head is written, unless something needs repair.
///
/// # Errors
///
/// [`PlanError::Full`] if the limits leave no way, [`PlanError::Records`] if new plain records would take the room of slots;
/// nothing can be pushed in part.
pub fn plan(
    life: Life<'_>,
    state: &State,
    standing: &Standing<'_>,
    limits: &Limits,
) -> Result<Push, PlanError> {
    // What others have put there already is no reason to refuse a push that adds none.
    let limit = limits.plain_records();
    if standing.other_added > 0 && standing.other_records > limit {
        return Err(PlanError::Records {
            records: standing.other_records,
            limit,
        });
    }
    let planning = Planning {
        state,
        standing,
        limits,
    };
    match life {
        Life::Continued(stored) => {
            let predecessor = match stored.head {
                Some(head) => head.predecessor,
                None => standing.predecessor,
            };
            let chained = if stored.needs_repair {
                None
            } else {
                planning.chained(stored)
            };
            match chained {
                Some(push) => Ok(push),
                None => planning.based(stored.lineage, predecessor, Some(stored)),
            }
        }
        Life::Begun {
            lineage,
            predecessor,
            over,
        } => planning.based(lineage, predecessor, over),
    }
}

struct Planning<'a> {
    state: &'a State,
    standing: &'a Standing<'a>,
    limits: &'a Limits,
}

/// Patches on the way, by slot.
type Patches = BTreeMap<Slot, Option<String>>;

impl Planning<'_> {
    /// Plans a push onto the chain that stands, if there is one that keeps to the limits and doesn't outgrow the base.
    fn chained(&self, stored: &Stored) -> Option<Push> {
        let (head, base) = (stored.head?, stored.base?);
        let delta = self.state.diff(&stored.state);
        if delta.is_empty() {
            let patches = self.without_old_base(base.generation);
            return self.push(stored.clone(), head, patches, Wrote::Head);
        }
        // What a log may not do, a base may.
        let reach = stored.state.max_counter().saturating_add(MAX_JUMP);
        if self.state.max_counter() > reach || !codec::is_within_bounds(self.state) {
            return None;
        }
        let log = Encoded::new(&delta, stored.state.clock());
        if text_len(log.payload().bytes.len()) > LARGE {
            return self.run(stored, head, base);
        }
        let mut chain = stored.chain.clone();
        let mut patches = self.without_old_base(base.generation);
        let mut wrote = Wrote::Log;
        if chain.sequence - chain.anchor.sequence >= LOG_SLOTS - 1 {
            self.fold(&mut chain, &stored.state, &mut patches)?;
            wrote = Wrote::Fold;
        }
        chain.sequence = chain.sequence.checked_add(1)?;
        let kind = Kind::Log {
            sequence: chain.sequence,
        };
        let frame = Frame::new(kind, &log.payload(), Some(chain.tip));
        chain.tip = frame.checksum();
        let text = put(&mut patches, Slot::log(chain.sequence), &frame);
        chain.grow(text, log.raw);
        self.extended(stored, head, chain, patches, wrote)
    }

    /// Folds the logs into a run that stands for the same point of the chain.
    fn fold(&self, chain: &mut Chain, state: &Arc<State>, patches: &mut Patches) -> Option<()> {
        let kind = Kind::Run {
            sequence: chain.sequence,
            logs: chain.sequence - chain.anchor.sequence,
            end: Some(chain.tip),
        };
        let end = chain.tip;
        chain.fold(kind, state, patches)?;
        chain.anchor.tip = end;
        Some(())
    }

    /// Writes the logs and what is new as one run.
    fn run(&self, stored: &Stored, head: Head, base: Base) -> Option<Push> {
        let mut chain = stored.chain.clone();
        let mut patches = self.without_old_base(base.generation);
        chain.sequence = chain.sequence.checked_add(1)?;
        let logs = chain.sequence - chain.anchor.sequence;
        let kind = Kind::Run {
            sequence: chain.sequence,
            logs,
            end: None,
        };
        chain.tip = chain.fold(kind, &Arc::new(self.state.clone()), &mut patches)?;
        chain.anchor.tip = chain.tip;
        self.extended(stored, head, chain, patches, Wrote::Run)
    }

    /// Finishes a push onto the chain.
    fn extended(
        &self,
        stored: &Stored,
        head: Head,
        chain: Chain,
        patches: Patches,
        wrote: Wrote,
    ) -> Option<Push> {
        let base = stored.base?;
        let outgrown = chain.text > base.text.max(SMALL) || chain.raw > self.limits.dataset_bytes();
        if outgrown {
            return None;
        }
        let anchored = wrote == Wrote::Run;
        let state = if anchored {
            chain.anchor.state.clone()
        } else {
            Arc::new(self.state.clone())
        };
        let head = Head {
            sequence: chain.sequence,
            tip: chain.tip,
            ..head
        };
        let stored = Stored {
            chain,
            state,
            ..stored.clone()
        };
        self.push(stored, head, patches, wrote)
    }

    /// Plans a new base: beside the old one, else where that stands.
    fn based(
        &self,
        lineage: Lineage,
        predecessor: Option<Predecessor>,
        over: Option<&Stored>,
    ) -> Result<Push, PlanError> {
        let mut delta = self.state.diff(&State::new());
        if mutant!(FoldForgetsClock) {
            delta = mutant::without_clock(delta, &State::new());
        }
        let encoded = Encoded::new(&delta, &Clock::new());
        let live = base_text(encoded.payload().bytes.len()) + HEAD_LEN + self.standing.other_bytes;
        let fits = live <= self.limits.live_bytes()
            && encoded.raw <= self.limits.dataset_bytes()
            && codec::is_within_bounds(self.state)
            && encoded.payload().bytes.len().div_ceil(PART_BYTES) <= MAX_PARTS.into();
        let push = generations(over)
            .into_iter()
            .filter(|_| fits)
            .find_map(|generation| self.base(lineage, predecessor, over, generation, &encoded));
        push.ok_or_else(|| {
            let (dead, clock) = (dead_len(&delta), clock_len(&delta));
            PlanError::Full {
                live,
                dead,
                clock,
                limit: self.limits.live_bytes(),
            }
        })
    }

    fn base(
        &self,
        lineage: Lineage,
        predecessor: Option<Predecessor>,
        over: Option<&Stored>,
        generation: u32,
        encoded: &Encoded,
    ) -> Option<Push> {
        let mut patches = Patches::new();
        let body = encoded.payload();
        let chunks: Vec<&[u8]> = body.bytes.chunks(PART_BYTES).collect();
        let parts = u8::try_from(chunks.len()).ok()?;
        let (mut tip, mut text) = (None, 0);
        for (part, bytes) in (0..parts).zip(chunks) {
            let kind = Kind::Base {
                lineage,
                generation,
                part,
                parts,
            };
            let frame = Frame::new(kind, &frame::Payload { bytes, ..body }, tip);
            tip = Some(frame.checksum());
            text += put(&mut patches, Slot::base(generation, part), &frame);
        }
        let tip = tip.expect("the encoding of a delta is never empty");
        // Parts of a longer base that stood here.
        for slot in self.values() {
            if let Slot::Base { side, part } = slot
                && side == generation % 2
                && part >= parts
            {
                patches.insert(slot, None);
            }
        }
        let state = Arc::new(self.state.clone());
        let anchor = Anchor {
            sequence: 0,
            tip,
            state: state.clone(),
            text: 0,
            raw: 0,
        };
        let beside = over
            .and_then(|over| over.base)
            .filter(|base| base.generation % 2 != generation % 2);
        if over.is_some() && beside.is_none() {
            branch!(BaseUpon);
        } else if beside.is_some() {
            branch!(BaseBeside);
        }
        let continued = over.filter(|over| beside.is_some() && over.lineage == lineage);
        let stored = Stored {
            lineage,
            head: None,
            highest: generation,
            base: Some(Base {
                generation,
                parts,
                tip,
                text,
            }),
            chain: Chain {
                sequence: 0,
                tip,
                runs: Vec::new(),
                anchor,
                text: 0,
                raw: 0,
            },
            included: continued.map(|over| over.chain.tip).into_iter().collect(),
            state,
            needs_repair: false,
            reaches_head: true,
            is_vain: false,
        };
        let Standing {
            seen,
            plain,
            mended,
            ..
        } = *self.standing;
        let head = Head {
            lineage,
            generation,
            parts,
            sequence: 0,
            tip,
            predecessor,
            seen,
            plain,
            mended,
            begins: over.is_some_and(|over| over.lineage != lineage),
        };
        let is_live = |slot: &Slot| match slot {
            Slot::Log(_) | Slot::Run(_) => beside.is_some(),
            Slot::Base { side, .. } => beside.is_some() || *side == generation % 2,
            Slot::Head => true,
        };
        self.finish(stored, head, patches, Wrote::Base, is_live)
    }

    /// Returns the removals of what still stands on the side of the base before this one.
    fn without_old_base(&self, generation: u32) -> Patches {
        let old = |slot: &Slot| matches!(slot, Slot::Base { side, .. } if *side != generation % 2);
        let removed: Patches = self.values().filter(old).map(|slot| (slot, None)).collect();
        if !removed.is_empty() {
            branch!(OldBaseRemoved);
        }
        removed
    }

    /// Returns the slots that have a value.
    fn values(&self) -> impl Iterator<Item = Slot> {
        let records = self.standing.records.iter().filter(|(_, len)| **len > 0);
        records.filter_map(|(key, _)| Slot::parse(key))
    }

    /// Finishes a push that leaves the base where it is.
    fn push(&self, stored: Stored, head: Head, patches: Patches, wrote: Wrote) -> Option<Push> {
        let chain = &stored.chain;
        let live: Vec<Slot> = (chain.anchor.sequence..chain.sequence)
            .map(|before| Slot::log(before + 1))
            .chain(chain.runs.iter().map(|slot| Slot::Run(*slot)))
            .collect();
        let is_live = |slot: &Slot| match slot {
            Slot::Log(_) | Slot::Run(_) => live.contains(slot),
            Slot::Base { .. } | Slot::Head => true,
        };
        // The logs that a run of this very push folds stay as well: the push may be torn.
        let folds = matches!(wrote, Wrote::Fold | Wrote::Run);
        let is_live = |slot: &Slot| is_live(slot) || folds && matches!(slot, Slot::Log(_));
        let head = Head {
            begins: false,
            ..head
        };
        self.finish(stored, head, patches, wrote, is_live)
    }

    /// Adds head, and the removal of stale slots where the push doesn't fit otherwise; `None` if it doesn't fit then either.
    fn finish(
        &self,
        mut stored: Stored,
        head: Head,
        mut patches: Patches,
        wrote: Wrote,
        is_live: impl Fn(&Slot) -> bool,
    ) -> Option<Push> {
        let head = Head {
            seen: self.standing.seen,
            plain: self.standing.plain,
            mended: self.standing.mended,
            ..head
        };
        stored.head = Some(head);
        if wrote != Wrote::Base || !mutant!(FoldWithoutCompare) {
            put(&mut patches, Slot::Head, &Frame::head(head));
        }
        if !self.fits(&patches) {
            branch!(StaleRemoved);
            let stale: Vec<Slot> = self.values().filter(|slot| !is_live(slot)).collect();
            for slot in stale {
                patches.entry(slot).or_insert(None);
            }
            if !self.fits(&patches) {
                return None;
            }
        }
        let patches = patches
            .into_iter()
            .map(|(slot, text)| (slot.to_string(), text))
            .collect();
        Some(Push {
            patches,
            stored,
            wrote,
        })
    }

    /// Tells whether the dataset keeps to the limits after these patches.
    fn fits(&self, patches: &Patches) -> bool {
        let mut records: BTreeMap<&str, usize> = self
            .standing
            .records
            .iter()
            .map(|(key, len)| (key.as_str(), *len))
            .collect();
        let lens: Vec<(String, usize)> = patches
            .iter()
            .map(|(slot, text)| (slot.to_string(), text.as_ref().map_or(0, String::len)))
            .collect();
        if mutant!(StandingRecordsUncounted) {
            records.clear();
        }
        records.extend(lens.iter().map(|(key, len)| (key.as_str(), *len)));
        let bytes: usize = records.iter().map(|(key, len)| key.len() + len).sum();
        bytes + self.standing.other_bytes <= self.limits.dataset_bytes()
            && records.len() + self.standing.other_records <= self.limits.records()
            && records.values().all(|len| *len <= VALUE_CHARS)
    }
}

impl Chain {
    /// Makes a run of all that was written since the last one, and returns its checksum.
    fn fold(&mut self, kind: Kind, state: &Arc<State>, patches: &mut Patches) -> Option<Checksum> {
        let slot = (0..RUN_SLOTS).find(|slot| !self.runs.contains(slot))?;
        let anchor = &self.anchor;
        let mut delta = state.diff(&anchor.state);
        if mutant!(FoldForgetsClock) {
            delta = mutant::without_clock(delta, &anchor.state);
        }
        let run = Encoded::new(&delta, anchor.state.clock());
        let frame = Frame::new(kind, &run.payload(), Some(anchor.tip));
        let text = anchor.text + put(patches, Slot::Run(slot), &frame);
        let raw = anchor.raw + run.raw;
        self.runs.push(slot);
        (self.text, self.raw) = (text, raw);
        let (sequence, state) = (self.sequence, state.clone());
        self.anchor = Anchor {
            sequence,
            tip: frame.checksum(),
            state,
            text,
            raw,
        };
        Some(frame.checksum())
    }

    const fn grow(&mut self, text: usize, raw: usize) {
        self.text += text;
        self.raw += raw;
    }
}

/// Returns the generations that a new base can have, the better one first.
///
/// The next generation stands on the other side, beside the base that is there; the one after that stands upon it. Where the
/// base that can be read is not of the highest generation, the better one is still the one beside it.
fn generations(over: Option<&Stored>) -> Vec<u32> {
    let Some(over) = over else { return vec![0] };
    let (next, after) = (
        over.highest.saturating_add(1),
        over.highest.saturating_add(2),
    );
    match over.base {
        Some(base) if base.generation % 2 == next % 2 => vec![after, next],
        _ => vec![next, after],
    }
}

/// Adds a frame to the patches, and returns how many characters its record takes.
fn put(patches: &mut Patches, slot: Slot, frame: &Frame) -> usize {
    let text = frame.encode();
    let len = slot.to_string().len() + text.len();
    patches.insert(slot, Some(text));
    len
}
