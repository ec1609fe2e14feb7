//! Bytes as a sequence of choices.
//!
//! Whatever the bytes are, a choice is made: behind their end all of them are zero. So every prefix of an input means
//! something, and small inputs stay readable.

/// What is left of the bytes.
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    /// Returns a block of bytes whose length stands before it, two bytes, the high one first.
    ///
    /// One that says it is longer than what is left takes what is left.
    pub(crate) fn block(&mut self) -> &'a [u8] {
        let len = usize::from(self.byte()) << 8 | usize::from(self.byte());
        let (block, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        block
    }

    pub(crate) const fn rest(self) -> &'a [u8] {
        self.0
    }
}
