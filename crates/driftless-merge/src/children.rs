//! Merged datasets: what a merge of identities left beside a dataset is folded into it and then deleted [COGNITO 2.6].
//!
//! A child is listed whole and read after the dataset's own list. What it holds is joined into what is *offered*, not into the
//! document: it enters the document when the push is known to stand, so that a push that loses leaves nothing behind and the
//! child is folded in once, whoever comes first. Only then, when the stored state has seen everything in it, the child is
//! deleted [COGNITO trap 27]. A crash at any point repeats harmlessly.
//!
//! Plain records of a child are taken in as well (`children/beside.rs`), so that nothing of an old client's is lost with it.
//!
//! A child that cannot be read is left alone and reported.

use std::collections::{BTreeMap, BTreeSet};

use driftless_document::{Absorbed, Document, State, branch, mutant};
use driftless_record::{Stored, is_reserved, text_of};
use driftless_wire::{DatasetName, IdentityId, ListRecordsResponse, Record, Timestamp};

use crate::absorb::COUNTER_LIMIT;
use crate::commit::{Commit, Durability};
use crate::list::{MAX_LIMITS, MAX_PAGES, size};
use crate::plain::Plain;
use crate::replica::{Replica, base_name};
use crate::session::{Brought, Failure, Listing, Session};

mod beside;

use beside::Beside;

/// Merged datasets that one session folds in; an identity has twenty datasets.
const MAX_CHILDREN: usize = 64;

/// Why a merged dataset was left where it is; later sessions try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeftOver {
    /// A request about it failed.
    Unreachable,
    /// It is damaged, of a later version, or exceeds a limit.
    Unreadable,
    /// It and this dataset tell one operation differently; honest devices never do.
    Contradicts,
    /// What it holds does not fit beside the data here.
    Full,
    /// It was folded in, but for plain records under keys that no dataset can have, and stays for their sake.
    PlainBeside,
}

/// The merged datasets that a session knows of.
#[derive(Debug, Default)]
pub(crate) struct Children {
    /// Those that are still to be listed.
    waiting: Vec<DatasetName>,
    read: BTreeMap<DatasetName, Child>,
    /// Those that were reported before the dataset was deleted: the service does not name them again [COGNITO 2.5].
    orphans: BTreeSet<DatasetName>,
    /// Those that were asked to be deleted.
    asked: BTreeSet<DatasetName>,
}

/// What one merged dataset holds.
#[derive(Debug)]
struct Child {
    /// Its state, with what foreign hands wrote as plain records.
    state: State,
    /// Whether it was deleted by its owner before the merge, and only that never reached the service.
    is_unwanted: bool,
    /// Whether it goes once its state is folded in.
    is_whole: bool,
    /// Whether plain records stand in it.
    is_plain: bool,
    /// The bytes of its records, by which the largest gives way.
    bytes: usize,
}

impl Children {
    /// Takes note of the names that a list reported.
    pub(crate) fn found(&mut self, parent: &DatasetName, names: &[String]) {
        let names: BTreeSet<DatasetName> = names
            .iter()
            .filter_map(|name| name.parse().ok())
            .filter(|name| name != parent && is_child(name))
            .take(MAX_CHILDREN)
            .chain(self.orphans.iter().cloned())
            .collect();
        self.read.retain(|name, _| names.contains(name));
        let is_unread = |name: &DatasetName| !self.read.contains_key(name);
        self.waiting = names.into_iter().filter(is_unread).collect();
    }

    /// Keeps those in mind that were found, beyond the life of the dataset that they were merged into.
    pub(crate) fn survive(&mut self) {
        let found = self.waiting.iter().chain(self.read.keys()).cloned();
        self.orphans.extend(found);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.read.is_empty()
    }

    /// Tells whether something is so of the states of all that were read and are wanted.
    pub(crate) fn all_states(&self, is_so: impl Fn(&State) -> bool) -> bool {
        let mut wanted = self.read.values().filter(|child| !child.is_unwanted);
        wanted.all(|child| is_so(&child.state))
    }

    /// Takes some of those that were read out, to be put back.
    fn set_aside(&mut self, names: &[DatasetName]) -> Vec<(DatasetName, Child)> {
        let taken = names.iter().filter_map(|name| self.read.remove_entry(name));
        taken.collect()
    }

    /// Tells whether a state lacks something of those that were read.
    pub(crate) fn has_unmet(&self, state: &State) -> bool {
        !self.all_states(|child| state.has_met(child))
    }
}

/// Tells whether a name ends in the id of an identity: `notes.old` is the user's own [COGNITO trap 28].
fn is_child(name: &DatasetName) -> bool {
    let end = name.as_str().rsplit_once('.').map(|(_, end)| end);
    end.is_some_and(|end| end.parse::<IdentityId>().is_ok())
}

