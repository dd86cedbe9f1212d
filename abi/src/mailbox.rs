//! The mailbox as its receiver sees it: a control page that it writes, and a ring that only the kernel
//! writes, both in the receiver's own memory.
//!
//! ```text
//!  page 0         control   Control { head, bells, stamps }  receiver: read and write
//!  page 1 ..      ring      slots of 128 bytes               receiver: read only; mapped twice in a row,
//!  page 1+n ..    the ring once more                         so that no message is ever in two pieces
//! ```
//!
//! A message takes 1 to 8 slots in a row: [`Header`], then payload to the end of the last slot. Tickets
//! count slots from 0 and wrap at 2^32; ticket `t` lives in slot `t % slots`. The message at `head` is
//! there when the stamp of its slot, in the control page, equals `head + 1`. The receiver reads it in place (the kernel is
//! trusted not to change it), then stores `head + slots_for(length)`: that frees the slots.

use core::sync::atomic::{AtomicU32, AtomicU64};

/// Bytes of a slot.
pub const SLOT_SIZE: usize = 128;
/// Bytes of a header.
pub const HEADER_SIZE: usize = 32;
/// Slots that one message may take.
pub const MESSAGE_SLOTS_MAX: usize = 8;
/// Payload bytes of the longest message. More goes by frames.
pub const MESSAGE_MAX: usize = MESSAGE_SLOTS_MAX * SLOT_SIZE - HEADER_SIZE;
/// Fewest slots of a mailbox: 1/8 of them must hold the longest message.
pub const SLOTS_MIN: usize = 64;
/// Most slots of a mailbox.
pub const SLOTS_MAX: usize = 512;
/// A sender may hold 1/SHARE of a mailbox's slots.
pub const SHARE: usize = 8;
/// Fewest and most keys of a mailbox's table.
pub const KEYS_MIN: usize = 16;
/// Most keys of a mailbox's table.
pub const KEYS_MAX: usize = 1024;

const _: () = assert!(SLOTS_MIN / SHARE == MESSAGE_SLOTS_MAX);
const _: () = assert!((SLOTS_MIN * SLOT_SIZE).is_multiple_of(4096));

/// The first page of a mailbox, written by its receiver (and, for `bells`, by the kernel).
#[derive(Debug)]
#[repr(C)]
pub struct Control {
    /// The ticket of the next message to take. The kernel believes it only as far as it hurts nobody else.
    pub head: AtomicU32,
    /// Unused.
    pub reserved: AtomicU32,
    /// Bells that rang: the kernel sets bits, the receiver swaps them to zero.
    pub bells: AtomicU64,
    /// Unused; the stamps begin on a cache line of their own.
    pub padding: [u64; 6],
    /// Per slot: ticket + 1 of the message that begins there, once it is whole. Not in the ring, where a
    /// sender's payload could pretend to be a header.
    pub stamps: [AtomicU32; SLOTS_MAX],
}
const _: () = assert!(size_of::<Control>() <= 4096);
const _: () = assert!(core::mem::offset_of!(Control, stamps) == 64);

impl Control {
    /// The stamp of a ticket's slot, in a mailbox of `mask + 1` slots.
    #[inline(always)]
    pub fn stamp(&self, ticket: u32, mask: u32) -> &AtomicU32 {
        &self.stamps[(ticket & mask) as usize & (SLOTS_MAX - 1)]
    }
}

/// The start of each message.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Header {
    /// Its ticket: what `accept` takes.
    pub ticket: u32,
    /// Payload bytes.
    pub length: u16,
    /// [`MessageKind`] as a number.
    pub kind: u8,
    /// 1 when a capability is attached: `accept` takes it, before `head` passes this message.
    pub attached: u8,
    /// Who sent it.
    pub sender: u64,
    /// The badge of the key it was sent with, or a fault reported with; the cookie of a watch or interrupt.
    pub badge: u64,
    /// Slots this message takes.
    pub slots: u32,
    /// Unused.
    pub reserved: u32,
}
const _: () = assert!(size_of::<Header>() == HEADER_SIZE && align_of::<Header>() == 8);

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum MessageKind {
    /// Bytes from a process.
    Data = 0,
    /// A sender's copy faulted, or its core failed: skip it.
    Void = 1,
    /// From the kernel: a watched thing ended. Payload [`Notice`]: `what` is an [`EndReason`].
    Ended = 2,
    /// From the kernel: an interrupt came. Payload [`Notice`]: `what` is the line, `detail` how often.
    Interrupt = 3,
    /// From the kernel: a thread faulted and is stopped. Payload [`crate::thread::FaultReport`].
    Fault = 4,
}

/// Payload of `Ended` and `Interrupt`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Notice {
    /// See [`MessageKind`].
    pub what: u64,
    /// A thread's exit status; how often an interrupt came.
    pub detail: u64,
}
const _: () = assert!(size_of::<Notice>() == 16);

/// Why a watched thing ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum EndReason {
    /// The thread called `thread_exit`; the detail is its status.
    Exited = 1,
    /// Somebody destroyed it, or revoked the frames it was built in.
    Destroyed = 2,
    /// Its core was fenced after a failure.
    CoreFailed = 3,
}

/// Slots that a message of `length` payload bytes takes.
pub const fn slots_for(length: usize) -> usize {
    (HEADER_SIZE + length).div_ceil(SLOT_SIZE)
}

/// Bytes of the mailbox object before its tables.
pub const OBJECT_SIZE: usize = 1024;
/// Bytes of one entry of the key table.
pub const KEY_ENTRY_SIZE: usize = 32;
/// Bytes per slot of what the kernel keeps: who holds it (8), two share counters (16), an attachment (48).
pub const SLOT_STATE_SIZE: usize = 72;

/// Frames of a mailbox with `slots` and `keys`, in the order private, control, ring; and how many of
/// them are private. `None` if the numbers are not allowed: both powers of two within their limits.
pub const fn frames_for(slots: usize, keys: usize) -> Option<(usize, usize)> {
    if !slots.is_power_of_two() || slots < SLOTS_MIN || slots > SLOTS_MAX {
        return None;
    }
    if !keys.is_power_of_two() || keys < KEYS_MIN || keys > KEYS_MAX {
        return None;
    }
    let private = (OBJECT_SIZE + keys * KEY_ENTRY_SIZE + slots * SLOT_STATE_SIZE).div_ceil(4096);
    Some((private + 1 + slots * SLOT_SIZE / 4096, private))
}

/// Pages that `mailbox_map` fills: control, ring, ring again.
pub const fn pages_for(slots: usize) -> usize {
    1 + 2 * (slots * SLOT_SIZE / 4096)
}
