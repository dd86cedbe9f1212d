//! The asking side: requests under way and how their answers find them. An answer counts if its number names a call under
//! way and its stamped sender is the one that was asked; anything else is dropped and counted.

use crate::peers::{PeerPlace, Peers, answer_slots};
use crate::port::Port;
use crate::{Instant, Runtime};
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use fos_abi::Identity;
use fos_messages::rpc::wire::{Scalar, whole};
use fos_messages::rpc::{
    Address, Answered, CallError, Caller, Envelope, Kind, Operation, Received, SendError, Status, WriteBody,
};

/// Calls that one runtime may have under way.
pub const CALLS_MAX: usize = 4096;
/// How often one call follows a server that sends it elsewhere.
const REDIRECTS_MAX: usize = 4;
/// Bytes that a place's buffer has at first, and the most that it keeps for the next call: enough for a request or an answer
/// of a few scalars, with the address for the answer.
const BUFFER_BYTES: usize = 128;
/// Bits of a request's number that say which place it has; the others tell its uses apart.
const PLACE_BITS: u32 = 12;
const _: () = assert!(CALLS_MAX == 1 << PLACE_BITS);

/// Why a call can't be made.
type NotBegun = CallError<&'static [u8]>;

enum State {
    Free,
    Waiting { asked: Identity, peer: PeerPlace, slots: u32, deadline: Instant, waker: Option<Waker> },
    Over(End),
}

/// How a call ended.
#[derive(Clone, Copy)]
enum End {
    /// With an answer of this status, by a server that speaks this version. Its body is in the place's buffer.
    Answered(Status, u8),
    PeerLost,
    TimedOut,
}

