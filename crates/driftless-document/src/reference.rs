//! One automerge document that never forgets.
//!
//! It merges every edit ever made, whole history kept, and knows nothing of states, joins or records: what Driftless shows
//! must equal what it shows. The demonstration, the simulator and the tests compare with it.

use std::collections::HashMap;

use automerge::{Automerge, Change, ChangeHash, ExpandedChange};

use crate::edit::Edit;
use crate::history::operations;
use crate::id::{Actor, OpId};
use crate::ops::{self, Header, actor_id, actor_of, counter_of};
use crate::state::State;

/// A plain automerge document that gets the edits of all devices.
#[derive(Debug)]
pub struct Reference {
    automerge: Automerge,
    tips: HashMap<Actor, (u64, u32, ChangeHash)>,
}

impl Default for Reference {
    fn default() -> Self {
        Self::new()
    }
}

impl Reference {
    /// Returns an empty document.
    #[must_use]
    pub fn new() -> Self {
        let encoding = automerge::TextEncoding::UnicodeCodePoint;
        Self {
            automerge: Automerge::new_with_encoding(encoding),
            tips: HashMap::new(),
        }
    }

    /// Merges one edit; edits of one author come in their order, and after those they build on.
    ///
    /// It costs a pass over the whole document, so that who has many edits appends them to each other first. The operations
    /// keep their ids and what they replace. A creation that another device made before is left out.
    pub fn record(&mut self, edit: &Edit) {
        let mut batch = Vec::new();
        for change in edit.changes() {
            let actor = actor_of(&change.actor_id);
            let last = counter_of(change.start_op.get())
                + ops::counter_of(change.operations.len() as u64)
                - 1;
            if self
                .tips
                .get(&actor)
                .is_some_and(|(_, seen, _)| *seen >= last)
            {
                continue;
            }
            batch.push(self.rebuilt(actor, last, change));
        }
        self.automerge
            .apply_changes(batch)
            .expect("recorded operations build on recorded ones");
    }

    /// Returns a change with the same operations whose predecessor is the author's last one here.
    fn rebuilt(&mut self, actor: Actor, last: u32, change: &ExpandedChange) -> Change {
        let tip = self.tips.get(&actor).copied();
        let header = Header {
            actor: actor_id(actor),
            seq: tip.map_or(1, |(seq, ..)| seq + 1),
            start: counter_of(change.start_op.get()),
            time: change.time,
            deps: tip.map(|(.., hash)| hash).into_iter().collect(),
            extra_bytes: Vec::new(),
        };
        let seq = header.seq;
        let change = ops::change(header, change.operations.clone());
        self.tips.insert(actor, (seq, last, change.hash()));
        change
    }

    /// Returns the state of the document, read afresh from its whole history.
    #[must_use]
    pub fn state(&self) -> State {
        State::of(&self.automerge.get_changes(&[]))
    }

    /// Returns the text that automerge itself shows at a key.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<String> {
        use automerge::ReadDoc;
        let (value, id) = self.automerge.get(automerge::ROOT, key).ok()??;
        value.is_object().then(|| self.automerge.text(id).ok())?
    }
}

impl Edit {
    /// Returns the ids of the operations of this edit.
    pub fn operation_ids(&self) -> impl Iterator<Item = OpId> {
        self.changes()
            .iter()
            .flat_map(|change| operations(change).map(|(id, _)| id))
    }
}
