//! A history that one seed decides: what the commit of each number is, whoever makes it.

use driftless_merge::{Commit, DatasetKey, Durability, Snapshot};
use driftless_store::{CommitError, Store};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use crate::samples::{datasets, identity, key, local, record};

/// One call of a store that takes one commit number.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Commit(Box<Commit>),
    Forget(DatasetKey),
    SetAside(DatasetKey),
    Setting(String, Option<Vec<u8>>),
}

/// The steps of a store, each of which follows from the seed and its number alone: a process that was killed is carried
/// on by another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct History {
    pub(crate) seed: u64,
    pub(crate) durability: Durability,
}

/// The settings that a history writes.
pub(crate) const SETTINGS: [&str; 3] = ["a", "b", "identity"];

/// The datasets that a history writes to: two owners with one name, and two names of which one begins with the other.
pub(crate) fn all_datasets() -> [DatasetKey; 4] {
    let [notes, of_identity] = datasets();
    let other = DatasetKey::new(identity("us-east-1:0b"), "list".parse().unwrap());
    [notes, of_identity, other, local("note")]
}

impl History {
    /// Returns the step of number `n`.
    pub(crate) fn step(&self, n: u64) -> Step {
        let mut random = random(self.seed, n);
        let dataset = all_datasets()[random.random_range(0..4)].clone();
        match random.random_range(0..40) {
            0 => Step::Forget(dataset),
            1 => Step::SetAside(dataset),
            2..=5 => {
                let name = SETTINGS[random.random_range(0..SETTINGS.len())].to_owned();
                let value = random.random_ratio(4, 5).then(|| bytes(&mut random, 200));
                Step::Setting(name, value)
            }
            _ => Step::Commit(Box::new(commit(&mut random, dataset, is_heavy(n)))),
        }
    }

    /// Makes the step of number `n`.
    pub(crate) fn perform(&self, n: u64, store: &dyn Store) -> Result<(), CommitError> {
        match self.step(n) {
            Step::Commit(commit) => store.commit(*commit, self.durability),
            Step::Forget(dataset) => store.forget(&dataset, self.durability),
            Step::SetAside(dataset) => store.set_aside(&dataset),
            Step::Setting(name, value) => {
                store.set_setting(&name, value.as_deref(), self.durability)
            }
        }
    }
}

/// Some steps in a row write as much as makes the database write out its memory and begin new journals.
fn is_heavy(n: u64) -> bool {
    n % 400 >= 360
}

/// Returns the choices of one number under a seed.
pub(crate) fn random(seed: u64, n: u64) -> StdRng {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&n.to_le_bytes());
    StdRng::from_seed(bytes)
}

fn commit(random: &mut StdRng, dataset: DatasetKey, is_heavy: bool) -> Commit {
    let mut commit = Commit::new(dataset);
    if is_heavy || random.random_ratio(1, 8) {
        let longest = if is_heavy { 1_000_000 } else { 40_000 };
        let document = random.random_ratio(1, 2).then(|| bytes(random, longest));
        let state = bytes(random, longest);
        commit.snapshot = Some(Snapshot { state, document });
    }
    for _ in 0..random.random_range(0..4) {
        let longest = if random.random_ratio(1, 10) {
            20_000
        } else {
            90
        };
        commit.deltas.push(bytes(random, longest));
    }
    commit.forget_records = random.random_ratio(1, 15);
    for _ in 0..random.random_range(0..3) {
        let name = key(&format!("key {}", random.random_range(0..9)));
        let count = random.random_range(0..1_000_u32);
        let value = record(&count.to_string(), count);
        commit
            .records
            .push((name, value.filter(|_| random.random_ratio(3, 4))));
    }
    commit.sync = random.random_ratio(1, 3).then(|| bytes(random, 300));
    commit
}

fn bytes(random: &mut StdRng, longest: usize) -> Vec<u8> {
    let mut bytes = vec![0; random.random_range(0..longest)];
    random.fill_bytes(&mut bytes);
    bytes
}
