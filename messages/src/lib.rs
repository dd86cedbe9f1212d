//! What the parts of fos say to each other, as data: one file per conversation, with its messages, their bounds
//! and what a receiver may rely on. Nothing here sends or receives; transports live in `libfos` and `host`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

#[cfg(test)]
extern crate std;

pub mod control;
pub mod frame;
pub mod image;
pub mod names;
pub mod programs;
pub mod rpc;
pub mod start;