struct Place {
    uses: u32,
    state: State,
    /// Its request until that is sent, then the body of its answer.
    buffer: Vec<u8>,
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
        (operation, epoch): (&Operation, u32),
        deadline: Instant,
        body: WriteBody<'_>,
    ) -> Result<u32, NotBegun> {
        let slots = answer_slots(operation.answer_max);
        let (place, request, mut buffer) = self.take_place()?;
        let promised = self.peers.borrow_mut().promise(port, to, slots);
        let sent = promised.and_then(|peer| {
            let envelope = Envelope { request, epoch, ..to_ask(operation, Kind::Request) };
            match write(&mut buffer, &envelope, body).and_then(|()| port.ask(to, &mut buffer)) {
                Ok(()) => Ok(peer),
                Err(error) => {
                    self.peers.borrow_mut().release(peer, slots);
                    Err(CallError::NotSent(error))
                }
            }
        });
        let found = &mut self.places.borrow_mut()[place as usize];
        found.keep(buffer);
        match sent {
            Ok(peer) => {
                found.state = State::Waiting { asked: to.identity, peer, slots, deadline, waker: None };
                self.first_deadline.set(self.first_deadline.get().min(deadline));
                Ok(request)
            }
            Err(error) => {
                self.free.borrow_mut().push(place);
                Err(error)
            }
        }
    }

    /// A free place, the number of its next request, and its buffer.
    fn take_place(&self) -> Result<(u32, u32, Vec<u8>), NotBegun> {
        let free = self.free.borrow_mut().pop();
        let mut places = self.places.borrow_mut();
        let place = match free {
            Some(place) => place,
            None if places.len() < CALLS_MAX => {
                places.push(Place { uses: 0, state: State::Free, buffer: Vec::new() });
                places.len() as u32 - 1
            }
            None => return Err(CallError::TooManyCalls),
        };
        let found = &mut places[place as usize];
        found.uses = found.uses.wrapping_add(1);
        Ok((place, place | found.uses << PLACE_BITS, core::mem::take(&mut found.buffer)))
    }

    /// A message came to the response mailbox.
    pub fn answered(&self, sender: Identity, message: &[u8]) {
        let received = Envelope::read(message).filter(|received| received.envelope.kind == Kind::Answer);
        let Some(Received { envelope, body, .. }) = received else { return self.stray() };
        let mut places = self.places.borrow_mut();
        let place = envelope.request as usize % CALLS_MAX;
        let Some(found) = places.get_mut(place) else { return self.stray() };
        match &found.state {
            State::Waiting { asked, .. }
                if *asked == sender
                    && found.uses << PLACE_BITS == envelope.request & !(CALLS_MAX as u32 - 1) =>
            {
                found.buffer.clear();
                found.buffer.extend_from_slice(body);
                self.end(found, End::Answered(envelope.status, envelope.version));
            }
            _ => self.stray(),
        }
    }

    fn stray(&self) {
        self.strays.set(self.strays.get() + 1);
    }

    fn end(&self, place: &mut Place, end: End) {
        let State::Waiting { peer, slots, waker, .. } =
            core::mem::replace(&mut place.state, State::Over(end))
        else {
            return;
        };
        self.peers.borrow_mut().release(peer, slots);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// A watched mailbox has ended: so have the calls to it.
    pub fn peer_ended(&self, cookie: u64) {
        let ended = self.peers.borrow_mut().ended(cookie);
        let Some(ended) = ended else { return };
        for place in self.places.borrow_mut().iter_mut() {
            if matches!(&place.state, State::Waiting { peer, .. } if *peer == ended) {
                self.end(place, End::PeerLost);
            }
        }
        self.peers.borrow_mut().forget(ended);
    }

    /// Ends the calls whose deadline has passed.
    pub fn expire(&self, now: Instant) {
        if now < self.first_deadline.get() {
            return;
        }
        let mut first = Instant::NEVER;
        for place in self.places.borrow_mut().iter_mut() {
            match &place.state {
                State::Waiting { deadline, .. } if *deadline <= now => self.end(place, End::TimedOut),
                State::Waiting { deadline, .. } => first = first.min(*deadline),
                _ => {}
            }
        }
        self.first_deadline.set(first);
    }

    /// Looks whether a call is over; if not, wakes when it is.
    fn poll(&self, request: u32, waker: &Waker) -> Poll<()> {
        let place = request as usize % CALLS_MAX;
        match &mut self.places.borrow_mut()[place].state {
            State::Waiting { waker: known, .. } => {
                if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
                    *known = Some(waker.clone());
                }
                Poll::Pending
            }
            State::Free | State::Over(_) => Poll::Ready(()),
        }
    }

    /// Gives what `read` makes of a call that is over, and the place free.
    fn conclude<T>(&self, request: u32, read: impl FnOnce(Answered<'_>) -> T) -> T {
        let place = request as usize % CALLS_MAX;
        self.free.borrow_mut().push(place as u32);
        let place = &mut self.places.borrow_mut()[place];
        let value = match core::mem::replace(&mut place.state, State::Free) {
            State::Over(End::Answered(status, version)) => read(said(status, version, &place.buffer)),
            State::Over(End::PeerLost) => read(Err(CallError::PeerLost)),
            _ => read(Err(CallError::TimedOut)),
        };
        place.trim();
        value
    }

    /// Nobody wants the answer any more.
    fn abandon(&self, request: u32) {
        let place = request as usize % CALLS_MAX;
        let mut places = self.places.borrow_mut();
        self.end(&mut places[place], End::TimedOut);
        places[place].state = State::Free;
        places[place].trim();
        drop(places);
        self.free.borrow_mut().push(place as u32);
    }
}

impl Place {
    /// Takes a buffer for the answer or the next request.
    fn keep(&mut self, buffer: Vec<u8>) {
        self.buffer = buffer;
        self.trim();
    }

    /// Lets go of a buffer that is larger than most calls need.
    fn trim(&mut self) {
        if self.buffer.capacity() > BUFFER_BYTES {
            self.buffer = Vec::new();
        }
    }
}

/// The envelope of a request or a post, without what makes it this one.
fn to_ask(operation: &Operation, kind: Kind) -> Envelope {
    let Operation { interface, version, number: operation, .. } = *operation;
    Envelope { request: 0, interface, operation, epoch: 0, kind, status: Status::Done, version }
}

/// Writes a message over what a buffer holds.
fn write(buffer: &mut Vec<u8>, envelope: &Envelope, body: WriteBody<'_>) -> Result<(), SendError> {
    buffer.clear();
    buffer.reserve(BUFFER_BYTES);
    buffer.extend_from_slice(&envelope.to_bytes());
    Ok(body(buffer)?)
}

