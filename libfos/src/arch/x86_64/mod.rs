//! libfos on x86-64: how a call enters the kernel, how a program begins, and the functions that compiled code
//! expects to exist.

pub mod call;
mod entry;
pub mod first_port;
pub mod measure;
mod memory;
pub mod reflect;
pub mod spawn;
pub mod stack;
mod time;
pub mod topology;

pub use time::{is_emulated, ticks};
