//! Where something stands: a key of the dataset, or a way from there into nested maps and lists.

use std::fmt;

use crate::edit::EditError;
use crate::ops;

/// The longest key in bytes, which is what every Cognito Sync client enforces; keys of nested maps are no longer.
pub const MAX_KEY_BYTES: usize = 128;

/// How deep edits let objects stand in each other: a list at a key is one deep, a map in that two.
pub const MAX_NESTING: usize = 64;

/// One step of a [`Path`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Step {
    /// Into a map, at this key.
    Key(String),
    /// Into a list, at this place, counted from 0.
    Index(usize),
}

/// The address of a value: a key of the dataset, then steps into what stands there.
///
/// A string is the path of its key; [`path!`](crate::path) makes longer ones. A path leads through what it needs, also where
/// a concurrent put of something else wins: the map in front of a key, the list in front of an index.
///
/// ```
/// use driftless_document::{Path, path};
///
/// let first = 0;
/// assert_eq!(path!["todo", first, "title"].to_string(), "todo[0].title");
/// assert_eq!(path!["todo"], Path::from("todo"));
/// assert_eq!(path!["todo"].key("a").index(1), path!["todo", "a", 1]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path {
    root: String,
    steps: Vec<Step>,
}

/// Makes a [`Path`] from a key and further steps, each a key or an index.
#[macro_export]
macro_rules! path {
    ($root:expr $(, $step:expr)* $(,)?) => {
        $crate::Path::from($root)$(.step($step))*
    };
}

impl Path {
    /// Returns the key of the dataset at which the path begins.
    #[must_use]
    pub fn root(&self) -> &str {
        &self.root
    }

    /// Returns the steps behind the root key.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Returns the path that goes on into a map.
    #[must_use]
    pub fn key(self, key: impl Into<String>) -> Self {
        self.step(key.into())
    }

    /// Returns the path that goes on into a list.
    #[must_use]
    pub fn index(self, index: usize) -> Self {
        self.step(index)
    }

    /// Returns the path that goes on by one step.
    #[must_use]
    pub fn step(mut self, step: impl Into<Step>) -> Self {
        self.steps.push(step.into());
        self
    }

    /// Returns the key of the dataset, if the path is nothing more.
    #[must_use]
    pub fn as_root(&self) -> Option<&str> {
        self.steps.is_empty().then_some(self.root.as_str())
    }

    /// Returns how many steps the path has, the root key included.
    pub(crate) const fn depth(&self) -> usize {
        self.steps.len() + 1
    }

    /// Refuses a path that nothing can stand at.
    pub(crate) fn check(&self) -> Result<(), EditError> {
        check_root_key(&self.root)?;
        for step in &self.steps {
            match step {
                Step::Key(key) => check_key(key)?,
                Step::Index(_) => {}
            }
        }
        if self.steps.len() > MAX_NESTING {
            return Err(EditError::TooDeep);
        }
        Ok(())
    }
}

impl From<String> for Path {
    fn from(root: String) -> Self {
        let steps = Vec::new();
        Self { root, steps }
    }
}

impl From<&str> for Path {
    fn from(root: &str) -> Self {
        root.to_owned().into()
    }
}

impl From<&String> for Path {
    fn from(root: &String) -> Self {
        root.clone().into()
    }
}

impl From<&Self> for Path {
    fn from(path: &Self) -> Self {
        path.clone()
    }
}

impl From<usize> for Step {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

impl From<String> for Step {
    fn from(key: String) -> Self {
        Self::Key(key)
    }
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

/// Shown as `todo[0].title`; keys are not quoted.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.root)?;
        self.steps.iter().try_for_each(|step| match step {
            Step::Key(key) => write!(f, ".{key}"),
            Step::Index(index) => write!(f, "[{index}]"),
        })
    }
}

/// Tells whether a dataset can have this key.
pub(crate) fn is_root_key(key: &str) -> bool {
    (1..=MAX_KEY_BYTES).contains(&key.len()) && key != ops::MARK_KEY
}

pub(crate) fn check_root_key(key: &str) -> Result<(), EditError> {
    if is_root_key(key) {
        Ok(())
    } else {
        Err(EditError::Key(key.len()))
    }
}

/// Refuses what is no key of a nested map.
pub(crate) fn check_key(key: &str) -> Result<(), EditError> {
    if (1..=MAX_KEY_BYTES).contains(&key.len()) {
        Ok(())
    } else {
        Err(EditError::Key(key.len()))
    }
}
