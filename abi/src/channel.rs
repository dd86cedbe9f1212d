//! A channel as both its ends see it: messages in one direction over lines of shared memory, one sender and one
//! receiver, which are two programs that do not trust each other. `docs/channels.md` has the protocol.
//!
//! ```text
//!  line 0       Control    what both ends read, and hardly anyone writes
//!  line 1       Progress   what the receiver alone writes
//!  line 2 ..    Slot       what the sender alone writes: a header and 56 bytes of payload each
//! ```
//!
//! The sender goes around the slots; each time it passes the first it is on another *lap*, counted from 1. A message
//! takes slots in a row, around the end if need be. A slot's header says on which lap it was written, so nobody has to
//! clear it: one whose lap is not the receiver's is not there yet. Headers lie in the first word of a slot and payload
//! never does, so no payload can pass for a header.

use crate::mailbox;

/// Bytes of a line.
pub const LINE_SIZE: usize = 64;
/// Words of a line.
pub const LINE_WORDS: usize = LINE_SIZE / 8;
/// Payload bytes of a slot.
pub const SLOT_PAYLOAD: usize = LINE_SIZE - 8;
/// Lines before the first slot.
pub const SLOTS_AT: usize = 2;
/// Most slots that a message takes.
pub const MESSAGE_SLOTS_MAX: usize = 18;
/// Payload bytes of the longest message, if the ring has that many slots. More goes by frames.
pub const MESSAGE_MAX: usize = MESSAGE_SLOTS_MAX * SLOT_PAYLOAD;
/// What [`Control::open`] says while both ends hold the channel: "open", little endian.
pub const OPEN: u64 = 0x6e65_706f;

// What goes through a mailbox goes through a channel.
const _: () = assert!(MESSAGE_MAX >= mailbox::MESSAGE_MAX);

/// The first line.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Control {
    /// [`OPEN`], or the channel has ended. The kernel's zero frame in the place of a lost one says that too.
    pub open: u64,
    /// 1 while the receiver sleeps or is about to: set by the receiver, cleared by the sender that rings it.
    pub sleeps: u64,
    /// How often the sender has waited for room: written by the sender alone. The receiver rings it once for each number.
    pub waits: u64,
    /// Unused.
    pub unused: [u64; 5],
}
const _: () = assert!(size_of::<Control>() == LINE_SIZE);

/// The second line.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Progress {
    /// Slots that the receiver has freed since the beginning. It may lag behind, but not once the receiver has found the
    /// ring empty.
    pub freed: u64,
    /// Unused.
    pub unused: [u64; 7],
}
const _: () = assert!(size_of::<Progress>() == LINE_SIZE);

/// Each further line.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Slot {
    /// [`first_header`] or [`rest_header`]; 0 before the first lap.
    pub header: u64,
    /// Bytes of a message.
    pub payload: [u8; SLOT_PAYLOAD],
}
const _: () = assert!(size_of::<Slot>() == LINE_SIZE);
const _: () = assert!(core::mem::offset_of!(Slot, header) == 0 && core::mem::offset_of!(Slot, payload) == 8);

/// In a header: the slot is a message's first, and the bits below are the message's bytes.
const FIRST: u64 = 1 << 31;
/// In a header: the slot continues a message.
const REST: u64 = 1 << 30;
const _: () = assert!((MESSAGE_MAX as u64) < REST);

/// The header of a message's first slot, without the message's length, which is to be added.
pub const fn first_header(lap: u32) -> u64 {
    (lap as u64) << 32 | FIRST
}

/// The header of a message's other slots.
pub const fn rest_header(lap: u32) -> u64 {
    (lap as u64) << 32 | REST
}

/// On which lap a header was written.
pub const fn lap_of(header: u64) -> u32 {
    (header >> 32) as u32
}

/// Slots that a message of `length` bytes takes; an empty one takes one.
pub const fn slots_for(length: usize) -> usize {
    if length <= SLOT_PAYLOAD { 1 } else { length.div_ceil(SLOT_PAYLOAD) }
}
