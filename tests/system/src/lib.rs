//! The tests of the running system: they build images, boot them, talk to them and look at what is left. A program
//! (`main.rs`) that uses `fos_host` as a library and `fos` as a command, both from outside, as users do; `./fos test`
//! builds and becomes it. So the dependency goes one way, tests on host, and the command carries no test code.
//!
//! A suite is a function that runs tests on a [`runner::Runner`]; the table of suites is in [`suites`].

pub mod fos;
pub mod golden;
pub mod libtest;
mod load;
pub mod mutants;
pub mod processes;
pub mod runner;
pub mod suites;