/// What an answer says.
fn said(status: Status, version: u8, body: &[u8]) -> Answered<'_> {
    match status {
        Status::Done => Ok(body),
        Status::Refused => Err(CallError::Refused(body)),
        Status::Unknown => Err(CallError::Unknown),
        Status::Malformed => Err(CallError::Malformed),
        Status::OtherVersion => Err(CallError::OtherVersion(version)),
        Status::Redirected => {
            Err(whole(body, Scalar::read).map_or(CallError::BadAnswer, CallError::Redirected))
        }
        Status::Unsendable => Err(CallError::BadAnswer),
        Status::Overloaded => Err(CallError::Overloaded),
        Status::Poisonous => Err(CallError::Poisonous),
        Status::NotNow => Err(CallError::NotNow),
    }
}

/// Waits until a call is over. Dropping it before gives the answer up.
struct Pending<'a> {
    calls: &'a Calls,
    request: Option<u32>,
}

impl Future for Pending<'_> {
    /// The call's number.
    type Output = u32;
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<u32> {
        match self.request {
            Some(request) if self.calls.poll(request, context.waker()).is_ready() => {
                self.request = None;
                Poll::Ready(request)
            }
            _ => Poll::Pending,
        }
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
    epoch: u32,
}

impl Within {
    /// See [`Runtime::within`].
    pub(crate) fn new(runtime: Runtime, time: Duration) -> Within {
        Within { runtime, time, epoch: 0 }
    }

    /// The same under an epoch, for messages between members of a fleet.
    pub(crate) fn under(self, epoch: u32) -> Within {
        Within { epoch, ..self }
    }

    /// Asks there and nowhere else: that a server sends its clients elsewhere is said as [`CallError::Redirected`].
    pub(crate) async fn ask<T>(
        &self,
        to: &Address,
        operation: &Operation,
        body: WriteBody<'_>,
        read: impl Fn(Answered<'_>) -> T,
    ) -> T {
        self.ask_before(self.deadline(), to, operation, body, read).await
    }

    fn deadline(&self) -> Instant {
        self.runtime.port().now().after(self.time)
    }

    async fn ask_before<T>(
        &self,
        deadline: Instant,
        to: &Address,
        operation: &Operation,
        body: WriteBody<'_>,
        read: impl Fn(Answered<'_>) -> T,
    ) -> T {
        let (port, calls) = (self.runtime.port(), self.runtime.calls());
        match calls.begin(port, to, (operation, self.epoch), deadline, body) {
            Ok(request) => calls.conclude(Pending { calls, request: Some(request) }.await, read),
            Err(error) => read(Err(error)),
        }
    }

    /// Tells a member that two others ended in the middle of such a request, which is not asked for again.
    pub(crate) fn report_poison(&self, to: &Address, operation: &Operation) -> Result<(), SendError> {
        let envelope = Envelope { status: Status::Poisonous, ..to_ask(operation, Kind::Post) };
        self.runtime.port().send(to, &envelope.to_bytes())
    }
}

impl Caller for Within {
    async fn call<T>(
        &self,
        to: &Address,
        operation: &Operation,
        body: WriteBody<'_>,
        read: impl Fn(Answered<'_>) -> T,
    ) -> T {
        let (deadline, mut to) = (self.deadline(), *to);
        let unless_redirected = |answered: Answered<'_>| match answered {
            Err(CallError::Redirected(elsewhere)) => Err(elsewhere),
            answered => Ok(read(answered)),
        };
        for _ in 0..REDIRECTS_MAX {
            match self.ask_before(deadline, &to, operation, body, unless_redirected).await {
                Ok(value) => return value,
                Err(elsewhere) => to = elsewhere,
            }
        }
        read(Err(CallError::Redirected(to)))
    }

    fn post(&self, to: &Address, operation: &Operation, body: WriteBody<'_>) -> Result<(), SendError> {
        post(&self.runtime, self.epoch, to, operation, body)
    }
}

/// Tells, without an answer, under a membership of a fleet, or 0.
#[inline(always)]
pub(crate) fn post(
    runtime: &Runtime,
    epoch: u32,
    to: &Address,
    operation: &Operation,
    body: WriteBody<'_>,
) -> Result<(), SendError> {
    let mut message = Vec::new();
    write(&mut message, &Envelope { epoch, ..to_ask(operation, Kind::Post) }, body)?;
    runtime.port().send(to, &message)
}
