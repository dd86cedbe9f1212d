//! What a member knows of another.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Another member.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Peer<T> {
    /// Transfers to it that it has not confirmed: number and elements. They are not at this member's disposal, and not
    /// forgotten either.
    pub departing: VecDeque<(u64, Vec<T>)>,
    /// The last transfer to it.
    pub sent: u64,
    /// The last transfer from it.
    pub taken: u64,
    /// Transfers from it that were declined, since this member leaves.
    pub declined: Vec<u64>,
    /// The last one of which it has been told that it was taken.
    pub told_taken: u64,
    /// What it has, as far as is known.
    pub estimate: usize,
    /// What it was told that this member has.
    pub told_stock: usize,
    /// It has ended; the next epoch does without it.
    pub is_dead: bool,
    /// Messages to it wait for room.
    pub is_crowded: bool,
    /// It leaves.
    pub is_leaving: bool,
    /// It has nothing and leaves nothing behind.
    pub is_gone: bool,
    /// It knows that this member leaves.
    pub has_heard: bool,
}

impl<T> Peer<T> {
    /// One of which nothing is known yet.
    pub fn new() -> Peer<T> {
        Peer {
            departing: VecDeque::new(),
            sent: 0,
            taken: 0,
            declined: Vec::new(),
            told_taken: 0,
            estimate: 0,
            told_stock: 0,
            is_dead: false,
            is_crowded: false,
            is_leaving: false,
            is_gone: false,
            has_heard: false,
        }
    }

    /// Whether it may be asked for elements, or given some.
    pub fn takes_part(&self) -> bool {
        !self.is_dead && !self.is_leaving
    }
}
