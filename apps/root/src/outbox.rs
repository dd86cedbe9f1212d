//! Bytes on their way to the control link. Root must not wait for the host, and the link's driver takes only a few
//! messages at a time; so what is to be sent waits here, up to a bound. Whoever produces output looks at
//! [`Outbox::has_room`] first and leaves it where it is (in a mailbox, which then is full for the writer) otherwise.

use alloc::collections::VecDeque;

/// Above this many bytes no further output is taken from programs: what waits here delays the answer to a command, and
/// the link carries about 100 KiB per second.
pub const FULL_AT: usize = 32 * 1024;
/// Above this many bytes answers are lost as well: a host that asks and never reads must not use up root's memory.
pub const LOST_ABOVE: usize = 1024 * 1024;

/// Bytes in order.
#[derive(Debug, Default)]
pub struct Outbox {
    bytes: VecDeque<u8>,
}

impl Outbox {
    /// Adds a frame. Who produces them looks first at [`has_room`](Self::has_room), for output, or at
    /// [`is_overfull`](Self::is_overfull), for answers.
    pub fn push(&mut self, frame: &[u8]) {
        self.bytes.extend(frame);
    }

    /// Whether programs' output may be added.
    pub fn has_room(&self) -> bool {
        self.bytes.len() < FULL_AT
    }

    /// Whether even answers must be dropped.
    pub fn is_overfull(&self) -> bool {
        self.bytes.len() > LOST_ABOVE
    }

    /// Whether all was sent.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Hands pieces of at most `most` bytes to `send` until it refuses (false) or nothing is left.
    pub fn drain(&mut self, most: usize, mut send: impl FnMut(&[u8]) -> bool) {
        while !self.bytes.is_empty() {
            let (front, _) = self.bytes.as_slices();
            let piece = &front[..front.len().min(most)];
            if !send(piece) {
                return;
            }
            let count = piece.len();
            self.bytes.drain(..count);
        }
    }
}
