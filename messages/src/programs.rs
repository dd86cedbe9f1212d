//! What root does for a program that the image lets start others (the capability `programs`), until the `processes` fleet
//! does it. Who asks may await the end of what it started, and end it; what others started it can't reach. Root answers
//! when it takes the request, except [`Request::End`], which it answers at the end.
//!
//! | operation | done twice is as once | refused |
//! |---|---|---|
//! | `start` | no: two programs | `NoProgram`, `TooMany`, `NoMemory`, `NotStarted` |
//! | `end` | yes | `NotYours` |
//! | `stop` | yes | `NotYours` |

use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use crate::rpc::wire::{self, read_scalar};
use crate::rpc::{Address, CallError, Caller, Interface, Operation};

/// The conversation.
#[derive(Clone, Copy, Debug)]
pub struct Programs;

const START: u16 = 1;
const END: u16 = 2;
const STOP: u16 = 3;
/// The longest answer, a refusal with a few bytes included.
const ANSWER_MAX: usize = 32;

impl Interface for Programs {
    const ID: u16 = 1;
    const VERSION: u32 = 1;
    const NAME: &'static str = "programs";
    const OPERATIONS: &'static [Operation] = &[
        Operation { name: "start", idempotent: false, answer_max: ANSWER_MAX },
        Operation { name: "end", idempotent: true, answer_max: ANSWER_MAX },
        Operation { name: "stop", idempotent: true, answer_max: ANSWER_MAX },
    ];
}

/// What is to be started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Its name in the image.
    pub program: String,
    /// Its arguments after its name.
    pub arguments: Vec<String>,
    /// The core it is to run on; taken modulo the number of cores that are up.
    pub core: u16,
}

/// A program that was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// Names it to root, never again another.
    pub number: u64,
    /// Its process identity, as it is stamped on what it sends.
    pub identity: u64,
    /// The core it runs on.
    pub core: u16,
}

/// Why root does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The image has no program of that name.
    NoProgram,
    /// As many programs run as may.
    TooMany,
    /// There is not enough memory for one more.
    NoMemory,
    /// It could not be built; root has said why on the console.
    NotStarted,
    /// The asker has started no program with that number, or it ended too long ago.
    NotYours,
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(match self {
            Refusal::NoProgram => "the image has no program of that name",
            Refusal::TooMany => "too many programs run already",
            Refusal::NoMemory => "there is not enough memory for one more program",
            Refusal::NotStarted => "the program could not be built: see the console",
            Refusal::NotYours => "it is no program of the asker, or ended too long ago",
        })
    }
}

impl core::error::Error for Refusal {}

/// A request, as root reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Start a program; answered by [`Started`].
    Start(Order),
    /// Tell when the program with this number has ended; answered then, by its status. A later request for the same program
    /// takes the place of an earlier one.
    End(u64),
    /// End the program with this number, as if by signal 9.
    Stop(u64),
}

impl Request {
    /// Reads the body of an operation. `None`: no such operation; `Some(None)`: no body of it.
    pub fn read(operation: u16, body: &[u8]) -> Option<Option<Request>> {
        Some(match operation {
            START => wire::read(body).map(Request::Start),
            END => read_scalar(body).map(Request::End),
            STOP => read_scalar(body).map(Request::Stop),
            _ => return None,
        })
    }
}

/// An answer's body.
pub fn write<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    wire::write(value, &mut bytes);
    bytes
}

/// Asks root.
#[derive(Clone, Debug)]
pub struct Client<C> {
    caller: C,
    root: Address,
}

impl<C: Caller> Client<C> {
    /// Asks the root at this address, by `caller`.
    pub fn new(caller: C, root: Address) -> Client<C> {
        Client { caller, root }
    }

    /// Has a program started.
    pub async fn start(&self, order: &Order) -> Result<Started, CallError<Refusal>> {
        self.call(START, &|body| wire::write(order, body)).await
    }

    /// Waits for the end of a program that was started by this process, and gives its status.
    pub async fn end(&self, number: u64) -> Result<u8, CallError<Refusal>> {
        self.call(END, &|body| body.extend_from_slice(&number.to_le_bytes())).await
    }

    /// Ends a program that was started by this process.
    pub async fn stop(&self, number: u64) -> Result<(), CallError<Refusal>> {
        self.call(STOP, &|body| body.extend_from_slice(&number.to_le_bytes())).await
    }

    async fn call<T: serde::de::DeserializeOwned>(
        &self,
        operation: u16,
        body: &dyn Fn(&mut Vec<u8>),
    ) -> Result<T, CallError<Refusal>> {
        match self.caller.call(&self.root, Programs::ID, operation, ANSWER_MAX, body).await {
            Ok(bytes) => wire::read(&bytes).ok_or(CallError::BadAnswer),
            Err(CallError::Refused(bytes)) => {
                Err(wire::read(&bytes).map_or(CallError::BadAnswer, CallError::Refused))
            }
            // No refusal is left in it.
            Err(error) => Err(error.map(|_| Refusal::NotStarted)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    #[test]
    fn every_answer_has_room() {
        let started = Started { number: u64::MAX, identity: u64::MAX, core: u16::MAX };
        assert!(write(&started).len() <= ANSWER_MAX);
        assert_eq!(wire::read(&write(&started)), Some(started));
        assert!(write(&Refusal::NotYours).len() <= ANSWER_MAX);
    }

    #[test]
    fn a_request_is_read_by_its_operation() {
        let order = Order { program: "a".into(), arguments: vec!["b".into()], core: 3 };
        assert_eq!(Request::read(START, &write(&order)), Some(Some(Request::Start(order))));
        assert_eq!(Request::read(END, &7u64.to_le_bytes()), Some(Some(Request::End(7))));
        assert_eq!(Request::read(STOP, &[1]), Some(None));
        assert_eq!(Request::read(0, &[]), None);
    }

    proptest! {
        #[test]
        fn any_body_is_read_or_refused(operation: u16, body: Vec<u8>) {
            if let Some(Some(Request::Start(order))) = Request::read(operation, &body) {
                prop_assert_eq!(Request::read(START, &write(&order)), Some(Some(Request::Start(order))));
            }
        }
    }
}
