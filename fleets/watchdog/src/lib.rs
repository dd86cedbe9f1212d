//! The watchdog: notices who is silent, ends it for certain, and keeps fleets from being restarted for ever. See the README.
//!
//! ```text
//!  pulse       when one process is taken for silent
//!  restarts    whether one more may be started after so many ends
//!  server      who is looked after, and what is to be done now: no messages, no clock
//!  book        the same at every member, over the runtime
//!  service     what others ask
//!  member      one member, put together
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

#[cfg(test)]
extern crate std;

pub mod book;
pub mod member;
pub mod pulse;
pub mod restarts;
pub mod server;
pub mod service;
pub mod thresholds;
