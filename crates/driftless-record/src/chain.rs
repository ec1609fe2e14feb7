//! Records to states: which frames belong together, and what they hold.
//!
//! The service promises no atomicity, so whatever subset of a push is there must be read right. The rule is **never past a
//! hole**: a delta's clock claims as seen what the delta before it brought, and on another state the next join would delete
//! that everywhere. So a delta is applied on the very point of the chain that its checksum covers, and nowhere else.
//!
//! From every complete base of head's lineage the runs and logs are followed as far as checksums agree, also beyond the tip
//! that head names, and the states at the ends are joined. What doesn't agree is stale. First the chains are walked, which
//! takes hashing only; what `known` has decoded already is not decoded again.

use std::collections::BTreeMap;
use std::sync::Arc;

use driftless_document::{Clock, MAX_COUNTER, State, branch, mutant};

use crate::codec::{self, DecodeError};
use crate::frame::{Frame, Kind, inflate};
use crate::frames::{Frames, Placed, whole};
use crate::head::Head;
use crate::limits::Limits;
use crate::lineage::{Checksum, Lineage};
use crate::slots::Slot;
use crate::stored::{Anchor, Base, Chain, Stored};

/// How far a delta's clock may lie beyond everything that the state before it has seen.
pub const MAX_JUMP: u32 = 1 << 24;

/// Why records are not read; nothing may be written then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A newer Driftless wrote this: the app needs an update.
    #[error("record {key} has format version {version}, which is not known")]
    Version {
        /// The record.
        key: String,
        /// Its version.
        version: u8,
    },
    /// A state or delta is larger than the limits allow: they are set lower than the writer's, or it means harm.
    #[error("record {key} holds {bytes} bytes, of at most {limit}")]
    Bytes {
        /// The record.
        key: String,
        /// How many bytes its content has, not deflated.
        bytes: u64,
        /// How many it may have.
        limit: usize,
    },
    /// There are more values and elements than [`MAX_ELEMENTS`](crate::MAX_ELEMENTS), [`MAX_VALUES`](crate::MAX_VALUES) and
    /// [`MAX_OBJECTS`](crate::MAX_OBJECTS) allow.
    #[error("record {key} brings more values and elements than any state may hold")]
    Elements {
        /// The record that goes beyond.
        key: String,
    },
    /// A clock is above [`MAX_COUNTER`], or jumps by more than [`MAX_JUMP`]: no honest device gets there.
    #[error("record {key} raises the clock from {from} to {to}")]
    Counter {
        /// The record.
        key: String,
        /// The highest counter before it.
        from: u32,
        /// The highest counter in it.
        to: u32,
    },
    /// Reserved records stand there, and nothing tells whose they are: all is damaged.
    #[error("none of the {records} reserved records can be read")]
    Unreadable {
        /// How many records have values.
        records: usize,
    },
}

/// Reads what the records of a dataset hold; `None` if no reserved record has a value.
///
/// `records` are the records with a value, by key; others than reserved ones are passed over. `known` is what an earlier
/// read or push of the same dataset gave: with it, only what is new is decoded. It changes the cost and not the result.
///
/// # Errors
///
/// [`ReadError`] if something is refused. What is only damaged is told by [`Stored::needs_repair`].
pub fn read<'a>(
    records: impl IntoIterator<Item = (&'a str, &'a str)>,
    limits: &Limits,
    known: Option<&Stored>,
) -> Result<Option<Stored>, ReadError> {
    let frames = Frames::collect(records)?;
    if frames.records == 0 {
        return Ok(None);
    }
    let Some(lineage) = frames.lineage() else {
        return Err(ReadError::Unreadable {
            records: frames.records,
        });
    };
    let known = known.filter(|known| known.lineage == lineage);
    Reading {
        frames: &frames,
        lineage,
        limits,
        known,
    }
    .stored()
    .map(Some)
}

/// One run or log on the chain of a base.
#[derive(Clone, Copy)]
struct Step<'a> {
    placed: &'a Placed,
    is_run: bool,
    sequence: u32,
    end: Checksum,
}

/// A complete base and how far its chain goes.
struct Walk<'a> {
    base: Base,
    parts: &'a BTreeMap<u8, Placed>,
    steps: Vec<Step<'a>>,
}

impl Walk<'_> {
    fn end(&self) -> Checksum {
        self.point(self.steps.len())
    }

    fn contains(&self, point: Checksum) -> bool {
        (0..=self.steps.len()).any(|steps| self.point(steps) == point)
    }

    /// Returns the point of the chain after so many steps.
    fn point(&self, steps: usize) -> Checksum {
        steps
            .checked_sub(1)
            .map_or(self.base.tip, |last| self.steps[last].end)
    }
}

