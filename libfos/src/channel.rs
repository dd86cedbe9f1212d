//! Channels: messages over shared memory, one producer and one consumer, no locks and no calls while both are awake.
//!
//! ```text
//!  line 0        control   word 0: OPEN once set up    word 1: the receiver sleeps
//!  line 1 ..     slots     word 0: header              words 1 to 7: 56 bytes of payload
//! ```
//!
//! A line is 64 bytes. A slot whose header is 0 is free. The sender writes a message's payload and its headers, the
//! first header last; the receiver copies the message out and clears the headers, which is the only acknowledgement.
//! A message of more than 56 bytes goes over several slots in a row, around the end if need be.
//!
//! *The peer is not trusted.* Each side keeps its own position and never reads it from shared memory; a header is
//! read once and what it says is checked on that copy; payload is copied before anyone looks at it. Garbage gives
//! [`ChannelError::Garbage`], and nothing is read or written outside the shared lines.
//!
//! *When the peer is gone*, the kernel puts a zero frame in the place of the shared one: the channel reads as empty, and
//! then, because word 0 of the control line is no longer [`OPEN`], as [`ChannelError::Closed`].
//!
//! *Sleeping.* The receiver stores 1 to the sleep word, fences fully and looks again before it waits for a bell. The
//! sender stores the header, fences fully and reads the sleep word; if it is set, the sender clears it and rings. At
//! least one of them sees the other's store, so no message waits for a receiver that sleeps.

use core::sync::atomic::{AtomicU64, Ordering, fence};

use fos_abi::Error;

use crate::clock::Deadline;
use crate::mailbox::Mailbox;

/// Bytes of a line.
pub const LINE_SIZE: usize = 64;
/// Words of a line.
pub const LINE_WORDS: usize = LINE_SIZE / 8;
/// Payload bytes of a slot.
pub const SLOT_PAYLOAD: usize = LINE_SIZE - 8;
/// What the first word of a channel says while it is set up: "fos open", little endian.
pub const OPEN: u64 = 0x6e65_706f_2073_6f66;

/// Control word: [`OPEN`].
const WORD_OPEN: usize = 0;
/// Control word: 1 while the receiver sleeps or is about to.
const WORD_SLEEPS: usize = 1;

/// In a header: the slot is taken.
const TAKEN: u64 = 1 << 63;
/// In a header: the slot is a message's first, and the low 32 bits are the message's length in bytes.
const FIRST: u64 = 1 << 62;

/// Why a channel can't go on, or not now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelError {
    /// The channel's peer has ended or closed it, or it was never opened.
    Closed,
    /// The ring has too few free slots now: try again later.
    Full,
    /// The message is longer than the ring.
    TooLong,
    /// The buffer is shorter than the next message; the message stays.
    BufferTooSmall {
        /// Bytes of the message.
        length: usize,
    },
    /// The peer wrote a header that no sender writes: the channel can't be trusted any more.
    Garbage,
}

impl core::fmt::Display for ChannelError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            ChannelError::Closed => write!(formatter, "the channel is closed: its peer has ended"),
            ChannelError::Full => write!(formatter, "the channel is full: try again later"),
            ChannelError::TooLong => write!(formatter, "the message is longer than the channel"),
            ChannelError::BufferTooSmall { length } => {
                write!(formatter, "the buffer is too small for {length} bytes")
            }
            ChannelError::Garbage => write!(formatter, "the channel's peer wrote garbage: close it"),
        }
    }
}

impl core::error::Error for ChannelError {}

/// One line of shared memory.
type Line = [AtomicU64; LINE_WORDS];

/// The shared memory of a channel in one direction: a control line and at least one slot.
#[derive(Clone, Copy, Debug)]
pub struct Shared<'a> {
    control: &'a Line,
    slots: &'a [Line],
}

