//! Drives a session of the engine: disk work on blocking threads, requests through the transport, pauses by the timer.
//!
//! An input and the commits it gives are one step under the dataset's lock, on a thread that runs to its end even if the
//! future that waits for it is dropped. So no commit is ever left out, and dropping a synchronization is safe at any await:
//! what is dropped is at most a request, whose outcome the next session finds out by listing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use driftless_merge::{Failure, Input, Output, SessionError, Summary};
use driftless_transport::{ExchangeError, Exchanged};
use driftless_wire::{ErrorCode, Request, Response};
use tokio::sync::Mutex;
use tracing::Instrument;

use crate::changes::Origin;
use crate::client::Shared;
use crate::error::{PutError, SyncError};
use crate::report::{Report, Traffic};
use crate::slot::Slot;

/// Whose turn it is: one session at a time, and calls that wait share the next one.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    running: Mutex<()>,
    begun: AtomicU64,
    last: StdMutex<Option<(u64, Result<Report, SyncError>)>>,
}

impl Turns {
    /// Returns how the last session ended, if it began after this many others had.
    fn ended_after(&self, begun: u64) -> Option<Result<Report, SyncError>> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref()
            .filter(|(number, _)| *number > begun)
            .map(|(_, result)| result.clone())
    }
}

pub(crate) async fn synchronize(
    shared: &Arc<Shared>,
    slot: &Arc<Slot>,
) -> Result<Report, SyncError> {
    if tokio::runtime::Handle::try_current().is_err() {
        return Err(SyncError::NoRuntime);
    }
    shared.transport()?;
    let begun = slot.turns.begun.load(Ordering::SeqCst);
    let running = slot.turns.running.lock().await;
    if let Some(result) = slot.turns.ended_after(begun) {
        return result;
    }
    let number = slot.turns.begun.fetch_add(1, Ordering::SeqCst) + 1;
    let span = tracing::info_span!(
        "synchronize",
        dataset = %slot.name(),
        requests = tracing::field::Empty,
        bytes_up = tracing::field::Empty,
        bytes_down = tracing::field::Empty,
        changed_here = tracing::field::Empty,
        changed_there = tracing::field::Empty,
        conflicts = tracing::field::Empty,
        outcome = tracing::field::Empty,
    );
    let result = run(shared, slot, number).instrument(span.clone()).await;
    tell(&span, &result);
    *slot
        .turns
        .last
        .lock()
        .unwrap_or_else(PoisonError::into_inner) = Some((number, result.clone()));
    drop(running);
    result
}

fn tell(span: &tracing::Span, result: &Result<Report, SyncError>) {
    match result {
        Ok(report) => {
            span.record("requests", report.requests);
            span.record("bytes_up", report.bytes_up);
            span.record("bytes_down", report.bytes_down);
            span.record("changed_here", report.changed_here.len());
            span.record("changed_there", report.changed_there.len());
            span.record("conflicts", report.conflicts);
            let outcome = match report.outcome {
                crate::Outcome::Synced => "synced",
                crate::Outcome::Full(_) => "full",
            };
            span.record("outcome", outcome);
        }
        Err(_) => {
            span.record("outcome", "failed");
        }
    }
}

/// What a step of a session leaves to be done outside.
enum Step {
    Send(Request),
    Wait(Duration),
    Done(Result<Summary, SyncError>),
}

/// Ends the session in the engine when the future that drives it is dropped or done.
struct Abandon<'a> {
    slot: &'a Slot,
    number: u64,
}

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        let mut inner = self.slot.lock();
        if inner.session == self.number {
            inner.replica.abandon();
        }
    }
}

async fn run(shared: &Arc<Shared>, slot: &Arc<Slot>, number: u64) -> Result<Report, SyncError> {
    let guard = Abandon { slot, number };
    let mut traffic = Traffic::default();
    let mut failure: Option<Arc<ExchangeError>> = None;
    let mut input = Input::Begin(shared.seeds.seed());
    loop {
        let (step_shared, step_slot) = (Arc::clone(shared), Arc::clone(slot));
        let stepping =
            tokio::task::spawn_blocking(move || step(&step_shared, &step_slot, number, input));
        input = match stepping.await.map_err(|_| SyncError::Panicked)? {
            Step::Wait(time) => {
                shared.timer.sleep(time).await;
                Input::Waited
            }
            Step::Send(request) => {
                let answer = shared.transport()?.exchange(request.clone()).await;
                answered(&request, answer, &mut traffic, &mut failure)?
            }
            Step::Done(result) => {
                drop(guard);
                return match (result, failure) {
                    (Err(SyncError::Session(error)), Some(failure))
                        if matches!(*error, SessionError::Request) =>
                    {
                        Err(SyncError::Request(failure))
                    }
                    (result, _) => result.map(|summary| Report::of(summary, traffic)),
                };
            }
        };
    }
}

