//! The world as a library for apps: an app's own edits and its own checks, and all that goes wrong.

use std::cell::OnceCell;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use driftless::{Dataset, PutError};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::{Union, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use crate::check::{Check, Violation};
use crate::draw::Draw;
use crate::fault::Fault;
use crate::plan::{Kind, Plan, Setting, Step, StepKinds, Story};
use crate::run::{Verdict, run_checked};
use crate::shrink::shrink;
use crate::tally::Tally;

/// How many plans proptest tries while it makes one smaller.
const SHRINKS: u32 = 2_000;

/// What of a setting can be turned off beside its faults.
const COMFORTS: usize = 3;

/// A data model of an app, to be held to what the app says of it, in worlds where all goes wrong.
///
/// The app gives its edits as a proptest [`Strategy`], how an edit is made on a [`Dataset`], and
/// what must be true of a dataset. The harness gives worlds: devices that edit, synchronize, go
/// offline, crash and start again, over a network with [`Fault`]s. It also checks all that
/// [`Check`] lists, and makes a plan that fails smaller, its edits as the strategy shrinks them.
///
/// ```
/// use driftless_sim::Harness;
/// use proptest::prelude::*;
///
/// // An edit is a number of steps walked; the app keeps their sum, and each of them.
/// let walks = (any::<u64>().no_shrink(), 1..1_000_i64);
/// let tally = Harness::new(walks, |(id, steps), dataset| {
///     dataset.transaction(|edit| {
///         edit.put(&format!("walk.{id}"), *steps)?;
///         edit.increment("sum", *steps)
///     })
/// })
/// .always(|dataset| {
///     let walks = dataset.entries();
///     let sum: i64 = walks.iter().filter(|(key, _)| key.starts_with("walk.")).filter_map(|(_, value)| value.as_i64()).sum();
///     match dataset.counter("sum").unwrap_or(0) {
///         shown if shown == sum => Ok(()),
///         shown => Err(format!("the sum is {shown}, the walks are {sum}")),
///     }
/// })
/// .worlds(4)
/// .run()?;
/// assert!(tally.get("syncs") > 0 && tally.get("edits") > 0);
/// # Ok::<(), Box<driftless_sim::Counterexample<(u64, i64)>>>(())
/// ```
///
/// # What worlds do
///
/// By default they have one life of one dataset ([`Story::Plain`]), and nothing is lost that was
/// acknowledged, except what a device without power had only buffered. Devices put nothing of
/// their own into the dataset. One thing they may do: where the app fills a dataset above its
/// limit, half of its keys are removed in the end.
///
/// # What it costs
///
/// A world of up to 100 steps takes some 30 ms in a debug build, and a fraction of that in a
/// release build, plus the checks: those of [`always`](Self::always) run on each device after each
/// step. Making a failing plan smaller takes up to some thousand worlds, each smaller than the last.
pub struct Harness<E> {
    edits: BoxedStrategy<E>,
    edit: Box<ApplyEdit<E>>,
    always: Vec<Box<AppCheck>>,
    at_rest: Vec<Box<AppCheck>>,
    seed: u64,
    worlds: u32,
    shape: Shape,
}

type ApplyEdit<E> = dyn Fn(&E, &Dataset) -> Result<(), PutError>;

type AppCheck = dyn Fn(&Dataset) -> Result<(), String>;

type Tune = dyn Fn(&mut Setting) + Send + Sync;

/// What the worlds of a harness are like.
#[derive(Clone)]
struct Shape {
    devices: RangeInclusive<usize>,
    steps: usize,
    stories: Vec<Story>,
    is_damaged: bool,
    tune: Arc<Tune>,
}

impl<E: Clone + fmt::Debug + 'static> Harness<E> {
    /// Returns a harness of edits and of how one is made; there are 64 worlds of 2 to 4 devices and
    /// up to 100 steps, from seed 0 on.
    ///
    /// `edit` is called in the world's one thread. It may read the dataset as an app does. What it
    /// returns is counted if the dataset refused the edit, and a violation if nothing that happened
    /// explains it. It must be a function of its arguments: what else it reads does not replay.
    #[must_use]
    pub fn new(
        edits: impl Strategy<Value = E> + 'static,
        edit: impl Fn(&E, &Dataset) -> Result<(), PutError> + 'static,
    ) -> Self {
        Self {
            edits: edits.boxed(),
            edit: Box::new(edit),
            always: Vec::new(),
            at_rest: Vec::new(),
            seed: 0,
            worlds: 64,
            shape: Shape {
                devices: 2..=4,
                steps: 100,
                stories: vec![Story::Plain],
                is_damaged: false,
                tune: Arc::new(|_| {}),
            },
        }
    }

    /// Adds what must be true on every device at every moment, whatever it has seen so far.
    #[must_use]
    pub fn always(mut self, check: impl Fn(&Dataset) -> Result<(), String> + 'static) -> Self {
        self.always.push(Box::new(check));
        self
    }

    /// Adds what must be true on every device in the end, when all have seen everything.
    ///
    /// That they are equal then is checked without being asked for.
    #[must_use]
    pub fn at_rest(mut self, check: impl Fn(&Dataset) -> Result<(), String> + 'static) -> Self {
        self.at_rest.push(Box::new(check));
        self
    }

    /// Sets the seed of the first world; the next one has the next seed.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Sets how many worlds there are.
    #[must_use]
    pub fn worlds(self, worlds: u32) -> Self {
        Self { worlds, ..self }
    }

    /// Sets how many devices a world begins with; at least one, and more than 8 cost much time.
    #[must_use]
    pub fn devices(mut self, devices: RangeInclusive<usize>) -> Self {
        self.shape.devices = devices;
        self
    }

    /// Sets how many steps a world takes at most. About half of them are edits.
    #[must_use]
    pub fn steps(mut self, most: usize) -> Self {
        self.shape.steps = most;
        self
    }

    /// Sets what happens on purpose; each world has one of these stories.
    ///
    /// All but [`Story::Plain`] may lose edits, as [`Story`] says. What is edited in one
    /// transaction is still kept or lost as one.
    #[must_use]
    pub fn stories(mut self, stories: impl Into<Vec<Story>>) -> Self {
        self.shape.stories = stories.into();
        self
    }

    /// Lets stores and records be damaged too: a store is found unreadable, an old client removes
    /// what it does not know, records are overwritten or rot.
    ///
    /// What only a damaged store knew is lost then. A device that has never synchronized, if it is
    /// the first to come after all records were damaged, begins a new life of the dataset.
    #[must_use]
    pub fn with_damage(mut self) -> Self {
        self.shape.is_damaged = true;
        self
    }

    /// Changes the setting of every world after it was drawn, for instance its faults, or the limit
    /// of a dataset.
    #[must_use]
    pub fn tune(mut self, tune: impl Fn(&mut Setting) + Send + Sync + 'static) -> Self {
        self.shape.tune = Arc::new(tune);
        self
    }

    /// Returns the plans as a strategy, for a test with proptest's own runner; [`test`](Self::test)
    /// is what must hold of each.
    ///
    /// ```
    /// use driftless_sim::Harness;
    /// use proptest::test_runner::{Config, TestRunner};
    ///
    /// let harness = Harness::new(0..9_i64, |by, dataset| dataset.increment("clicks", *by));
    /// let mut runner = TestRunner::new(Config::with_cases(3));
    /// runner.run(&harness.plans(), |plan| harness.test(&plan).map(drop))?;
    /// # Ok::<(), proptest::test_runner::TestError<driftless_sim::Plan<i64>>>(())
    /// ```
    pub fn plans(&self) -> BoxedStrategy<Plan<E>> {
        let (shape, edits) = (self.shape.clone(), self.edits.clone());
        let seeds = any::<u64>().no_shrink();
        seeds
            .prop_flat_map(move |seed| plans_of(seed, &shape, &edits))
            .boxed()
    }

    /// Runs one plan, and tells what came of it.
    #[must_use]
    pub fn verdict(&self, plan: &Plan<E>) -> Verdict {
        let always = |device, dataset: &Dataset| {
            let holds = all(&self.always, dataset);
            holds.map_err(|what| format!("device {device}: {what}"))
        };
        let at_rest = |dataset: &Dataset| all(&self.at_rest, dataset);
        run_checked(plan, false, &self.edit, always, at_rest)
    }

    /// Runs one plan as a case of a proptest, and returns what happened in it.
    ///
    /// # Errors
    ///
    /// [`TestCaseError::Fail`] with what is violated, and the plan step by step.
    pub fn test(&self, plan: &Plan<E>) -> Result<Tally, TestCaseError> {
        let Verdict {
            tally, violation, ..
        } = self.verdict(plan);
        match violation {
            None => Ok(tally),
            Some(violation) => Err(TestCaseError::fail(format!("{violation}\n{plan}"))),
        }
    }

    /// Runs all worlds, and returns what happened in them.
    ///
    /// # Errors
    ///
    /// A [`Counterexample`]: the first world that failed, made smaller.
    ///
    /// # Panics
    ///
    /// If the strategy of the edits rejects too many values to give one.
    pub fn run(&self) -> Result<Tally, Box<Counterexample<E>>> {
        let mut tally = Tally::default();
        for number in 0..u64::from(self.worlds) {
            tally.merge(&self.run_one(self.seed.wrapping_add(number))?);
        }
        Ok(tally)
    }

    /// Runs all worlds, and panics with a [`Counterexample`] if one fails: for tests.
    ///
    /// # Panics
    ///
    /// If something is not as it must be.
    pub fn check(&self) -> Tally {
        match self.run() {
            Ok(tally) => tally,
            Err(counterexample) => panic!("{counterexample}"),
        }
    }

    fn run_one(&self, seed: u64) -> Result<Tally, Box<Counterexample<E>>> {
        let mut runner = runner(seed);
        let tree = self.plans().new_tree(&mut runner);
        let tree = tree.unwrap_or_else(|reason| panic!("the strategy gives no edits: {reason}"));
        let drawn = tree.current();
        let first: OnceCell<Verdict> = OnceCell::new();
        let ran = runner.run_one(tree, |plan| {
            let verdict = self.verdict(&plan);
            let violation = first.get_or_init(|| verdict.clone()).violation.as_ref();
            let expected = violation.map(|violation| violation.check);
            match verdict.violation {
                // A smaller plan that fails for another reason is another story.
                Some(violation) if Some(violation.check) == expected => {
                    Err(TestCaseError::fail(violation.to_string()))
                }
                _ => Ok(()),
            }
        });
        let tally = first
            .into_inner()
            .map(|verdict| verdict.tally)
            .unwrap_or_default();
        match ran {
            Err(TestError::Fail(_, plan)) => Err(Box::new(self.smallest(seed, &drawn, &plan))),
            Err(TestError::Abort(reason)) => panic!("the strategy gives no edits: {reason}"),
            Ok(_) => Ok(tally),
        }
    }

    /// Makes smaller what proptest left: it turned things off after it had dropped steps.
    fn smallest(&self, seed: u64, drawn: &Plan<E>, plan: &Plan<E>) -> Counterexample<E> {
        let run = |plan: &Plan<E>| self.verdict(plan).violation;
        let violation = run(plan).unwrap_or_else(|| Violation {
            check: Check::NothingPanics,
            what: "the plan fails only sometimes: its edits depend on more than their arguments"
                .to_owned(),
            step: 0,
        });
        let (plan, violation) = shrink(plan, &violation, run);
        Counterexample {
            seed,
            steps: drawn.steps.len(),
            plan,
            violation,
        }
    }
}

