//! Deleting a dataset: here at once, at the service by the next session.
//!
//! What is pending is durable and names the life that is meant, so that a later life, made by another device or by edits
//! here, is never deleted in its place [COGNITO trap 33]. An edit that another device pushes between the list and the delete
//! goes with it: the service has no compare-and-swap for deletions.

use driftless_document::Actor;

use crate::commit::{Commit, Snapshot};
use crate::replica::Replica;

impl Replica {
    /// Empties the dataset; later edits are made in a fresh document by `actor`, which must be drawn for it alone.
    #[must_use]
    pub fn delete(&mut self, actor: Actor) -> Commit {
        self.abandon();
        let deleting = self.row.lineage.or(self.row.deleting);
        self.start_anew(actor);
        self.row.deleting = deleting;
        let mut commit = Commit::new(self.key.clone());
        commit.snapshot = Some(Snapshot { document: None, ..self.snapshot() });
        commit.forget_records = true;
        commit.sync = Some(self.row.encode());
        self.is_new = false;
        commit
    }
}
