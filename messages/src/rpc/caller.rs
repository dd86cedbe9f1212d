//! What a client's generated stub stands on, and what is known of an interface beside its code.

use super::wire::Unwritable;
use super::{Address, CallError, SendError};
use alloc::vec::Vec;

/// A conversation that a fleet offers: its number and version are in every request.
pub trait Interface {
    /// Its number: one per interface of the system, listed in [`crate::interfaces`].
    const ID: u16;
    /// Goes up when the meaning of an old operation changes.
    const VERSION: u8;
    /// Its name in documents and logs.
    const NAME: &'static str;
    /// Its operations, by number.
    const OPERATIONS: &'static [Operation];

    /// Whether bytes are a body of this operation, as far as their form goes: what a fuzzer asks.
    fn reads(part: Part, operation: u16, body: &[u8]) -> bool;
}

/// Which body of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The arguments.
    Request,
    /// The value of an answer.
    Value,
    /// The error of a refusal.
    Refusal,
}

/// An interface as a value.
#[derive(Clone, Copy, Debug)]
pub struct Description {
    /// [`Interface::ID`].
    pub id: u16,
    /// [`Interface::VERSION`].
    pub version: u8,
    /// [`Interface::NAME`].
    pub name: &'static str,
    /// [`Interface::OPERATIONS`].
    pub operations: &'static [Operation],
    /// [`Interface::reads`].
    pub reads: fn(Part, u16, &[u8]) -> bool,
}

impl Description {
    /// The description of an interface.
    pub const fn of<I: Interface>() -> Description {
        Description {
            id: I::ID,
            version: I::VERSION,
            name: I::NAME,
            operations: I::OPERATIONS,
            reads: I::reads,
        }
    }
}

/// What is known of an operation beside its types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its interface's number.
    pub interface: u16,
    /// Its interface's version.
    pub version: u8,
    /// Its number in the interface.
    pub number: u16,
    /// Its name.
    pub name: &'static str,
    /// Whether it is sent without wanting an answer.
    pub is_post: bool,
    /// Whether doing it twice is the same as doing it once: then a caller whose server died may ask another.
    pub is_idempotent: bool,
    /// The most bytes of its answer's body: that much room is reserved before the request is sent.
    pub answer_max: usize,
}

/// What came of a call: the body of its answer as it came, and in a refusal that of the operation's error.
pub type Answered<'a> = Result<&'a [u8], CallError<&'a [u8]>>;

/// Writes a request's body after what is already there.
pub type WriteBody<'a> = &'a dyn Fn(&mut Vec<u8>) -> Result<(), Unwritable>;

/// Sends requests and finds their answers.
pub trait Caller {
    /// Asks, waits for the answer or its absence, and gives what `read` makes of it, which looks at the bytes and does
    /// nothing else: where it is called, nothing else can be done.
    fn call<'a, T>(
        &'a self,
        to: &'a Address,
        operation: &'a Operation,
        body: WriteBody<'a>,
        read: impl Fn(Answered<'_>) -> T,
    ) -> impl Future<Output = T>;

    /// Tells, without an answer.
    fn post(&self, to: &Address, operation: &Operation, body: WriteBody<'_>) -> Result<(), SendError>;
}

/// Asks several members at once, and gathers what each of them said: in the order of `members`, each with its address.
/// All requests go out before the first answer is waited for, and no member's failure ends another's call.
///
/// ```ignore
/// let sums = broadcast(&members, |member| async move { echo.at(member).sum(1, 2).await }).await;
/// ```
pub async fn broadcast<F: Future>(
    members: &[Address],
    ask: impl Fn(Address) -> F,
) -> Vec<(Address, F::Output)> {
    let asked = members.iter().map(|member| ask(*member));
    members.iter().copied().zip(futures_util::future::join_all(asked).await).collect()
}
