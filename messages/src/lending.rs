//! What members of a fleet that lends the elements of a pool tell each other: what is in whose hands. Idempotent; asked by the
//! member that looks for what ended members had.

use crate::rpc::interface;
use alloc::vec::Vec;

/// Elements in one answer, at most.
pub const PAGE: usize = 32;

/// What is in the hands of a member.
#[interface(id = 43, version = 1)]
pub trait LendingPeers {
    /// The elements of this pool that are neither in it nor recorded as lent, since this member is about to do one of both: those
    /// after this one, in order, at most [`PAGE`]. No bytes stand for before the first; elements are written as the pool's members
    /// do. None are left when there are fewer than a page.
    #[operation(idempotent, answer_max = 900)]
    fn in_hand(&self, pool: u16, after: Vec<u8>) -> Vec<Vec<u8>>;
}
