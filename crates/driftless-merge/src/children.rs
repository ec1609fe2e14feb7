//! Merged datasets: what a merge of identities left beside a dataset is folded into it and then deleted [COGNITO 2.6].
//!
//! A child is listed whole and read after the dataset's own list. What it holds is joined into what is *offered*, not into the
//! document: it enters the document when the push is known to stand, so that a push that loses leaves nothing behind and the
//! child is folded in once, whoever comes first. Only then, when the stored state has seen everything in it, the child is
//! deleted [COGNITO trap 27]. A crash at any point repeats harmlessly.
//!
//! A child that cannot be read is left alone and reported.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use driftless_document::{
    Absorbed, Actor, Clock, Content, Contents, Delta, Document, ObjectDelta, ObjectId, OpId,
    RegisterDelta, Scalar, State,
};
use driftless_record::{Stored, is_reserved};
use driftless_wire::{DatasetName, IdentityId, ListRecordsResponse, Record, SyncCount, Timestamp};

use crate::absorb::COUNTER_LIMIT;
use crate::commit::Commit;
use crate::list::{MAX_LIMITS, MAX_PAGES, size};
use crate::replica::{Replica, base_name};
use crate::session::{Failure, Listing, Session};

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
    /// Its state was folded in; a client that knows only plain records wrote beside it, and that stays there.
    PlainBeside,
}

/// The merged datasets that a session knows of.
#[derive(Debug, Default)]
pub(crate) struct Children {
    /// Those that are still to be listed.
    waiting: Vec<DatasetName>,
    read: BTreeMap<DatasetName, Child>,
    /// The dataset's state with all of them, if that is more than it has.
    pub(crate) offered: Option<Arc<State>>,
    /// Those that were asked to be deleted.
    asked: BTreeSet<DatasetName>,
}

/// What one merged dataset holds.
#[derive(Debug)]
struct Child {
    state: State,
    /// Whether it was deleted by its owner before the merge, and only that never reached the service.
    is_unwanted: bool,
    /// Whether it goes once its state is folded in.
    is_whole: bool,
}

impl Children {
    /// Takes note of the names that a list reported.
    pub(crate) fn found(&mut self, parent: &DatasetName, names: &[String]) {
        let names: BTreeSet<DatasetName> = names
            .iter()
            .filter_map(|name| name.parse().ok())
            .filter(|name| name != parent && is_child(name))
            .take(MAX_CHILDREN)
            .collect();
        self.read.retain(|name, _| names.contains(name));
        let is_unread = |name: &DatasetName| !self.read.contains_key(name);
        self.waiting = names.into_iter().filter(is_unread).collect();
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
                self.fold_children_in(&mut session, now);
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
        list.pages += 1;
        list.bytes += page.records.iter().map(size).sum::<usize>();
        if list.pages > MAX_PAGES || list.bytes > MAX_LIMITS * self.limits.dataset_bytes() {
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
        let values = records
            .iter()
            .filter_map(|record| Some((record.key.as_str(), record.value.as_deref()?)));
        let (reserved, plain): (Vec<_>, BTreeMap<_, _>) = {
            let (reserved, plain): (Vec<_>, Vec<_>) = values.partition(|(key, _)| is_reserved(key));
            (reserved, plain.into_iter().collect())
        };
        let Some(stored) = driftless_record::read(reserved, &self.limits, None).ok()? else {
            return Some(Child {
                state: plain_state(name, &plain)?,
                is_unwanted: false,
                is_whole: true,
            });
        };
        let is_sound = !stored.needs_repair() && stored.state().max_counter() <= COUNTER_LIMIT;
        is_sound.then(|| Child {
            is_unwanted: self.row.unwanted.contains(&stored.lineage()),
            is_whole: !has_foreign(&stored, records),
            state: stored.state().clone(),
        })
    }

    /// Joins the merged datasets into what is to be offered, under a fresh author where something must be written again.
    fn fold_children_in(&mut self, session: &mut Session, now: Timestamp) {
        session.children.offered = None;
        let is_news =
            |child: &Child| !child.is_unwanted && !self.document.state().has_met(&child.state);
        if !session.children.read.values().any(is_news) {
            return;
        }
        let state = self.document.state().clone();
        let name = base_name(self.key.name().as_str());
        let mut document = Document::from_state(name, session.actor(), state);
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
        session.children.offered = Some(Arc::new(document.state().clone()));
    }

    /// Offers the dataset without its merged datasets, which do not fit; tells whether there were any.
    pub(crate) fn leave_children(&self, session: &mut Session) -> bool {
        if session.children.offered.take().is_none() {
            return false;
        }
        let state = self.document.state();
        let (read, unmet): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut session.children.read)
                .into_iter()
                .partition(|(_, child)| child.is_unwanted || state.has_met(&child.state));
        session.children.read = read;
        for name in unmet.into_keys() {
            session.leave(name, LeftOver::Full);
        }
        true
    }