/// Why a chain ends earlier than its checksums do.
enum Stop {
    /// The whole read ends.
    Refused(ReadError),
    /// What stands after so many steps makes no sense; `None` means the base itself.
    Damaged(Option<usize>),
}

/// A chain and the state at its end.
type Decoded = (Chain, Arc<State>);

struct Reading<'a> {
    frames: &'a Frames,
    lineage: Lineage,
    limits: &'a Limits,
    known: Option<&'a Stored>,
}

impl<'a> Reading<'a> {
    fn stored(&self) -> Result<Stored, ReadError> {
        let bases = self
            .frames
            .bases
            .iter()
            .filter(|((_, lineage), _)| *lineage == self.lineage);
        let mut walks: Vec<Walk<'_>> = bases
            .filter_map(|((generation, _), parts)| self.walk(*generation, parts))
            .collect();
        // The base that head names counts first, else the highest.
        let named = self.head().map(|head| head.generation);
        walks.sort_by_key(|walk| {
            std::cmp::Reverse((named == Some(walk.base.generation), walk.base.generation))
        });
        let mut readable: Vec<(Walk<'_>, Option<Decoded>)> = Vec::new();
        for mut walk in walks {
            let skip = readable
                .first()
                .is_some_and(|(main, _)| self.includes(main, &walk));
            if skip {
                branch!(ReadIncluded);
                readable.push((walk, None));
            } else if let Some(decoded) = self.evaluate(&mut walk)? {
                readable.push((walk, Some(decoded)));
            }
        }
        Ok(self.joined(readable))
    }

    /// Returns head, or what that of a lineage which has not begun tells of this one.
    fn head(&self) -> Option<Head> {
        let head = self.frames.head?;
        let before = head.before_compaction();
        [Some(head), before]
            .into_iter()
            .flatten()
            .find(|head| head.lineage == self.lineage)
    }

    /// Tells whether it is known already that a chain's state is part of the main one.
    fn includes(&self, main: &Walk<'_>, other: &Walk<'_>) -> bool {
        let known = self
            .known
            .filter(|known| !known.needs_repair && known.base.is_some());
        known.is_some_and(|known| {
            main.contains(known.chain.tip) && known.included.contains(&other.end())
        })
    }

    /// Tells whether head is that of a compaction of which a part never came, and nothing was pushed upon it.
    ///
    /// A part that is there and damaged has come.
    fn is_vain(&self, head: Head) -> bool {
        let mut bases = self.frames.bases.keys();
        let went_on = bases
            .any(|(generation, of)| *of == self.lineage && *generation > head.generation)
            || self.run_at(head.tip, 0).is_some()
            || self.log_at(head.tip, 0).is_some();
        let parts = self.frames.bases.get(&(head.generation, self.lineage));
        let has_come = |part| {
            parts.is_some_and(|parts| parts.contains_key(&part))
                || self
                    .frames
                    .damaged
                    .contains(&Slot::base(head.generation, part))
        };
        head.begins && !went_on && !(0..head.parts).all(has_come)
    }

    fn joined(&self, readable: Vec<(Walk<'a>, Option<Decoded>)>) -> Stored {
        let head = self.head();
        let highest = self
            .frames
            .bases
            .keys()
            .map(|(generation, _)| *generation)
            .max();
        let highest = highest.max(head.map(|head| head.generation)).unwrap_or(0);

        let mut readable = readable.into_iter();
        let Some((main, Some((chain, state)))) = readable.next() else {
            branch!(ReadNoBase);
            let state = Arc::new(State::new());
            let tip = Checksum::from_bytes([0; 8]);
            let anchor = Anchor {
                sequence: 0,
                tip,
                state: state.clone(),
                text: 0,
                raw: 0,
            };
            let chain = Chain {
                sequence: 0,
                tip,
                runs: Vec::new(),
                anchor,
                text: 0,
                raw: 0,
            };
            let (lineage, included) = (self.lineage, Vec::new());
            let needs_repair = true;
            return Stored {
                lineage,
                head,
                highest,
                base: None,
                chain,
                included,
                state,
                needs_repair,
                reaches_head: false,
                is_vain: head.is_some_and(|head| self.is_vain(head)),
            };
        };
        let told = head.is_some_and(|head| {
            (head.generation, head.parts, head.sequence, head.tip)
                == (
                    main.base.generation,
                    main.base.parts,
                    chain.sequence,
                    chain.tip,
                )
        });
        match head {
            Some(_) if !told => branch!(ReadPastHead),
            Some(_) => {}
            None => branch!(ReadNoHead),
        }
        let mut stored = Stored {
            lineage: self.lineage,
            head,
            highest,
            base: Some(main.base),
            chain,
            included: Vec::new(),
            needs_repair: !told,
            reaches_head: head.is_some_and(|head| main.contains(head.tip)),
            is_vain: false,
            state,
        };
        for (walk, read) in readable {
            // Of two that tell one operation differently only the newer is believed.
            if let Some((_, other)) = read
                && stored.state.contradicts(&other).is_none()
            {
                let joined = stored.state.join(&other);
                if joined != *stored.state {
                    branch!(ReadSeveral);
                    stored.state = Arc::new(joined);
                    stored.needs_repair = true;
                }
            }
            stored.included.push(walk.end());
        }
        stored
    }

    /// Follows the checksums from a base, if it is complete.
    fn walk(&self, generation: u32, parts: &'a BTreeMap<u8, Placed>) -> Option<Walk<'a>> {
        let tip = whole(parts)?;
        let text = parts.values().map(|part| part.text).sum();
        let Kind::Base { parts: count, .. } = parts.get(&0)?.frame.kind() else {
            return None;
        };
        let base = Base {
            generation,
            parts: count,
            tip,
            text,
        };
        let mut walk = Walk {
            base,
            parts,
            steps: Vec::new(),
        };
        let (mut at, mut sequence) = (tip, 0);
        while let Some(step) = self
            .run_at(at, sequence)
            .or_else(|| self.log_at(at, sequence))
        {
            if step.is_run {
                branch!(ReadRun);
            } else {
                branch!(ReadLog);
            }
            (at, sequence) = (step.end, step.sequence);
            walk.steps.push(step);
        }
        Some(walk)
    }

    /// Returns the longest run from this point on.
    fn run_at(&self, at: Checksum, from: u32) -> Option<Step<'a>> {
        let step = |placed: &'a Placed| match placed.frame.kind() {
            Kind::Run {
                sequence,
                logs,
                end,
            } if sequence - logs == from && placed.frame.follows(Some(at)) => {
                let end = end.unwrap_or_else(|| placed.frame.checksum());
                Some(Step {
                    placed,
                    is_run: true,
                    sequence,
                    end,
                })
            }
            _ => None,
        };
        self.frames
            .runs
            .iter()
            .filter_map(step)
            .max_by_key(|step| (step.sequence, step.end))
    }

    fn log_at(&self, at: Checksum, from: u32) -> Option<Step<'a>> {
        let mut sequence = from.checked_add(1)?;
        let passes = mutant!(DeltaPastHole) && !self.frames.logs.contains_key(&sequence);
        sequence += u32::from(passes);
        let placed = self.frames.logs.get(&sequence)?;
        let end = placed.frame.checksum();
        let follows = placed.frame.follows(Some(at)) || passes || mutant!(ChainIgnored);
        follows.then_some(Step {
            placed,
            is_run: false,
            sequence,
            end,
        })
    }

