//! What is stored is compared with the document, and the difference is offered under compare-and-swap.

use std::time::Duration;

use driftless_document::{OpId, State, branch, mutant};
use driftless_record::{Life, PlanError, Push, Standing, Stored, Wrote, is_reserved};
use driftless_wire::{Op, RecordKey, RecordPatch, SyncCount, Timestamp, UpdateRecordsResponse};

use crate::commit::{Commit, Durability};
use crate::plain::Plain;
use crate::replica::Replica;
use crate::row::Sent;
use crate::session::{
    Brought, Compaction, Failure, InFlight, MAX_CONFLICTS, MAX_UNKNOWN, Session, SessionError,
};
use crate::unsent::Over;

/// The first wait after a lost race; a push takes about as long.
const CONFLICT_WAIT: Duration = Duration::from_millis(100);

/// The first wait after an unknown outcome.
const UNKNOWN_WAIT: Duration = Duration::from_millis(500);

impl Replica {
    /// Pushes what the service lacks, or ends the session if that is nothing.
    pub(crate) fn offer(&mut self, mut session: Session, now: Timestamp) {
        if self.is_left_to_others() {
            branch!(NothingToPush);
            return self.conclude(session);
        }
        let imported = self.import(&mut session, now);
        if imported.is_none()
            && let Some(push) = self.plan_compaction(&mut session)
        {
            return self.push(session, now, push, Vec::new(), Brought::default());
        }
        let unfolded = imported.as_ref().map(|imported| &imported.state);
        let unfolded = unfolded.unwrap_or(self.document.state());
        self.leave_children_beyond_records(&mut session, unfolded);
        // A push that adopts brings nothing else, so that one in doubt says nothing about it.
        let folded = (!self.is_plain_only())
            .then(|| self.fold_children_in(&mut session, now, unfolded))
            .flatten();
        let state = folded.as_ref().unwrap_or(unfolded);
        let plain = self.wanted_patches(state);
        let is_done = match &self.stored {
            Some(stored) => {
                (!stored.needs_repair() || mutant!(DamageLeft))
                    && stored.state() == state
                    && stored
                        .head()
                        .is_none_or(|head| head.plain == self.is_plain())
            }
            None => state.is_blank() && self.row.lineage.is_none(),
        };
        if is_done && plain.is_empty() {
            branch!(NothingToPush);
            self.forget_over();
            return self.conclude(session);
        }
        match self.plan(&mut session, state, &plain, self.is_plain()) {
            Ok(push) => {
                let brought = Brought {
                    imported: imported.map(|imported| imported.edit),
                    children: folded.is_some(),
                };
                self.push(session, now, push, plain, brought);
            }
            Err(_)
                if folded.is_some()
                    && self.leave_children_beyond_room(&mut session, now, unfolded) =>
            {
                branch!(ChildrenDoNotFit);
                self.offer(session, now);
            }
            // Plans fail for one reason: there is no room for the state, or for new plain records beside it.
            Err(_) if self.can_be_plain_only() => self.offer_plain_only(session, now),
            Err(_) => {
                branch!(Full);
                // With what old clients wrote and has no room either: it is not in the document yet.
                session.summary.full = Some(self.size_with(state));
                self.offer_without_records(session, now);
            }
        }
    }

    /// Goes on without the plain records that were wished for and have no room, where there are none yet: the state is
    /// synchronized all the same. Otherwise the session ends.
    fn offer_without_records(&mut self, mut session: Session, now: Timestamp) {
        let state = self.document.state();
        let is_without = match &self.stored {
            Some(stored) => {
                let is_plain = stored.head().is_none_or(|head| head.plain);
                !is_plain && (stored.needs_repair() || stored.state() != state)
            }
            None => !self.has_plain_values(),
        };
        if self.row.plain != Plain::Wanted || !is_without {
            return self.conclude(session);
        }
        match self.plan(&mut session, state, &[], false) {
            Ok(push) => self.push(session, now, push, Vec::new(), Brought::default()),
            Err(_) => self.conclude(session),
        }
    }

