//! The asking side: requests under way and how their answers find them. An answer counts if its number names a call under
//! way and its stamped sender is the one that was asked; anything else is dropped and counted.

use crate::peers::{PeerPlace, Peers, answer_slots};
use crate::port::Port;
use crate::runtime::Inner;
use crate::tasks::{Tasks, Waiter};
use crate::{Instant, Runtime};
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use fos_abi::Identity;
use fos_messages::rpc::{
    Address, Answered, CallError, Caller, Envelope, Kind, Operation, Received, SendError, Status, WriteBody,
};

/// Calls that one runtime may have under way.
pub const CALLS_MAX: usize = 4096;
/// How often one call follows a server that sends it elsewhere.
const REDIRECTS_MAX: usize = 3;
/// Bytes that a request's buffer has at first, and the most that it and an answer's keep for the next call: enough for a few
/// scalars, with the address for the answer.
const BUFFER_BYTES: usize = 128;
/// Bits of a request's number that say which place it has; the others tell its uses apart.
const PLACE_BITS: u32 = 12;
const _: () = assert!(CALLS_MAX == 1 << PLACE_BITS);

/// Why a call can't be made.
type NotBegun = CallError<&'static [u8]>;

/// What has become of a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// There is none here.
    Free,
    Waiting,
    /// Over, with an answer. Its body is in the place's buffer.
    Answered,
    PeerLost,
    TimedOut,
}

/// A place for a call.
struct Place {
    stage: Stage,
    /// Its number: the place, and how often it was used.
    request: u32,
    asked: Identity,
    peer: PeerPlace,
    /// Room for its answer.
    slots: u32,
    deadline: Instant,
    waiter: Waiter,
    /// The status of its answer.
    status: Status,
    /// What its server speaks.
    version: u8,
    /// The body of its answer.
    buffer: Vec<u8>,
}

#[derive(Default)]
struct Known {
    places: Vec<Place>,
    free: Vec<u32>,
    peers: Peers,
}

/// The calls of a runtime.
pub struct Calls {
    known: RefCell<Known>,
    /// What the next request is written to.
    buffer: Cell<Vec<u8>>,
    /// No deadline is before this.
    first_deadline: Cell<Instant>,
    /// Messages to the response mailbox that answered nothing.
    strays: Cell<u64>,
}

