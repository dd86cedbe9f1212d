//! What a bad peer has: a runtime, whom it attacks, and ways to send what no library would.

use crate::Random;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::Cell;
use core::time::Duration;
use fos_abi::Identity;
use fos_messages::names::{DirectoryKey, NamesClient, Path};
use fos_messages::rpc::{
    self, Address, CallError, Caller, Description, Envelope, Kind, Operation, Part, SendError, Status,
};
use fos_runtime::port::Class;
use fos_runtime::{Runtime, Within};

/// `Err` says which promise did not hold, as far as the bad peer itself can see.
pub type Outcome = Result<(), String>;

/// What a call came to.
pub type Answered = Result<Vec<u8>, CallError<Vec<u8>>>;

/// Calls that may be made before the patience for an answer is over. A bad peer's own answers find no room where its floods have
/// filled its mailbox, and are dropped: it asks again.
const TRIES: u32 = 32;
/// A room that is full is tried again after so long.
const AGAIN_AFTER: Duration = Duration::from_micros(50);

/// A bad peer.
pub struct Attack {
    /// What it runs on.
    pub runtime: Runtime,
    /// Its choices.
    pub random: Random,
    /// The server that it attacks.
    pub till: Address,
    /// Members of naming.
    pub naming: Vec<Address>,
    /// A directory that it may do as it likes with, and another that is somebody else's.
    pub own: (Path, DirectoryKey),
    /// See [`Attack::own`]; it does not have the key.
    pub others: Path,
    /// A process that is an honest client.
    pub honest: Identity,
    /// How often a deed does what it does.
    pub rounds: u32,
    /// How long an answer may take.
    pub patience: Duration,
    /// The last number of a change at naming.
    pub last_number: Cell<u64>,
}

impl Attack {
    /// Its own calls, which are answered as everybody's are, if there is room for the answer.
    pub fn caller(&self) -> Within {
        self.runtime.within(self.patience / TRIES)
    }

    /// Sends bytes, again while there is no room. `Err`: the server has ended. What becomes of members of naming, their
    /// honest clients judge: they may be ended by others.
    pub async fn send(&self, to: &Address, message: &[u8]) -> Outcome {
        let deadline = self.runtime.port().now().after(self.patience);
        loop {
            match self.runtime.port().send(to, message) {
                Err(SendError::Full) if self.runtime.port().now() < deadline => {
                    self.runtime.sleep(AGAIN_AFTER).await;
                }
                Err(SendError::Full) if *to == self.till => {
                    return Err("the server takes nothing any more".into());
                }
                Err(SendError::Closed) if *to == self.till => return Err("the server has ended".into()),
                Ok(()) | Err(_) => return Ok(()),
            }
        }
    }

    /// An envelope as the library would write it for this operation.
    pub fn envelope(&self, operation: &Operation) -> Envelope {
        let Operation { interface, version, number: operation, .. } = *operation;
        let (request, epoch, kind, status) = (self.random.next() as u32, 0, Kind::Request, Status::Done);
        Envelope { request, interface, operation, epoch, kind, status, version }
    }

    /// A whole message, whose answer goes to this process.
    pub fn message(&self, envelope: &Envelope, body: &[u8]) -> Vec<u8> {
        let mut message = [&envelope.to_bytes(), body].concat();
        Envelope::add_reply(&mut message, &self.runtime.port().address(Class::Response));
        message
    }

    /// Asks with a body of its own making. `Err`: the server does not answer, or has ended.
    pub async fn ask(&self, to: &Address, operation: &Operation, body: &[u8]) -> Result<Answered, String> {
        let write = |bytes: &mut Vec<u8>| {
            bytes.extend_from_slice(body);
            Ok(())
        };
        let read = |answered: rpc::Answered<'_>| {
            answered.map(<[u8]>::to_vec).map_err(|error| error.map(<[u8]>::to_vec))
        };
        let deadline = self.runtime.port().now().after(self.patience);
        loop {
            let said = self.caller().call(to, operation, &write, read).await;
            let is_early = self.runtime.port().now() < deadline;
            match said {
                Err(CallError::TimedOut) if is_early => {}
                Err(CallError::NotSent(SendError::Full) | CallError::TooManyCalls) => {
                    self.runtime.sleep(AGAIN_AFTER).await;
                }
                Err(CallError::PeerLost | CallError::TimedOut | CallError::NotSent(SendError::Closed)) => {
                    return match *to == self.till {
                        true => Err(format!("{said:?} after {operation:?} {body:02x?}")),
                        false => Ok(Err(CallError::NotNow)),
                    };
                }
                said => return Ok(said),
            }
        }
    }

    /// Naming, at any of its members.
    pub fn names(&self) -> NamesClient<Within> {
        let member = self.random.one_of(&self.naming).copied().unwrap_or_default();
        NamesClient::new(self.caller(), member)
    }

    /// A number that no change of this process had.
    pub fn next_number(&self) -> u64 {
        self.last_number.set(self.last_number.get() + 1);
        self.last_number.get()
    }
}

/// Whether an answer is one that this interface may give to these bytes: what it reads may be done, what it does not is
/// malformed.
pub fn fits(interface: &Description, operation: u16, body: &[u8], said: &Answered) -> bool {
    let is_read = (interface.reads)(Part::Request, operation, body);
    match said {
        Ok(value) => is_read && (interface.reads)(Part::Value, operation, value),
        Err(CallError::Refused(refusal)) => is_read && (interface.reads)(Part::Refusal, operation, refusal),
        Err(CallError::Malformed) => !is_read,
        // The server has no such interface for strangers, or none at all.
        Err(CallError::Unknown) => true,
        Err(CallError::NotNow | CallError::Overloaded) => true,
        // A text that came as long as a message may be does not go back in one.
        Err(CallError::BadAnswer) => is_read,
        _ => false,
    }
}
