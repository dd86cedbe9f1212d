//! The shortest round trip through some cities, by a fleet. Its open list is a pool: whoever of the members has nothing to do takes
//! a beginning of a trip, and puts in the longer ones that begin so, or tries all that do. What became of each stands in a strong
//! map, so that no end of a member loses a beginning, and the shortest trip is exact whoever ends meanwhile. The shortest so far
//! is in an eventual map: who knows it late only works in vain.
//!
//! | file | decides |
//! |---|---|
//! | `problem` | distances, beginnings, branch and bound; the same alone, in another way |
//! | `ledger` | what became of each beginning, and which are open |
//! | `searcher` | a member's work, and what it is asked |
//! | `member` | a member's life |
//! | `charter`, `protocol` | the fleet's terms; what clients ask |
//! | `client` | one that asks |
//!
//! The machine's program is `main.rs`; the simulator's scenario is `search`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

#[cfg(test)]
extern crate std;

pub mod charter;
pub mod client;
mod ledger;
pub mod member;
pub mod problem;
pub mod protocol;
mod searcher;