    /// Plans the push that writes what is stored anew without its past, if that is wanted and anything would go.
    ///
    /// It brings nothing else: what is not synchronized is written again onto the new life, as on every other device, so that
    /// a push in doubt says nothing about it. Damage is repaired first, and what old clients wrote is imported first, since
    /// the new head says that all records were seen.
    fn plan_compaction(&mut self, session: &mut Session) -> Option<Push> {
        let is_listed = self.listed_beyond.is_none();
        let stored = self
            .stored
            .clone()
            .filter(|stored| is_listed && !stored.needs_repair())?;
        if session.compaction == Compaction::No {
            return None;
        }
        session.compaction = Compaction::No;
        let state = stored.state();
        let before = stored.head().and_then(|head| head.predecessor);
        let old = before.map_or(0, |before| before.counter);
        let compacted = state.compacted(session.actor(), old)?;
        // A merged dataset that stays would be taken for another one, of which the compacted state has not seen everything.
        let is_kept = |child: &State| !state.has_met(child) || compacted.has_met(child);
        if !session.children.all_states(is_kept) {
            return None;
        }
        let is_less = compacted.population() != state.population()
            || compacted.clock().len() < state.clock().len();
        let lineage = session.lineage();
        let life = Life::Begun {
            lineage,
            predecessor: Some(stored.as_predecessor()),
            over: Some(&stored),
        };
        let push = is_less
            .then(|| self.plan_life(session, life, &compacted, &[], self.is_plain()))?
            .ok()?;
        session.compaction = Compaction::Sent(lineage);
        Some(push)
    }

    /// Plans the push of a state and of plain records; `is_plain` is what head is to say of those.
    pub(crate) fn plan(
        &self,
        session: &mut Session,
        state: &State,
        plain: &[(RecordKey, Option<String>)],
        is_plain: bool,
    ) -> Result<Push, PlanError> {
        if self.found_too_many(plain) {
            return Err(PlanError::Records {
                records: self.beside_after(plain).records,
                limit: self.limits.plain_records(),
            });
        }
        let life = match &self.stored {
            Some(stored) => Life::Continued(stored),
            // Slots that were all removed are repaired: the same life, so that devices that know more bring it back.
            None => {
                // A first push in doubt has begun the same life, if it stands.
                let sent = self.row.sent.last().map(|sent| sent.lineage);
                let known = self.row.lineage.or(sent);
                let lineage = known.unwrap_or_else(|| session.lineage());
                Life::Begun {
                    lineage,
                    predecessor: self.row.predecessor,
                    over: None,
                }
            }
        };
        self.plan_life(session, life, state, plain, is_plain)
    }

    fn plan_life(
        &self,
        session: &Session,
        life: Life<'_>,
        state: &State,
        plain: &[(RecordKey, Option<String>)],
        is_plain: bool,
    ) -> Result<Push, PlanError> {
        let reserved = self
            .mirror
            .iter()
            .filter(|(key, _)| is_reserved(key.as_str()));
        let bytes = |value: &Option<String>| value.as_ref().map_or(0, String::len);
        let records = reserved
            .map(|(key, record)| (key.as_str().to_owned(), bytes(&record.value)))
            .collect();
        let beside = self.beside_after(plain);
        let is_new = |(key, _): &&(RecordKey, Option<String>)| !self.mirror.contains_key(key);
        let head = self.stored.as_ref().and_then(Stored::head);
        let is_damaged = match &self.stored {
            Some(stored) => stored.needs_repair(),
            None => self.row.lineage.is_some(),
        };
        let standing = Standing {
            records: &records,
            other_bytes: beside.bytes,
            other_records: beside.records,
            other_added: plain.iter().filter(is_new).count(),
            seen: self.seen_with(session, is_plain),
            plain: is_plain,
            mended: head.is_some_and(|head| head.mended) || is_damaged,
            predecessor: self.row.predecessor,
        };
        driftless_record::plan(life, state, &standing, &self.limits)
    }

    /// Returns up to which count head says that plain records were seen: it stays where it was while there are none of ours.
    fn seen_with(&self, session: &Session, is_plain: bool) -> SyncCount {
        let head = self.stored.as_ref().and_then(Stored::head);
        match head {
            _ if is_plain => session.listed,
            Some(head) if head.plain => session.listed,
            Some(head) => head.seen,
            None => SyncCount::ZERO,
        }
    }

