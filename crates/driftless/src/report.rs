//! What a synchronization did.

use std::collections::{BTreeMap, BTreeSet};

use driftless_merge::{LeftOver, Size, Summary};
use driftless_record::Wrote;
use driftless_wire::DatasetName;

/// What one synchronization did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// How many requests were sent: 1 with nothing to push, 2 with a push, more after conflicts and
    /// failures, and one for a subscription that waited for this session.
    pub requests: u32,
    /// The bytes of request bodies.
    pub bytes_up: u64,
    /// The bytes of answer bodies.
    pub bytes_down: u64,
    /// The keys that look different here because of what came.
    pub changed_here: BTreeSet<String>,
    /// The keys that look different at the service because of what was pushed.
    pub changed_there: BTreeSet<String>,
    /// How many pushes were refused because another device had pushed first; each was merged and
    /// tried again.
    pub conflicts: u32,
    /// What was written, if anything was.
    pub wrote: Option<Wrote>,
    /// Whether all that is here is at the service.
    pub outcome: Outcome,
    /// The dataset is kept as plain records only, since there is no room for its state:
    /// [`Dataset::is_plain_only`](crate::Dataset::is_plain_only). All else in the report is as usual.
    pub plain_only: bool,
    /// The dataset had been deleted or replaced at the service; unsynced edits were written onto
    /// what stands there now.
    pub began_anew: bool,
    /// What was stored was damaged and is whole again.
    pub repaired: bool,
    /// The dataset was deleted at the service, as was asked for here.
    pub deleted: bool,
    /// What is stored was written anew without its past, by [`Dataset::compact`](crate::Dataset::compact).
    pub compacted: bool,
    /// What a merge of identities had left beside the dataset: folded in, and deleted at the service.
    pub merged: BTreeSet<DatasetName>,
    /// What of that is still there, and why; later sessions try again.
    pub left_over: BTreeMap<DatasetName, LeftOver>,
}

/// How a synchronization ended, if it did not fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Everything that was here when the push was planned is at the service.
    #[default]
    Synced,
    /// The joined data do not fit. They are durable and readable here, nothing was pushed in part;
    /// remove something, or [compact](crate::Dataset::compact) what its past takes.
    ///
    /// What old clients wrote and has no room is counted too. It comes here once it has; until then it stands in their records
    /// only. If it is what [`size`](crate::Dataset::size) does not count that takes the room, one of them must remove some, or
    /// the app gives the [plain records](crate::Dataset::retire_plain_records) up.
    ///
    /// Of a dataset that is kept as [plain records only](crate::Dataset::is_plain_only) what fits was pushed; what is left
    /// does not fit or has no text.
    Full(Size),
}

/// What was sent and received so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) requests: u32,
    pub(crate) bytes_up: u64,
    pub(crate) bytes_down: u64,
}

impl Report {
    /// Tells whether the joined data do not fit.
    pub(crate) const fn is_full(&self) -> bool {
        matches!(self.outcome, Outcome::Full(_))
    }

    pub(crate) fn of(summary: Summary, traffic: Traffic) -> Self {
        Self {
            requests: traffic.requests,
            bytes_up: traffic.bytes_up,
            bytes_down: traffic.bytes_down,
            changed_here: summary.changed_here,
            changed_there: summary.changed_there,
            conflicts: summary.conflicts,
            wrote: summary.wrote,
            outcome: summary.full.map_or(Outcome::Synced, Outcome::Full),
            plain_only: summary.plain_only,
            began_anew: summary.began_anew,
            repaired: summary.repaired,
            deleted: summary.deleted,
            compacted: summary.compacted,
            merged: summary.merged,
            left_over: summary.left_over,
        }
    }
}
