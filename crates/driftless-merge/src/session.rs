//! One synchronization of one dataset: list, absorb, offer, push, settle.
//!
//! A state machine without IO: inputs go in through [`Replica::handle`], outputs come out of [`Replica::poll`]. **After each
//! input, drain the outputs**, in their order: a commit must be kept before the request behind it is sent. A session ends
//! with exactly one [`Output::Done`]. It may be dropped at any moment ([`Replica::abandon`]); what was sent is remembered
//! durably, and the next session lists again.
//!
//! Each event has its file: a list's answer in `list.rs`, the join in `absorb.rs`, a push and its refusals in `push.rs`, its
//! success in `settle.rs`, merged datasets in `children.rs`, plain records in `plain.rs` and, where nothing else has room, in
//! `plain_only.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use driftless_document::{Actor, Edit, branch};
use driftless_record::{Lineage, ReadError, Stored, Wrote};
use driftless_wire::{
    DatasetName, DeleteDatasetRequest, IdentityId, ListRecordsRequest, ListRecordsResponse, Record,
    RecordPatch, SyncCount, SyncSessionToken, Timestamp, UpdateRecordsRequest,
    UpdateRecordsResponse,
};

use crate::children::{Children, LeftOver};
use crate::commit::{Commit, Durability};
use crate::replica::Replica;
use crate::room::Size;
use crate::row::Synced;
use crate::unsent::Over;

/// Pushes that may lose against other devices before a session gives up.
pub(crate) const MAX_CONFLICTS: u32 = 8;

/// Requests whose outcome may stay unknown before a session gives up.
pub(crate) const MAX_UNKNOWN: u32 = 3;

/// Lists that may turn out torn, or not to show what was written, before a session gives up.
pub(crate) const MAX_RELISTS: u32 = 4;

/// What a session is told.
#[derive(Debug)]
#[non_exhaustive]
pub enum Input {
    /// Begins a session; one that runs is abandoned.
    ///
    /// The seed must be fresh and random: authors and lineages are drawn from it.
    Begin([u8; 32]),
    /// Begins a session that also writes what is stored anew, under a new lineage, without what only its past needs:
    /// see [`State::compacted`](driftless_document::State::compacted). The seed is as for [`Input::Begin`].
    Compact([u8; 32]),
    /// The answer to [`Output::List`].
    Listed(Result<ListRecordsResponse, Failure>),
    /// The answer to [`Output::Update`].
    Updated(Result<UpdateRecordsResponse, Failure>),
    /// The answer to [`Output::Delete`]; a dataset that was not there counts as deleted.
    Deleted(Result<(), Failure>),
    /// The time of [`Output::Wait`] is over.
    Waited,
}

/// Why a request has no answer, as far as a session treats it differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// ResourceConflictException: a record changed since it was listed; nothing was applied.
    Conflict,
    /// "No such SyncCount": the service has not reached the count since which was listed.
    NoSuchSyncCount,
    /// Time-out, lost connection or a server's fault: the request may have been applied.
    OutcomeUnknown,
    /// Anything else: refused, or never sent.
    Refused,
}

/// What is to be done next.
#[derive(Debug)]
#[non_exhaustive]
pub enum Output {
    /// Keep this before anything behind it is done.
    ///
    /// The durability is the least that it needs, whatever less an app asked for: what is sent must never be forgotten, or
    /// its op ids would be given out again.
    Commit(Commit, Durability),
    /// Keys look different because of what came from the service; after it is durable.
    Changed(BTreeSet<String>),
    /// Edits that had to be written again, for a [`Reference`](driftless_document::Reference).
    Rewrote(Edit),
    /// Send ListRecords.
    List(ListRecordsRequest),
    /// Send UpdateRecords, once: after an unknown outcome the session lists before it sends again.
    Update(UpdateRecordsRequest),
    /// Send DeleteDataset.
    Delete(DeleteDatasetRequest),
    /// Wait so long, then say [`Input::Waited`].
    Wait(Duration),
    /// The session is over.
    Done(Result<Summary, SessionError>),
}

