//! What a server's generated dispatcher gives back.

use super::Address;
use alloc::boxed::Box;
use alloc::vec::Vec;
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

/// The body of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerBody {
    /// It was done: the value.
    Done(Vec<u8>),
    /// It was refused: the operation's error.
    Refused(Vec<u8>),
    /// Ask there instead.
    Redirected(Address),
    /// Not done: ask again later, or another member.
    NotNow,
}

/// A request under way.
pub type Future = Pin<Box<dyn core::future::Future<Output = AnswerBody>>>;

/// What a dispatcher made of a request.
pub enum Served {
    /// It runs; the answer comes from this.
    Task(Future),
    /// No such operation.
    Unknown,
    /// The body is no message of this operation.
    Malformed,
}
