//! The small frame that every push rewrites.

use driftless_wire::SyncCount;

use crate::lineage::{Checksum, Lineage};

/// The life of a dataset that another one came from by compaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Predecessor {
    /// Its name.
    pub lineage: Lineage,
    /// Its highest counter: whoever wrote nothing above that wrote in no later life.
    pub counter: u32,
    /// The lives that it came from itself, for devices that were away for more than one compaction.
    pub earlier: Earlier,
}

/// The lives before a predecessor, the last first: [`MAX`](Self::MAX) of them at most, earlier ones are forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Earlier([Option<Lineage>; Self::MAX]);

impl Earlier {
    /// How many are remembered: each takes 10 characters of every head.
    pub const MAX: usize = 4;

    /// Returns these lives, of which those beyond [`MAX`](Self::MAX) are forgotten.
    pub fn of(lives: impl IntoIterator<Item = Lineage>) -> Self {
        let mut earlier = Self::default();
        earlier
            .0
            .iter_mut()
            .zip(lives)
            .for_each(|(place, life)| *place = Some(life));
        earlier
    }

    /// Returns the lives, the last first.
    pub fn iter(&self) -> impl Iterator<Item = Lineage> {
        self.0.iter().flatten().copied()
    }
}

impl Predecessor {
    /// Returns this life and those before it, the last first.
    pub fn lives(&self) -> impl Iterator<Item = Lineage> {
        std::iter::once(self.lineage).chain(self.earlier.iter())
    }
}

/// What the head slot says: which base and which frames on it are the stored state.
///
/// Whoever writes it under compare-and-swap has won the push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Head {
    /// Which life of the dataset this is.
    pub lineage: Lineage,
    /// The generation of the base.
    pub generation: u32,
    /// How many parts the base has.
    pub parts: u8,
    /// How many logs follow on the base, those in runs included.
    pub sequence: u32,
    /// The point of the chain that the stored state stands for.
    pub tip: Checksum,
    /// The life that this one came from by compaction.
    pub predecessor: Option<Predecessor>,
    /// The sync count of the list that the push was planned on.
    pub seen: SyncCount,
    /// Whether every scalar, text and counter also stands as a plain record.
    pub plain: bool,
    /// Whether anything of this life, or of the one that it came from by compaction, was found damaged and mended.
    ///
    /// What was lost then comes back from the devices that know it, which a compaction would take for removed.
    pub mended: bool,
    /// Whether this is the push that began the life by compaction: nothing was pushed upon it yet.
    pub begins: bool,
}

impl Head {
    /// Returns what the head of a compaction that came only in part tells of the life before, whose head it took the place
    /// of. Which frames are the state there it does not tell.
    pub(crate) fn before_compaction(self) -> Option<Self> {
        let before = self.predecessor.filter(|_| self.begins)?;
        let mut lives = before.earlier.iter();
        let predecessor = lives.next().map(|lineage| Predecessor {
            lineage,
            counter: 0,
            earlier: Earlier::of(lives),
        });
        Some(Self {
            lineage: before.lineage,
            predecessor,
            begins: false,
            ..self
        })
    }
}
