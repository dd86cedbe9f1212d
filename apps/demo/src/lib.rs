//! The demo fleet: notes that no death of a member loses, whose members are as many as the load needs. The machine's program
//! and the simulator run what is here unchanged; what differs (how a process finds naming and root) is in `main.rs` and in the
//! simulator's scenario.
//!
//! ```text
//!  show     starts a member and loaders, makes load, ends the coordinator, takes the load away, counts the notes
//!  watched  has a member hang, where there is a watchdog
//!  loader   writes notes by the fleet's name, as fast as they are taken
//!  member   is one of the fleet: `notes` is its service, everything else the fleet library's
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

#[cfg(test)]
extern crate std;

pub mod charter;
pub mod loader;
pub mod member;
pub mod notes;
pub mod process;
pub mod protocol;
pub mod show;
pub mod watched;

#[cfg(test)]
mod tutorial;
