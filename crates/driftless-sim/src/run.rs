//! A plan from its first step to its verdict.

use std::panic::{AssertUnwindSafe, catch_unwind};

use driftless::{Dataset, PutError};

use crate::check::{Check, Violation};
use crate::edit::Edit;
use crate::plan::Plan;
use crate::tally::Tally;
use crate::world::World;

/// What came of a world.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Verdict {
    /// What happened.
    pub tally: Tally,
    /// The hash of all that happened; without meaning after a panic.
    pub trace_hash: [u8; 32],
    /// What was not as it must be, if anything was.
    pub violation: Option<Violation>,
}

/// Runs a plan with the world's own edits.
#[must_use]
pub fn run(plan: &Plan) -> Verdict {
    run_with(plan, false, Edit::apply, |_| Ok(()))
}

/// Runs a plan with edits of one's own; `check` says what must be true of every device at rest.
#[must_use]
pub fn run_with<E>(
    plan: &Plan<E>,
    prints: bool,
    edit: impl Fn(&E, &Dataset) -> Result<(), PutError>,
    check: impl Fn(&Dataset) -> Result<(), String>,
) -> Verdict {
    let running = AssertUnwindSafe(|| {
        let mut world = match World::new(plan.setting.clone()) {
            Ok(world) if prints => world.printed(),
            Ok(world) => world,
            Err(violation) => return Verdict::of(None, Some(violation)),
        };
        let violation = play(&mut world, plan, edit, check).err();
        Verdict::of(Some(&world), violation)
    });
    catch_unwind(running).unwrap_or_else(|panic| {
        let what = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        let violation = Violation {
            check: Check::NothingPanics,
            what: what.unwrap_or_else(|| "something panicked".to_owned()),
            step: 0,
        };
        Verdict::of(None, Some(violation))
    })
}

fn play<E>(
    world: &mut World,
    plan: &Plan<E>,
    edit: impl Fn(&E, &Dataset) -> Result<(), PutError>,
    check: impl Fn(&Dataset) -> Result<(), String>,
) -> Result<(), Violation> {
    for (after, step) in &plan.steps {
        world.wait(*after)?;
        world.take(step, &edit)?;
    }
    world.settle()?;
    for device in 0..world.devices() {
        check(world.dataset(device)).map_err(|what| Violation {
            check: Check::App,
            what,
            step: plan.steps.len() + 1,
        })?;
    }
    Ok(())
}

impl Verdict {
    fn of(world: Option<&World>, violation: Option<Violation>) -> Self {
        Self {
            tally: world.map(|world| world.tally().clone()).unwrap_or_default(),
            trace_hash: world.map(World::trace_hash).unwrap_or_default(),
            violation,
        }
    }

    /// Tells whether everything was as it must be.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.violation.is_none()
    }
}