impl<'a> Shared<'a> {
    /// Takes shared words as a channel; `None` if they are not whole lines, or fewer than two.
    pub fn new(words: &'a [AtomicU64]) -> Option<Shared<'a>> {
        match words.as_chunks() {
            ([control, slots @ ..], []) if !slots.is_empty() => Some(Shared { control, slots }),
            _ => None,
        }
    }

    /// Two channels, one for each direction, in the halves of shared words. Both peers must take the same half as the
    /// same direction: by convention, who set the memory up sends in the first.
    pub fn halves(words: &'a [AtomicU64]) -> Option<(Shared<'a>, Shared<'a>)> {
        let (first, second) = words.split_at(words.len() / 2);
        Some((Shared::new(first)?, Shared::new(second)?))
    }

    /// Sets the channel up: whoever made the (zeroed) memory calls this once, before the peer gets it.
    pub fn open(&self) {
        self.control[WORD_OPEN].store(OPEN, Ordering::Release);
    }

    /// Ends it for both.
    pub fn close(&self) {
        self.control[WORD_OPEN].store(0, Ordering::Release);
    }

    #[inline]
    fn is_open(&self) -> bool {
        self.control[WORD_OPEN].load(Ordering::Relaxed) == OPEN
    }

    /// The position `ahead` slots after `position`, around the end; `ahead` is at most the number of slots.
    #[inline]
    fn step(&self, position: usize, ahead: usize) -> usize {
        let sum = position + ahead;
        if sum >= self.slots.len() { sum - self.slots.len() } else { sum }
    }

    /// The slot `ahead` slots after `position`.
    #[inline]
    fn slot(&self, position: usize, ahead: usize) -> &'a Line {
        &self.slots[self.step(position, ahead)]
    }
}

/// Slots that a message of `length` bytes takes; an empty one takes one.
#[inline]
const fn slots_for(length: usize) -> usize {
    if length <= SLOT_PAYLOAD { 1 } else { length.div_ceil(SLOT_PAYLOAD) }
}

/// The end that writes.
#[derive(Debug)]
pub struct Sender<'a> {
    shared: Shared<'a>,
    /// The next slot to write.
    position: usize,
}

impl<'a> Sender<'a> {
    /// The only sender of a channel.
    pub fn new(shared: Shared<'a>) -> Sender<'a> {
        Sender { shared, position: 0 }
    }

    /// Puts a message into the ring, whole or not at all. `true`: the receiver sleeps, so ring its bell.
    #[inline]
    pub fn send(&mut self, message: &[u8]) -> Result<bool, ChannelError> {
        let count = slots_for(message.len());
        self.check_room(count)?;
        if count > 1 {
            self.write_rest(message);
        }
        let first = self.shared.slot(self.position, 0);
        copy_in(first, &message[..message.len().min(SLOT_PAYLOAD)]);
        first[0].store(TAKEN | FIRST | message.len() as u64, Ordering::Release);
        self.position = self.shared.step(self.position, count);
        Ok(self.receiver_sleeps())
    }

    /// Whether the channel is open, and the next `count` slots are free. The receiver frees in order, so if the last is
    /// free, all are; a peer that lies loses its own messages.
    #[inline]
    fn check_room(&self, count: usize) -> Result<(), ChannelError> {
        if !self.shared.is_open() {
            return Err(ChannelError::Closed);
        }
        if count > self.shared.slots.len() {
            return Err(ChannelError::TooLong);
        }
        let last = self.shared.slot(self.position, count - 1);
        if last[0].load(Ordering::Acquire) == 0 { Ok(()) } else { Err(ChannelError::Full) }
    }

    /// Fills the slots after a message's first.
    fn write_rest(&self, message: &[u8]) {
        for (ahead, part) in message.chunks(SLOT_PAYLOAD).enumerate().skip(1) {
            let slot = self.shared.slot(self.position, ahead);
            copy_in(slot, part);
            slot[0].store(TAKEN, Ordering::Relaxed);
        }
    }

    /// After a header was stored: whether the receiver's sleep word is set, which is then cleared.
    #[inline]
    fn receiver_sleeps(&self) -> bool {
        fence(Ordering::SeqCst);
        let word = &self.shared.control[WORD_SLEEPS];
        word.load(Ordering::Relaxed) != 0 && word.swap(0, Ordering::Relaxed) != 0
    }
}

/// The end that reads.
#[derive(Debug)]
pub struct Receiver<'a> {
    shared: Shared<'a>,
    /// The next slot to read.
    position: usize,
}

