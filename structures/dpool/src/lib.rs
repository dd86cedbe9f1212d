//! `Pool<T>`: an unordered pool of elements, shared by the members of a fleet; who takes some gets any. One member's share is
//! a state machine without input, output, clock or randomness of its own: servers, the simulator and the model checker drive
//! the same [`Pool`].
//!
//! Who sends to a pool: its own server (adds, removes, what the owner of the elements knows), the other members, a timer. Whom
//! it waits for: nobody inside a step. A remove that finds too little waits for other members, for each of them until it answers
//! or has ended.
//!
//! | file | decides |
//! |---|---|
//! | `policy`, `thresholds` | which scheme, and from how many elements on it does what |
//! | `request`, `message` | what goes in and comes out |
//! | `pool` | the one way in, and what an epoch changes |
//! | `peers` | what is known of another member, what is on its way to it |
//! | `gather` | removes that wait, and whom they ask |
//! | `transfer` | how elements change hands: never at two members' disposal, never at nobody's |
//! | `balance` | what happens in the background: pull, push, push with estimation |
//! | `recovery` | what ended members had |
//! | `leaving` | handing everything on |
//! | `fault` | rules that tests break on purpose |
//! | `service` | running one in a fleet |
//!
//! The chapter, with what becomes of an element wherever a member ends: `docs/structures.md`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

#[cfg(test)]
extern crate std;

mod balance;
mod fault;
mod gather;
mod leaving;
mod message;
mod peers;
mod policy;
mod pool;
mod recovery;
mod request;
mod service;
pub mod thresholds;
mod transfer;

pub use message::{Body, Header, Message};
pub use policy::{Placement, Policy, Scheme};
pub use pool::Pool;
pub use request::{Answer, Question, Request};
pub use service::{Coming, NotServing, Records, RemoveError, Service};
pub use thresholds::Thresholds;

/// What an element must be able to do. Every type that can, is one. No two elements of a pool are equal. It should be written in twice
/// its size at most, as numbers are, and what is put together of them: so messages are bounded
/// ([`thresholds::part_of`]).
pub trait Element: Clone + Ord {}
impl<T: Clone + Ord> Element for T {}

#[cfg(test)]
mod tests;
