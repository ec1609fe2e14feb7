//! What becomes of a request: it is lost, late, doubled, refused, half done, or answered.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use driftless::transport::ExchangeError;
use driftless_wire::{ApiError, ErrorCode, RecordKey, Request, Timestamp};

use super::{Checked, World};
use crate::agenda::{Arrival, Carried, Event, Letter};
use crate::check::Check;
use crate::cloud::{DATASET, refusal, size, too_late};
use crate::fault::Fault;

/// How long a client waits for an answer, in ms.
const PATIENCE: i64 = 30_000;

impl World {
    /// A request leaves its device.
    pub(super) fn leave(&mut self, letter: Letter) {
        let Letter {
            from,
            mut request,
            reply,
        } = letter;
        if !self.is_alive(from) {
            return;
        }
        self.tally.count("requests sent");
        // As hyper would.
        let host = request
            .uri()
            .authority()
            .map(|host| host.as_str().to_owned());
        if let Some(host) = host.and_then(|host| host.parse().ok()) {
            request.headers_mut().insert(http::header::HOST, host);
        }
        if !self.devices[from.device].is_online {
            let answer = Event::Return(reply, Err(ExchangeError::Connect("offline".into())));
            return self.agenda.enter(1, answer);
        }
        if request.method() == http::Method::POST && self.setting.marks {
            let dataset = &self.devices[from.device].dataset;
            self.ledger.publish(|key| dataset.contains_key(key));
        }
        let device = from.device;
        let fault = self.fault(device);
        if let Some(fault) = fault {
            self.note(format_args!("{} meets {fault:?}", from.device));
            self.tally.count(format!("fault: {fault:?}"));
        }
        let way = self.way(device);
        let arrival = |reply, fault| Arrival {
            from,
            request: request.clone(),
            reply,
            fault,
        };
        let (agenda, gives_up) = (&self.agenda, Err(timed_out()));
        match fault {
            Some(Fault::NoConnection) => {
                let refused = Err(ExchangeError::Connect("no route".into()));
                agenda.enter(way, Event::Return(reply, refused));
            }
            Some(Fault::RequestLost) => agenda.enter(PATIENCE, Event::Return(reply, gives_up)),
            Some(Fault::RequestLate) => {
                let late = self.draws[device].magnitude(1.0, 20_000_000.0) as i64;
                agenda.enter(PATIENCE, Event::Return(reply, gives_up));
                agenda.enter(PATIENCE + late, Event::Arrive(arrival(None, None)));
            }
            Some(Fault::RequestTwice) => {
                let later = self.draws[device].magnitude(1.0, 100_000.0) as i64;
                agenda.enter(way + later, Event::Arrive(arrival(None, None)));
                agenda.enter(way, Event::Arrive(arrival(Some(reply), None)));
            }
            fault => agenda.enter(way, Event::Arrive(arrival(Some(reply), fault))),
        }
    }

    /// Draws how long a message is on its way, in ms.
    fn way(&mut self, device: usize) -> i64 {
        self.draws[device].between(1, i64::from(self.setting.latency.max(1)))
    }

    /// Draws what goes wrong with a request.
    fn fault(&mut self, device: usize) -> Option<Fault> {
        if self.is_quiet {
            return None;
        }
        let draw = &mut self.draws[device];
        // All are drawn, so that one without rates less does not change what becomes of later requests.
        let drawn = Fault::ALL.map(|fault| {
            let rate = self.setting.faults.get(&fault).copied();
            (fault, draw.chance(rate.unwrap_or_default()))
        });
        let mut struck = drawn.into_iter().filter(|(_, strikes)| *strikes);
        struck.next().map(|(fault, _)| fault)
    }