    /// Decodes a chain, which is cut short before what makes no sense; `None` if that is the base.
    fn evaluate(&self, walk: &mut Walk<'a>) -> Result<Option<Decoded>, ReadError> {
        loop {
            match self.decoded(walk) {
                Ok(decoded) => return Ok(Some(decoded)),
                Err(Stop::Refused(error)) => return Err(error),
                Err(Stop::Damaged(None)) => return Ok(None),
                Err(Stop::Damaged(Some(steps))) => walk.steps.truncate(steps),
            }
        }
    }

    fn decoded(&self, walk: &Walk<'a>) -> Result<Decoded, Stop> {
        let raw = walk
            .steps
            .iter()
            .map(|step| raw_len(&step.placed.frame))
            .collect::<Vec<u64>>();
        self.check_sizes(walk, &raw)?;
        let folded = walk
            .steps
            .iter()
            .rposition(|step| step.is_run)
            .map_or(0, |last| last + 1);
        let base = |walk: &Walk<'a>| self.base(walk).map(Arc::new);
        let anchor = match self.known_until(walk, 0, folded) {
            Some((steps, state)) => self.advance(walk, state, steps, folded)?,
            None => self.advance(walk, base(walk)?, 0, folded)?,
        };
        let (from, state) = self
            .known_until(walk, folded, walk.steps.len())
            .unwrap_or((folded, anchor.clone()));
        let state = self.advance(walk, state, from, walk.steps.len())?;

        let runs = walk.steps.iter().filter_map(|step| match step.placed.slot {
            Slot::Run(slot) => Some(slot),
            _ => None,
        });
        let text = |steps: usize| {
            walk.steps[..steps]
                .iter()
                .map(|step| step.placed.text)
                .sum()
        };
        let raw = |steps: usize| raw[..steps].iter().sum::<u64>() as usize;
        let sequence = |steps: usize| {
            steps
                .checked_sub(1)
                .map_or(0, |last| walk.steps[last].sequence)
        };
        let anchor = Anchor {
            sequence: sequence(folded),
            tip: walk.point(folded),
            state: anchor,
            text: text(folded),
            raw: raw(folded),
        };
        let all = walk.steps.len();
        let chain = Chain {
            sequence: sequence(all),
            tip: walk.end(),
            runs: runs.collect(),
            anchor,
            text: text(all),
            raw: raw(all),
        };
        Ok((chain, state))
    }

