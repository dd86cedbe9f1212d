//! What every program of fos links: kernel calls with types, start-up, heap, mailboxes, channels, console.
//!
//! Nothing here decides policy, and little here is process-wide: a mailbox, a channel end, an address manager
//! belongs to the thread that made it. The two exceptions are the heap and where [`console`] text goes, which a
//! process has once. Start at [`entry!`](crate::entry), which turns a `fn main(start: &Start) -> u8` into a program.
#![no_std]

extern crate alloc;

#[cfg(test)]
extern crate std;

pub mod arch;
pub mod blocking;
pub mod boot;
pub mod calls;
pub mod channel;
pub mod clock;
pub mod console;
pub mod founder;
pub mod frames;
pub mod heap;
pub mod input;
pub mod mailbox;
pub mod member;
pub mod memory;
pub mod named;
pub mod naming;
pub mod pager;
pub mod pages;
pub mod port;
pub mod processes;
pub mod ranges;
pub mod reflect;
pub mod root;
pub mod server;
pub mod spawn;
pub mod stackful;
pub mod start;
pub mod step;

pub use arch::{measure, topology};
pub use fos_abi::boot::BootFacts;
pub use fos_abi::capability::Handle;
pub use fos_abi::{Error, Key};
pub use fos_messages::start::Start;
pub use fos_runtime as runtime;
