//! The program's own ELF image, as root says it was loaded: which addresses are mapped how, and where the heap begins.

use crate::system::Protection;
use alloc::vec::Vec;
use core::ops::Range;
use fos_messages::start::Guest;

/// Addresses and how they are mapped.
pub type Segment = (Range<u64>, Protection);

/// The loaded segments.
pub fn segments(guest: &Guest) -> Vec<Segment> {
    let protection = |write, execute| Protection { read: true, write, execute };
    guest.segments.iter().map(|part| (part.start..part.end, protection(part.write, part.execute))).collect()
}

/// Where the heap begins: after the last segment.
pub fn heap_start(guest: &Guest) -> u64 {
    guest.segments.iter().map(|part| part.end).max().unwrap_or(fos_abi::limits::USER_START)
}
