//! Channels: messages over shared memory, one sender and one receiver, no locks, no messages back, and no calls while
//! both are awake. The layout is [`fos_abi::channel`]; `docs/channels.md` argues for the protocol.
//!
//! The sender writes a message's payload and its headers, the first header last. The receiver knows by the lap in a
//! header that a message is there, copies it out, and now and then says how many slots it has freed; the sender looks
//! only when it believes the ring full.
//!
//! *The peer is not trusted.* Each end keeps its own position and never reads it from shared memory; what it does read is
//! read once and checked on that copy; payload is copied before anyone looks at it. Garbage gives
//! [`ChannelError::Garbage`], and nothing is read or written outside the shared lines.
//!
//! *When the peer is gone*, the kernel puts a zero frame in the place of the shared one: no slot is of the receiver's lap,
//! and the control line does not say open, so both ends answer [`ChannelError::Closed`].
//!
//! *Sleeping.* The receiver says that it sleeps, and looks again before it does. The sender puts a message, and looks
//! whether the receiver sleeps. Both order their store before their look, so one of them sees the other's: no message
//! waits for a receiver that sleeps. A sender that waits for room does the same the other way round.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod cursor;
mod poller;
mod receiver;
mod sender;
mod shared;
pub mod sync;

pub use fos_abi::channel::{LINE_SIZE, LINE_WORDS, MESSAGE_MAX, SLOT_PAYLOAD};
pub use poller::Poller;
pub use receiver::Receiver;
pub use sender::Sender;
pub use shared::Shared;

/// Why a channel can't go on, or not now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelError {
    /// The channel's peer has ended or closed it, or it was never opened.
    Closed,
    /// The ring has too few free slots now: try again later.
    Full,
    /// The message is longer than [`MESSAGE_MAX`], or than the ring.
    TooLong,
    /// The buffer is shorter than the next message; the message stays.
    BufferTooSmall {
        /// Bytes of the message.
        length: usize,
    },
    /// The peer wrote what no peer writes: the channel can't be trusted any more.
    Garbage,
}

impl core::fmt::Display for ChannelError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            ChannelError::Closed => write!(formatter, "the channel is closed: its peer has ended"),
            ChannelError::Full => write!(formatter, "the channel is full: try again later"),
            ChannelError::TooLong => write!(formatter, "the message is longer than the channel allows"),
            ChannelError::BufferTooSmall { length } => {
                write!(formatter, "the buffer is too small for {length} bytes")
            }
            ChannelError::Garbage => write!(formatter, "the channel's peer wrote garbage: close it"),
        }
    }
}

impl core::error::Error for ChannelError {}

#[cfg(test)]
mod tests;
