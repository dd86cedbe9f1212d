//! Calls of interfaces for who has no runtime: one at a time, each waited for in the kernel.
//!
//! Answers come to a mailbox of its own, and what is no answer of the one that was asked is dropped. A call ends with its
//! answer, with its deadline, or with the end of who was asked, whichever is first.

use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use fos_abi::key::KeyRights;
use fos_abi::mailbox::{KEYS_MIN, SLOTS_MIN};
use fos_abi::{Error, Identity, Key};
use fos_messages::rpc::{
    Address, Answered, CallError, Caller, Envelope, Kind, Operation, SendError, Status, WriteBody,
};

use crate::calls;
use crate::clock::{Clock, Deadline};
use crate::mailbox::{Event, Mailbox, Sender};
use crate::memory::{Memory, MemoryError};
use crate::port::refusal;

/// The asking side of a thread without a runtime.
#[derive(Debug)]
pub struct Blocking {
    answers: RefCell<Mailbox>,
    reply: Address,
    clock: Clock,
    deadline: Cell<Deadline>,
    last_request: Cell<u32>,
}

impl Blocking {
    /// Makes its mailbox. `identity` is the process's own.
    pub fn create(memory: &mut Memory, identity: Identity, clock: Clock) -> Result<Blocking, MemoryError> {
        let answers = Mailbox::create(memory, SLOTS_MIN, KEYS_MIN)?;
        let key = match answers.key(KeyRights::SEND, 0) {
            Ok(key) => key,
            Err(error) => {
                answers.destroy(memory)?;
                return Err(error.into());
            }
        };
        let (answers, reply) = (RefCell::new(answers), Address { key, identity });
        Ok(Blocking {
            answers,
            reply,
            clock,
            deadline: Cell::new(Deadline::PASSED),
            last_request: Cell::default(),
        })
    }

    /// Ends its mailbox.
    pub fn end(self, memory: &mut Memory) -> Result<(), Error> {
        self.answers.into_inner().destroy(memory)
    }

    /// What a call comes to, by the deadline: `call` is a method of a client over `&self`.
    pub fn wait<T>(&self, deadline: Deadline, call: impl Future<Output = T>) -> T {
        self.deadline.set(deadline);
        match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => unreachable!("a call here waits in the kernel, and is over when it was polled"),
        }
    }

    fn send(&self, to: &Key, message: &[u8]) -> Result<(), SendError> {
        Sender::new(*to).send_until(message, self.clock, self.deadline.get()).map(|_| ()).map_err(refusal)
    }

    /// Sends a request, and has the end of whoever gets it told as its cookie.
    fn ask(&self, to: &Address, operation: &Operation, body: WriteBody<'_>) -> Result<u32, SendError> {
        let request = self.last_request.get().wrapping_add(1);
        self.last_request.set(request);
        let envelope = Envelope { request, ..Envelope::to_ask(operation, Kind::Request) };
        let mut message = envelope.to_bytes().to_vec();
        body(&mut message)?;
        Envelope::add_reply(&mut message, &self.reply);
        self.send(&to.key, &message)?;
        Ok(request)
    }

    fn answer<T>(&self, from: Identity, asked: u32, read: impl Fn(Answered<'_>) -> T) -> T {
        let mut answers = self.answers.borrow_mut();
        loop {
            let Ok(message) = answers.receive(self.deadline.get()) else {
                return read(Err(CallError::TimedOut));
            };
            match message.event() {
                Event::Ended { .. } if message.badge() == u64::from(asked) => {
                    return read(Err(CallError::PeerLost));
                }
                Event::Data(bytes) if message.sender() == from => {
                    let Some(received) = Envelope::read(bytes) else { continue };
                    let Envelope { request, kind, status, version, .. } = received.envelope;
                    if (request, kind) == (asked, Kind::Answer) {
                        return read(match status {
                            Status::Done => Ok(received.body),
                            status => Err(CallError::of_answer(status, version, received.body)),
                        });
                    }
                }
                _ => {}
            }
        }
    }
}

impl Caller for &Blocking {
    async fn call<'a, T>(
        &'a self,
        to: &'a Address,
        operation: &'a Operation,
        body: WriteBody<'a>,
        read: impl Fn(Answered<'_>) -> T,
    ) -> T {
        let answers = self.answers.borrow().handle();
        let cookie = u64::from(self.last_request.get().wrapping_add(1));
        let watch = match calls::watch_mailbox(&to.key, answers, cookie) {
            Ok(watch) => watch,
            Err(error) => return read(Err(CallError::NotSent(refusal(error)))),
        };
        let value = match self.ask(to, operation, body) {
            Ok(request) => self.answer(to.identity, request, &read),
            Err(error) => read(Err(CallError::NotSent(error))),
        };
        // Refused only if it has told, and is gone.
        let _ = calls::cap_delete(watch);
        value
    }

    fn post(&self, to: &Address, operation: &Operation, body: WriteBody<'_>) -> Result<(), SendError> {
        let mut message: Vec<u8> = Envelope::to_ask(operation, Kind::Post).to_bytes().to_vec();
        body(&mut message)?;
        self.send(&to.key, &message)
    }
}
