//! libfos for C: the functions that `include/fos.h` declares, where their errors, units and owners are told. Each one turns
//! C's pointers into what libfos takes, once, and adds no behaviour.
//!
//! *What may be trusted.* A C program hurts itself by a wrong pointer, and nobody else: the kernel knows it by its identity
//! whatever it does. A null pointer where there must be something is `BadAddress`. Types of the header and of this crate
//! are compared by `tests.rs`, which has the C compiler check declarations that are made of the Rust ones.
//!
//! `./fos build` makes the static library of this crate with the feature `start`.
#![no_std]

extern crate alloc;

#[cfg(test)]
extern crate std;

pub mod mailbox;
pub mod names;
pub mod process;
pub mod send;
#[cfg(feature = "start")]
mod start;
pub mod status;
pub mod text;

pub use process::Process;
pub use status::Status;

#[cfg(test)]
mod tests;
