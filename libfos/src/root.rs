//! What a program asks of root: to be found under a name, and to find others.

use alloc::string::ToString;
use core::time::Duration;

use fos_abi::key::KeyRights;
use fos_abi::{Error, Key};
use fos_messages::start::{CodecError, FromRoot, Start, ToRoot, key_name};

use crate::clock::{Clock, Deadline};
use crate::mailbox::{Mailbox, Sender};

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
            RootError::Refused(error) => write!(formatter, "asking root: {error:?}"),
        }
    }
}

impl core::error::Error for RootError {}

/// The way to root.
#[derive(Clone, Copy, Debug)]
pub struct Root {
    sender: Sender,
    clock: Clock,
}

impl Root {
    /// The root that started this program.
    pub fn of_program(start: &Start) -> Result<Root, RootError> {
        let key = start.key(key_name::ROOT).ok_or(RootError::NoKey)?;
        Ok(Root { sender: Sender::new(key), clock: Clock::new(start.tsc_hz) })
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

    /// Finds who registered `name`, and waits until somebody has. The answers come to `mailbox`, and all else that
    /// comes to it meanwhile is dropped: use one that nobody knows yet.
    pub fn lookup(&self, mailbox: &mut Mailbox, name: &str, deadline: Deadline) -> Result<Key, RootError> {
        let answer = mailbox.key(KeyRights::SEND, 0)?;
        let found = self.ask_until_found(mailbox, name, answer, deadline);
        crate::calls::key_revoke(mailbox.handle(), &answer)?;
        found
    }

    fn ask_until_found(
        &self,
        mailbox: &mut Mailbox,
        name: &str,
        answer: Key,
        deadline: Deadline,
    ) -> Result<Key, RootError> {
        for request in 0.. {
            self.tell(&ToRoot::Lookup { request, name: name.to_string(), answer: answer.into() }, deadline)?;
            match answer_to(mailbox, request, deadline)? {
                Some(key) => return Ok(key),
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

/// Root's answer to a request: a key, or `None` if the name is unknown.
fn answer_to(mailbox: &mut Mailbox, asked: u64, deadline: Deadline) -> Result<Option<Key>, Error> {
    loop {
        match FromRoot::decode(mailbox.receive(deadline)?.bytes()) {
            Ok(FromRoot::Found { request, key }) if request == asked => return Ok(Some(key.into())),
            Ok(FromRoot::Unknown { request }) if request == asked => return Ok(None),
            _ => {}
        }
    }
}