impl Replica {
    /// Lists the next merged dataset, or offers what there is when all were read.
    pub(crate) fn next_child(&mut self, mut session: Session, now: Timestamp) {
        match session.children.waiting.pop() {
            Some(name) => {
                session.list = Listing::default();
                self.ask_list_child(session, name, None);
            }
            None => {
                self.learn_plain_of_children(&session);
                self.offer(session, now);
            }
        }
    }

    pub(crate) fn on_child_listed(
        &mut self,
        mut session: Session,
        now: Timestamp,
        name: DatasetName,
        answer: Result<ListRecordsResponse, Failure>,
    ) {
        let Ok(page) = answer else {
            session.leave(name, LeftOver::Unreachable);
            return self.next_child(session, now);
        };
        let list = &mut session.list;
        let count = *list.count.get_or_insert(page.dataset_sync_count);
        list.pages += 1;
        list.bytes += page.records.iter().map(size).sum::<usize>();
        let is_torn = count != page.dataset_sync_count;
        if is_torn
            || list.pages > MAX_PAGES
            || list.bytes > MAX_LIMITS * self.limits.dataset_bytes()
        {
            session.leave(name, LeftOver::Unreadable);
            return self.next_child(session, now);
        }
        list.records.extend(page.records);
        if page.next_token.is_some() {
            return self.ask_list_child(session, name, page.next_token);
        }
        if page.dataset_exists {
            match self.read_child(&name, &std::mem::take(&mut session.list.records)) {
                Some(child) => drop(session.children.read.insert(name, child)),
                None => session.leave(name, LeftOver::Unreadable),
            }
        }
        self.next_child(session, now);
    }

    /// Reads the records of a merged dataset; `None` if they cannot be understood whole.
    fn read_child(&self, name: &DatasetName, records: &[Record]) -> Option<Child> {
        let slots = records
            .iter()
            .filter(|record| is_reserved(record.key.as_str()))
            .filter_map(|record| Some((record.key.as_str(), record.value.as_deref()?)));
        let stored = driftless_record::read(slots, &self.limits, None).ok()?;
        let is_sound = |stored: &Stored| {
            !stored.needs_repair() && stored.state().max_counter() <= COUNTER_LIMIT
        };
        if !stored.as_ref().is_none_or(is_sound) {
            return None;
        }
        let is_plain =
            |record: &Record| !is_reserved(record.key.as_str()) && record.value.is_some();
        let beside = Beside::of(stored.as_ref(), records);
        let (state, is_whole) = beside.take_in(name);
        Some(Child {
            state,
            is_unwanted: stored.is_some_and(|it| self.row.unwanted.contains(&it.lineage())),
            is_whole,
            is_plain: records.iter().any(is_plain),
            bytes: records
                .iter()
                .filter_map(|it| it.value.as_ref())
                .map(String::len)
                .sum(),
        })
    }

    /// Lets a dataset that does not exist yet be plain if a merged dataset is: old clients go on with that.
    fn learn_plain_of_children(&mut self, session: &Session) {
        let is_new = self.row.lineage.is_none() && self.stored.is_none();
        let mut children = session.children.read.values();
        if is_new
            && self.row.plain == Plain::No
            && children.any(|child| child.is_plain && !child.is_unwanted)
        {
            branch!(PlainFound);
            self.row.plain = Plain::Wanted;
        }
    }

    /// Joins the merged datasets into what is to be offered, under a fresh author where something must be written again;
    /// `None` if it has all of them.
    pub(crate) fn fold_children_in(
        &self,
        session: &mut Session,
        now: Timestamp,
        state: &State,
    ) -> Option<State> {
        if !session.children.has_unmet(state) || mutant!(ChildNotFolded) {
            return None;
        }
        branch!(ChildFolded);
        let name = base_name(self.key.name().as_str());
        let mut document = Document::from_state(name, session.actor(), state.clone());
        let mut refused = Vec::new();
        for (name, child) in &session.children.read {
            let is_met =
                child.is_unwanted || document.meet(&child.state, now.as_millis()).is_some();
            if !is_met {
                refused.push(name.clone());
            }
        }
        for name in refused {
            session.leave(name, LeftOver::Contradicts);
        }
        (document.state() != state).then(|| document.state().clone())
    }

    /// Leaves the merged datasets where they are that need more new plain records than there may be beside this state.
    pub(crate) fn leave_children_beyond_records(&self, session: &mut Session, state: &State) {
        if !self.is_plain() || self.is_plain_only() || !session.children.has_unmet(state) {
            return;
        }
        let free = self.plain_records_free(state);
        for name in self.unmet_children(session) {
            let child = &session.children.read[&name].state;
            let texts = child.keys().filter(|key| {
                child
                    .get(key)
                    .is_some_and(|value| text_of(&value).is_some())
            });
            if texts.filter(|key| self.lacks_record(key)).count() > free {
                branch!(ChildrenDoNotFit);
                session.leave(name, LeftOver::Full);
            }
        }
    }

