//! What a client's generated stub stands on.

use super::{Address, CallError, SendError};
use alloc::vec::Vec;

/// A conversation that a fleet offers: its number and version are in every request.
pub trait Interface {
    /// Its number: one per interface of the system, kept in one list in `messages`.
    const ID: u16;
    /// Goes up when the meaning of an old operation changes.
    const VERSION: u32;
    /// Its name in documents and logs.
    const NAME: &'static str;
    /// Its operations, by number.
    const OPERATIONS: &'static [Operation];
}

/// What is known of an operation beside its types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its name.
    pub name: &'static str,
    /// Whether doing it twice is the same as doing it once: then a caller whose server died may ask another.
    pub idempotent: bool,
    /// The most bytes of its answer's body: that much room is reserved before the request is sent.
    pub answer_max: usize,
}

/// An answer's body, as it came.
pub type Answer = Vec<u8>;

/// Sends requests and finds their answers.
pub trait Caller {
    /// Asks, and waits for the answer or its absence. `body` writes the request's body after what is already there.
    /// A refusal by the server gives its error's bytes.
    fn call(
        &self,
        to: &Address,
        interface: u16,
        operation: u16,
        answer_max: usize,
        body: &dyn Fn(&mut Vec<u8>),
    ) -> impl Future<Output = Result<Answer, CallError<Answer>>>;

    /// Tells, without an answer.
    fn post(
        &self,
        to: &Address,
        interface: u16,
        operation: u16,
        body: &dyn Fn(&mut Vec<u8>),
    ) -> Result<(), SendError>;
}
