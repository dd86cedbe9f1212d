//! Sending to whoever has a name. What a look-up answered is kept and used until it is refused at use; then the name is looked
//! up again and the message sent again, which the caller does not see.
//!
//! *At most once.* A message is sent again only when the kernel refused it as sent to nobody: then no mailbox holds it, and
//! none ever will. One that was accepted is never sent again, whatever becomes of its receiver; who wants to know watches it.

use alloc::string::{String, ToString};
use core::time::Duration;

use fos_abi::{Error, Key};
use fos_messages::rpc::Address;

use crate::clock::{Clock, Deadline, sleep_until};
use crate::mailbox::Sender;
use crate::memory::Memory;
use crate::root::{Root, RootError};

/// How long to wait before a name is looked up again that still leads to who has just refused.
const AGAIN_AFTER: Duration = Duration::from_millis(1);

/// Why a message did not reach anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedError {
    /// The name could not be looked up; `Refused(TimedOut)` when nobody has it until the deadline.
    Name(RootError),
    /// Whoever has the name could not be sent to: `Full` until the deadline, `TooLong`, `NoRights`, or `Closed` when the name
    /// still leads to one that has ended.
    Send(Error),
}

impl core::fmt::Display for NamedError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            NamedError::Name(error) => write!(formatter, "looking the name up: {error}"),
            NamedError::Send(error) => write!(formatter, "sending to whoever has the name: {error:?}"),
        }
    }
}

impl core::error::Error for NamedError {}

/// What names and messages go through: the kernel and root, or a test's world.
pub trait Ground {
    /// Who has a name; waits until somebody has.
    fn find(&mut self, name: &str, deadline: Deadline) -> Result<Address, RootError>;
    /// Sends; waits for room.
    fn send(&mut self, to: &Key, message: &[u8], deadline: Deadline) -> Result<(), Error>;
    /// Waits a little. `false`: the deadline has passed.
    fn pause(&mut self, deadline: Deadline) -> bool;
}

/// Root's names and the kernel's messages, for one thread.
#[derive(Debug)]
pub struct ByRoot<'a> {
    /// Whom to ask.
    pub root: Root,
    /// For the mailbox that root's answers come to.
    pub memory: &'a mut Memory,
    /// The machine's.
    pub clock: Clock,
}

impl Ground for ByRoot<'_> {
    fn find(&mut self, name: &str, deadline: Deadline) -> Result<Address, RootError> {
        self.root.find(self.memory, name, deadline)
    }

    fn send(&mut self, to: &Key, message: &[u8], deadline: Deadline) -> Result<(), Error> {
        Sender::new(*to).send_until(message, self.clock, deadline).map(|_| ())
    }

    fn pause(&mut self, deadline: Deadline) -> bool {
        sleep_until(self.clock.after(AGAIN_AFTER).min(deadline));
        !deadline.has_passed()
    }
}

/// Sends to whoever has a name.
#[derive(Clone, Debug)]
pub struct NamedSender {
    name: String,
    kept: Option<Address>,
}

impl NamedSender {
    /// Nothing is looked up before the first message.
    pub fn new(name: &str) -> NamedSender {
        NamedSender { name: name.to_string(), kept: None }
    }

    /// Where the last message went.
    pub fn address(&self) -> Option<Address> {
        self.kept
    }

    /// Sends a message: looks the name up if need be, waits for room, all until the deadline. With [`Deadline::PASSED`] what is
    /// kept is tried once.
    pub fn send(
        &mut self,
        ground: &mut impl Ground,
        message: &[u8],
        deadline: Deadline,
    ) -> Result<(), NamedError> {
        let mut refused = None;
        loop {
            let to = self.resolve(ground, deadline)?;
            if refused == Some(to) && !ground.pause(deadline) {
                return Err(NamedError::Send(Error::Closed));
            }
            match ground.send(&to.key, message, deadline) {
                Err(error) if is_stale(error) => {
                    self.kept = None;
                    refused = Some(to);
                }
                sent => return sent.map_err(NamedError::Send),
            }
        }
    }

    fn resolve(&mut self, ground: &mut impl Ground, deadline: Deadline) -> Result<Address, NamedError> {
        if let Some(kept) = self.kept {
            return Ok(kept);
        }
        let found = ground.find(&self.name, deadline).map_err(NamedError::Name)?;
        self.kept = Some(found);
        Ok(found)
    }
}

/// Whether a refusal says that nobody receives there any more.
fn is_stale(error: Error) -> bool {
    matches!(error, Error::Closed | Error::BadKey)
}

#[cfg(test)]
mod tests;
