//! The fleet that knows every process: who started it, in which group it is, where it runs, how it ended.
//!
//! | file | decides |
//! |---|---|
//! | `charter` | the fleet's terms |
//! | `limits`, `pids`, `placement` | how many, which number, which core |
//! | `record`, `table` | what is known, and what can happen to it |
//! | `spawning`, `exits`, `wait`, `signals`, `groups` | what each change does |
//! | `ledger` | the one order of all changes, whoever dies |
//! | `keeper`, `starter` | that what the table says comes true |
//! | `server`, `member` | what clients get; a member put together |
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

#[cfg(test)]
extern crate std;

pub mod charter;
pub mod exits;
pub mod groups;
pub mod keeper;
pub mod ledger;
pub mod limits;
pub mod member;
pub mod pids;
pub mod placement;
pub mod record;
pub mod server;
pub mod signals;
pub mod spawning;
pub mod starter;
pub mod table;
pub mod wait;

#[cfg(test)]
mod tests;