impl<'a> Receiver<'a> {
    /// The only receiver of a channel.
    pub fn new(shared: Shared<'a>) -> Receiver<'a> {
        Receiver { shared, position: 0 }
    }

    /// Copies the next message into `buffer` and frees its slots. `Ok(None)`: there is none now.
    #[inline]
    pub fn receive(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, ChannelError> {
        let Some(length) = self.next_length()? else { return Ok(None) };
        let Some(target) = buffer.get_mut(..length) else {
            return Err(ChannelError::BufferTooSmall { length });
        };
        let count = slots_for(length);
        if count > 1 {
            self.check_rest(count)?;
        }
        let mut parts = target.chunks_mut(SLOT_PAYLOAD);
        for ahead in 0..count {
            let slot = self.shared.slot(self.position, ahead);
            copy_out(slot, parts.next().unwrap_or_default());
            slot[0].store(0, Ordering::Release);
        }
        self.position = self.shared.step(self.position, count);
        Ok(Some(length))
    }

    /// Says that the receiver is about to sleep. `true`: nothing came meanwhile, so wait for the bell now, then
    /// call [`wake`](Self::wake). `false`: do not wait, something is there.
    pub fn prepare_to_sleep(&mut self) -> bool {
        self.shared.control[WORD_SLEEPS].store(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let nothing =
            self.shared.slot(self.position, 0)[0].load(Ordering::Relaxed) == 0 && self.shared.is_open();
        if !nothing {
            self.wake();
        }
        nothing
    }

    /// Sleeps until the sender rings a bell of `mailbox`, or something else comes to it, or the deadline passes
    /// (`TimedOut`). Returns at once if a message is there. Takes the mailbox's bells.
    pub fn sleep(&mut self, mailbox: &Mailbox, deadline: Deadline) -> Result<(), Error> {
        if !self.prepare_to_sleep() {
            return Ok(());
        }
        let waited = mailbox.wait(deadline);
        mailbox.take_bells();
        self.wake();
        waited
    }

    /// Says that the receiver is awake: no bell is needed.
    pub fn wake(&mut self) {
        self.shared.control[WORD_SLEEPS].store(0, Ordering::Relaxed);
    }

    /// The next message's length, from one read of its header, checked.
    #[inline]
    fn next_length(&self) -> Result<Option<usize>, ChannelError> {
        let header = self.shared.slot(self.position, 0)[0].load(Ordering::Acquire);
        if header == 0 {
            return if self.shared.is_open() { Ok(None) } else { Err(ChannelError::Closed) };
        }
        let length = (header & u64::from(u32::MAX)) as usize;
        let known = header == TAKEN | FIRST | length as u64;
        if !known || slots_for(length) > self.shared.slots.len() {
            return Err(ChannelError::Garbage);
        }
        Ok(Some(length))
    }

    /// Checks that the slots after a message's first belong to it.
    #[inline]
    fn check_rest(&self, count: usize) -> Result<(), ChannelError> {
        let is_rest = |ahead| self.shared.slot(self.position, ahead)[0].load(Ordering::Relaxed) == TAKEN;
        if (1..count).all(is_rest) { Ok(()) } else { Err(ChannelError::Garbage) }
    }
}

/// Writes at most 56 bytes to a slot's payload, word by word.
#[inline]
fn copy_in(slot: &Line, bytes: &[u8]) {
    let (words, tail) = bytes.as_chunks::<8>();
    let mut payload = slot[1..].iter();
    for (bytes, word) in words.iter().zip(&mut payload) {
        word.store(u64::from_le_bytes(*bytes), Ordering::Relaxed);
    }
    if let (false, Some(word)) = (tail.is_empty(), payload.next()) {
        let last = tail.iter().rev().fold(0, |last, byte| last << 8 | u64::from(*byte));
        word.store(last, Ordering::Relaxed);
    }
}

/// Reads at most 56 bytes of a slot's payload, word by word, each once.
#[inline]
fn copy_out(slot: &Line, bytes: &mut [u8]) {
    let (words, tail) = bytes.as_chunks_mut::<8>();
    let mut payload = slot[1..].iter();
    for (bytes, word) in words.iter_mut().zip(&mut payload) {
        *bytes = word.load(Ordering::Relaxed).to_le_bytes();
    }
    if let (false, Some(word)) = (tail.is_empty(), payload.next()) {
        let last = word.load(Ordering::Relaxed).to_le_bytes();
        for (byte, from) in tail.iter_mut().zip(last) {
            *byte = from;
        }
    }
}

#[cfg(test)]
mod tests;
