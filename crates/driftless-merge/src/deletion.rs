//! Deleting a dataset: here at once, at the service by the next session.
//!
//! What is pending is durable and names the lives that are meant, so that a later life, made by another device or by edits
//! here, is never deleted in its place [COGNITO trap 33]; one that was compacted out of them is none. An edit that another device pushes between the list and the delete
//! goes with it: the service has no compare-and-swap for deletions.

use driftless_document::{Actor, branch};
use driftless_record::Stored;

use crate::commit::{Commit, Durability, Snapshot};
use crate::plain::{Plain, has_value};
use crate::replica::Replica;
use crate::session::{Failure, Session, SessionError};
use crate::unsent::Over;

impl Replica {
    /// Empties the dataset; later edits are made in a fresh document by `actor`, which must be drawn for it alone.
    #[must_use]
    pub fn delete(&mut self, actor: Actor) -> Commit {
        branch!(DeletedHere);
        self.abandon();
        // A first push whose outcome is unknown may have begun a life that was never listed.
        let mut deleting = std::mem::take(&mut self.row.deleting);
        let unwanted = std::mem::take(&mut self.row.unwanted);
        deleting.extend(self.row.lineage);
        deleting.extend(self.row.sent.iter().map(|sent| sent.lineage));
        deleting.sort_unstable();
        deleting.dedup();
        let is_plain = self.is_plain();
        // Records without a state have no life that could be named: those go that are known here, as they are known.
        let known = self
            .plain_records()
            .filter(|record| self.is_plain_only() && has_value(*record));
        let known = known.map(|(key, record)| (key.clone(), record.sync_count));
        let known = known.collect();
        let over = match self.row.lineage {
            Some(_) => Over::default(),
            None => std::mem::take(&mut self.row.over).deleted(known),
        };
        self.start_anew(actor);
        self.row.over = over;
        self.row.deleting = deleting;
        self.row.unwanted = unwanted;
        // What the app asked for holds for the next life too.
        if is_plain {
            self.row.plain = Plain::Wanted;
        }
        let mut commit = Commit::new(self.key.clone());
        commit.snapshot = Some(Snapshot {
            document: None,
            ..self.snapshot()
        });
        commit.forget_records = true;
        commit.sync = Some(self.row.encode());
        self.is_new = false;
        commit
    }

    /// Asks the service to delete what is stored.
    ///
    /// That the deletion is pending is on disk before: what was not synchronized would come back after a loss of power,
    /// and nobody would know that it was to go.
    pub(crate) fn ask_deletion(&mut self, session: Session) {
        self.keep(Commit::new(self.key.clone()), Durability::Disk);
        self.ask_delete(session);
    }

    /// Tells whether what is stored is a life that is to be deleted, or was compacted out of one: that another device gave back
    /// room takes no deletion back.
    pub(crate) fn is_to_go(&self, stored: Option<&Stored>) -> bool {
        let mut lives = stored.into_iter().flat_map(Stored::lives);
        lives.any(|life| self.row.deleting.contains(&life))
    }

    pub(crate) fn on_deleted(&mut self, mut session: Session, answer: Result<(), Failure>) {
        if answer.is_err() {
            branch!(DeletionFailed);
            return self.fail(SessionError::Request);
        }
        branch!(DeletionDone);
        self.deletion_is_done(&mut session);
        // Nothing stands there any more that an old client had seen.
        self.row.over = Over::default();
        self.keep(Commit::new(self.key.clone()), Durability::Buffered);
        session.children.survive();
        if self.document.state().is_blank() && session.children.is_empty() {
            return self.finish(session);
        }
        branch!(EditedSinceDeletion);
        // Edits made since the deletion go into a new life, and so do merged datasets, of which nobody here knew.
        let since = self.row.count;
        self.list(session, since);
    }

    pub(crate) fn deletion_is_done(&mut self, session: &mut Session) {
        session.summary.deleted = true;
        self.row.deleting.clear();
    }
}