/// What a session did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// The keys that look different here because of what came.
    pub changed_here: BTreeSet<String>,
    /// The keys that look different at the service because of what was pushed.
    pub changed_there: BTreeSet<String>,
    /// How many pushes were refused because another device had pushed first.
    pub conflicts: u32,
    /// What was written.
    pub wrote: Option<Wrote>,
    /// The stored dataset had been deleted or replaced by another one; unsynced edits were written onto that.
    pub began_anew: bool,
    /// What was stored was damaged and is whole again.
    pub repaired: bool,
    /// What was deleted here is deleted at the service now, by this session or by somebody before it.
    pub deleted: bool,
    /// What is stored was written anew, without dead elements and old authors.
    pub compacted: bool,
    /// The merged datasets that are folded in and deleted at the service.
    pub merged: BTreeSet<DatasetName>,
    /// The merged datasets that are still there, and why.
    pub left_over: BTreeMap<DatasetName, LeftOver>,
    /// The joined state does not fit: it is durable here and readable, nothing was pushed. In a plain-only dataset: not all
    /// that was edited here could be written into records.
    pub full: Option<Size>,
    /// The dataset is kept as plain records only, for there is no room for its state beside them.
    pub plain_only: bool,
}

/// Why a session failed. What was joined before stays, and edits stay unsynced.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// A request failed for good; whoever sent it knows why.
    #[error("a request to the service failed")]
    Request,
    /// Other devices pushed first each time; try again later.
    #[error("other devices pushed first {MAX_CONFLICTS} times")]
    Contended,
    /// What is stored is refused, and nothing was written over it: a later version, a broken limit.
    #[error("what is stored is refused")]
    Stored(#[source] ReadError),
    /// The counters of the stored operations are so high that they could not be edited any more.
    #[error("the stored operations use up the counters")]
    Exhausted,
    /// The service's answers contradict each other.
    #[error("the answers of the service contradict each other: {0}")]
    Answer(&'static str),
    /// The dataset belongs to no identity yet.
    #[error("the dataset belongs to no identity")]
    NoIdentity,
}

/// What a session knows while it runs.
#[derive(Debug)]
pub(crate) struct Session {
    identity: IdentityId,
    /// The time of the last input.
    now: Timestamp,
    draws: Draws,
    pub(crate) phase: Phase,
    pub(crate) list: Listing,
    pub(crate) unknown: u32,
    pub(crate) relists: u32,
    pub(crate) token: Option<SyncSessionToken>,
    /// The DatasetSyncCount of the last whole list.
    pub(crate) listed: SyncCount,
    /// The count up to which everything had been listed before that.
    pub(crate) known: SyncCount,
    /// A push was made for what a Lambda had changed: one is enough.
    pub(crate) followed_up: bool,
    pub(crate) compaction: Compaction,
    pub(crate) children: Children,
    pub(crate) summary: Summary,
}

/// Whether a session writes what is stored anew.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Compaction {
    /// Nobody asked, or it is done.
    No,
    /// It shall be written anew.
    Wanted,
    /// A push did it, under this lineage, and may stand.
    Sent(Lineage),
}

/// What a session waits for.
#[derive(Debug, Default)]
pub(crate) enum Phase {
    #[default]
    Listing,
    /// A merged dataset is listed.
    ListingChild(DatasetName),
    Updating(Box<InFlight>),
    /// Plain records are pushed, and no state.
    UpdatingPlain(Vec<RecordPatch>),
    Deleting,
    /// A merged dataset is deleted.
    DeletingChild(DatasetName),
    Waiting,
}

/// A list of which some pages have come.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) since: SyncCount,
    pub(crate) records: Vec<Record>,
    pub(crate) bytes: usize,
    pub(crate) pages: u32,
    pub(crate) count: Option<SyncCount>,
}

/// A push that was sent.
#[derive(Debug)]
pub(crate) struct InFlight {
    pub(crate) patches: Vec<RecordPatch>,
    /// What the records hold once the push stands.
    pub(crate) stored: Stored,
    pub(crate) wrote: Wrote,
    /// Whether it writes what was stored anew without its past.
    pub(crate) compacts: bool,
    pub(crate) brought: Brought,
    /// Over which records the edits in it were made by an old client.
    pub(crate) over: Over,
    /// The keys that look different then.
    pub(crate) keys: BTreeSet<String>,
}

/// What a push brings that the document does not hold yet: it enters when the push is known to stand.
#[derive(Debug, Default)]
pub(crate) struct Brought {
    /// What it imports of plain records.
    pub(crate) imported: Option<Edit>,
    /// Whether it folds merged datasets in.
    pub(crate) children: bool,
}

