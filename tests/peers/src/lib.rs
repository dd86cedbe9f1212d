//! Bad peers as code that runs wherever servers run: a table of deeds against a server and against naming, a server that lies
//! to its clients, and honest clients beside them who must not notice. The simulator's scenario `hostile` and the program
//! `peers` on the machine use the same.
//!
//! Everything here goes through a [`Runtime`](fos_runtime::Runtime) and its port, so a deed can do what any program can
//! that writes its own bytes, and nothing more. What takes the machine's own means (a shared page written from elsewhere) is
//! in the program alone.
#![no_std]
// Its tests count what is allocated.
#![cfg_attr(not(test), forbid(unsafe_code))]

extern crate alloc;

#[cfg(test)]
extern crate std;

pub mod attack;
pub mod bodies;
pub mod deeds;
pub mod honest;
pub mod liar;
mod random;
#[cfg(test)]
mod room;
pub mod till;

pub use random::Random;
