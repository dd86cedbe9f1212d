//! The Linux personality: what the `syscall` instructions of an unmodified Linux x86-64 program mean on fos.
//!
//! The kernel reflects each of them to this library, which lives in the program's own address space; nothing here
//! is trusted by anybody else. A program that overwrites it hurts only itself. [`Process`] is a state machine over
//! the [`System`] trait: the machine's own implementation is in `src/native.rs`, the tests bring a small fake.
//!
//! Start with [`calls`]: one file per Linux call, and the table that `docs/linux-compat/README.md` is checked
//! against. A call that is not in the table answers ENOSYS and is named once on the program's standard error.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

#[cfg(test)]
extern crate std;

pub mod calls;
pub mod descriptors;
pub mod errno;
pub mod image;
pub mod layout;
pub mod memory;
pub mod process;
pub mod signals;
pub mod stack;
pub mod system;

pub use errno::Errno;
pub use process::{Outcome, Process};
pub use system::System;

#[cfg(test)]
mod tests;