/// Random values of a session, all from its seed.
#[derive(Debug)]
struct Draws {
    seed: [u8; 32],
    drawn: u64,
}

impl Draws {
    fn bytes(&mut self) -> [u8; 8] {
        self.drawn += 1;
        let hash = blake3::keyed_hash(&self.seed, &self.drawn.to_le_bytes());
        hash.as_bytes()[..8]
            .try_into()
            .expect("a hash has 32 bytes")
    }
}

impl Session {
    pub(crate) fn actor(&mut self) -> Actor {
        Actor::random(self.draws.bytes())
    }

    pub(crate) fn lineage(&mut self) -> Lineage {
        Lineage::from_bytes(self.draws.bytes())
    }

    /// Returns a wait between a tenth and the whole of `base` doubled so often: devices that collided part again.
    pub(crate) fn jitter(&mut self, base: Duration, doubled: u32) -> Duration {
        let most = base.saturating_mul(1 << doubled.min(8));
        let [low, high, ..] = self.draws.bytes();
        let part = f64::from(u16::from_le_bytes([low, high])) / f64::from(u16::MAX);
        most.mul_f64(0.1 + 0.9 * part)
    }
}

impl Replica {
    /// Takes one input. `now` goes into the patches as the device's date, which nobody compares.
    ///
    /// An answer of another kind than the session waits for is ignored. Whoever abandons a session keeps its later answers
    /// from the next one, which could not tell them from its own.
    pub fn handle(&mut self, now: Timestamp, input: Input) {
        let input = match input {
            Input::Begin(seed) => return self.begin(now, seed, Compaction::No),
            Input::Compact(seed) => return self.begin(now, seed, Compaction::Wanted),
            input => input,
        };
        let Some(mut session) = self.session.take() else {
            return;
        };
        session.now = now;
        match (std::mem::take(&mut session.phase), input) {
            (Phase::Listing, Input::Listed(answer)) => self.on_listed(session, now, answer),
            (Phase::Updating(in_flight), Input::Updated(answer)) => {
                self.on_updated(session, now, *in_flight, answer);
            }
            (Phase::UpdatingPlain(patches), Input::Updated(answer)) => {
                self.on_plain_updated(session, now, patches, answer);
            }
            (Phase::Deleting, Input::Deleted(answer)) => self.on_deleted(session, answer),
            (Phase::ListingChild(name), Input::Listed(answer)) => {
                self.on_child_listed(session, now, name, answer);
            }
            (Phase::DeletingChild(name), Input::Deleted(answer)) => {
                self.on_child_deleted(session, name, answer);
            }
            (Phase::Waiting, Input::Waited) => {
                let often = session.summary.conflicts + session.unknown > 1;
                let since = if often {
                    SyncCount::ZERO
                } else {
                    self.row.count
                };
                self.list(session, since);
            }
            (phase, _) => self.session = Some(Session { phase, ..session }),
        }
    }

    /// Returns what is to be done next, or `None` until the next input. Call it until then.
    #[must_use]
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Drops a session that runs, once its outputs are drained, at whatever point; the next one lists again.
    pub fn abandon(&mut self) {
        if self.session.is_some() {
            branch!(SessionAbandoned);
        }
        self.session = None;
        self.outputs.clear();
    }

    fn begin(&mut self, now: Timestamp, seed: [u8; 32], compaction: Compaction) {
        self.abandon();
        let Some(identity) = self.identity().cloned() else {
            self.outputs
                .push_back(Output::Done(Err(SessionError::NoIdentity)));
            return;
        };
        let session = Session {
            identity,
            now,
            draws: Draws { seed, drawn: 0 },
            phase: Phase::Listing,
            list: Listing::default(),
            unknown: 0,
            relists: 0,
            token: None,
            listed: SyncCount::ZERO,
            known: SyncCount::ZERO,
            followed_up: false,
            compaction,
            children: Children::default(),
            summary: Summary::default(),
        };
        // While a deletion is pending, the count is 0.
        self.list(session, self.row.count);
    }

    pub(crate) fn finish(&mut self, session: Session) {
        if session.summary.full.is_none() {
            self.row.synced = Some(Synced {
                at: session.now,
                count: self.row.count,
            });
            self.keep_row();
        }
        self.outputs.push_back(Output::Done(Ok(session.summary)));
    }

