//! `Map<K, V>`: keys and values, each at a few members of a fleet. One member's share is a state machine without input, output,
//! clock or randomness of its own: servers, the simulator and the model checker drive the same [`Map`].
//!
//! Keys are in *shards* by their hash; which members have a shard is decided by highest random weight among those that stay. A map
//! is *strong* (reads and writes of a key are linearizable: a write is acknowledged when every member that has the shard has it) or
//! *eventual* (whoever has the shard takes writes and reads, the last writer wins, and what differs is evened out in the
//! background).
//!
//! Who sends to it: its own server (reads and writes), the other members, a timer. Whom it waits for: nobody inside a step. A
//! request waits for the members that have its shard, and across epochs: it is asked again, and done once.
//!
//! | file | decides |
//! |---|---|
//! | `policy`, `place` | which members should have which keys |
//! | `request`, `message` | what goes in and comes out |
//! | `share` | the one way in, and what an epoch changes |
//! | `origin` | requests of the own server, until they are answered |
//! | `replica`, `lead` | strong: one shard at one member; how its leader orders writes |
//! | `rollcall` | strong: who leads each shard in a new epoch |
//! | `moving` | strong: copying, handing over and dropping shards in the background |
//! | `cells`, `evening` | eventual: versions, and how members come to agree |
//! | `burial` | eventual: how it is forgotten that keys were removed |
//! | `leaving` | handing everything on |
//! | `fault` | rules that tests break on purpose |
//! | `service` | running one in a fleet |
//!
//! The chapter, with what becomes of a write wherever a member ends: `docs/structures.md`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

#[cfg(test)]
extern crate std;

mod burial;
mod cells;
mod evening;
mod fault;
mod lead;
mod leaving;
mod message;
mod moving;
mod origin;
mod place;
mod policy;
mod replica;
mod request;
mod rollcall;
mod service;
mod share;

pub use cells::{Cell, Version};
pub use message::{Body, Message};
pub use policy::{COPYING_MAX, Consistency, PENDING_MAX, Policy, WINDOW};
pub use replica::{Entry, Rest};
pub use request::{Answer, Operation};
pub use service::{MapError, Service};
pub use share::Map;

/// A key. Every type that can be compared and hashed is one.
pub trait Key: Clone + Ord + core::hash::Hash {}
impl<T: Clone + Ord + core::hash::Hash> Key for T {}

#[cfg(test)]
mod tests;
