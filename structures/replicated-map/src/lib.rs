//! A map of which every member holds a full copy, as a state machine without input, output, clock or randomness of its
//! own: servers, the simulator and the model checker drive the same [`Replica`].
//!
//! Who sends to a replica: its clients (updates, reads), the other members, whoever watches their deaths, a timer.
//! Whom it waits for: never anybody inside a step. An update waits for every member of the epoch; a death notice, or
//! silence of a machine, ends the epoch and with it every wait for the dead.
//!
//! | file | decides |
//! |---|---|
//! | `identity`, `limits` | names and bounds |
//! | `operation`, `store`, `requests`, `digest` | what an update means; the same on every member |
//! | `log` | which updates are kept for whom |
//! | `membership` | who belongs to an epoch, whose votes make the next |
//! | `message` | what members say to each other |
//! | `interface` | what goes in and comes out |
//! | `replica` | the one way in: [`Replica::step`] |
//! | `commit` | the order of updates: two phases, one winner per position |
//! | `audit` | whose map is wrong, and that it leaves |
//! | `hand` | who proposes what clients ask: one member for all, as long as it lives |
//! | `clients` | queue, duplicates, answers, local reads |
//! | `deaths` | who is known to be dead, and who leads then |
//! | `election` | agreeing on the decree that ends an epoch |
//! | `epoch` | what a decree says, and going on with it |
//! | `sponsor`, `joiner` | both ends of a join |
//! | `silence` | machines that say nothing: leases, retransmission |
//! | `fault` | rules that tests break on purpose |
//!
//! The protocol, with pictures and what happens when a member dies at each step: `docs/replicated-map.md`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

#[cfg(test)]
extern crate std;

mod audit;
mod clients;
mod commit;
mod deaths;
mod digest;
mod election;
mod epoch;
mod fault;
mod hand;
mod identity;
mod interface;
mod joiner;
mod limits;
mod log;
mod membership;
mod message;
mod operation;
mod replica;
mod requests;
mod silence;
mod sponsor;
mod store;

pub use identity::{Ballot, Epoch, Identity, Machine, Member, Request, Version};
pub use interface::{Answer, Input, Output, Refusal, Stop};
pub use limits::{Limit, Limits};
pub use log::Record;
pub use membership::Membership;
pub use message::{Body, Cursor, Decree, JoinRefusal, Logged, Message, Part, Proposal, Report};
pub use operation::{Entry, Operation, Outcome, Update};
pub use replica::Replica;
pub use requests::Memory;
pub use store::Store;

/// What a key must be able to do. Every type that can, is one.
pub trait Key: Clone + Ord + core::hash::Hash {}
impl<T: Clone + Ord + core::hash::Hash> Key for T {}

/// What a value must be able to do. Every type that can, is one.
pub trait Value: Clone + Eq + core::hash::Hash {}
impl<T: Clone + Eq + core::hash::Hash> Value for T {}

#[cfg(test)]
mod tests;