    /// A request arrives at the service.
    pub(super) fn arrive(&mut self, arrival: Arrival) -> Checked {
        let Some(arrival) = self.hold_request(arrival) else {
            return Ok(());
        };
        let is_held = self.holds_answer(&arrival);
        let device = arrival.from.device;
        let fault = arrival.fault;
        // A merged dataset that goes ends no life of ours.
        let is_ours = || {
            let path = arrival.request.uri().path();
            path.ends_with(&format!("/datasets/{DATASET}"))
        };
        let is_deletion = arrival.request.method() == http::Method::DELETE && is_ours();
        let writes = self.cloud.writes();
        // What others damaged since the list shows in no answer.
        let was_sound = fault == Some(Fault::Lambda) && self.is_sound();
        let method = arrival.request.method().clone();
        let (reply, carried) = self.answer(arrival);
        let status = carried
            .as_ref()
            .map_or(0, |answer| answer.status().as_u16());
        let bytes = carried.as_ref().map_or(0, |answer| answer.body().len());
        self.note(format_args!("{device} {method} {status} {bytes}"));
        if self.cloud.writes() > writes {
            // Whoever gets the answer sees what became of what it sent.
            let is_seen = was_sound && !is_held;
            self.spoilt_by = is_seen.then_some(device);
            if is_deletion {
                self.life_ended();
            }
            self.watch_lives();
            self.check_stored(device)?;
        }
        if let Some(reply) = reply {
            if is_held {
                self.hold_answer(device, reply, carried);
                return Ok(());
            }
            let way = if matches!(carried, Err(ExchangeError::TimedOut { .. })) {
                PATIENCE
            } else {
                self.way(device)
            };
            self.agenda.enter(way, Event::Return(reply, carried));
        }
        Ok(())
    }

    fn answer(
        &mut self,
        arrival: Arrival,
    ) -> (Option<tokio::sync::oneshot::Sender<Carried>>, Carried) {
        let Arrival {
            from,
            request,
            reply,
            fault,
        } = arrival;
        let device = from.device;
        let now = self.agenda.time();
        let refused = |code: ErrorCode| Ok(refusal(&ApiError::new(code, "on purpose"), now));
        let is_update = request.method() == http::Method::POST;
        let is_list = request.method() == http::Method::GET;
        let carried = match fault {
            None => Ok(self.serve(request, now)),
            Some(Fault::AnswerLost) => {
                drop(self.serve(request, now));
                self.lost_answer(device)
            }
            Some(Fault::AnswerForeign) => {
                if self.draws[device].chance(0.5) {
                    drop(self.serve(request, now));
                }
                let page = Bytes::from_static(b"<html>please log in</html>");
                Ok(http::Response::new(page))
            }
            Some(Fault::Throttled) => refused(ErrorCode::TooManyRequests),
            Some(Fault::FailedBefore) => refused(ErrorCode::InternalError),
            Some(Fault::FailedAfter) => {
                drop(self.serve(request, now));
                refused(ErrorCode::InternalError)
            }
            Some(Fault::ConflictForNothing) if is_update => refused(ErrorCode::ResourceConflict),
            Some(Fault::CredentialsExpired) => refused(ErrorCode::ExpiredToken),
            Some(Fault::TokenExpired) => {
                Ok(self.cloud.answer_changed(&request, too_late(now), |_| {}))
            }
            Some(Fault::NoSuchCount) if is_list => {
                let error = ApiError::new(
                    ErrorCode::InvalidParameter,
                    "No such SyncCount: 7 exists for this Dataset",
                );
                Ok(refusal(&error, now))
            }
            Some(Fault::Torn) if is_update => {
                let answer = self.tear(device, &request, now);
                match self.draws[device].below(3) {
                    0 => Ok(answer),
                    1 => refused(ErrorCode::InternalError),
                    _ => self.lost_answer(device),
                }
            }
            Some(Fault::Lambda) if is_update => Ok(self.let_a_lambda_write(device, &request, now)),
            Some(_) => Ok(self.serve(request, now)),
        };
        (reply, carried)
    }

    fn serve(&self, request: http::Request<Bytes>, now: Timestamp) -> http::Response<Bytes> {
        match self.setting.page {
            Some(page) if request.method() == http::Method::GET => {
                // In every second world that has short pages.
                let by_key = (self.setting.seed % 2 == 1)
                    .then(|| self.cloud.page_by_key(&request, now, page as usize));
                if let Some(answer) = by_key.flatten() {
                    return answer;
                }
                self.cloud.answer_changed(&request, now, |request| {
                    if let Request::ListRecords(list) = request {
                        list.max_results = Some(page);
                    }
                })
            }
            _ => self.cloud.answer(request, now),
        }
    }

