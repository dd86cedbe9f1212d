//! `Buddy`: contiguous blocks of 1 to 2^18 frames of 4 KiB (1 GiB), shared by the members of a fleet. One member's share is a
//! state machine without input, output, clock or randomness of its own: servers, the simulator and the model checker drive
//! the same [`Buddy`].
//!
//! Who sends to it: its own server (allocations, blocks that are freed, what the owner of the frames knows), the other members, a
//! timer. Whom it waits for: nobody inside a step. An allocation that finds no block that is large enough waits for other
//! members, for each of them until it answers or has ended.
//!
//! | file | decides |
//! |---|---|
//! | `block`, `ranges` | what a block is; frames as ranges |
//! | `bits`, `store` | the free blocks of one member: splitting, merging |
//! | `request`, `message`, `limits` | what goes in and comes out, and how much of it |
//! | `share` | the one way in, and what an epoch changes |
//! | `peers` | what is known of another member, what is on its way to it |
//! | `seek` | allocations that wait, and whom they ask |
//! | `transfer` | how blocks change hands: never at two members' disposal, never at nobody's |
//! | `merge` | how two halves at two members come to one |
//! | `recovery` | what ended members had |
//! | `leaving` | handing everything on |
//! | `fault` | rules that tests break on purpose |
//! | `service` | running one in a fleet |
//!
//! The chapter, with what becomes of a block wherever a member ends: `docs/structures.md`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

#[cfg(test)]
extern crate std;

mod bits;
mod block;
mod fault;
mod leaving;
pub mod limits;
mod merge;
mod message;
mod peers;
mod ranges;
mod recovery;
mod request;
mod seek;
mod service;
mod share;
mod store;
mod transfer;

pub use block::{Block, FRAMES_MAX, NoBlock, ORDER_MAX, blocks_of};
pub use message::{Body, Header, Message};
pub use ranges::Ranges;
pub use request::{Answer, Question, Request};
pub use service::{AllocateError, Coming, FreeError, Records, Service};
pub use share::Buddy;
pub use store::{Overlap, Store};

#[cfg(test)]
mod tests;
