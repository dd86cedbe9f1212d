//! What the Linux benchmark program and the host agree on: the lines on the serial console.
//!
//! The program itself (`main.rs`) runs as `/init` of a guest; the host links only this library and parses
//! what the guest printed.
#![forbid(unsafe_code)]

pub mod line;
