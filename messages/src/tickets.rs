//! What root does for the members of the fleet `processes` (the capability `tickets`): it starts programs of the image, has
//! them stand still and go on, ends them, and remembers how they ended until it is told to forget it. It decides nothing of
//! this but whether there is room.
//!
//! Each start has a *ticket*, a number that never comes back, and whoever has the capability may ask about any: members come
//! and go, and what one began another goes on with.
//!
//! | operation | done twice is as once | refused |
//! |---|---|---|
//! | `prepare` | yes | never |
//! | `start` | yes, under the same ticket | `NoProgram`, `TooMany`, `TooMuch`, `NoMemory`, `NotStarted`, `TooLong` |
//! | `act` | yes | never: what has ended, or never was, is left alone |
//! | `outlive` | yes | `NoSuchProcess`: never started, or forgotten |
//! | `forget` | yes | never |
//! | `known` | yes | never |
//! | `counts` | yes | never |
//!
//! An order may be longer than a message: its first parts come by `prepare`, the last with `start`. Root keeps parts for
//! [`PREPARED_MAX`] tickets; if they are gone when `start` comes, it says `NotNow`, and who asks sends all again.

use crate::processes::{Ended, ProcessError};
use crate::rpc::interface;
use crate::rpc::wire::{self, Scalar, whole};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Bytes in one part of an order, so that it fits a mailbox message with all else.
pub const PART_MAX: usize = 768;
/// Tickets for which parts are kept.
pub const PREPARED_MAX: usize = 32;

/// Rows of one [`Survey`].
pub const SURVEYED_MAX: usize = 16;
/// Bytes of a program's name in a row.
pub const SURVEYED_NAME_MAX: usize = 32;

/// What is to be done to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Scalar)]
pub enum Deed {
    /// It ends, as by a signal.
    End,
    /// It stands still: its first thread does.
    Stop,
    /// It goes on.
    Resume,
}

/// A start that is not forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Surveyed {
    /// Its ticket.
    pub ticket: u64,
    /// The identity of the process that it became.
    pub identity: u64,
    /// The process's core, if it runs.
    pub core: u16,
    /// Its program, if it runs, or the beginning of a long name.
    pub program: String,
}

/// Starts that are not forgotten, some of them: for a fleet that has lost its own table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// The highest ticket of which root has ever heard. None of those up to it may be used again.
    pub last: u64,
    /// In the order of their tickets. Fewer than [`SURVEYED_MAX`]: there are no more.
    pub rows: Vec<Surveyed>,
}

/// How much of what root has: equal before and after, nothing was left behind between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Scalar)]
pub struct Counts {
    /// Programs that run, or whose end has not been told.
    pub programs: u32,
    /// Starts of which root knows.
    pub tickets: u32,
    /// Orders of which there are parts.
    pub prepared: u32,
    /// Keys of root's own mailboxes that programs have.
    pub keys: u32,
    /// Names that programs have registered with root.
    pub names: u32,
    /// Frames in which programs may be started.
    pub frames_free: u64,
    /// Frames of root's own that nothing is built in.
    pub own_free: u64,
    /// Threads and spaces at home on all cores, as the kernel counts them.
    pub threads: u64,
    /// See [`Counts::threads`].
    pub spaces: u64,
}

/// Starts and ends processes.
#[interface(id = 37, version = 1)]
pub trait Tickets {
    /// A part of the order for this ticket, from this byte on; at most [`PART_MAX`] bytes.
    #[operation(idempotent)]
    fn prepare(&self, ticket: u64, at: u32, part: Vec<u8>);

    /// Starts a process on a core: a [`SpawnOrder`](crate::processes::SpawnOrder), by postcard, of which this is what comes from
    /// byte `at` on. Answers with the process's identity.
    #[operation(idempotent)]
    fn start(&self, ticket: u64, core: u16, at: u32, rest: Vec<u8>) -> Result<u64, ProcessError>;

    /// Does this to it; `signal` is the one by which it ends.
    #[operation(idempotent)]
    fn act(&self, ticket: u64, deed: Deed, signal: u8);

    /// Waits for its end, which is told as often as it is asked for. A later request takes the place of an earlier one.
    #[operation(idempotent, answer_max = 32)]
    async fn outlive(&self, ticket: u64) -> Result<Ended, ProcessError>;

    /// Forgets how it ended.
    #[operation(idempotent)]
    fn forget(&self, ticket: u64);