    fn lost_answer(&mut self, device: usize) -> Carried {
        if self.draws[device].chance(0.5) {
            return Err(timed_out());
        }
        Err(ExchangeError::Interrupted("reset".into()))
    }

    /// Applies some of the patches, and none for which there is no room without those that do not come: a service refuses it.
    fn tear(
        &mut self,
        device: usize,
        request: &http::Request<Bytes>,
        now: Timestamp,
    ) -> http::Response<Bytes> {
        let limit = self.limits().dataset_bytes();
        let standing: BTreeMap<RecordKey, usize> = self.cloud.sizes(now).collect();
        let mut bytes: usize = standing.values().sum();
        let draw = &mut self.draws[device];
        self.cloud.answer_changed(request, now, |request| {
            let Request::UpdateRecords(update) = request else {
                return;
            };
            update.record_patches.retain(|patch| {
                let size = size(&patch.key, patch.value.as_deref());
                let with_it = bytes - standing.get(&patch.key).unwrap_or(&0) + size;
                let comes = draw.chance(0.5) && (with_it <= limit || with_it <= bytes);
                if comes {
                    bytes = with_it;
                }
                comes
            });
        })
    }

    /// A Lambda changes one of the values that are written.
    fn let_a_lambda_write(
        &mut self,
        device: usize,
        request: &http::Request<Bytes>,
        now: Timestamp,
    ) -> http::Response<Bytes> {
        let draw = &mut self.draws[device];
        self.cloud.answer_changed(request, now, |request| {
            if let Request::UpdateRecords(update) = request {
                let at = draw.below(update.record_patches.len().max(1));
                let patch = update.record_patches.get_mut(at);
                if let Some(value) = patch.and_then(|patch| patch.value.as_mut()) {
                    *value = "spoilt".to_owned();
                }
            }
        })
    }

    /// Takes note of a device that a compaction leaves two lives behind: it cannot tell whether a push of its own stands in
    /// there whose answer it never got.
    fn watch_lives(&mut self) {
        let Some(before) = self.stored_life.clone() else {
            return;
        };
        let now = self.life_stored();
        if now == before {
            return;
        }
        let lives = self.devices.iter().map(|device| device.disk.life());
        let mut known = lives.filter(|life| life.is_some());
        if known.any(|life| life != before && life != now) {
            self.tally.count("devices left two lives behind");
            self.ledger.may_double();
        }
        self.stored_life = Some(now);
    }

    /// Tells whether what is stored is readable and whole, or nothing.
    fn is_sound(&self) -> bool {
        let stored = self.cloud.stored(&self.limits(), self.agenda.time());
        stored.is_ok_and(|stored| stored.is_none_or(|stored| !stored.needs_repair()))
    }

    /// Returns the name of the life that stands at the service.
    pub(super) fn life_stored(&self) -> Option<String> {
        let stored = self.cloud.stored(&self.limits(), self.agenda.time());
        Some(stored.ok()??.lineage().to_string())
    }

    /// Checks what must be true after every write at the service.
    fn check_stored(&mut self, device: usize) -> Checked {
        let Some(live) = self.cloud.live() else {
            return Ok(());
        };
        self.tally
            .at_least("largest dataset at the service, bytes", live.bytes);
        self.tally
            .at_least("largest dataset at the service, records", live.records);
        let limits = self.limits();
        // A first state and an edit among plain records alone have no record in common, so that both may come to stand; a
        // service refuses what exceeds its own limit.
        let mut devices = self.devices.iter();
        let is_raced = devices.any(|device| device.dataset.is_plain_only());
        let is_over = live.bytes > limits.dataset_bytes() as u64 && !is_raced;
        if is_over || live.records > limits.records() as u64 {
            let what = format!("{live:?} stands at the service");
            return Err(self.violation(Check::LimitsHold, what));
        }
        if self.is_whole && self.draws[device].chance(0.05) {
            self.stored_state()?;
            self.tally.count("heads read");
        }
        Ok(())
    }
}

pub(super) fn timed_out() -> ExchangeError {
    ExchangeError::TimedOut {
        after: Duration::from_millis(PATIENCE.unsigned_abs()),
    }
}
