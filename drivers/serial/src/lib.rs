//! The serial driver without its system calls: what the device's registers mean, and when to write to them.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod uart;
