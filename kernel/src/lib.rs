//! The fos microkernel: one instance per core, event-driven, never preempted, no heap after boot. It
//! provides protected messages, a name cache that speeds their delivery, rudimentary time multiplexing,
//! calls that change address spaces and threads, and interrupts and device memory as capabilities.
//! All policy is outside.
//!
//! | file | decides |
//! |---|---|
//! | `arch/` | everything about the CPU and the board |
//! | `start`, `root` | boot: memory, cores, the first program |
//! | `cores`, `inbox`, `posts` | what a core keeps, and how others reach it |
//! | `jobs`, `quiescence` | operations over several steps and cores; when memory may be reused |
//! | `scheduler` | which thread runs, deadlines, idling |
//! | `frames`, `objects`, `capabilities` | who may use which memory and which object |
//! | `mailbox`, `keys`, `names`, `watch` | messages |
//! | `space`, `thread` | address spaces, threads |
//! | `drops`, `ends` | what happens when a capability or an object goes |
//! | `faults`, `interrupts`, `failure` | what goes wrong, and what devices say |
//! | `calls/` | one handler per kernel call |
#![cfg_attr(not(test), no_std)]

pub mod arch;
pub mod calls;
pub mod capabilities;
pub mod cores;
pub mod drops;
pub mod ends;
pub mod failure;
pub mod faults;
pub mod frames;
pub mod inbox;
pub mod interrupts;
pub mod jobs;
pub mod keys;
pub mod list;
pub mod mailbox;
pub mod names;
pub mod objects;
pub mod posts;
pub mod quiescence;
pub mod random;
pub mod root;
pub mod scheduler;
pub mod space;
#[cfg(not(test))]
pub mod start;
pub mod thread;
pub mod watch;

#[cfg(test)]
mod tests;
