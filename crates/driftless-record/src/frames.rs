//! The frames of a dataset, sorted by what they are for; nothing is decoded but their headers.

use std::collections::{BTreeMap, BTreeSet};

use crate::chain::ReadError;
use crate::frame::{Frame, FrameError, Kind};
use crate::head::Head;
use crate::lineage::{Checksum, Lineage};
use crate::slots::{Slot, is_reserved};

/// A frame, and the characters that its record takes.
pub(crate) struct Placed {
    pub(crate) slot: Slot,
    pub(crate) frame: Frame,
    pub(crate) text: usize,
}

/// The frames of all slots.
pub(crate) struct Frames {
    /// How many reserved records have a value, readable or not.
    pub(crate) records: usize,
    pub(crate) head: Option<Head>,
    /// By sequence.
    pub(crate) logs: BTreeMap<u32, Placed>,
    pub(crate) runs: Vec<Placed>,
    /// By generation, then lineage.
    pub(crate) bases: BTreeMap<(u32, Lineage), BTreeMap<u8, Placed>>,
    /// Slots that have a value which is no frame.
    pub(crate) damaged: BTreeSet<Slot>,
}

impl Frames {
    /// Decodes the reserved ones among records.
    pub(crate) fn collect<'a>(
        records: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, ReadError> {
        let (logs, runs, bases) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
        let mut frames = Self {
            records: 0,
            head: None,
            logs,
            runs,
            bases,
            damaged: BTreeSet::new(),
        };
        for (key, text) in records.into_iter().filter(|(key, _)| is_reserved(key)) {
            frames.records += 1;
            let Some(slot) = Slot::parse(key) else {
                continue;
            };
            match Frame::decode(text) {
                Ok(frame) => frames.place(Placed {
                    slot,
                    frame,
                    text: key.len() + text.len(),
                }),
                Err(FrameError::Version(version)) => {
                    return Err(ReadError::Version {
                        key: key.to_owned(),
                        version,
                    });
                }
                Err(_) => {
                    frames.damaged.insert(slot);
                }
            }
        }
        Ok(frames)
    }

    /// Puts a frame where its kind belongs; one in the slot of another is damage, and passed over.
    fn place(&mut self, placed: Placed) {
        match (placed.slot, placed.frame.kind()) {
            (Slot::Head, Kind::Head(head)) if placed.frame.follows(None) => self.head = Some(head),
            (slot, Kind::Log { sequence }) if slot == Slot::log(sequence) => {
                self.logs.insert(sequence, placed);
            }
            (Slot::Run(_), Kind::Run { .. }) => self.runs.push(placed),
            (
                slot,
                Kind::Base {
                    lineage,
                    generation,
                    part,
                    ..
                },
            ) if slot == Slot::base(generation, part) => {
                self.bases
                    .entry((generation, lineage))
                    .or_default()
                    .insert(part, placed);
            }
            _ => {}
        }
    }

    /// Returns the lineage that stands: head's, else that of the highest complete base, else of the highest that begins.
    ///
    /// A compacted lineage of which no base is complete has not begun, while one of its predecessor is.
    pub(crate) fn lineage(&self) -> Option<Lineage> {
        let highest = |is: &dyn Fn(&BTreeMap<u8, Placed>) -> bool| {
            self.bases
                .iter()
                .rev()
                .find(|(_, parts)| is(parts))
                .map(|((_, lineage), _)| *lineage)
        };
        let is_whole = |lineage: Lineage| {
            let mut bases = self.bases.iter();
            bases.any(|((_, of), parts)| *of == lineage && whole(parts).is_some())
        };
        let of_head = |head: Head| match head.predecessor {
            Some(before) if !is_whole(head.lineage) && is_whole(before.lineage) => before.lineage,
            _ => head.lineage,
        };
        self.head
            .map(of_head)
            .or_else(|| highest(&|parts| whole(parts).is_some()))
            .or_else(|| {
                highest(&|parts| parts.get(&0).is_some_and(|part| part.frame.follows(None)))
            })
    }
}

/// Returns the checksum of the last part, if all parts are there and follow on each other.
pub(crate) fn whole(parts: &BTreeMap<u8, Placed>) -> Option<Checksum> {
    let first = &parts.get(&0)?.frame;
    let Kind::Base { parts: count, .. } = first.kind() else {
        return None;
    };
    let mut tip = None;
    for number in 0..count {
        let part = &parts.get(&number)?.frame;
        let agrees = matches!(part.kind(), Kind::Base { parts, .. } if parts == count)
            && part.raw_len() == first.raw_len();
        if !agrees || !part.follows(tip) {
            return None;
        }
        tip = Some(part.checksum());
    }
    tip
}
