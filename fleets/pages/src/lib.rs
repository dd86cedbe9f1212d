//! The fleet `pages`: which frames are whose. Each member keeps a part of all frames, as descriptions; the capabilities are the
//! [custodian's](fos_messages::custody). What a member decides is here, without a system call: how frames are zeroed is given to it ([`cleaning::Cleaner`]).
//!
//! | file | decides |
//! |---|---|
//! | `buddy` | which block of a member's own |
//! | `stock` | what is clean, what is not, and runs out of both |
//! | `server` | what is asked for: given, taken back, refused |
//! | `borrowing` | whom a member asks that has too little |
//! | `cleaning` | frames are zeroed before anybody else sees them, if possible before anybody asks |
//! | `homecoming` | what nobody has, and what is not known for certain |
//! | `pressure` | who is told that little is free |
//! | `service` | the conversation |
//! | `member` | one member, from entering the fleet to leaving it |
//! | `charter` | the fleet's terms |
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

#[cfg(test)]
extern crate std;

pub mod borrowing;
pub mod buddy;
pub mod charter;
pub mod cleaning;
pub mod homecoming;
pub mod member;
pub mod pressure;
pub mod server;
pub mod service;
pub mod stock;
