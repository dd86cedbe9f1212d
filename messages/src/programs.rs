//! What root does for a program that the image lets start others (the capability `programs`), until the `processes` fleet
//! does it. Who asks may await the end of what it started, and end it; what others started it can't reach. Root answers
//! when it takes the request, except [`Request::End`], which it answers at the end.
//!
//! | operation | done twice is as once | refused |
//! |---|---|---|
//! | `start` | no: two programs | `NoProgram`, `TooMany`, `NoMemory`, `NotStarted` |
//! | `end` | yes | `NotYours` |
//! | `stop` | yes | `NotYours` |
//! | `fence` | yes | `NotEntitled`, `NotYours` |

use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use crate::rpc::interface;
use crate::rpc::wire::{self, Scalar, whole};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Scalar)]
pub struct Started {
    /// Names it to root, never again another.
    pub number: u64,
    /// Its process identity, as it is stamped on what it sends.
    pub identity: u64,
    /// The core it runs on.
    pub core: u16,
}

/// Why root does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Scalar)]
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
    /// The image does not let the asker end what others started.
    NotEntitled,
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(match self {
            Refusal::NoProgram => "the image has no program of that name",
            Refusal::TooMany => "too many programs run already",
            Refusal::NoMemory => "there is not enough memory for one more program",
            Refusal::NotStarted => "the program could not be built: see the console",
            Refusal::NotYours => "it is no program of the asker, or ended too long ago",
            Refusal::NotEntitled => "the image does not give the asker \"fencing\"",
        })
    }
}

impl core::error::Error for Refusal {}

/// What root does for programs.
#[interface(id = 1, version = 1)]
pub trait Programs {
    /// Has a program started.
    #[operation]
    fn start(&self, order: &Order) -> Result<Started, Refusal>;

    /// Waits for the end of a program that was started by the asker, and gives its status. A later request for the same
    /// program takes the place of an earlier one.
    #[operation(idempotent)]
    async fn end(&self, number: u64) -> Result<u8, Refusal>;

    /// Ends a program that was started by the asker, as if by signal 9.
    #[operation(idempotent)]
    fn stop(&self, number: u64) -> Result<(), Refusal>;

    /// Ends the process with this identity, if it is a program that was started by this interface, whoever started it, or one that
    /// root starts again: for who has the capability `fencing`. Answered when its threads have been stopped, by their cores' own word, and its
    /// mailboxes are gone: it acts no more. A program that is itself being ended is not heard.
    #[operation(idempotent)]
    fn fence(&self, identity: u64) -> Result<(), Refusal>;
}

/// A request, as root reads it: root has a loop of its own instead of a runtime's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// [`Programs::start`].
    Start(Order),
    /// [`Programs::end`].
    End(u64),
    /// [`Programs::stop`].
    Stop(u64),
    /// [`Programs::fence`].
    Fence(u64),
}

impl Request {
    /// Reads the body of an operation. `None`: no such operation; `Some(None)`: no body of it.
    pub fn read(operation: u16, body: &[u8]) -> Option<Option<Request>> {
        Some(match operation {
            0 => whole(body, wire::read).map(Request::Start),
            1 => whole(body, Scalar::read).map(Request::End),
            2 => whole(body, Scalar::read).map(Request::Stop),
            3 => whole(body, Scalar::read).map(Request::Fence),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::{
        Address, Answered, CallError, Caller, Interface, Operation, Part, SendError, WriteBody,
    };
    use alloc::vec;
    use core::pin::pin;
    use core::task::{Context, Poll, Waker};
    use proptest::prelude::*;

    /// Compares what it is asked with what it should be, and loses it.
    struct Mirror;

    impl Caller for Mirror {
        async fn call<'a, T>(
            &'a self,
            _: &'a Address,
            operation: &'a Operation,
            body: WriteBody<'a>,
            answer: impl Fn(Answered<'_>) -> T,
        ) -> T {
            let mut bytes = Vec::new();
            body(&mut bytes).unwrap();
            let read = Request::read(operation.number, &bytes).unwrap().unwrap();
            let expected = match operation.name {
                "start" => {
                    Request::Start(Order { program: "a".into(), arguments: vec!["b".into()], core: 3 })
                }
                "end" => Request::End(7),
                "stop" => Request::Stop(8),
                _ => Request::Fence(9),
            };
            assert_eq!(read, expected);
            answer(Err(CallError::PeerLost))
        }
        fn post(&self, _: &Address, _: &Operation, _: WriteBody<'_>) -> Result<(), SendError> {
            Err(SendError::Closed)
        }
    }

    #[test]
    fn root_reads_what_the_client_writes() {
        let root = ProgramsClient::new(Mirror, Address::default());
        let order = Order { program: "a".into(), arguments: vec!["b".into()], core: 3 };
        let ask = pin!(async {
            assert_eq!(root.start(&order).await, Err(CallError::PeerLost));
            assert_eq!(root.end(7).await, Err(CallError::PeerLost));
            assert_eq!(root.stop(8).await, Err(CallError::PeerLost));
            assert_eq!(root.fence(9).await, Err(CallError::PeerLost));
        });
        assert_eq!(ask.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(()));
    }

    proptest! {
        #[test]
        fn root_reads_what_the_interface_does(operation in 0u16..5, body: Vec<u8>) {
            let read = Request::read(operation, &body);
            prop_assert_eq!(read.is_some(), usize::from(operation) < ProgramsInterface::OPERATIONS.len());
            let is_read = matches!(read, Some(Some(_)));
            prop_assert_eq!(is_read, ProgramsInterface::reads(Part::Request, operation, &body));
        }
    }
}
