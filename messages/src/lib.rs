//! What the parts of fos say to each other, as data: one file per conversation, with its messages, their bounds
//! and what a receiver may rely on. Nothing here sends or receives; transports live in `libfos` and `host`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
// The code that macros make names this crate from outside.
extern crate self as fos_messages;

#[cfg(test)]
extern crate std;

pub mod arbiter;
pub mod containers;
pub mod control;
pub mod custody;
pub mod echo;
pub mod fleet;
pub mod founder;
pub mod frame;
pub mod image;
pub mod interfaces;
pub mod knowledge;
pub mod lending;
pub mod names;
pub mod pages;
pub mod processes;
pub mod programs;
pub mod rpc;
pub mod start;
pub mod tickets;
pub mod watchdog;