    /// Refuses sizes that no device with these limits writes: they bound what reading takes.
    fn check_sizes(&self, walk: &Walk<'_>, raw: &[u64]) -> Result<(), Stop> {
        let limit = self.limits.dataset_bytes();
        let base: u64 = match walk.parts[&0].frame.raw_len() {
            Some(len) => len,
            None => walk
                .parts
                .values()
                .map(|part| part.frame.body().len() as u64)
                .sum(),
        };
        let key = |slot: Slot| slot.to_string();
        if base > limit as u64 {
            let key = key(walk.parts[&0].slot);
            return Err(Stop::Refused(ReadError::Bytes {
                key,
                bytes: base,
                limit,
            }));
        }
        let mut total = 0_u64;
        for (step, raw) in walk.steps.iter().zip(raw) {
            total = total.saturating_add(*raw);
            if total > limit as u64 {
                let key = key(step.placed.slot);
                return Err(Stop::Refused(ReadError::Bytes {
                    key,
                    bytes: total,
                    limit,
                }));
            }
        }
        Ok(())
    }

    /// Returns the last point between these that was decoded before, and its state.
    fn known_until(&self, walk: &Walk<'_>, from: usize, to: usize) -> Option<(usize, Arc<State>)> {
        let known = self
            .known
            .filter(|known| !known.needs_repair && known.base.is_some())?;
        let chain = &known.chain;
        let state = |steps: usize| match walk.point(steps) {
            tip if tip == chain.tip => Some((steps, known.state.clone())),
            tip if tip == chain.anchor.tip => Some((steps, chain.anchor.state.clone())),
            _ => None,
        };
        (from..=to).rev().find_map(state)
    }

    fn base(&self, walk: &Walk<'_>) -> Result<State, Stop> {
        let body: Vec<u8> = walk
            .parts
            .values()
            .flat_map(|part| part.frame.body())
            .copied()
            .collect();
        let first = &walk.parts[&0];
        self.applied(State::new(), first, &body, u32::MAX, None)
    }

    /// Applies the steps from one number to another.
    fn advance(
        &self,
        walk: &Walk<'_>,
        state: Arc<State>,
        from: usize,
        to: usize,
    ) -> Result<Arc<State>, Stop> {
        let mut state = state;
        for (number, step) in walk.steps.iter().enumerate().take(to).skip(from) {
            let Step { placed, .. } = step;
            let old = Arc::unwrap_or_clone(state);
            state = self
                .applied(old, placed, placed.frame.body(), MAX_JUMP, Some(number))?
                .into();
        }
        Ok(state)
    }

    /// Applies the delta in a body; `at` says which step it is, for the case that it makes no sense.
    fn applied(
        &self,
        state: State,
        placed: &Placed,
        body: &[u8],
        jump: u32,
        at: Option<usize>,
    ) -> Result<State, Stop> {
        let damaged = || Stop::Damaged(at);
        let key = || placed.slot.to_string();
        let inflated = match placed.frame.raw_len() {
            // The length is within the limits: `check_sizes` has looked.
            Some(len) => inflate(body, len as usize).ok_or_else(damaged)?,
            None => body.to_vec(),
        };
        let delta = match codec::decode(&inflated, state.clock()) {
            Ok(delta) => delta,
            Err(DecodeError::Elements) => {
                return Err(Stop::Refused(ReadError::Elements { key: key() }));
            }
            Err(_) => return Err(damaged()),
        };
        let (from, to) = (state.max_counter(), highest(&delta.clock));
        if to > MAX_COUNTER || to > from.saturating_add(jump) {
            return Err(Stop::Refused(ReadError::Counter {
                key: key(),
                from,
                to,
            }));
        }
        let state = state.apply(&delta).map_err(|_| damaged())?;
        if !codec::is_within_bounds(&state) {
            return Err(Stop::Refused(ReadError::Elements { key: key() }));
        }
        Ok(state)
    }
}

fn highest(clock: &Clock) -> u32 {
    clock.values().copied().max().unwrap_or(0)
}

/// Returns how many bytes a frame's body has when inflated.
fn raw_len(frame: &Frame) -> u64 {
    frame.raw_len().unwrap_or(frame.body().len() as u64)
}
