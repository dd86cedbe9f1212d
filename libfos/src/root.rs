//! What a program asks of root: to be found under a name, and to find others. Names that begin with `/` are naming's
//! (naming.rs).

use alloc::string::ToString;
use alloc::vec::Vec;
use core::time::Duration;

use fos_abi::key::KeyRights;
use fos_abi::mailbox::{KEYS_MIN, SLOTS_MIN};
use fos_abi::{Error, Identity, Key};
use fos_messages::names::{Path, PathError};
use fos_messages::rpc::Address;
use fos_messages::start::{CodecError, FromRoot, Start, ToRoot, key_name};

use crate::clock::{Clock, Deadline};
use crate::mailbox::{Mailbox, Sender};
use crate::memory::{Memory, MemoryError};
use crate::naming;

/// How long a program waits before it asks again for a name that nobody has registered yet.
const ASK_AGAIN: Duration = Duration::from_millis(2);

/// Why root could not be asked, or did not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RootError {
    /// The start block has no key of root: the image does not let this program ask.
    NoKey,
    /// The question is too long for a message.
    Codec(CodecError),
    /// The kernel refused to send or to wait; `TimedOut` when root did not answer, or nobody had registered, in time.
    Refused(Error),
    /// There is no memory for a mailbox to ask with.
    Memory(MemoryError),
    /// It begins with `/` and is no name.
    Path(PathError),
}

impl From<PathError> for RootError {
    fn from(error: PathError) -> RootError {
        RootError::Path(error)
    }
}

impl From<MemoryError> for RootError {
    fn from(error: MemoryError) -> RootError {
        RootError::Memory(error)
    }
}

impl From<Error> for RootError {
    fn from(error: Error) -> RootError {
        RootError::Refused(error)
    }
}

impl From<CodecError> for RootError {
    fn from(error: CodecError) -> RootError {
        RootError::Codec(error)
    }
}

impl core::fmt::Display for RootError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            RootError::NoKey => write!(formatter, "the program was given no key of root"),
            RootError::Codec(error) => write!(formatter, "{error}"),
            RootError::Memory(error) => write!(formatter, "{error}"),
            RootError::Path(error) => write!(formatter, "{error}"),
            RootError::Refused(error) => write!(formatter, "asking root: {error:?}"),
        }
    }
}

impl core::error::Error for RootError {}

/// Where to have programs started, if the image lets this one.
pub fn programs(start: &Start) -> Option<Address> {
    start.key(key_name::PROGRAMS).map(|key| Address { key, identity: Identity(start.root) })
}

/// Where to say whose frames are, if the image lets this program.
pub fn custody(start: &Start) -> Option<Address> {
    start.key(key_name::CUSTODY).map(|key| Address { key, identity: Identity(start.root) })
}

/// Where to have processes started under tickets, if the image lets this program.
pub fn tickets(start: &Start) -> Option<Address> {
    start.key(key_name::TICKETS).map(|key| Address { key, identity: Identity(start.root) })
}

/// The way to root.
#[derive(Clone, Copy, Debug)]
pub struct Root {
    sender: Sender,
    pub(crate) clock: Clock,
    /// The program's own.
    pub(crate) identity: Identity,
    /// The core it runs on.
    pub(crate) core: u16,
}

impl Root {
    /// The root that started this program.
    pub fn of_program(start: &Start) -> Result<Root, RootError> {
        let key = start.key(key_name::ROOT).ok_or(RootError::NoKey)?;
        let (clock, identity, core) = (Clock::new(start.tsc_hz), Identity(start.identity), start.core as u16);
        Ok(Root { sender: Sender::new(key), clock, identity, core })
    }

    /// Sends one message; waits while root's mailbox is full, until the deadline.
    pub fn tell(&self, message: &ToRoot, deadline: Deadline) -> Result<(), RootError> {
        self.sender.send_until(&message.encode()?, self.clock, deadline)?;
        Ok(())
    }

    /// Has root give `key` to whoever looks up `name`.
    pub fn register(&self, name: &str, key: Key, deadline: Deadline) -> Result<(), RootError> {
        self.tell(&ToRoot::Register { name: name.to_string(), key: key.into() }, deadline)
    }

    /// Has root keep this for the program that is started when this one has ended, instead of what it kept under `name`.
    pub fn keep(&self, name: &str, bytes: Vec<u8>, deadline: Deadline) -> Result<(), RootError> {
        self.tell(&ToRoot::Keep { name: name.to_string(), bytes }, deadline)
    }

    /// Finds who registered `name`, and waits until somebody has. The answers come to `mailbox`, and all else that
    /// comes to it meanwhile is dropped: use one that nobody knows yet.
    pub fn lookup(
        &self,
        mailbox: &mut Mailbox,
        name: &str,
        deadline: Deadline,
    ) -> Result<Address, RootError> {
        let answer = mailbox.key(KeyRights::SEND, 0)?;
        let found = self.ask_until_found(mailbox, name, answer, deadline);
        crate::calls::key_revoke(mailbox.handle(), &answer)?;
        found
    }

    /// As [`lookup`](Self::lookup), with a mailbox that is made for it; a name that begins with `/` is looked up at naming.
    pub fn find(&self, memory: &mut Memory, name: &str, deadline: Deadline) -> Result<Address, RootError> {
        if name.starts_with('/') {
            return naming::find(self, memory, &Path::new(name)?, deadline);
        }
        let mut mailbox = Mailbox::create(memory, SLOTS_MIN, KEYS_MIN)?;
        let found = self.lookup(&mut mailbox, name, deadline);
        mailbox.destroy(memory)?;
        found
    }

    fn ask_until_found(
        &self,
        mailbox: &mut Mailbox,
        name: &str,
        answer: Key,
        deadline: Deadline,
    ) -> Result<Address, RootError> {
        for request in 0.. {
            self.tell(&ToRoot::Lookup { request, name: name.to_string(), answer: answer.into() }, deadline)?;
            match answer_to(mailbox, request, deadline)? {
                Some(address) => return Ok(address),
                None => pause(mailbox, self.clock.after(ASK_AGAIN).min(deadline))?,
            }
        }
        Err(Error::TimedOut.into())
    }
}

/// Sleeps until the deadline, or until a message comes to the mailbox.
fn pause(mailbox: &Mailbox, deadline: Deadline) -> Result<(), Error> {
    match mailbox.wait(deadline) {
        Err(Error::TimedOut) => Ok(()),
        waited => waited,
    }
}

/// Root's answer to a request: where to ask, or `None` if the name is unknown.
fn answer_to(mailbox: &mut Mailbox, asked: u64, deadline: Deadline) -> Result<Option<Address>, Error> {
    loop {
        match FromRoot::decode(mailbox.receive(deadline)?.bytes()) {
            Ok(FromRoot::Found { request, key, identity }) if request == asked => {
                return Ok(Some(Address { key: key.into(), identity: Identity(identity) }));
            }
            Ok(FromRoot::Unknown { request }) if request == asked => return Ok(None),
            _ => {}
        }
    }
}