impl Default for Calls {
    fn default() -> Calls {
        let (known, buffer, strays) = Default::default();
        Calls { known, buffer, first_deadline: Cell::new(Instant::NEVER), strays }
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

    /// A call that is about to be asked: its number.
    #[inline]
    fn begin(
        &self,
        port: &dyn Port,
        to: &Address,
        answer_max: usize,
        deadline: Instant,
        wait: impl FnOnce(&mut Waiter),
    ) -> Result<u32, NotBegun> {
        let mut known = self.known.borrow_mut();
        let place = known.begin(port, to, answer_slots(answer_max), deadline)?;
        wait(&mut place.waiter);
        self.first_deadline.set(self.first_deadline.get().min(deadline));
        Ok(place.request)
    }

    /// Sends its request.
    #[inline]
    fn send(
        &self,
        port: &dyn Port,
        to: &Address,
        envelope: &Envelope,
        body: WriteBody<'_>,
    ) -> Result<(), NotBegun> {
        let mut buffer = self.buffer.take();
        let sent = write(&mut buffer, envelope, body).and_then(|()| port.ask(to, &mut buffer));
        if buffer.capacity() <= BUFFER_BYTES {
            self.buffer.set(buffer);
        }
        sent.map_err(|error| self.not_sent(envelope.request, error))
    }

    #[cold]
    fn not_sent(&self, request: u32, error: SendError) -> NotBegun {
        self.abandon(request);
        CallError::NotSent(error)
    }

    /// A message came to the response mailbox. If it answers a call that a task waits for, that is to be woken.
    #[inline(always)]
    pub fn answered(&self, sender: Identity, message: &[u8]) -> Option<u32> {
        let received = Envelope::read(message).filter(|received| received.envelope.kind == Kind::Answer);
        let Some(Received { envelope, body, .. }) = received else { return self.stray() };
        let mut known = self.known.borrow_mut();
        let Known { places, peers, .. } = &mut *known;
        let found = places.get_mut(place_of(envelope.request));
        let is_it = |found: &&mut Place| {
            found.stage == Stage::Waiting && found.asked == sender && found.request == envelope.request
        };
        let Some(found) = found.filter(is_it) else { return self.stray() };
        found.put(body);
        found.status = envelope.status;
        found.version = envelope.version;
        found.end(peers, Stage::Answered)
    }

    #[cold]
    #[inline(never)]
    fn stray(&self) -> Option<u32> {
        self.strays.set(self.strays.get() + 1);
        None
    }

    /// A watched mailbox has ended: so have the calls to it.
    pub fn peer_ended(&self, cookie: u64, tasks: &Tasks) {
        let mut known = self.known.borrow_mut();
        let Some(ended) = known.peers.ended(cookie) else { return };
        let Known { places, peers, .. } = &mut *known;
        for place in places.iter_mut().filter(|place| place.peer == ended) {
            place.end(peers, Stage::PeerLost).into_iter().for_each(|task| tasks.wake(task));
        }
        peers.forget(ended);
    }

    /// Ends the calls whose deadline has passed.
    #[inline]
    pub fn expire(&self, now: Instant, tasks: &Tasks) {
        if now >= self.first_deadline.get() {
            self.end_what_is_late(now, tasks);
        }
    }

    #[inline(never)]
    fn end_what_is_late(&self, now: Instant, tasks: &Tasks) {
        let (mut known, mut first) = (self.known.borrow_mut(), Instant::NEVER);
        let Known { places, peers, .. } = &mut *known;
        for place in places.iter_mut().filter(|place| place.stage == Stage::Waiting) {
            match place.deadline <= now {
                true => place.end(peers, Stage::TimedOut).into_iter().for_each(|task| tasks.wake(task)),
                false => first = first.min(place.deadline),
            }
        }
        self.first_deadline.set(first);
    }

    /// Gives what `read` makes of a call that is over, and the place free; if it is not, wakes when it is.
    #[inline]
    fn conclude<T>(
        &self,
        request: u32,
        tasks: &Tasks,
        waker: &Waker,
        read: impl FnOnce(Answered<'_>) -> T,
    ) -> Poll<T> {
        let mut known = self.known.borrow_mut();
        let Known { places, free, .. } = &mut *known;
        let place = &mut places[place_of(request)];
        let value = match place.stage {
            Stage::Answered if place.status == Status::Done => read(Ok(&place.buffer)),
            Stage::Waiting => {
                tasks.waits(&mut place.waiter, waker);
                return Poll::Pending;
            }
            _ => read(Err(place.failure())),
        };
        place.free(free);
        Poll::Ready(value)
    }

    /// Nobody wants the answer any more.
    fn abandon(&self, request: u32) {
        let mut known = self.known.borrow_mut();
        let Known { places, free, peers } = &mut *known;
        let place = &mut places[place_of(request)];
        place.end(peers, Stage::TimedOut);
        place.free(free);
    }
}

/// Where a call is, by its number.
fn place_of(request: u32) -> usize {
    request as usize % CALLS_MAX
}

impl Known {
    /// A place for a call, with room for its answer and a number of its own.
    #[inline]
    fn begin(
        &mut self,
        port: &dyn Port,
        to: &Address,
        slots: u32,
        deadline: Instant,
    ) -> Result<&mut Place, NotBegun> {
        let place = match self.free.last() {
            Some(place) => *place,
            None => self.add()?,
        };
        let peer = self.peers.promise(port, to, slots)?;
        self.free.pop();
        let found = &mut self.places[place as usize];
        found.request = found.request.wrapping_add(1 << PLACE_BITS);
        found.stage = Stage::Waiting;
        found.asked = to.identity;
        found.peer = peer;
        found.slots = slots;
        found.deadline = deadline;
        Ok(found)
    }

    /// One more place, which is free.
    #[cold]
    fn add(&mut self) -> Result<u32, NotBegun> {
        let place = self.places.len() as u32;
        if self.places.len() == CALLS_MAX {
            return Err(CallError::TooManyCalls);
        }
        let (asked, peer, slots, deadline, waiter, version, buffer) = Default::default();
        self.places.push(Place {
            stage: Stage::Free,
            request: place,
            asked,
            peer,
            slots,
            deadline,
            waiter,
            status: Status::Done,
            version,
            buffer,
        });
        self.free.push(place);
        Ok(place)
    }
}

impl Place {
    /// Its call is over, if it is not already: the task that waits for it is to be woken.
    #[inline]
    fn end(&mut self, peers: &mut Peers, stage: Stage) -> Option<u32> {
        if self.stage != Stage::Waiting {
            return None;
        }
        self.stage = stage;
        peers.release(self.peer, self.slots);
        self.waiter.wake_others()
    }

    /// Keeps the body of its answer.
    #[inline]
    fn put(&mut self, body: &[u8]) {
        self.buffer.clear();
        match <&[u8; 8]>::try_from(body) {
            // Most answers are a scalar: eight bytes take no call to be copied.
            Ok(scalar) => self.buffer.extend_from_slice(scalar),
            Err(_) => self.buffer.extend_from_slice(body),
        }
    }

    /// Why its call, which is over, has no value.
    #[inline(never)]
    fn failure(&self) -> CallError<&[u8]> {
        match self.stage {
            Stage::PeerLost => CallError::PeerLost,
            Stage::Free | Stage::Waiting | Stage::TimedOut => CallError::TimedOut,
            Stage::Answered => CallError::of_answer(self.status, self.version, &self.buffer),
        }
    }

    /// It is free for another call.
    #[inline]
    fn free(&mut self, free: &mut Vec<u32>) {
        self.stage = Stage::Free;
        if self.buffer.capacity() > BUFFER_BYTES {
            self.buffer = Vec::new();
        }
        free.push(place_of(self.request) as u32);
    }
}

/// Writes a message over what a buffer holds.
fn write(buffer: &mut Vec<u8>, envelope: &Envelope, body: WriteBody<'_>) -> Result<(), SendError> {
    buffer.clear();
    buffer.reserve(BUFFER_BYTES);
    buffer.extend_from_slice(&envelope.to_bytes());
    Ok(body(buffer)?)
}

/// What a call asks, and where it is.
struct Question<'a> {
    within: &'a Within,
    to: &'a Address,
    /// Where a server sent it.
    elsewhere: Option<Address>,
    /// How often it may be sent elsewhere yet.
    redirects_left: usize,
    operation: &'a Operation,
    body: WriteBody<'a>,
    /// Since it was first asked.
    deadline: Option<Instant>,
    /// Its number, while it is under way.
    request: Option<u32>,
}

impl Question<'_> {
    /// Asks. Who waits with this waker is woken when the call is over.
    #[inline(never)]
    fn ask(&mut self, waker: &Waker) -> Result<(), NotBegun> {
        let Inner { port, calls, tasks, .. } = self.within.runtime.inner();
        let (port, to) = (&**port, self.elsewhere.as_ref().unwrap_or(self.to));
        let deadline = match self.deadline {
            Some(deadline) => deadline,
            None => *self.deadline.insert(port.now().after_nanoseconds(self.within.nanoseconds)),
        };
        let request = calls.begin(port, to, self.operation.answer_max, deadline, |waiter| {
            tasks.waits(waiter, waker);
        })?;
        let envelope =
            Envelope { request, epoch: self.within.epoch, ..Envelope::to_ask(self.operation, Kind::Request) };
        calls.send(port, to, &envelope, self.body)?;
        self.request = Some(request);
        Ok(())
    }

