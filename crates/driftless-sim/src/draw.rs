//! Randomness: everything random in a world is drawn from its seed.

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

/// A stream of random values. Two of one seed and label give the same ones.
#[derive(Debug)]
pub(crate) struct Draw(StdRng);

impl Draw {
    /// Returns the stream of a seed that is for one purpose; streams of other labels are independent.
    pub(crate) fn new(seed: u64, label: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes());
        hasher.update(label.as_bytes());
        Self(StdRng::from_seed(*hasher.finalize().as_bytes()))
    }

    /// Tells whether something happens that does with this probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.0.random_bool(probability.clamp(0.0, 1.0))
    }

    /// Returns a number below `end`, which is not zero.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0.random_range(0..end)
    }

    /// Returns a number between two, both included.
    pub(crate) fn between(&mut self, least: i64, most: i64) -> i64 {
        self.0.random_range(least..=most)
    }

    /// Returns a number between two, small ones as likely as large ones: its logarithm is uniform.
    pub(crate) fn magnitude(&mut self, least: f64, most: f64) -> f64 {
        (self.0.random_range(least.ln()..=most.ln())).exp()
    }

    /// Returns fresh bytes.
    pub(crate) fn seed(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        self.0.fill_bytes(&mut bytes);
        bytes
    }
}
