//! What the two say to each other by messages through the kernel.

use alloc::vec::Vec;

use fos_messages::start::KeyBytes;
use libfos::mailbox::Message;
use serde::{Deserialize, Serialize};

use crate::Failure;

/// Messages that each exchange takes.
pub const COUNT: u32 = 1000;

/// From one to the other.
#[derive(Debug, Serialize, Deserialize)]
pub enum Hello {
    /// Second to first: where answers go; a key that may send and ring.
    Meet { answer: KeyBytes },
    /// Second to first; first answers with `Pong`.
    Ping { number: u32 },
    /// First to second: the number of the `Ping`.
    Pong { number: u32 },
    /// Second to first, with a Frames capability attached: one cleared page with a channel in each half, open. Second
    /// sends in the first half.
    Page,
    /// First to second: the page is mapped.
    Mapped,
}

impl Hello {
    /// The message as bytes.
    pub fn encode(&self) -> Result<Vec<u8>, Failure> {
        postcard::to_allocvec(self).map_err(|_| Failure::Protocol)
    }

    /// Reads a message.
    pub fn read(message: &Message<'_>) -> Result<Hello, Failure> {
        postcard::from_bytes(message.bytes()).map_err(|_| Failure::Protocol)
    }
}
