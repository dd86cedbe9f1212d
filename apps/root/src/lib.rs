//! What root decides without asking the kernel, so that it can be tested on the host: what the boot archive holds,
//! whether a file can be loaded and how, and what a program's address space will look like.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

#[cfg(test)]
extern crate std;

pub mod archive;
pub mod command_line;
pub mod custody;
pub mod executable;
pub mod layout;
pub mod outbox;
pub mod signal;
pub mod succession;
pub mod tickets;

#[cfg(test)]
mod tests;