    #[cold]
    fn follow(&mut self, elsewhere: Address) {
        self.elsewhere = Some(elsewhere);
        self.redirects_left -= 1;
    }
}

/// A call: asks when it is first polled, and is over with its answer. Dropping it before gives the answer up.
struct Call<'a, R> {
    question: Question<'a>,
    read: R,
}

// Nothing in it is pinned.
impl<R> Unpin for Call<'_, R> {}

impl<T, R: Fn(Answered<'_>) -> T> Future for Call<'_, R> {
    type Output = T;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Call { question, read } = &mut *self;
        if let Some(request) = question.request {
            let Inner { calls, tasks, .. } = question.within.runtime.inner();
            let may_follow = question.redirects_left > 0;
            let outcome = calls.conclude(request, tasks, context.waker(), |answered| match answered {
                Err(CallError::Redirected(elsewhere)) if may_follow => Err(elsewhere),
                answered => Ok(read(answered)),
            });
            let Poll::Ready(outcome) = outcome else { return Poll::Pending };
            question.request = None;
            match outcome {
                Ok(value) => return Poll::Ready(value),
                Err(elsewhere) => question.follow(elsewhere),
            }
        }
        match question.ask(context.waker()) {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(read(Err(error))),
        }
    }
}

impl Drop for Question<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(request) = self.request {
            self.within.runtime.inner().calls.abandon(request);
        }
    }
}

