//! Drives a session of the engine: disk work on blocking threads, requests through the transport,
//! pauses by the timer.
//!
//! An input and the commits it gives are one *step* under the dataset's lock, on a thread that runs
//! to its end even if the future that waits for it is dropped. So no commit is ever left out, and
//! dropping a synchronization is safe at any await: what is dropped is at most a request, whose
//! outcome the next session finds out by listing. The engine keeps the dropped session until the
//! next one begins; a step of it that comes late is told apart by its number.

use std::sync::Arc;
use std::time::Duration;

use driftless_document::{branch, mutant};
use driftless_merge::{Failure, Input, Output, Owner, SessionError, Summary};
use driftless_transport::{ExchangeError, Exchanged};
use driftless_wire::{
    DeviceId, ErrorCode, IdentityId, Operation, Request, Response, UpdateRecordsRequest,
};
use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::changes::Origin;
use crate::devices::Chore;
use crate::error::SyncError;
use crate::identity::is_other_identity;
use crate::report::{Outcome, Report, Traffic};
use crate::shared::Shared;
use crate::slot::{Inner, Slot};
use crate::subscriptions;
use crate::workers::on_worker;

pub(crate) async fn synchronize(
    shared: &Arc<Shared>,
    slot: &Arc<Slot>,
) -> Result<Report, SyncError> {
    shared.transport()?;
    let session = |number| session(shared, slot, number, Input::Begin);
    shared.until_closed(slot.turns.take(session)).await
}

/// Synchronizes, and writes what is stored anew without its past.
pub(crate) async fn compact(shared: &Arc<Shared>, slot: &Arc<Slot>) -> Result<Report, SyncError> {
    shared.transport()?;
    let session = |number| session(shared, slot, number, Input::Compact);
    shared.until_closed(slot.turns.take_alone(session)).await
}

async fn session(
    shared: &Arc<Shared>,
    slot: &Arc<Slot>,
    number: u64,
    begin: fn([u8; 32]) -> Input,
) -> Result<Report, SyncError> {
    let span = session_span(slot);
    let running = run_as_who_it_is(shared, slot, number, begin).instrument(span.clone());
    let result = running.await;
    tell(&span, &result);
    result
}

fn session_span(slot: &Slot) -> Span {
    tracing::info_span!(
        "synchronize",
        dataset = %slot.name(),
        requests = Empty,
        bytes_up = Empty,
        bytes_down = Empty,
        changed_here = Empty,
        changed_there = Empty,
        conflicts = Empty,
        outcome = Empty,
        error = Empty,
    )
}

fn tell(span: &Span, result: &Result<Report, SyncError>) {
    let outcome = match result {
        Ok(report) => {
            span.record("requests", report.requests);
            span.record("bytes_up", report.bytes_up);
            span.record("bytes_down", report.bytes_down);
            span.record("changed_here", report.changed_here.len());
            span.record("changed_there", report.changed_there.len());
            span.record("conflicts", report.conflicts);
            match report.outcome {
                Outcome::Synced => "synced",
                Outcome::Full(_) => "full",
            }
        }
        Err(error) => {
            span.record("error", tracing::field::display(error));
            "failed"
        }
    };
    span.record("outcome", outcome);
}

/// Runs a session of who the device is now, and another one if that changes while it runs.
async fn run_as_who_it_is(
    shared: &Arc<Shared>,
    slot: &Arc<Slot>,
    number: u64,
    begin: fn([u8; 32]) -> Input,
) -> Result<Report, SyncError> {
    shared.identify().await?;
    match run(shared, slot, number, begin).await {
        Err(error) if is_other_identity(&error) => {}
        result => return result,
    }
    shared.identify().await?;
    run(shared, slot, number, begin).await
}

/// What a step of a session leaves to be done outside.
enum Step {
    Send(Request),
    Wait(Duration),
    Done(Result<Summary, SyncError>),
    /// It is done and went well, and now the service can be told what this device wants to hear of.
    Subscribe(Summary, IdentityId),
    /// The dataset was deleted meanwhile, or a later session has begun.
    Abandoned,
}

