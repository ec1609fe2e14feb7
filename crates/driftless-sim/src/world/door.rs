//! The door of the service, where a test stops a request or an answer and lets it go when it likes.

use driftless_wire::{Operation, Request};
use tokio::sync::oneshot;

use super::network::timed_out;
use super::{Checked, World};
use crate::agenda::{Arrival, Carried, Event};
use crate::check::Check;

/// Where a request is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stop {
    /// Before the service has seen it.
    Request,
    /// When the service has answered it.
    Answer,
}

/// What waits at the door, and what is to be stopped there.
#[derive(Debug, Default)]
pub(super) struct Door {
    stops: Vec<(usize, Operation, Stop)>,
    held: Vec<(usize, Held)>,
}

enum Held {
    Request(Arrival),
    Answer(oneshot::Sender<Carried>, Carried),
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Request(_) => "Request",
            Self::Answer(..) => "Answer",
        })
    }
}

impl Door {
    /// Takes the stop that is for a request, if there is one.
    fn stops(&mut self, device: usize, request: &http::Request<bytes::Bytes>, at: Stop) -> bool {
        let (uri, method) = (request.uri(), request.method().as_str());
        let query = uri.query().unwrap_or_default();
        let Ok(read) = Request::from_http(method, uri.path(), query, request.body()) else {
            return false;
        };
        let stop = (device, read.operation(), at);
        let found = self.stops.iter().position(|other| *other == stop);
        found.map(|found| self.stops.remove(found)).is_some()
    }
}

impl World {
    /// Stops the next request of this kind that a device sends, or the answer to it.
    ///
    /// Whoever waits for it goes on waiting until [`let_go`](Self::let_go) or
    /// [`give_up`](Self::give_up), however much time passes. What is still stopped when
    /// [`settle`](Self::settle) begins is let go.
    pub fn stop(&mut self, device: usize, operation: Operation, at: Stop) {
        self.door.stops.push((device, operation, at));
    }

    /// Makes things happen until something of a device is stopped.
    ///
    /// # Errors
    ///
    /// A [`Violation`](crate::Violation) if something is not as it must be, or if nothing happens
    /// any more.
    pub fn wait_for_stop(&mut self, device: usize) -> Checked {
        self.poll()?;
        while !self.door.held.iter().any(|(other, _)| *other == device) {
            let Some(event) = self.agenda.next(i64::MAX) else {
                let what = format!("device {device} sends nothing that is to be stopped");
                return Err(self.violation(Check::CallsEndOnce, what));
            };
            self.happen(event)?;
        }
        Ok(())
    }

    /// Lets everything go on that was stopped of a device.
    pub fn let_go(&mut self, device: usize) {
        let held = std::mem::take(&mut self.door.held).into_iter();
        let (ours, others) = held.partition(|(other, _)| *other == device);
        self.door.held = others;
        for (_, held) in ours {
            let event = match held {
                Held::Request(arrival) => Event::Arrive(arrival),
                Held::Answer(reply, carried) => Event::Return(reply, carried),
            };
            self.agenda.enter(1, event);
        }
    }

    /// Tells a device that what was stopped took too long. An answer is lost by that; a request goes
    /// on standing at the door, and [`let_go`](Self::let_go) lets it arrive late.
    pub fn give_up(&mut self, device: usize) {
        let held = std::mem::take(&mut self.door.held);
        for (other, held) in held {
            if other != device {
                self.door.held.push((other, held));
                continue;
            }
            let reply = match held {
                Held::Request(mut arrival) => {
                    let reply = arrival.reply.take();
                    self.door.held.push((device, Held::Request(arrival)));
                    reply
                }
                Held::Answer(reply, _) => Some(reply),
            };
            if let Some(reply) = reply {
                self.agenda.enter(1, Event::Return(reply, Err(timed_out())));
            }
        }
    }

    /// Opens the door for good.
    pub(super) fn open_the_door(&mut self) {
        self.door.stops.clear();
        (0..self.devices.len()).for_each(|device| self.let_go(device));
    }

    /// Holds a request that is to be stopped; gives back any other one.
    pub(super) fn hold_request(&mut self, arrival: Arrival) -> Option<Arrival> {
        let device = arrival.from.device;
        if !self.door.stops(device, &arrival.request, Stop::Request) {
            return Some(arrival);
        }
        self.note(format_args!("{device} is stopped at the door"));
        self.door.held.push((device, Held::Request(arrival)));
        None
    }

    /// Tells whether the answer to a request is to be stopped.
    pub(super) fn holds_answer(&mut self, arrival: &Arrival) -> bool {
        let device = arrival.from.device;
        self.door.stops(device, &arrival.request, Stop::Answer)
    }

    pub(super) fn hold_answer(
        &mut self,
        device: usize,
        reply: oneshot::Sender<Carried>,
        carried: Carried,
    ) {
        self.note(format_args!("{device} waits for an answer that is stopped"));
        self.door.held.push((device, Held::Answer(reply, carried)));
    }
}