    fn push(
        &mut self,
        mut session: Session,
        now: Timestamp,
        push: Push,
        plain: Vec<(RecordKey, Option<String>)>,
        brought: Brought,
    ) {
        let Some(token) = session.token.take() else {
            return self.fail(SessionError::Answer("a list came without a session token"));
        };
        let compacts = session.compaction == Compaction::Sent(push.stored.lineage());
        let over = match compacts {
            true => Over::default(),
            false => self.row.over.clone(),
        };
        let empty = State::new();
        let before = self.stored.as_ref().map_or(&empty, Stored::state);
        // Whoever compacts pushes no edits.
        let pushed = match compacts {
            true => before,
            false => push.stored.state(),
        };
        let keys = pushed.changed_keys(&pushed.diff(before));
        let counter = pushed.seen_from(self.row.actor);
        // A push without new ids of ours could not be told from its absence, so that it proves nothing seen.
        let made = if counter > self.row.own {
            self.made_since(before)
        } else {
            Vec::new()
        };
        if !made.is_empty() {
            branch!(PushedCreation);
        }
        match push.wrote {
            Wrote::Head => branch!(PushedHead),
            Wrote::Log => branch!(PushedLog),
            Wrote::Fold => branch!(PushedFold),
            Wrote::Run => branch!(PushedRun),
            Wrote::Base => branch!(PushedBase),
        }
        // One more of what may stand already; a refusal strikes out one of the two, and of those before the last one counts.
        if let [.., before, last] = self.row.sent.as_slice()
            && (before.counter, before.lineage) == (last.counter, last.lineage)
        {
            self.row.sent.remove(self.row.sent.len() - 2);
        }
        self.row.sent.push(Sent {
            counter,
            lineage: push.stored.lineage(),
            upon: self.head_count(),
            made,
        });
        if self.is_plain_only() {
            self.remember_plain(now, Some(push.stored.lineage()), &plain);
        }
        if mutant!(SentForgotten) {
            self.row.sent.clear();
        }
        // On disk before it is sent, and every edit in it with it.
        let least = match mutant!(SentNotOnDisk) {
            true => Durability::Buffered,
            false => Durability::Disk,
        };
        self.keep(Commit::new(self.key.clone()), least);
        let Push {
            patches,
            stored,
            wrote,
            ..
        } = push;
        let reserved = patches.into_iter().map(|(key, value)| {
            let key = RecordKey::try_from(key);
            (
                key.expect("the keys of slots are short and not empty"),
                value,
            )
        });
        let patches = reserved
            .chain(plain)
            .map(|(key, value)| self.patch(key, value, now))
            .collect();
        self.ask_update(
            session,
            token,
            InFlight {
                patches,
                stored,
                wrote,
                compacts,
                brought,
                over,
                keys,
            },
        );
    }

    /// Returns the objects that were created here and that nobody has seen yet.
    fn made_since(&self, listed: &State) -> Vec<OpId> {
        let clock = self.document.state().clock().iter();
        let unseen = clock
            .filter(|(actor, counter)| actor.is_derived() && listed.seen_from(**actor) < **counter);
        unseen
            .map(|(actor, counter)| OpId::new(*counter, *actor))
            .collect()
    }

    pub(crate) fn patch(
        &self,
        key: RecordKey,
        value: Option<String>,
        now: Timestamp,
    ) -> RecordPatch {
        let op = if value.is_some() {
            Op::Replace
        } else {
            Op::Remove
        };
        let sync_count = self
            .mirror
            .get(&key)
            .map_or(SyncCount::ZERO, |record| record.sync_count);
        RecordPatch {
            op,
            key,
            value,
            sync_count,
            device_last_modified_date: Some(now),
        }
    }

    pub(crate) fn on_updated(
        &mut self,
        session: Session,
        now: Timestamp,
        in_flight: InFlight,
        answer: Result<UpdateRecordsResponse, Failure>,
    ) {
        match answer {
            Ok(answer) => self.settle(session, now, in_flight, answer),
            Err(Failure::Conflict) if mutant!(ConflictIsSuccess) => {
                self.stored = Some(in_flight.stored);
                self.finish(session);
            }
            Err(failure) => self.on_not_updated(session, failure),
        }
    }

    /// Goes on after a push that is not known to stand.
    pub(crate) fn on_not_updated(&mut self, mut session: Session, failure: Failure) {
        match failure {
            Failure::Conflict => self.on_conflict(session),
            Failure::OutcomeUnknown => {
                branch!(OutcomeUnknown);
                session.unknown += 1;
                if mutant!(LostAnswerIsFailure) {
                    self.strike_out();
                }
                if session.unknown > MAX_UNKNOWN {
                    branch!(UnknownTooOften);
                    return self.fail(SessionError::Request);
                }
                let wait = session.jitter(UNKNOWN_WAIT, session.unknown);
                self.wait(session, wait);
            }
            Failure::NoSuchSyncCount | Failure::Refused => {
                branch!(PushRefused);
                self.strike_out();
                self.fail(SessionError::Request);
            }
        }
    }

    /// Another device has pushed since the list: nothing of ours was applied, so it explains nothing later.
    fn on_conflict(&mut self, mut session: Session) {
        if !mutant!(RefusedStillExplains) {
            self.strike_out();
        }
        branch!(Conflicted);
        session.summary.conflicts += 1;
        if session.summary.conflicts >= MAX_CONFLICTS {
            branch!(Contended);
            return self.fail(SessionError::Contended);
        }
        let wait = session.jitter(CONFLICT_WAIT, session.summary.conflicts);
        self.wait(session, wait);
    }

    fn strike_out(&mut self) {
        // In a plain-only dataset, a push that begins no life is one of records alone.
        let plain = self.row.plain_sent.pop();
        if plain.is_none_or(|sent| sent.lineage.is_some()) {
            self.row.sent.pop();
        }
        self.keep(Commit::new(self.key.clone()), Durability::Buffered);
    }
}
