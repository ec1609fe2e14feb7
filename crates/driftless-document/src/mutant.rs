//! Deliberate defects in product code, by which the simulator is held to finding defects.
//!
//! They exist only in a build with `--cfg driftless_mutants`, and there only the one that was chosen acts: `mutant!(Name)`
//! is `false` everywhere else, and the compiler drops what hangs on it. This crate has them because it is below all others
//! that do; no app ever calls anything here.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::diff::Delta;
use crate::state::State;

/// Tells whether a defect acts: `mutant!(JoinDropsConflictLoser)`.
#[doc(hidden)]
#[macro_export]
macro_rules! mutant {
    ($name:ident) => {
        cfg!(driftless_mutants) && $crate::mutant::is($crate::mutant::Mutant::$name)
    };
}

/// Makes an enum whose variants know their names and what they stand for.
macro_rules! named {
    (#[doc = $about:literal] $named:ident { $(#[doc = $what:literal] $name:ident,)* }) => {
        #[doc = $about]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $named {
            $(#[doc = $what] $name,)*
        }

        impl $named {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Returns the name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// Returns what it stands for, in a sentence.
            #[must_use]
            pub const fn what(self) -> &'static str {
                match self {
                    $(Self::$name => $what.trim_ascii(),)*
                }
            }
        }
    };
}

pub(crate) use named;

named! {
    /// A defect, as somebody could have made it.
    Mutant {
        /// Of two values that were put concurrently only the winner survives a join.
        JoinDropsConflictLoser,
        /// A join adds up the totals of both sides, also where one includes the other.
        JoinAddsTotalsUp,
        /// A join forgets the elements of a text that the other side has deleted, to which concurrent inserts refer.
        JoinForgetsSkeleton,
        /// A counter or text is created by the device that creates it, so that two devices make two.
        CreationByDevice,
        /// A creation that nobody saw leaves its clock entry, and is joined with a namesake that lived elsewhere.
        CollisionJoined,
        /// A log behind a missing one is applied.
        DeltaPastHole,
        /// A log is applied wherever its number fits, so also one that is left of an earlier base or life.
        ChainIgnored,
        /// A run or a new base leaves out of the clock what no live operation needs.
        FoldForgetsClock,
        /// A new base is pushed without head, so that it is compared with nothing that others push.
        FoldWithoutCompare,
        /// Whether a push fits is decided without the records that it does not write.
        StandingRecordsUncounted,
        /// The count is advanced to that of the answer to a push, whatever others wrote before it.
        CountAlwaysAdvanced,
        /// A push whose answer was lost is taken for one that failed, and its edits for those of a copy.
        LostAnswerIsFailure,
        /// A push is not written down before it is sent.
        SentForgotten,
        /// A push is written down, but not put on disk before it is sent: ids are given out again after a loss of power.
        SentNotOnDisk,
        /// A push that was refused still explains what is stored later.
        RefusedStillExplains,
        /// A push that was refused is taken for one that stands.
        ConflictIsSuccess,
        /// What the answer to a push shows is not compared with what was sent.
        AnswerNotCompared,
        /// Pages of different moments make one list.
        PagesNotCompared,
        /// What old clients write is not imported.
        PlainNotImported,
        /// What old clients write is imported whenever it differs, also where a push of ours is what is late.
        PlainAlwaysForeign,
        /// In a dataset without room for a state, a record that changed elsewhere is written over with what stood here.
        PlainOnlyNotFollowed,
        /// What a merge of identities left is deleted without being folded in.
        ChildNotFolded,
        /// Which objects the service was seen to hold is forgotten at a restart.
        ListedForgotten,
        /// The count of a record that was removed is forgotten.
        TombstoneForgotten,
        /// A copy of a store, or an old backup, goes on under its author.
        ActorReused,
        /// What a deletion elsewhere removes includes edits that were never synchronized.
        DeletionTakesUnsynced,
        /// Damage at the service is left as it is where nothing is to be pushed.
        DamageLeft,
        /// The count of a list becomes durable, and what was joined from it does not.
        JoinNotKept,
        /// A put is acknowledged whether its commit is kept or not.
        AcknowledgedBeforeCommit,
        /// Changes that a synchronization brought are told before they are durable.
        ToldBeforeCommit,
        /// A call is answered by a session that had begun before it.
        AnsweredByEarlierSession,
        /// A late step of a session that was dropped is taken for one of the session that runs.
        StepOfDroppedSession,
    }
}

impl Mutant {
    /// Returns the one of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|mutant| mutant.name() == name)
    }
}

/// 0 is none, else one more than the number of the one that acts.
static CHOSEN: AtomicU8 = AtomicU8::new(UNASKED);

/// Nothing was chosen yet: then the environment names the one that acts, so that tests can be run with it.
const UNASKED: u8 = u8::MAX;

/// The variable that names it.
const VARIABLE: &str = "DRIFTLESS_MUTANT";

/// Lets one defect act from now on, or none, in the whole process.
pub fn choose(mutant: Option<Mutant>) {
    CHOSEN.store(mutant.map_or(0, number), Ordering::Relaxed);
}

/// Tells whether this defect acts.
#[must_use]
pub fn is(mutant: Mutant) -> bool {
    let chosen = match CHOSEN.load(Ordering::Relaxed) {
        UNASKED => {
            choose(named_by_environment());
            CHOSEN.load(Ordering::Relaxed)
        }
        chosen => chosen,
    };
    chosen == number(mutant)
}

fn named_by_environment() -> Option<Mutant> {
    let name = std::env::var(VARIABLE).ok()?;
    let named = Mutant::parse(&name);
    Some(named.unwrap_or_else(|| panic!("{VARIABLE} names no defect: {name}")))
}

const fn number(mutant: Mutant) -> u8 {
    mutant as u8 + 1
}

/// Returns a delta without what it tells of the clock beyond its own operations.
#[must_use]
pub fn without_clock(mut delta: Delta, before: &State) -> Delta {
    let actors: Vec<_> = delta.clock.keys().copied().collect();
    for actor in actors {
        let (mut low, mut high) = (before.seen_from(actor), delta.clock[&actor]);
        while low < high {
            let middle = low + (high - low) / 2;
            delta.clock.insert(actor, middle);
            if middle == before.seen_from(actor) {
                delta.clock.remove(&actor);
            }
            match before.clone().apply(&delta) {
                Ok(_) => high = middle,
                Err(_) => low = middle + 1,
            }
        }
        delta.clock.insert(actor, high);
        if high == before.seen_from(actor) {
            delta.clock.remove(&actor);
        }
    }
    delta
}
