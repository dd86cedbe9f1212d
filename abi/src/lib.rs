//! What the kernel and every program agree on: call numbers, registers, handles, error codes, and the
//! layout of every byte that both sides read. Data, no behaviour; the one exception is arithmetic on
//! layouts, which must come out the same on both sides.
//!
//! Start with [`calls`]; `docs/calls.md` is checked against [`calls::CALLS`] by `./fos check`.
#![no_std]
#![forbid(unsafe_code)]

pub mod boot;
pub mod calls;
pub mod capability;
pub mod channel;
pub mod error;
pub mod exit;
pub mod key;
pub mod limits;
pub mod mailbox;
pub mod space;
pub mod thread;

pub use error::Error;
pub use key::{Identity, Key, MailboxId};

#[cfg(test)]
mod tests;