impl<E> fmt::Debug for Harness<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Harness")
            .field("seed", &self.seed)
            .field("worlds", &self.worlds)
            .field("devices", &self.shape.devices)
            .field("steps", &self.shape.steps)
            .field("stories", &self.shape.stories)
            .finish_non_exhaustive()
    }
}

fn all(checks: &[Box<AppCheck>], dataset: &Dataset) -> Result<(), String> {
    checks.iter().try_for_each(|check| check(dataset))
}

/// Returns a runner whose random values are those of a seed.
fn runner(seed: u64) -> TestRunner {
    let bytes = blake3::hash(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, bytes.as_bytes());
    let config = Config {
        cases: 1,
        failure_persistence: None,
        max_shrink_iters: SHRINKS,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, rng)
}

/// Returns the plans of one world; its steps shrink before anything else does.
fn plans_of<E: Clone + fmt::Debug + 'static>(
    seed: u64,
    shape: &Shape,
    edits: &BoxedStrategy<E>,
) -> BoxedStrategy<Plan<E>> {
    let mut draw = Draw::new(seed, "harness");
    let story = shape.stories[draw.below(shape.stories.len())];
    let most = *shape.devices.end();
    let mut setting = Setting {
        marks: false,
        filled: 0,
        // Above it the world itself would remove keys.
        dataset_bytes: 1_000_000,
        ..Setting::draw(seed, most, story)
    };
    (shape.tune)(&mut setting);
    let after = 0..=2 * setting.pace;
    let kinds = StepKinds::draw(&mut draw, &setting);
    let step = step_of(kinds, shape.is_damaged, most, edits);
    let kept = vec(proptest::bool::weighted(1.0), Fault::ALL.len() + COMFORTS);
    let steps = vec((after, step), 0..=shape.steps);
    (steps, kept, shape.devices.clone())
        .prop_map(move |(steps, kept, devices)| Plan {
            setting: keep(&setting, &kept, devices),
            steps,
        })
        .boxed()
}