    /// Writes the sync row down: with what this input puts out anyway, or else by itself. What was never kept stays so.
    fn keep_row(&mut self) {
        let commits = self.outputs.iter_mut().rev();
        let last = commits.filter_map(|output| match output {
            Output::Commit(commit, _) => Some(commit),
            _ => None,
        });
        match last.into_iter().next() {
            Some(commit) => commit.sync = Some(self.row.encode()),
            None if self.is_new => {}
            None => self.keep(Commit::new(self.key.clone()), Durability::Buffered),
        }
    }

    pub(crate) fn fail(&mut self, error: SessionError) {
        self.outputs.push_back(Output::Done(Err(error)));
    }

    /// Puts out a commit; each one of a session brings the sync row along.
    pub(crate) fn keep(&mut self, mut commit: Commit, least: Durability) {
        commit.sync = Some(self.row.encode());
        self.is_new = false;
        self.outputs.push_back(Output::Commit(commit, least));
    }

    pub(crate) fn ask_list(&mut self, session: Session, next_token: Option<String>) {
        let name = self.key.name().clone();
        self.send_list(&session, name, next_token);
        self.session = Some(Session {
            phase: Phase::Listing,
            ..session
        });
    }

    pub(crate) fn ask_list_child(
        &mut self,
        session: Session,
        name: DatasetName,
        next_token: Option<String>,
    ) {
        self.send_list(&session, name.clone(), next_token);
        self.session = Some(Session {
            phase: Phase::ListingChild(name),
            ..session
        });
    }

    fn send_list(
        &mut self,
        session: &Session,
        dataset_name: DatasetName,
        next_token: Option<String>,
    ) {
        self.outputs.push_back(Output::List(ListRecordsRequest {
            identity_pool_id: self.pool.clone(),
            identity_id: session.identity.clone(),
            dataset_name,
            last_sync_count: Some(session.list.since).filter(|since| *since > SyncCount::ZERO),
            next_token,
            max_results: Some(driftless_wire::limits::RECORDS_PER_PAGE),
            sync_session_token: None,
        }));
    }

    pub(crate) fn ask_update(
        &mut self,
        session: Session,
        token: SyncSessionToken,
        in_flight: InFlight,
    ) {
        self.send_update(&session, token, in_flight.patches.clone());
        self.session = Some(Session {
            phase: Phase::Updating(Box::new(in_flight)),
            ..session
        });
    }

    pub(crate) fn ask_plain_update(
        &mut self,
        session: Session,
        token: SyncSessionToken,
        patches: Vec<RecordPatch>,
    ) {
        self.send_update(&session, token, patches.clone());
        self.session = Some(Session {
            phase: Phase::UpdatingPlain(patches),
            ..session
        });
    }

    fn send_update(
        &mut self,
        session: &Session,
        sync_session_token: SyncSessionToken,
        record_patches: Vec<RecordPatch>,
    ) {
        self.outputs.push_back(Output::Update(UpdateRecordsRequest {
            identity_pool_id: self.pool.clone(),
            identity_id: session.identity.clone(),
            dataset_name: self.key.name().clone(),
            sync_session_token,
            device_id: None,
            record_patches,
        }));
    }

    pub(crate) fn ask_delete(&mut self, session: Session) {
        branch!(DeletionAsked);
        let name = self.key.name().clone();
        self.send_delete(&session, name);
        self.session = Some(Session {
            phase: Phase::Deleting,
            ..session
        });
    }

    pub(crate) fn ask_delete_child(&mut self, session: Session, name: DatasetName) {
        self.send_delete(&session, name.clone());
        self.session = Some(Session {
            phase: Phase::DeletingChild(name),
            ..session
        });
    }

    fn send_delete(&mut self, session: &Session, dataset_name: DatasetName) {
        self.outputs.push_back(Output::Delete(DeleteDatasetRequest {
            identity_pool_id: self.pool.clone(),
            identity_id: session.identity.clone(),
            dataset_name,
        }));
    }

    pub(crate) fn wait(&mut self, session: Session, wait: Duration) {
        self.outputs.push_back(Output::Wait(wait));
        self.session = Some(Session {
            phase: Phase::Waiting,
            ..session
        });
    }
}