    /// How much of what there is.
    #[operation(idempotent)]
    fn counts(&self) -> Counts;

    /// The starts that are not forgotten, of tickets above this one.
    #[operation(idempotent, answer_max = 1024)]
    fn known(&self, above: u64) -> Survey;
}

/// A request, as root reads it: root has a loop of its own instead of a runtime's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// [`Tickets::prepare`].
    Prepare(u64, u32, Vec<u8>),
    /// [`Tickets::start`].
    Start(u64, u16, u32, Vec<u8>),
    /// [`Tickets::act`].
    Act(u64, Deed, u8),
    /// [`Tickets::outlive`].
    Outlive(u64),
    /// [`Tickets::forget`].
    Forget(u64),
    /// [`Tickets::counts`].
    Counts,
    /// [`Tickets::known`].
    Known(u64),
}

impl Request {
    /// Reads the body of an operation. `None`: no such operation; `Some(None)`: no body of it.
    pub fn read(operation: u16, body: &[u8]) -> Option<Option<Request>> {
        Some(match operation {
            0 => whole(body, |bytes| {
                Some(Request::Prepare(Scalar::read(bytes)?, Scalar::read(bytes)?, wire::read(bytes)?))
            }),
            1 => whole(body, |bytes| {
                let (ticket, core) = (Scalar::read(bytes)?, Scalar::read(bytes)?);
                Some(Request::Start(ticket, core, Scalar::read(bytes)?, wire::read(bytes)?))
            }),
            2 => whole(body, |bytes| {
                Some(Request::Act(Scalar::read(bytes)?, Scalar::read(bytes)?, Scalar::read(bytes)?))
            }),
            3 => whole(body, Scalar::read).map(Request::Outlive),
            4 => whole(body, Scalar::read).map(Request::Forget),
            5 => whole(body, <() as Scalar>::read).map(|()| Request::Counts),
            6 => whole(body, Scalar::read).map(Request::Known),
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
    use core::cell::RefCell;
    use core::pin::pin;
    use core::task::{Context, Poll, Waker};
    use proptest::prelude::*;
    use std::rc::Rc;

    /// Notes what it is asked, as root reads it, and loses it.
    #[derive(Clone, Default)]
    struct Notes(Rc<RefCell<Vec<Request>>>);

    impl Caller for Notes {
        async fn call<'a, T>(
            &'a self,
            _: &'a Address,
            operation: &'a Operation,
            body: WriteBody<'a>,
            answer: impl Fn(Answered<'_>) -> T,
        ) -> T {
            let mut bytes = Vec::new();
            body(&mut bytes).unwrap();
            self.0.borrow_mut().push(Request::read(operation.number, &bytes).unwrap().unwrap());
            answer(Err(CallError::PeerLost))
        }
        fn post(&self, _: &Address, _: &Operation, _: WriteBody<'_>) -> Result<(), SendError> {
            Err(SendError::Closed)
        }
    }

    #[test]
    fn root_reads_what_the_client_writes() {
        let notes = Notes::default();
        let root = TicketsClient::new(notes.clone(), Address::default());
        let ask = pin!(async {
            let _ = root.prepare(1, 2, vec![3]).await;
            let _ = root.start(4, 5, 6, vec![7, 8]).await;
            let _ = root.act(9, Deed::Resume, 10).await;
            let _ = root.outlive(11).await;
            let _ = root.forget(12).await;
            let _ = root.counts().await;
            let _ = root.known(13).await;
        });
        assert_eq!(ask.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(()));
        let expected = [
            Request::Prepare(1, 2, vec![3]),
            Request::Start(4, 5, 6, vec![7, 8]),
            Request::Act(9, Deed::Resume, 10),
            Request::Outlive(11),
            Request::Forget(12),
            Request::Counts,
            Request::Known(13),
        ];
        assert_eq!(*notes.0.borrow(), expected);
    }

    proptest! {
        #[test]
        fn root_reads_what_the_interface_does(operation in 0u16..8, body: Vec<u8>) {
            let read = Request::read(operation, &body);
            prop_assert_eq!(read.is_some(), usize::from(operation) < TicketsInterface::OPERATIONS.len());
            let is_read = matches!(read, Some(Some(_)));
            prop_assert_eq!(is_read, TicketsInterface::reads(Part::Request, operation, &body));
        }
    }
}