async fn run(
    shared: &Arc<Shared>,
    slot: &Arc<Slot>,
    number: u64,
    begin: fn([u8; 32]) -> Input,
) -> Result<Report, SyncError> {
    let mut exchanges = Exchanges::default();
    let mut input = begin(shared.seeds.seed());
    loop {
        input = match next_step(shared, slot, number, input).await? {
            Step::Wait(time) => {
                shared.timer.sleep(time).await;
                Input::Waited
            }
            Step::Send(request) => {
                let (operation, device) = (request.operation(), device_of(&request));
                let answer = shared.transport()?.exchange(request).await;
                let is_not_found = answer.as_ref().is_err_and(ExchangeError::is_not_found);
                if let (Some((identity, device)), true) = (device, is_not_found) {
                    lose(shared, &identity, device).await;
                    exchanges.lost_device()
                } else {
                    exchanges.input(operation, answer)?
                }
            }
            Step::Subscribe(summary, identity) => {
                let mut report = exchanges.conclude(Ok(summary))?;
                report.requests += subscriptions::follow(shared, &identity, slot.name()).await;
                return Ok(report);
            }
            Step::Abandoned => begin(shared.seeds.seed()),
            Step::Done(result) => return exchanges.conclude(result),
        };
    }
}

/// Makes a step where the disk may be waited for.
async fn next_step(
    shared: &Arc<Shared>,
    slot: &Arc<Slot>,
    number: u64,
    input: Input,
) -> Result<Step, SyncError> {
    let (workers, span) = (Arc::clone(&shared.workers), Span::current());
    let (shared, slot) = (Arc::clone(shared), Arc::clone(slot));
    let stepping = move || span.in_scope(|| step(&shared, &slot, number, input));
    on_worker(&*workers, stepping).await
}

/// Gives one input to the engine and does all that must be done on the spot: commits, in their
/// order.
fn step(shared: &Arc<Shared>, slot: &Arc<Slot>, number: u64, input: Input) -> Step {
    let mut inner = match slot.writable() {
        Ok(inner) => inner,
        Err(refusal) => return Step::Done(Err(refusal.into())),
    };
    // Of two sessions that begin, the first one's future was dropped, and its step may come last.
    let begins = matches!(input, Input::Begin(_) | Input::Compact(_)) && number > inner.session;
    if !begins && number != inner.session && !mutant!(StepOfDroppedSession) {
        branch!(StepOfEarlierSession);
        return Step::Abandoned;
    }
    inner.session = number;
    inner.replica.handle(shared.clock.now(), input);
    while let Some(output) = inner.replica.poll() {
        match output {
            Output::Commit(commit, least) => {
                if let Err(error) = inner.keep_at_least(shared, commit, least) {
                    return Step::Done(Err(SyncError::Store(error)));
                }
            }
            Output::Changed(keys) => inner.tell(shared, &keys, Origin::Remote),
            Output::Rewrote(edit) => inner.record_again(shared, slot.name(), &edit),
            Output::List(request) => return Step::Send(Request::ListRecords(request)),
            Output::Update(request) => {
                let device_id = device(shared, &request.identity_id);
                let request = UpdateRecordsRequest {
                    device_id,
                    ..request
                };
                return Step::Send(Request::UpdateRecords(request));
            }
            Output::Delete(request) => return Step::Send(Request::DeleteDataset(request)),
            Output::Wait(time) => return Step::Wait(time),
            Output::Done(result) => {
                let identity = wants_to_subscribe(shared, &inner, &result);
                slot.fold_if_long(shared, inner);
                return match (result, identity) {
                    (Ok(summary), Some(identity)) => Step::Subscribe(summary, identity),
                    (result, _) => Step::Done(result.map_err(SyncError::from)),
                };
            }
            _ => unreachable!("the engine and its driver are of one version"),
        }
    }
    // Only a session that was abandoned has nothing to say to an input.
    Step::Abandoned
}

/// Returns the id of the device that the service does not tell of what this device pushes.
fn device(shared: &Shared, identity: &IdentityId) -> Option<DeviceId> {
    let row = shared.devices.row(&*shared.store, identity);
    // Whatever is wrong with the row, edits are more than pushes to devices.
    row.ok()?.device().cloned()
}

/// Returns whose subscriptions to the dataset there is something to do for, now that it is synchronized.
fn wants_to_subscribe(
    shared: &Shared,
    inner: &Inner,
    result: &Result<Summary, SessionError>,
) -> Option<IdentityId> {
    let (summary, Owner::Identity(identity)) = (result.as_ref().ok()?, inner.replica.key().owner())
    else {
        return None;
    };
    let (name, exists) = (
        inner.replica.key().name(),
        inner.replica.is_known_to_exist(),
    );
    let chores = shared.devices.change(&*shared.store, identity, |row| {
        if summary.began_anew || summary.deleted || !exists {
            row.begin_anew(name);
        }
        row.chores(Some(name))
    });
    let is_possible = |chore: &Chore| exists || matches!(chore, Chore::Unsubscribe(..));
    chores
        .ok()?
        .iter()
        .any(is_possible)
        .then(|| identity.clone())
}

