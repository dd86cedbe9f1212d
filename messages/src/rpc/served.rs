//! What a server and its generated dispatcher give back.

use super::{Address, Outgoing};
use alloc::boxed::Box;
use alloc::rc::Rc;
use core::pin::Pin;
use fos_abi::Identity;

/// What a server knows of a request beside its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// The process that asks, as the kernel stamped it.
    pub sender: Identity,
    /// The badge of the key it was sent with.
    pub badge: u64,
    /// Between members: the membership that the sender believes in. Otherwise 0.
    pub epoch: u32,
}

/// What an operation of a server answers instead of its value. `?` turns the operation's own error into a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instead<E> {
    /// It is refused, for this reason.
    Refused(E),
    /// Ask there.
    Redirected(Address),
    /// Not done: ask again later, or another member.
    NotNow,
}

impl<E> From<E> for Instead<E> {
    fn from(error: E) -> Instead<E> {
        Instead::Refused(error)
    }
}

/// The body of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerBody {
    /// It was done: the value.
    Done(Outgoing),
    /// It was refused: the operation's error.
    Refused(Outgoing),
    /// Ask there instead.
    Redirected(Address),
    /// Not done: ask again later, or another member.
    NotNow,
    /// It was done or refused, but the answer can't be written or is longer than the interface promises.
    Unsendable,
}

/// A request under way.
pub type Future = Pin<Box<dyn core::future::Future<Output = AnswerBody>>>;

/// What a dispatcher made of a request.
pub enum Served {
    /// It is over.
    Answer(AnswerBody),
    /// It runs; the answer comes from this.
    Task(Future),
    /// No such operation.
    Unknown,
    /// The body is no message of this operation.
    Malformed,
}

/// Takes the requests of one interface: what the interface macro makes of a server.
pub trait Serve {
    /// Number and version of the interface.
    fn speaks(&self) -> (u16, u8);

    /// Begins a request, or says why not. The arguments are read from `body` before this returns. `room` is empty: a
    /// buffer for the answer's body, so that none need be allocated.
    fn serve(self: Rc<Self>, operation: u16, context: Context, body: &[u8], room: Outgoing) -> Served;
}
