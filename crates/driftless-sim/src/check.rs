//! What must be true, by name, and what is said when it is not.

use std::fmt;

/// What is checked. The numbers are those of the design's list of invariants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Check {
    /// 1: a write that was acknowledged is there after any crash, at its durability.
    AcknowledgedWritesSurvive,
    /// 2: after the last write is synced everywhere all devices are equal, and what is stored too.
    DevicesAgree,
    /// 3: they equal a document that merged every edit and forgot none.
    EqualsReference,
    /// 4: no edit is lost when its device finally syncs.
    NoEditIsLost,
    /// 4: what a device had before a call that ended well is at the service after it.
    SyncedIsStored,
    /// Devices that create a counter, text, list, map or set of one name have one, not several.
    CreationsMeet,
    /// In a plain dataset the records of old clients show what the devices show.
    PlainShowsState,
    /// What a device remembers of the service's records is what stands there.
    MirrorsAgree,
    /// 5: what is stored never exceeds the limits.
    LimitsHold,
    /// 6: without contention no change is one request, and a push two.
    RequestsAreFew,
    /// 7: with whole pushes head leads to a readable state at every moment.
    HeadIsReadable,
    /// 7: whatever happened, a bounded number of syncs brings rest.
    RestIsReached,
    /// 8: nothing panics.
    NothingPanics,
    /// Every call ends, once, and only with an error that what happened explains.
    CallsEndOnce,
    /// What consumers of changes were told adds up to what there is.
    ChangesTellAll,
    /// What an app says must be true of its own data.
    App,
}

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What is violated.
    pub check: Check,
    /// What was seen.
    pub what: String,
    /// After how many steps of the plan; more than there are means in the quiet at the end.
    pub step: usize,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { check, what, step } = self;
        write!(f, "{check:?} is violated after step {step}: {what}")
    }
}

impl std::error::Error for Violation {}
