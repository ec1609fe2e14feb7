//! A seeded world of Driftless devices: a network, disks, a clock and other hands that misbehave, and
//! the proof that the devices agree and lose nothing.
//!
//! A [`World`] runs the real client over the real service in one thread. Its clock is virtual, its
//! network and disks fail as they are told, and everything random comes from a seed: **the same
//! [`Plan`] gives the same trace**. Nothing sleeps, nothing touches a socket or a file.
//!
//! ```
//! use driftless_sim::{Plan, Story, run};
//!
//! let plan = Plan::draw(42, 4, 100, Story::Plain);
//! let verdict = run(&plan);
//! assert!(verdict.is_clean(), "{:?}", verdict.violation);
//! assert!(verdict.tally.get("edits") > 0);
//! assert_eq!(run(&plan).trace_hash, verdict.trace_hash);
//! ```
//!
//! # How a world goes
//!
//! In *chaos* the steps of the plan happen, and [`Fault`]s strike, while what must be true at every
//! moment is checked. Then comes *quiet*: faults end, what is on its way arrives, all devices
//! synchronize until nobody has anything to say, and what must be true at rest is checked. [`Check`]
//! lists both. A plan that fails is made smaller by [`shrink`] and kept as JSON.
//!
//! What is known to lose edits on purpose, as a deletion does, is kept apart by [`Story`], so that
//! the rest can be held to losing none.
//!
//! # An app's own data
//!
//! [`Harness`] runs such worlds with the edits of an app, and with what the app says must be true of
//! its data: `examples/shopping_list.rs` and `examples/high_score.rs` show how.
//!
//! # Where things are
//!
//! | | |
//! | --- | --- |
//! | `plan.rs`, `edit.rs`, `fault.rs`, `draw.rs` | what happens, drawn from a seed |
//! | `agenda.rs`, `tasks.rs` | virtual time, and the calls that wait in it |
//! | `device.rs`, `disk.rs`, `cloud.rs` | a device, its disk, the service |
//! | `world.rs`, `world/` | what happens when, on the network, step by step, and in the quiet at the end |
//! | `ledger.rs`, `check.rs` | what was acknowledged, and what must be true of it |
//! | `run.rs`, `shrink.rs`, `tally.rs`, `tell.rs` | a plan from its first step to its verdict, in words too |
//! | `harness.rs` | the same for an app's own edits and checks |

mod agenda;
mod check;
mod cloud;
mod device;
mod disk;
mod draw;
mod edit;
mod fault;
mod guest;
mod harness;
mod ledger;
mod plan;
mod run;
mod shrink;
mod tally;
mod tasks;
mod tell;
mod world;

pub use check::{Check, Violation};
pub use edit::Edit;
pub use fault::Fault;
pub use harness::{Counterexample, Harness};
pub use plan::{End, Plan, Setting, Shape, Step, Story};
pub use run::{Verdict, run, run_with};
pub use shrink::shrink;
pub use tally::Tally;
pub use world::{Stop, World};
