//! The first program to boot: two of it, on different cores, say hello.
//!
//! `hello first` registers a mailbox as `hello` and answers; `hello second` looks it up and asks. They exchange 1000
//! messages through the kernel, then second shares a page with first, and they exchange 1000 more over a channel in
//! each half of it, with no call but to sleep. Both end with a line that says so; whoever waits too long says that.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod first;
mod page;
mod protocol;
mod second;

use core::fmt;
use core::time::Duration;

use fos_abi::key::KeyRights;
use libfos::channel::ChannelError;
use libfos::clock::{Clock, Deadline};
use libfos::mailbox::Mailbox;
use libfos::memory::{Memory, MemoryError};
use libfos::root::{Root, RootError};
use libfos::{Error, Start, println};

libfos::entry!(main);

/// The name under which first registers.
const NAME: &str = "hello";
/// Slots of each one's mailbox.
const SLOTS: usize = 64;
/// Keys of each one's mailbox.
const KEYS: usize = 16;
/// How long all of it may take, on a slow emulator with a busy host.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why there is no hello.
enum Failure {
    /// The argument is neither `first` nor `second`.
    Role,
    /// The peer sent something that does not belong here.
    Protocol,
    /// The kernel refused a call; `TimedOut` when the peer was silent.
    Kernel(Error),
    /// There is not enough memory.
    Memory(MemoryError),
    /// Root could not be asked.
    Root(RootError),
    /// The channel failed.
    Channel(ChannelError),
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Role => write!(formatter, "say `hello first` or `hello second`"),
            Failure::Protocol => write!(formatter, "the peer sent something that does not belong here"),
            Failure::Kernel(Error::TimedOut) => write!(formatter, "the peer was silent for too long"),
            Failure::Kernel(error) => write!(formatter, "the kernel refused: {error:?}"),
            Failure::Memory(error) => write!(formatter, "{error}"),
            Failure::Root(error) => write!(formatter, "{error}"),
            Failure::Channel(error) => write!(formatter, "{error}"),
        }
    }
}

macro_rules! from {
    ($($error:ty => $variant:ident),*) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Failure {
                Failure::$variant(error)
            }
        })*
    };
}
from!(Error => Kernel, MemoryError => Memory, RootError => Root, ChannelError => Channel);

/// What both have.
struct Party {
    memory: Memory,
    mailbox: Mailbox,
    root: Root,
    deadline: Deadline,
}

impl Party {
    fn new(start: &Start) -> Result<Party, Failure> {
        let clock = Clock::new(start.tsc_hz);
        let mut memory = Memory::of_program(start)?;
        let mailbox = Mailbox::create(&mut memory, SLOTS, KEYS)?;
        Ok(Party { memory, mailbox, root: Root::of_program(start)?, deadline: clock.after(PATIENCE) })
    }

    /// A key to the mailbox for the peer.
    fn key(&self) -> Result<libfos::Key, Error> {
        self.mailbox.key(KeyRights::SEND.with(KeyRights::RING).with(KeyRights::ATTACH), 0)
    }
}

fn main(start: &Start) -> u8 {
    let role = start.arguments.get(1).map(|role| role.as_str());
    let said = match role {
        Some("first") => first::run(start),
        Some("second") => second::run(start),
        _ => Err(Failure::Role),
    };
    match said {
        Ok(()) => 0,
        Err(failure) => {
            println!("hello: {} on core {}: {failure}", role.unwrap_or("nobody"), start.core);
            1
        }
    }
}
