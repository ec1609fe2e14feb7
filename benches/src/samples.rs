//! Keys, values and texts: the shapes that the tests on sizes use, from a generator that no library's version changes.

use std::collections::BTreeMap;

use driftless::{Dataset, PutError, RefusedEdit, Scalar};

/// Random numbers, the same in each run.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Returns the numbers that belong to a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Returns a number below a bound.
    pub const fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }
}

/// Returns the name of one setting.
#[must_use]
pub fn key(number: usize) -> String {
    format!("setting.key{number:04}")
}

/// Returns so many printable characters, which deflate can hardly make fewer.
pub fn printable_text(random: &mut Random, characters: usize) -> String {
    (0..characters)
        .map(|_| char::from(b' ' + random.below(95) as u8))
        .collect()
}

/// Returns a value of 20 to 100 printable characters.
pub fn small_value(random: &mut Random) -> String {
    let characters = 20 + random.below(81);
    printable_text(random, characters)
}

/// Returns 1,000 keys with small values.
pub fn thousand_keys(random: &mut Random) -> BTreeMap<String, Scalar> {
    (0..1_000)
        .map(|number| (key(number), small_value(random).into()))
        .collect()
}

/// Puts keys with small values until no more fit, then makes a little room, and returns how many keys there are.
///
/// # Panics
///
/// If an edit is refused for another reason.
pub fn fill(dataset: &Dataset) -> usize {
    let mut random = Random::new(1);
    let mut put = |from: usize, to: usize| {
        let values = (from..to).map(|number| (key(number), small_value(&mut random).into()));
        match dataset.put_all(values.collect::<Vec<_>>()) {
            Ok(()) => true,
            Err(PutError::Refused(RefusedEdit::Full { .. })) => false,
            Err(error) => panic!("a sample is refused: {error}"),
        }
    };
    let keys = (1..)
        .find(|part| !put(100 * (part - 1), 100 * part))
        .map_or(0, |part| 100 * (part - 1));
    dataset
        .remove(key(0))
        .expect("a removal is always accepted");
    keys
}