/// Returns the steps of one world, by how often they come in it.
fn step_of<E: Clone + fmt::Debug + 'static>(
    kinds: StepKinds,
    is_damaged: bool,
    devices: usize,
    edits: &BoxedStrategy<E>,
) -> Union<BoxedStrategy<Step<E>>> {
    let StepKinds(mut kinds) = kinds;
    kinds.retain(|(kind, rate)| *rate > 0.0 && (is_damaged || !kind.damages()));
    // The earlier ones are what the later ones shrink to.
    kinds.sort_by_key(|(kind, _)| *kind != Kind::Sync);
    let options = kinds.into_iter().map(|(kind, rate)| {
        let weight = (rate * 100.0).ceil() as u32;
        let steps = match kind {
            Kind::Edit => (0..devices, edits.clone())
                .prop_map(|(device, edit)| Step::Edit(device, edit))
                .boxed(),
            kind => (0..devices, any::<u64>().no_shrink())
                .prop_map(move |(device, seed)| {
                    let mut draw = Draw::new(seed, "step");
                    kind.step(device, &mut draw, |_| unreachable!("it is no edit"))
                })
                .boxed(),
        };
        (weight, steps)
    });
    Union::new_weighted(options.collect())
}

/// Returns a setting without what is not kept of it.
fn keep(setting: &Setting, kept: &[bool], devices: usize) -> Setting {
    let (faults, comforts) = kept.split_at(Fault::ALL.len());
    let mut setting = Setting {
        devices,
        ..setting.clone()
    };
    for (fault, _) in Fault::ALL.iter().zip(faults).filter(|(_, kept)| !**kept) {
        setting.faults.remove(fault);
    }
    if !comforts[0] {
        setting.skews.clear();
    }
    if !comforts[1] {
        setting.page = None;
    }
    setting.buffered &= comforts[2];
    setting
}

/// A world in which a data model does not hold, made as small as was possible.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Counterexample<E> {
    /// The seed of the world.
    pub seed: u64,
    /// How many steps the world had before it was made smaller.
    pub steps: usize,
    /// What happens in the smaller one.
    pub plan: Plan<E>,
    /// What is not as it must be there.
    pub violation: Violation,
}

/// Tells what is violated, the plan step by step, and how to see it again.
impl<E: fmt::Debug> fmt::Display for Counterexample<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed,
            steps,
            plan,
            violation,
        } = self;
        let left = plan.steps.len();
        writeln!(f, "{violation}")?;
        writeln!(f, "{plan}")?;
        writeln!(
            f,
            "{left} of the {steps} steps of the world of seed {seed} are left."
        )?;
        write!(f, "To see it again: `.seed({seed}).worlds(1)`.")
    }
}

impl<E: fmt::Debug> std::error::Error for Counterexample<E> {}
