//! Who wrote an operation, and which one it is.
//!
//! An [`OpId`] is a Lamport counter and its author; ids order concurrent writes, and the highest wins on every device.

use std::fmt;

/// The highest counter that an operation may have; a state that claims more is refused.
///
/// automerge panics above 2^32, and a hostile counter near that would end a document for ever.
pub const MAX_COUNTER: u32 = 1 << 31;

/// The author of operations: 8 bytes that no two documents share.
///
/// The first bit tells how it came about: it is clear for a device's own random actor and set for an actor that is
/// derived from a name, so that every device creates the same object (see [`Actor::derived`]).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Actor([u8; 8]);

impl Actor {
    /// Returns the actor of a device from 8 random bytes, of which the first bit is cleared.
    #[must_use]
    pub const fn random(mut bytes: [u8; 8]) -> Self {
        bytes[0] &= 0x7f;
        Self(bytes)
    }

    /// Returns the actor that every device derives from the same parts; lengths are part of what is hashed.
    #[must_use]
    pub fn derived(parts: &[&[u8]]) -> Self {
        let mut bytes = digest(parts);
        bytes[0] |= 0x80;
        Self(bytes)
    }

    /// Returns an actor read from bytes, as they stand.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes, in the order that decides between equal counters.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 8] {
        self.0
    }

    /// Tells whether the actor was derived from a name and belongs to no device.
    #[must_use]
    pub const fn is_derived(self) -> bool {
        self.0[0] & 0x80 != 0
    }
}

/// Returns 8 bytes that stand for these parts.
pub(crate) fn digest(parts: &[&[u8]]) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    bytes
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The id of one operation: counter first, then actor, which is the order in which concurrent writes win.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId {
    /// The Lamport counter, from 1 to [`MAX_COUNTER`].
    pub counter: u32,
    /// The author.
    pub actor: Actor,
}

impl OpId {
    /// Returns the id with this counter and author.
    #[must_use]
    pub const fn new(counter: u32, actor: Actor) -> Self {
        Self { counter, actor }
    }

    /// Returns the id of the same author that lies `by` counters further.
    #[must_use]
    pub(crate) const fn plus(self, by: u32) -> Self {
        Self {
            counter: self.counter + by,
            actor: self.actor,
        }
    }

    /// Returns the id of the same author that lies `by` counters further, unless no counter does.
    pub(crate) fn checked_plus(self, by: u32) -> Option<Self> {
        Some(Self::new(self.counter.checked_add(by)?, self.actor))
    }
}

impl fmt::Display for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.counter, self.actor)
    }
}

impl fmt::Debug for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// An object of a document: the root map, or what an operation made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectId {
    /// The dictionary itself.
    Root,
    /// The map, list, table or text that this operation made.
    Made(OpId),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bit_tells_derived_actors_from_random_ones() {
        assert!(!Actor::random([0xff; 8]).is_derived());
        assert!(Actor::derived(&[b"notes", b"title"]).is_derived());
    }

    #[test]
    fn derivation_depends_on_where_one_part_ends() {
        assert_ne!(
            Actor::derived(&[b"ab", b"c"]),
            Actor::derived(&[b"a", b"bc"])
        );
    }

    #[test]
    fn counter_decides_before_the_actor_does() {
        let (low, high) = (Actor::from_bytes([1; 8]), Actor::from_bytes([2; 8]));
        assert!(OpId::new(2, low) > OpId::new(1, high));
        assert!(OpId::new(2, high) > OpId::new(2, low));
    }
}
