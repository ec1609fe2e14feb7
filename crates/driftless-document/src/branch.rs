//! Which decisions of the engine were ever taken: what no simulated world reaches is not checked by any.
//!
//! Like `mutant.rs`, it is only there in a build with `--cfg driftless_mutants`; `branch!(Name);` is nothing in
//! any other.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::mutant::named;

/// Counts that a decision was taken: `branch!(Joined);`.
#[doc(hidden)]
#[macro_export]
macro_rules! branch {
    ($name:ident) => {
        if cfg!(driftless_mutants) {
            $crate::branch::hit($crate::branch::Branch::$name);
        }
    };
}

named! {
    /// A decision.
    Branch {
        /// Listed from 0, for the service does not know the count.
        RelistNoSuchCount,
        /// Listed from 0, for the token of a page has ended.
        RelistTokenEnded,
        /// Listed from 0, for pages disagree on the count.
        RelistPagesDisagree,
        /// Listed from 0, for the dataset is gone or was deleted meanwhile.
        RelistGone,
        /// Listed from 0, for an increment leaves damage, another life, or nothing that can be read.
        RelistIrregular,
        /// Listed from 0, for the answer to a push shows something else than was sent.
        RelistAnswerDiffers,
        /// Gave up, for each list differs from what was written.
        RelistedTooOften,
        /// No slot can be read: damage, of a life that is known.
        ListUnreadable,
        /// What is stored is refused, or nobody knows whose it is.
        ListRefused,
        /// Found an operation that is told differently here and there.
        Contradicted,
        /// Nothing is stored, and nothing was.
        NothingStored,
        /// All slots were removed: damage.
        SlotsRemoved,
        /// What was known has ended, and nothing is stored.
        LifeEnded,
        /// Another life is stored.
        OtherLife,
        /// Another life is stored, which was compacted out of the known one.
        CompactedLife,
        /// Another life is stored, which was compacted out of the known one after that was mended.
        CompactedLifeMended,
        /// What is stored was compacted by this device.
        Compacted,
        /// Only head of a compacted life came to stand.
        CompactedInVain,
        /// Another life is stored, which was compacted out of the known one more than once.
        CompactedTwice,
        /// What is stored was written by a copy of this store.
        AdoptedAsCopy,
        /// What is stored is what was known.
        KnownAlready,
        /// Joined what is stored.
        Joined,
        /// Joined what is stored, and knew it all.
        JoinedNothing,
        /// A push in doubt was found to stand.
        FoundSent,
        /// The service holds less than was listed before.
        ListedBeyond,
        /// A creation that nobody saw was set back and written again, for its namesake lived elsewhere.
        CollisionWrittenAgain,
        /// A creation and removal that nobody saw were forgotten.
        LeftNoTrace,
        /// A scalar was put again.
        PutAgain,
        /// A removal was made again.
        RemovedAgain,
        /// Increments were made again.
        AddedAgain,
        /// What was typed was typed again.
        RetypedAgain,
        /// Deleted a dataset here.
        DeletedHere,
        /// Asked the service to delete it.
        DeletionAsked,
        /// Folded merged datasets into what is offered.
        ChildFolded,
        /// Took plain records of a merged dataset in.
        ChildPlainImported,
        /// Merged datasets were left where they are, for they do not fit.
        ChildrenDoNotFit,
        /// The service deleted it.
        DeletionDone,
        /// It was deleted already.
        DeletionFoundDone,
        /// The service did not delete it.
        DeletionFailed,
        /// Edits since the deletion go into a new life.
        EditedSinceDeletion,
        /// Records of old clients were found, and no state.
        PlainFound,
        /// What a foreign hand wrote was imported.
        PlainImported,
        /// What was imported stands.
        PlainImportStands,
        /// Plain records are removed for good.
        PlainRetired,
        /// A Lambda changed a plain record.
        PlainChanged,
        /// Records of old clients leave no room for a state.
        PlainOnlyBegun,
        /// What is pushed are plain records alone.
        PlainOnlyPushed,
        /// A push in doubt of plain records alone was found to stand.
        PlainOnlyFoundSent,
        /// A push in doubt of plain records alone was found not to stand.
        PlainOnlyFoundUnsent,
        /// A state was found where there had been none, for want of room.
        PlainOnlyAdopted,
        /// Pushed head alone.
        PushedHead,
        /// Nothing to push.
        NothingToPush,
        /// What is joined does not fit.
        Full,
        /// Pushed a log.
        PushedLog,
        /// Pushed a log, and folded those before into a run.
        PushedFold,
        /// Pushed a run.
        PushedRun,
        /// Pushed a base.
        PushedBase,
        /// A push brings objects that nobody has seen.
        PushedCreation,
        /// A push lost against another one.
        Conflicted,
        /// Pushes lost too often.
        Contended,
        /// Nobody knows whether a push stands.
        OutcomeUnknown,
        /// Nobody knew too often.
        UnknownTooOften,
        /// A push was refused.
        PushRefused,
        /// A push stands, and the count goes on by one.
        SettledAndCounted,
        /// A push stands, and others wrote before it.
        SettledBehindOthers,
        /// A push repaired what was damaged.
        Repaired,
        /// A session was dropped for the next one, or for a deletion.
        SessionAbandoned,
        /// A base was built.
        BaseBeside,
        /// A base was written upon the one that stands.
        BaseUpon,
        /// Stale slots were removed to make room.
        StaleRemoved,
        /// The base before the one that stands was removed.
        OldBaseRemoved,
        /// A run was followed.
        ReadRun,
        /// A log was followed.
        ReadLog,
        /// Several bases were complete, and what the others hold was part of the first.
        ReadIncluded,
        /// Several bases were complete, and their states were joined.
        ReadSeveral,
        /// Frames stand there, and no complete base.
        ReadNoBase,
        /// There is no head.
        ReadNoHead,
        /// Frames were followed beyond what head tells, or end before it.
        ReadPastHead,
        /// A step of an earlier session came late.
        StepOfEarlierSession,
        /// A call shares the session of another one.
        CallShared,
        /// A long log of deltas was folded into a snapshot.
        LogFolded,
        /// A saved document was attached.
        DocumentAttached,
        /// An edit was refused, for it does not fit.
        EditRefusedFull,
        /// A commit could not be kept.
        CommitLost,
        /// An unreadable dataset was set aside.
        SetAside,
    }
}

/// How many decisions there are.
const BRANCHES: usize = Branch::ALL.len();

static HITS: [AtomicU64; BRANCHES] = [const { AtomicU64::new(0) }; BRANCHES];

/// Counts that a decision was taken.
pub fn hit(branch: Branch) {
    HITS[branch as usize].fetch_add(1, Ordering::Relaxed);
}

/// Returns how often each decision was taken since the process began.
pub fn hits() -> impl Iterator<Item = (Branch, u64)> {
    let count = |branch: &Branch| (*branch, HITS[*branch as usize].load(Ordering::Relaxed));
    Branch::ALL.iter().map(count)
}
