//! What happened, counted.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// Numbers by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally(BTreeMap<Cow<'static, str>, u64>);

impl Tally {
    /// Counts one more of something.
    pub fn count(&mut self, what: impl Into<Cow<'static, str>>) {
        self.add(what, 1);
    }

    pub(crate) fn add(&mut self, what: impl Into<Cow<'static, str>>, number: u64) {
        *self.0.entry(what.into()).or_default() += number;
    }

    pub(crate) fn at_least(&mut self, what: impl Into<Cow<'static, str>>, number: u64) {
        let entry = self.0.entry(what.into()).or_default();
        *entry = number.max(*entry);
    }

    /// Returns how often something happened.
    #[must_use]
    pub fn get(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or_default()
    }

    /// Takes in what happened in another world; names that begin with `largest` take the larger one.
    pub fn merge(&mut self, other: &Self) {
        for (what, number) in &other.0 {
            if what.starts_with("largest") {
                self.at_least(what.clone(), *number);
            } else {
                self.add(what.clone(), *number);
            }
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, number) in &self.0 {
            writeln!(f, "{number:>12}  {what}")?;
        }
        Ok(())
    }
}
