//! The personality over a small fake machine: what busybox's own sequences of calls get, what bad arguments get,
//! and that the documents tell the truth.

mod busybox;
mod calls;
mod fake;
mod memory;
mod stack;