    /// Takes what a push brought of merged datasets into the document; the push stands.
    pub(crate) fn take_children_in(
        &mut self,
        session: &mut Session,
        now: Timestamp,
        stored: &State,
        commit: &mut Commit,
    ) -> Option<Absorbed> {
        session.children.offered.take()?;
        let listed = self.listed_with_sent(stored);
        let clock = self.document.state().clock().clone();
        self.pin_saved();
        let absorbed = self.document.absorb(stored, &listed, now.as_millis());
        let absorbed = absorbed.unwrap_or_else(|| self.give_way(session, stored, now.as_millis()));
        self.add_to(commit, clock, &absorbed);
        Some(absorbed)
    }

    /// Ends the session; merged datasets of which everything is stored are deleted before.
    pub(crate) fn conclude(&mut self, mut session: Session) {
        let is_done = |name: &DatasetName, child: &Child| {
            !session.children.asked.contains(name)
                && child.is_whole
                && (child.is_unwanted || self.is_stored(&child.state))
        };
        let children = &session.children.read;
        let next = children.iter().find(|(name, child)| is_done(name, child));
        match next.map(|(name, _)| name.clone()) {
            Some(name) => {
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
            Some(stored) => stored.state().has_met(child),
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

/// Tells whether a plain record was written after the last push of a client that knows the state.
fn has_foreign(stored: &Stored, records: &[Record]) -> bool {
    let seen = stored.head().map_or(SyncCount::ZERO, |head| head.seen);
    records.iter().any(|record| {
        !is_reserved(record.key.as_str()) && record.value.is_some() && record.sync_count > seen
    })
}

/// Returns plain records as concurrent puts by an author of their own: whoever imports the same ones makes the same state.
fn plain_state(name: &DatasetName, values: &BTreeMap<&str, &str>) -> Option<State> {
    if values.is_empty() {
        return Some(State::new());
    }
    let actor = plain_author(name, values);
    let mut keys = BTreeMap::new();
    for (rank, (key, text)) in (1..).zip(values) {
        let put = (OpId::new(rank, actor), Content::Scalar(Scalar::from(*text)));
        let register = RegisterDelta {
            added: Contents::from_iter([put]),
            ..RegisterDelta::default()
        };
        keys.insert((*key).to_owned(), register);
    }
    let count = u32::try_from(values.len()).ok()?;
    let delta = Delta {
        clock: Clock::from([(actor, count)]),
        objects: BTreeMap::from([(ObjectId::Root, ObjectDelta::Map(keys))]),
        ..Delta::default()
    };
    // Keys that are too long for a dataset are refused here.
    State::new().apply(&delta).ok()
}

/// Derives the author of a plain child's values from its name, its keys and its texts; it stands among the devices' ones.
fn plain_author(name: &DatasetName, values: &BTreeMap<&str, &str>) -> Actor {
    let mut hasher = blake3::Hasher::new();
    let texts = values.iter().flat_map(|(key, text)| [*key, *text]);
    for text in std::iter::once(name.as_str()).chain(texts) {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    Actor::random(bytes)
}