/// Gives one input to the engine and does all that must be done on the spot: commits, in their order.
fn step(shared: &Shared, slot: &Slot, number: u64, input: Input) -> Step {
    let mut inner = slot.lock();
    if inner.broken {
        return Step::Done(Err(SyncError::Broken));
    }
    if shared.check_open().is_err() {
        return Step::Done(Err(SyncError::Closed));
    }
    if matches!(input, Input::Begin(_)) {
        inner.session = number;
    } else if inner.session != number {
        // A later session has begun: this one's future was dropped, and nobody waits for its answer.
        return Step::Done(Err(SyncError::Closed));
    }
    inner.replica.handle(shared.clock.now(), input);
    while let Some(output) = inner.replica.poll() {
        match output {
            Output::Commit(commit) => {
                if let Err(error) = inner.keep(shared, commit) {
                    return Step::Done(Err(SyncError::Store(error)));
                }
            }
            Output::Changed(keys) => inner.tell(&keys, Origin::Remote),
            Output::Rewrote(edit) => inner.record(shared, slot.name(), &edit),
            Output::List(request) => return Step::Send(Request::ListRecords(request)),
            Output::Update(request) => return Step::Send(Request::UpdateRecords(request)),
            Output::Delete(request) => return Step::Send(Request::DeleteDataset(request)),
            Output::Wait(time) => return Step::Wait(time),
            Output::Done(result) => return Step::Done(result.map_err(SyncError::from)),
            other => unreachable!("an output that the driver does not know: {other:?}"),
        }
    }
    unreachable!("a session asks for something or is done")
}

/// Turns an exchange into the engine's next input, and remembers what failed.
fn answered(
    request: &Request,
    answer: Result<Exchanged, ExchangeError>,
    traffic: &mut Traffic,
    failure: &mut Option<Arc<ExchangeError>>,
) -> Result<Input, SyncError> {
    let answer = match answer {
        Ok(exchanged) => {
            traffic.requests += exchanged.requests;
            traffic.bytes_up += exchanged.bytes_up;
            traffic.bytes_down += exchanged.bytes_down;
            Ok(exchanged.response)
        }
        Err(error) => {
            traffic.requests += 1;
            let kind = failure_of(&error);
            *failure = Some(Arc::new(error));
            Err(kind)
        }
    };
    match (request, answer) {
        (Request::ListRecords(_), Ok(Response::ListRecords(page))) => Ok(Input::Listed(Ok(page))),
        (Request::ListRecords(_), Err(kind)) => Ok(Input::Listed(Err(kind))),
        (Request::UpdateRecords(_), Ok(Response::UpdateRecords(done))) => {
            Ok(Input::Updated(Ok(done)))
        }
        (Request::UpdateRecords(_), Err(kind)) => Ok(Input::Updated(Err(kind))),
        (Request::DeleteDataset(_), Ok(Response::DeleteDataset(_))) => Ok(Input::Deleted(Ok(()))),
        (Request::DeleteDataset(_), Err(_)) if is_not_found(failure.as_deref()) => {
            Ok(Input::Deleted(Ok(())))
        }
        (Request::DeleteDataset(_), Err(kind)) => Ok(Input::Deleted(Err(kind))),
        _ => Err(SyncError::WrongAnswer),
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

fn is_not_found(error: Option<&ExchangeError>) -> bool {
    error
        .and_then(ExchangeError::api)
        .is_some_and(|api| api.code == ErrorCode::ResourceNotFound)
}

impl Slot {
    pub(crate) fn delete(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        actor: driftless_document::Actor,
    ) -> Result<(), PutError> {
        shared.check_open().map_err(|()| PutError::Closed)?;
        let mut inner = self.lock();
        if inner.broken {
            return Err(PutError::Broken);
        }
        let keys = inner
            .replica
            .document()
            .state()
            .keys()
            .map(str::to_owned)
            .collect();
        let commit = inner.replica.delete(actor);
        inner.keep(shared, commit).map_err(PutError::Store)?;
        inner.tell(&keys, Origin::Local);
        Ok(())
    }
}
