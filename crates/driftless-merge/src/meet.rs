//! A dataset takes in what another identity had under the same name: adoption, and a guest that becomes a login.
//!
//! The rule: what was there stays, what arrives is unsynced until a push brings it, and doing it again changes nothing, so
//! that a crash between this commit and the forgetting of the other dataset is harmless.

use std::collections::BTreeSet;

use driftless_wire::Timestamp;

use crate::commit::Commit;
use crate::plain::Plain;
use crate::replica::Replica;

/// What a dataset did to take in another one.
#[derive(Debug)]
#[must_use = "what was taken in is lost at a restart unless the commit is kept"]
pub struct Met {
    /// What must become durable, on disk, before the other dataset is forgotten.
    pub commit: Commit,
    /// The keys that look different now.
    pub changed: BTreeSet<String>,
}

impl Replica {
    /// Takes in the data of another identity's dataset of the same name. A session that runs is abandoned.
    ///
    /// Data that were deleted there and whose deletion never reached the service stay deleted: they would come back as a
    /// merged dataset.
    ///
    /// `None` if the two contradict each other, as those of a copied store may; nothing was done then.
    pub fn meet(&mut self, other: &Self, now: Timestamp) -> Option<Met> {
        self.abandon();
        self.pin_saved();
        let clock = self.document.state().clock().clone();
        // Where nothing was ever written here, nothing that arrives is written again under this document's name.
        let is_alone = self.document.state().clock().is_empty() && self.row.over.is_empty();
        let absorbed = self
            .document
            .meet(other.document.state(), now.as_millis())?;
        let mut commit = Commit::new(self.key.clone());
        self.add_to(&mut commit, clock, &absorbed);
        self.row.unwanted.extend(&other.row.unwanted);
        self.row.unwanted.extend(&other.row.deleting);
        self.row.unwanted.sort_unstable();
        self.row.unwanted.dedup();
        // What the app asked for before anybody was known, or an old client of the same person relies on, holds here too.
        if other.is_plain() && self.row.plain == Plain::No {
            self.row.plain = Plain::Wanted;
        }
        self.room.forget_beside();
        self.inherit_unsent(other, is_alone);
        commit.sync = Some(self.row.encode());
        self.is_new = false;
        Some(Met {
            commit,
            changed: absorbed.changed,
        })
    }
}
