//! The asking side: requests under way and how their answers find them. An answer counts if its number names a call under
//! way and its stamped sender is the one that was asked; anything else is dropped and counted.

use crate::peers::{Peers, answer_slots};
use crate::port::{Class, Port};
use crate::{Instant, Runtime};
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use fos_abi::Identity;
use fos_messages::rpc::wire::{Scalar, whole};
use fos_messages::rpc::{
    Address, Answer, CallError, Caller, Envelope, Kind, Operation, SendError, Status, WriteBody,
};

/// Calls that one runtime may have under way.
pub const CALLS_MAX: usize = 4096;
/// How often one call follows a server that sends it elsewhere.
const REDIRECTS_MAX: usize = 4;
/// Bytes that a message has room for before its buffer grows.
const MESSAGE_BYTES_AT_FIRST: usize = 128;
/// Bits of a request's number that say which place it has; the others tell its uses apart.
const PLACE_BITS: u32 = 12;
const _: () = assert!(CALLS_MAX == 1 << PLACE_BITS);

type Outcome = Result<Answer, CallError<Answer>>;

enum State {
    Free,
    Waiting { asked: Identity, mailbox: u64, slots: u32, deadline: Instant, waker: Option<Waker> },
    Over(Outcome),
}

struct Place {
    uses: u32,
    state: State,
}

/// The calls of a runtime.
pub struct Calls {
    places: RefCell<Vec<Place>>,
    free: RefCell<Vec<u32>>,
    peers: RefCell<Peers>,
    /// No deadline is before this.
    first_deadline: Cell<Instant>,
    /// Messages to the response mailbox that answered nothing.
    strays: Cell<u64>,
}

impl Default for Calls {
    fn default() -> Calls {
        Calls {
            places: RefCell::default(),
            free: RefCell::default(),
            peers: RefCell::default(),
            first_deadline: Cell::new(Instant::NEVER),
            strays: Cell::new(0),
        }
    }
}

impl Calls {
    /// When the next deadline may pass.
    pub fn next_deadline(&self) -> Option<Instant> {
        (self.first_deadline.get() != Instant::NEVER).then(|| self.first_deadline.get())
    }

    /// Answers that nobody waited for, forged ones included.
    pub fn strays(&self) -> u64 {
        self.strays.get()
    }

    /// Sends a request: its number.
    fn begin(
        &self,
        port: &dyn Port,
        to: &Address,
        operation: &Operation,
        deadline: Instant,
        body: WriteBody<'_>,
    ) -> Result<u32, CallError<Answer>> {
        let slots = answer_slots(operation.answer_max);
        let (place, request) = self.take_place()?;
        let promised = self.peers.borrow_mut().promise(port, to, slots);
        let sent = promised.and_then(|()| {
            let reply = (!port.has_way_back(to)).then(|| port.address(Class::Response));
            let envelope = Envelope { request, reply, ..to_ask(operation, Kind::Request) };
            message(&envelope, body).and_then(|message| port.send(to, &message)).map_err(|error| {
                self.peers.borrow_mut().release(to.key.mailbox.0, slots);
                CallError::NotSent(error)
            })
        });
        if let Err(error) = sent {
            self.give_back(place);
            return Err(error);
        }
        let (asked, mailbox) = (to.identity, to.key.mailbox.0);
        self.places.borrow_mut()[place as usize].state =
            State::Waiting { asked, mailbox, slots, deadline, waker: None };
        self.first_deadline.set(self.first_deadline.get().min(deadline));
        Ok(request)
    }

    fn take_place(&self) -> Result<(u32, u32), CallError<Answer>> {
        let free = self.free.borrow_mut().pop();
        let mut places = self.places.borrow_mut();
        let place = match free {
            Some(place) => place,
            None if places.len() < CALLS_MAX => {
                places.push(Place { uses: 0, state: State::Free });
                places.len() as u32 - 1
            }
            None => return Err(CallError::TooManyCalls),
        };
        let uses = &mut places[place as usize].uses;
        *uses = uses.wrapping_add(1);
        Ok((place, place | *uses << PLACE_BITS))
    }

    fn give_back(&self, place: u32) {
        self.places.borrow_mut()[place as usize].state = State::Free;
        self.free.borrow_mut().push(place);
    }

    /// A message came to the response mailbox.
    pub fn answered(&self, sender: Identity, message: &[u8]) {
        let outcome = Envelope::read(message).filter(|(envelope, _)| envelope.kind == Kind::Answer);
        let Some((envelope, body)) = outcome else { return self.stray() };
        let mut places = self.places.borrow_mut();
        let place = envelope.request as usize % CALLS_MAX;
        let Some(found) = places.get_mut(place) else { return self.stray() };
        match &found.state {
            State::Waiting { asked, .. }
                if *asked == sender
                    && found.uses << PLACE_BITS == envelope.request & !(CALLS_MAX as u32 - 1) =>
            {
                let outcome = outcome_of(&envelope, body);
                self.end(found, outcome);
            }
            _ => self.stray(),
        }
    }

    fn stray(&self) {
        self.strays.set(self.strays.get() + 1);
    }

