//! The cooperative server: tasks written as straight-line `async` code over three mailboxes, served in the order
//! responses, internal, external. One [`Runtime`] is one thread's; it does nothing by itself. Whoever drives it calls
//! [`Runtime::step`] until that says [`Step::Idle`], then sleeps until a message comes or the time it names: the main
//! loop of a process on the machine, the event loop of the simulator, or a test.
//!
//! Everything outside (time, mailboxes, watches, randomness) is behind one trait, [`port::Port`], so the same server
//! runs in all three places. Nothing here waits for ever: each call has a deadline, and an answer when its peer dies.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

#[cfg(test)]
extern crate std;

mod calls;
mod care;
pub mod fleet;
mod following;
mod instant;
mod load;
mod minded;
mod named;
mod news;
mod peers;
mod placed;
pub mod port;
pub mod processes;
pub mod promises;
mod runtime;
mod serve;
pub mod stream;
mod tasks;
mod timers;
mod watches;

pub use calls::{CALLS_MAX, Within};
pub use care::Care;
pub use following::FindStarter;
pub use fos_messages::rpc::Serve;
pub use instant::Instant;
pub use load::{BUCKETS, Histogram, Load};
pub use minded::{Minder, Permitted, crowded};
pub use named::{KEPT_MAX, Named, Names};
pub use news::Watch;
pub use peers::PEERS_MAX;
pub use placed::{Claimant, Granted, Placed, Placement};
pub use runtime::{Lost, Runtime, Step, Work};
pub use serve::{REQUESTS_MAX, REQUESTS_OF_ONE_MAX};
pub use tasks::Priority;
pub use watches::Ended;

#[cfg(test)]
mod tests;
