//! How an app hears that the client shows somebody else's data.
//!
//! The rule: what is handed out is a copy. A change is told while the client is locked, so an app that could look at it in place
//! and call the client meanwhile would wait for itself.

use tokio::sync::watch;

use super::IdentityChange;
use crate::shared::Shared;

/// The changes of the identity whose data a client shows.
///
/// Of several that nobody waited for the last one is kept. It does not keep the client open. A clone begins where the original
/// is, and hears of everything itself.
#[derive(Clone, Debug)]
pub struct IdentityChanges {
    last: watch::Receiver<Option<IdentityChange>>,
    closed: watch::Receiver<bool>,
}

impl IdentityChanges {
    pub(crate) fn of(shared: &Shared) -> Self {
        Self {
            last: shared.changed_identity.subscribe(),
            closed: shared.closed.subscribe(),
        }
    }

    /// Waits for a change since the last call, or since this was made, and returns it; `None` once the client is closed.
    ///
    /// It needs no particular runtime. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<IdentityChange> {
        let Self { last, closed } = self;
        tokio::select! {
            biased;
            changed = last.changed() => changed.ok()?,
            _ = closed.wait_for(|closed| *closed) => return None,
        }
        last.borrow_and_update().clone()
    }

    /// Returns the last change, also one that was made when the client was opened; `None` if there was none. It waits for
    /// nothing, and [`next`](Self::next) returns what it would have returned.
    #[must_use]
    pub fn last(&self) -> Option<IdentityChange> {
        self.last.borrow().clone()
    }
}
