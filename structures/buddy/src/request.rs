//! What a member's server asks, and what it is answered.

use crate::Block;
use alloc::vec::Vec;
use core::ops::Range;
use fos_container::Epoch;

/// What a server asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// A block of this order.
    Allocate {
        /// 2^order frames.
        order: u8,
    },
    /// This block is free: one that was allocated or a part of it, or one that is new.
    Free(Block),
    /// The answer to a [`Question`].
    Found {
        /// The question's.
        epoch: Epoch,
        /// All frames that are not outside.
        inside: Vec<Range<u64>>,
    },
}

/// What it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// The block is out. Whoever owns the frames records that before it does anything else.
    Allocated(Block),
    /// Nobody had so large a block when asked. Smaller ones may have merged since.
    Exhausted,
    /// No block has this order.
    TooLarge,
    /// Too many allocations wait here ([`WAITING_MAX`](crate::limits::WAITING_MAX)): try later, or another member.
    Busy,
    /// It is in. Whoever owns the frames records that before it does anything else.
    Freed(Block),
    /// Some of it is free at this member already; nothing was changed. What is free elsewhere only the owner's record shows.
    Overlap(Block),
    /// This member is none yet, or leaves: ask another. A block that was to be freed is given back.
    NotServing(Option<Block>),
}

/// What only the owner of the frames knows: which of them are not outside, that is, with nobody but members or with nobody at all.
///
/// The answer must not name what is outside, or on its way out of or into a member through its server; nor leave out anything else that
/// ended members may have had. It may name what living members have, as an owner does that names all but what is outside:
/// the members are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// When it was asked. Of several questions only the last one's answer counts.
    pub epoch: Epoch,
}
