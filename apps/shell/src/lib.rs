//! What the shell does without its system: lines out of bytes, commands out of lines, tables out of rows.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod command;
pub mod lines;
pub mod status;
pub mod table;
