//! What tests of distributed data structures share between the simulator and the machine: how clients ask, and what they check.
//!
//! | file | decides |
//! |---|---|
//! | `handing` | how handles are asked for |
//! | `keeping` | how maps are asked for |
//! | `holder` | a client that takes handles, uses them and gives them back, and what it must find |
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod handing;
pub mod holder;
pub mod keeping;