fn device_of(request: &Request) -> Option<(IdentityId, DeviceId)> {
    match request {
        Request::UpdateRecords(request) => {
            Some((request.identity_id.clone(), request.device_id.clone()?))
        }
        _ => None,
    }
}

async fn lose(shared: &Arc<Shared>, identity: &IdentityId, device: DeviceId) {
    // If that is not written down, the next push finds out again.
    drop(subscriptions::lose(shared, identity, device).await);
}

/// The requests of a session: what they cost, and why the last that failed did.
#[derive(Debug, Default)]
struct Exchanges {
    traffic: Traffic,
    failure: Option<Arc<ExchangeError>>,
}

impl Exchanges {
    /// Turns the end of an exchange into the engine's next input.
    fn input(
        &mut self,
        operation: Operation,
        answer: Result<Exchanged, ExchangeError>,
    ) -> Result<Input, SyncError> {
        let exchanged = match answer {
            Ok(exchanged) => exchanged,
            Err(error) => return Ok(self.failed(operation, error)),
        };
        self.traffic.requests += exchanged.requests;
        self.traffic.bytes_up += exchanged.bytes_up;
        self.traffic.bytes_down += exchanged.bytes_down;
        match (operation, exchanged.response) {
            (Operation::ListRecords, Response::ListRecords(page)) => Ok(Input::Listed(Ok(page))),
            (Operation::UpdateRecords, Response::UpdateRecords(done)) => {
                Ok(Input::Updated(Ok(done)))
            }
            (Operation::DeleteDataset, Response::DeleteDataset(_)) => Ok(Input::Deleted(Ok(()))),
            _ => Err(SyncError::WrongAnswer),
        }
    }

    /// Counts a push that was refused for the device that it named: the session lists again, and names none.
    fn lost_device(&mut self) -> Input {
        self.traffic.requests += 1;
        Input::Updated(Err(Failure::OutcomeUnknown))
    }

    fn failed(&mut self, operation: Operation, error: ExchangeError) -> Input {
        self.traffic.requests += 1;
        let failure = failure_of(&error);
        let is_gone = error.is_not_found();
        self.failure = Some(Arc::new(error));
        match operation {
            Operation::ListRecords => Input::Listed(Err(failure)),
            Operation::UpdateRecords => Input::Updated(Err(failure)),
            // What is not there any more is deleted.
            _ if is_gone => Input::Deleted(Ok(())),
            _ => Input::Deleted(Err(failure)),
        }
    }

    /// Turns the end of the session into the answer of the call: the engine knows that a request
    /// failed, and this knows why.
    fn conclude(self, result: Result<Summary, SyncError>) -> Result<Report, SyncError> {
        match (result, self.failure) {
            (Ok(summary), _) => Ok(Report::of(summary, self.traffic)),
            (Err(SyncError::Session(error)), Some(failure))
                if matches!(*error, SessionError::Request) =>
            {
                Err(SyncError::Request(failure))
            }
            (Err(error), _) => Err(error),
        }
    }
}

fn failure_of(error: &ExchangeError) -> Failure {
    match error.api() {
        Some(api) if api.is_no_such_sync_count() => Failure::NoSuchSyncCount,
        Some(api) if api.code == ErrorCode::ResourceConflict => Failure::Conflict,
        _ if error.outcome_unknown() => Failure::OutcomeUnknown,
        _ => Failure::Refused,
    }
}

#[cfg(test)]
mod tests {
    use driftless_store::MemoryStore;

    use super::*;
    use crate::Client;

    /// Two blocking threads may change the order of steps that were begun one after the other.
    #[test]
    fn step_of_an_earlier_session_leaves_the_later_one_alone() {
        let builder = Client::with_store(Arc::new(MemoryStore::new()));
        let builder = builder.pool("us-east-1:0a".parse().unwrap());
        let client = builder
            .identity("us-east-1:0b".parse().unwrap())
            .open()
            .unwrap();
        let notes = client.dataset("notes").unwrap();
        let step = |number, input| step(&notes.shared, &notes.slot, number, input);
        assert!(matches!(step(2, Input::Begin([2; 32])), Step::Send(_)));
        assert!(matches!(step(1, Input::Begin([1; 32])), Step::Abandoned));
        let refused = || Input::Listed(Err(Failure::Refused));
        assert!(matches!(step(1, refused()), Step::Abandoned));
        assert!(matches!(
            step(2, refused()),
            Step::Done(Err(SyncError::Session(_)))
        ));
        assert!(matches!(step(2, refused()), Step::Abandoned));
    }
}
