//! What a member knows of another.

use crate::{Block, Header, ORDER_MAX};
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Another member.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Peer {
    /// Transfers to it that it has not confirmed: number and blocks. They are not at this member's disposal, and not forgotten
    /// either.
    pub departing: VecDeque<(u64, Vec<Block>)>,
    /// The last transfer to it.
    pub sent: u64,
    /// The last transfer from it.
    pub taken: u64,
    /// The last one that was not declined. Who declines one declines all that follow.
    pub kept: u64,
    /// The last one of which it has been told that it was taken.
    pub told: u64,
    /// What it said last.
    pub header: Header,
    /// It has ended; the next epoch does without it.
    pub is_dead: bool,
    /// Messages to it wait for room.
    pub is_crowded: bool,
    /// Something about lonely halves was not said to it, since it is crowded.
    pub was_spared: bool,
    /// It leaves.
    pub is_leaving: bool,
    /// It knows that this member leaves.
    pub has_heard: bool,
}

impl Peer {
    /// One of which nothing is known: it may have anything.
    pub fn new() -> Peer {
        Peer {
            departing: VecDeque::new(),
            sent: 0,
            taken: 0,
            kept: 0,
            told: 0,
            header: Header { frames: 0, largest: Some(ORDER_MAX), taken: 0 },
            is_dead: false,
            is_crowded: false,
            was_spared: false,
            is_leaving: false,
            has_heard: false,
        }
    }

    /// Whether it may be given blocks.
    pub fn takes_part(&self) -> bool {
        !self.is_dead && !self.is_leaving
    }
}
