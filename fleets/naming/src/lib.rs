//! The naming fleet: which mailbox a name means. Every member has all names; a lookup is local.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

#[cfg(test)]
extern crate std;

pub mod changes;
pub mod choice;
pub mod enlisting;
pub mod keeper;
pub mod limits;
pub mod member;
pub mod nursery;
pub mod process;
pub mod record;
pub mod replication;
pub mod server;
pub mod service;
pub mod starter;