/// Calls through a runtime, each within a time.
#[derive(Clone)]
pub struct Within {
    runtime: Runtime,
    /// From when each is first polled.
    nanoseconds: u64,
    epoch: u32,
}

impl Within {
    /// See [`Runtime::within`].
    pub(crate) fn new(runtime: Runtime, time: Duration) -> Within {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Within { runtime, nanoseconds, epoch: 0 }
    }

    /// The same under an epoch, for messages between members of a fleet.
    pub(crate) fn under(self, epoch: u32) -> Within {
        Within { epoch, ..self }
    }

    /// Asks there and nowhere else: that a server sends its clients elsewhere is said as [`CallError::Redirected`].
    #[inline]
    pub(crate) fn ask<'a, T>(
        &'a self,
        to: &'a Address,
        operation: &'a Operation,
        body: WriteBody<'a>,
        read: impl Fn(Answered<'_>) -> T,
    ) -> impl Future<Output = T> {
        self.call_following(0, to, operation, body, read)
    }

    #[inline]
    fn call_following<'a, R>(
        &'a self,
        redirects_left: usize,
        to: &'a Address,
        operation: &'a Operation,
        body: WriteBody<'a>,
        read: R,
    ) -> Call<'a, R> {
        let (elsewhere, deadline, request) = (None, None, None);
        let question =
            Question { within: self, to, elsewhere, redirects_left, operation, body, deadline, request };
        Call { question, read }
    }

    /// Tells a member that two others ended in the middle of such a request, which is not asked for again.
    pub(crate) fn report_poison(&self, to: &Address, operation: &Operation) -> Result<(), SendError> {
        let envelope = Envelope { status: Status::Poisonous, ..Envelope::to_ask(operation, Kind::Post) };
        self.runtime.port().send(to, &envelope.to_bytes())
    }
}

impl Caller for Within {
    #[inline]
    fn call<'a, T>(
        &'a self,
        to: &'a Address,
        operation: &'a Operation,
        body: WriteBody<'a>,
        read: impl Fn(Answered<'_>) -> T,
    ) -> impl Future<Output = T> {
        self.call_following(REDIRECTS_MAX, to, operation, body, read)
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
    write(&mut message, &Envelope { epoch, ..Envelope::to_ask(operation, Kind::Post) }, body)?;
    runtime.port().send(to, &message)
}