    fn end(&self, place: &mut Place, outcome: Outcome) {
        let State::Waiting { mailbox, slots, waker, .. } =
            core::mem::replace(&mut place.state, State::Over(outcome))
        else {
            return;
        };
        self.peers.borrow_mut().release(mailbox, slots);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// A watched mailbox has ended: so have the calls to it.
    pub fn peer_ended(&self, cookie: u64) {
        let ended = self.peers.borrow_mut().ended(cookie);
        let Some(ended) = ended else { return };
        for place in self.places.borrow_mut().iter_mut() {
            if matches!(&place.state, State::Waiting { mailbox, .. } if *mailbox == ended) {
                self.end(place, Err(CallError::PeerLost));
            }
        }
    }

    /// Ends the calls whose deadline has passed.
    pub fn expire(&self, now: Instant) {
        if now < self.first_deadline.get() {
            return;
        }
        let mut first = Instant::NEVER;
        for place in self.places.borrow_mut().iter_mut() {
            match &place.state {
                State::Waiting { deadline, .. } if *deadline <= now => {
                    self.end(place, Err(CallError::TimedOut))
                }
                State::Waiting { deadline, .. } => first = first.min(*deadline),
                _ => {}
            }
        }
        self.first_deadline.set(first);
    }

    /// Looks whether a call is over; if not, wakes when it is.
    fn poll(&self, request: u32, waker: &Waker) -> Poll<Outcome> {
        let place = request as usize % CALLS_MAX;
        let mut places = self.places.borrow_mut();
        match &mut places[place].state {
            State::Waiting { waker: known, .. } => {
                if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
                    *known = Some(waker.clone());
                }
                return Poll::Pending;
            }
            State::Free => return Poll::Ready(Err(CallError::TimedOut)),
            State::Over(_) => {}
        }
        let over = core::mem::replace(&mut places[place].state, State::Free);
        drop(places);
        self.free.borrow_mut().push(place as u32);
        match over {
            State::Over(outcome) => Poll::Ready(outcome),
            _ => Poll::Ready(Err(CallError::TimedOut)),
        }
    }

    /// Nobody wants the answer any more.
    fn abandon(&self, request: u32) {
        let place = request as usize % CALLS_MAX;
        let mut places = self.places.borrow_mut();
        self.end(&mut places[place], Err(CallError::TimedOut));
        places[place].state = State::Free;
        drop(places);
        self.free.borrow_mut().push(place as u32);
    }
}

/// The envelope of a request or a post, without what makes it this one.
fn to_ask(operation: &Operation, kind: Kind) -> Envelope {
    let Operation { interface, version, number: operation, .. } = *operation;
    Envelope { request: 0, interface, operation, epoch: 0, kind, status: Status::Done, version, reply: None }
}

/// A whole message.
fn message(envelope: &Envelope, body: WriteBody<'_>) -> Result<Vec<u8>, SendError> {
    let mut message = Vec::with_capacity(MESSAGE_BYTES_AT_FIRST);
    envelope.write(&mut message);
    body(&mut message)?;
    Ok(message)
}

/// What an answer says.
fn outcome_of(envelope: &Envelope, body: &[u8]) -> Outcome {
    match envelope.status {
        Status::Done => Ok(body.to_vec()),
        Status::Refused => Err(CallError::Refused(body.to_vec())),
        Status::Unknown => Err(CallError::Unknown),
        Status::Malformed => Err(CallError::Malformed),
        Status::OtherVersion => Err(CallError::OtherVersion(envelope.version)),
        Status::Redirected => {
            Err(whole(body, Scalar::read).map_or(CallError::BadAnswer, CallError::Redirected))
        }
        Status::Unsendable => Err(CallError::BadAnswer),
        Status::Overloaded => Err(CallError::Overloaded),
        Status::Poisonous => Err(CallError::Poisonous),
        Status::NotNow => Err(CallError::NotNow),
    }
}

/// A call under way. Dropping it gives the answer up.
struct Pending<'a> {
    calls: &'a Calls,
    request: Option<u32>,
}

impl Future for Pending<'_> {
    type Output = Outcome;
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let Some(request) = self.request else { return Poll::Ready(Err(CallError::TimedOut)) };
        let polled = self.calls.poll(request, context.waker());
        if polled.is_ready() {
            self.request = None;
        }
        polled
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if let Some(request) = self.request {
            self.calls.abandon(request);
        }
    }
}

/// Calls through a runtime, each within a time.
#[derive(Clone)]
pub struct Within {
    runtime: Runtime,
    time: Duration,
}

impl Within {
    /// See [`Runtime::within`].
    pub(crate) fn new(runtime: Runtime, time: Duration) -> Within {
        Within { runtime, time }
    }

    /// Tells a member that two others ended in the middle of such a request, which is not asked for again.
    pub(crate) fn report_poison(&self, to: &Address, operation: &Operation) -> Result<(), SendError> {
        let envelope = Envelope { status: Status::Poisonous, ..to_ask(operation, Kind::Post) };
        self.runtime.port().send(to, &message(&envelope, &|_| Ok(()))?)
    }
}

impl Caller for Within {
    async fn call(&self, to: &Address, operation: &Operation, body: WriteBody<'_>) -> Outcome {
        let (port, calls) = (self.runtime.port(), self.runtime.calls());
        let deadline = port.now().after(self.time);
        let mut to = *to;
        for _ in 0..REDIRECTS_MAX {
            let request = calls.begin(port, &to, operation, deadline, body)?;
            match (Pending { calls, request: Some(request) }).await {
                Err(CallError::Redirected(elsewhere)) => to = elsewhere,
                outcome => return outcome,
            }
        }
        Err(CallError::Redirected(to))
    }

    fn post(&self, to: &Address, operation: &Operation, body: WriteBody<'_>) -> Result<(), SendError> {
        let message = message(&to_ask(operation, Kind::Post), body)?;
        self.runtime.port().send(to, &message)
    }
}
