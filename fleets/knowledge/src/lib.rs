//! The fleet `knowledge`: what the system knows of itself, as answers to typed questions, and who has which cores. Every member knows
//! everything; the coordinator is the [arbiter](arbiter).
//!
//! | file | decides |
//! |---|---|
//! | `facts` | what is known, and how much of it |
//! | `estimate` | what a message between two cores takes |
//! | `nearest` | which core is best for a process |
//! | `arbiter` | who gets a core, who yields one, what did not help |
//! | `server`, `service` | the conversation |
//! | `member`, `charter` | one member, from entering the fleet to leaving it; the fleet's terms |
//! | `probe` | what is found out of a core by running on it |
//! | `limits` | how much is kept, what is assumed |
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

#[cfg(test)]
extern crate std;

pub mod arbiter;
pub mod charter;
pub mod estimate;
pub mod facts;
pub mod limits;
pub mod member;
mod nearest;
pub mod probe;
pub mod server;
pub mod service;
#[cfg(test)]
mod tests;
