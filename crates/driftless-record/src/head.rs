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
}
