//! Randomness for authors, lineages and jitter, drawn from one seed.

use std::sync::atomic::{AtomicU64, Ordering};

/// A source of seeds that never gives one twice.
#[derive(Debug)]
pub(crate) struct Seeds {
    seed: [u8; 32],
    given: AtomicU64,
}

impl Seeds {
    pub(crate) const fn new(seed: [u8; 32]) -> Self {
        Self {
            seed,
            given: AtomicU64::new(0),
        }
    }

    pub(crate) fn seed(&self) -> [u8; 32] {
        let number = self.given.fetch_add(1, Ordering::Relaxed);
        *blake3::keyed_hash(&self.seed, &number.to_le_bytes()).as_bytes()
    }

    pub(crate) fn actor(&self) -> driftless_document::Actor {
        let seed = self.seed();
        driftless_document::Actor::random(seed[..8].try_into().expect("a seed has 32 bytes"))
    }
}
