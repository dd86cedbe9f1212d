//! Runs data structures in a fleet: any [`Container`](fos_container::Container), over the runtime, on the machine and in the
//! simulator.
//!
//! | file | decides |
//! |---|---|
//! | `switchboard` | which structure of a process a message is for; one for each process |
//! | `carrier` | one structure: its steps, its answers, its timer, the ends of its peers |
//! | `following` | its epochs, from the fleet's |
//! | `harness` | processes in memory, for tests (feature `harness`) |
//!
//! Nobody here waits for a peer: what finds no room waits, in order, until there is some or the peer has ended; the structure hears of
//! that, and bounds how much it is.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod carrier;
mod following;
#[cfg(any(test, feature = "harness"))]
pub mod harness;
mod switchboard;

pub use carrier::{Carrier, Seat, Stopped};
pub use switchboard::Switchboard;

#[cfg(test)]
mod tests;
