//! A failing plan becomes a smaller one that fails in the same way.

use crate::check::Violation;
use crate::plan::{Plan, Setting};

/// How many plans are tried.
const TRIES: usize = 3_000;

/// Returns a smaller plan that violates the same check, and how.
///
/// Fewer steps first, then fewer faults, then a simpler world, and fewer steps again; `run` tells
/// what a plan violates. It tries some thousand plans at most.
#[must_use]
pub fn shrink<E: Clone>(
    plan: &Plan<E>,
    violation: &Violation,
    run: impl Fn(&Plan<E>) -> Option<Violation>,
) -> (Plan<E>, Violation) {
    let mut search = Search {
        smallest: plan.clone(),
        violation: violation.clone(),
        run,
        tries: TRIES,
    };
    search.cut_the_end();
    search.drop_steps();
    search.calm();
    search.drop_steps();
    search.cut_the_end();
    (search.smallest, search.violation)
}

struct Search<E, R> {
    smallest: Plan<E>,
    violation: Violation,
    run: R,
    tries: usize,
}

impl<E: Clone, R: Fn(&Plan<E>) -> Option<Violation>> Search<E, R> {
    /// Keeps a plan if it fails in the same way.
    fn try_it(&mut self, plan: Plan<E>) -> bool {
        let Some(left) = self.tries.checked_sub(1) else {
            return false;
        };
        self.tries = left;
        match (self.run)(&plan) {
            Some(violation) if violation.check == self.violation.check => {
                self.smallest = plan;
                self.violation = violation;
                true
            }
            _ => false,
        }
    }

    fn cut_the_end(&mut self) {
        let mut plan = self.smallest.clone();
        if self.violation.step < plan.steps.len() && self.violation.step > 0 {
            plan.steps.truncate(self.violation.step);
            self.try_it(plan);
        }
    }

    /// Drops ever smaller parts of the steps.
    fn drop_steps(&mut self) {
        let mut part = self.smallest.steps.len().div_ceil(2);
        while part > 0 {
            let mut from = 0;
            while from < self.smallest.steps.len() {
                let mut plan = self.smallest.clone();
                let until = (from + part).min(plan.steps.len());
                plan.steps.drain(from..until);
                if !self.try_it(plan) {
                    from += part;
                }
            }
            part /= 2;
        }
    }

    fn calm(&mut self) {
        for fault in self.smallest.setting.faults.clone().into_keys() {
            self.change(|setting| setting.faults.retain(|other, _| *other != fault));
        }
        self.change(|setting| setting.skews.clear());
        self.change(|setting| setting.page = None);
        self.change(|setting| setting.buffered = false);
        self.change(|setting| setting.dataset_bytes = 1_000_000);
        self.change(|setting| setting.latency = 1);
        while self.smallest.setting.devices > 1 && self.change(|setting| setting.devices -= 1) {}
    }

    fn change(&mut self, change: impl FnOnce(&mut Setting)) -> bool {
        let mut plan = self.smallest.clone();
        change(&mut plan.setting);
        plan.setting != self.smallest.setting && self.try_it(plan)
    }
}