    /// Leaves the merged datasets where they are that nothing here has room for.
    pub(crate) fn leave_children(&self, session: &mut Session) {
        for name in self.unmet_children(session) {
            session.leave(name, LeftOver::Full);
        }
    }

    /// Leaves the largest of the merged datasets where they are, as many as there is no room for beside this state; `false` if
    /// there are none.
    ///
    /// It is called when there is no room for all of them, and halves what is in question, since each try is a join and a plan.
    pub(crate) fn leave_children_beyond_room(
        &self,
        session: &mut Session,
        now: Timestamp,
        state: &State,
    ) -> bool {
        let names = self.unmet_children(session);
        let (mut fit, mut too_many) = (0, names.len());
        while fit + 1 < too_many {
            let tried = usize::midpoint(fit, too_many);
            let aside = session.children.set_aside(&names[tried..]);
            let folded = self.fold_children_in(session, now, state);
            let folded = folded.as_ref().unwrap_or(state);
            let plain = self.wanted_patches(folded);
            let has_room = self.plan(session, folded, &plain, self.is_plain()).is_ok();
            session.children.read.extend(aside);
            match has_room {
                true => fit = tried,
                false => too_many = tried,
            }
        }
        let left = &names[fit..];
        for name in left {
            session.leave(name.clone(), LeftOver::Full);
        }
        !left.is_empty()
    }

    /// Returns the merged datasets of which this document lacks something, the smallest first.
    fn unmet_children(&self, session: &Session) -> Vec<DatasetName> {
        let state = self.document.state();
        let children = session.children.read.iter();
        let unmet =
            children.filter(|(_, child)| !child.is_unwanted && !state.has_met(&child.state));
        let mut unmet: Vec<_> = unmet.collect();
        unmet.sort_by_key(|(_, child)| child.bytes);
        unmet.into_iter().map(|(name, _)| name.clone()).collect()
    }

    /// Takes what a push brought of merged datasets, and of plain records with them, into the document; the push stands.
    pub(crate) fn take_children_in(
        &mut self,
        session: &mut Session,
        now: Timestamp,
        stored: &State,
        brought: Brought,
        commit: &mut Commit,
    ) -> Absorbed {
        let listed = self.listed_with_sent(stored);
        let clock = self.document.state().clock().clone();
        self.pin_saved();
        let absorbed = self.document.absorb(stored, &listed, now.as_millis());
        let mut absorbed =
            absorbed.unwrap_or_else(|| self.give_way(session, stored, now.as_millis()));
        self.add_to(commit, clock, &absorbed);
        // It is no edit of this document, so it is told only to whoever keeps every edit.
        if let Some(mut edit) = brought.imported {
            edit.append(std::mem::take(&mut absorbed.edit));
            absorbed.edit = edit;
        }
        absorbed
    }

    /// Ends the session; merged datasets of which everything is stored are deleted before.
    pub(crate) fn conclude(&mut self, mut session: Session) {
        let is_done = |name: &DatasetName, child: &Child| {
            !session.children.asked.contains(name)
                && (child.is_unwanted || (child.is_whole && self.is_stored(&child.state)))
        };
        let children = &session.children.read;
        let next = children.iter().find(|(name, child)| is_done(name, child));
        match next.map(|(name, _)| name.clone()) {
            Some(name) => {
                // On disk before it goes: what others do to the slots must not take what is nowhere else.
                if session.children.asked.is_empty() && !mutant!(SentNotOnDisk) {
                    self.keep(Commit::new(self.key.clone()), Durability::Disk);
                }
                session.children.asked.insert(name.clone());
                self.ask_delete_child(session, name);
            }
            None => {
                let left = session.children.read.iter();
                let left = left.filter(|(_, child)| !child.is_whole);
                let left: Vec<DatasetName> = left.map(|(name, _)| name.clone()).collect();
                for name in left {
                    session.leave(name, LeftOver::PlainBeside);
                }
                self.finish(session);
            }
        }
    }

    fn is_stored(&self, child: &State) -> bool {
        match &self.stored {
            Some(stored) => stored.state().has_met(child) || mutant!(ChildNotFolded),
            None => child.clock().is_empty(),
        }
    }

    pub(crate) fn on_child_deleted(
        &mut self,
        mut session: Session,
        name: DatasetName,
        answer: Result<(), Failure>,
    ) {
        match answer {
            Ok(()) => drop(session.summary.merged.insert(name)),
            Err(_) => session.leave(name, LeftOver::Unreachable),
        }
        self.conclude(session);
    }
}

impl Session {
    fn leave(&mut self, name: DatasetName, why: LeftOver) {
        self.children.read.remove(&name);
        self.summary.left_over.insert(name, why);
    }
}
