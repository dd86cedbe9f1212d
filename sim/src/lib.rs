//! The deterministic simulator: servers written on `fos-runtime` run here unchanged, thousands of cores in one process,
//! in virtual time, from one seed. It stands where the kernel stands: mailboxes with the same promises, cores that do
//! one thing at a time, and what everything costs, from a file. A run has no clock, no thread and no order but the seed's,
//! so a seed is a bug report. `docs/simulator.md` says what is modelled and what is not.
#![forbid(unsafe_code)]

mod costs;
mod events;
pub mod faults;
pub mod figures;
mod mailbox;
mod port;
mod process;
mod random;
mod run;
pub mod scenarios;
mod stopwatch;
mod topology;
mod trace;
mod world;

pub use costs::{Costs, FILES as COST_FILES, Number};
pub use process::Account;
pub use random::Random;
pub use run::{Figure, Kill, Report, Setup, kill_points};
pub use stopwatch::{Clock, Measured};
pub use topology::{Distance, Topology};
pub use trace::Sink;
pub use world::{Process, World};

#[cfg(test)]
mod tests;
