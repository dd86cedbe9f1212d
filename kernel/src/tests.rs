//! Tests of what needs no machine: the kernel's own code over a host program's memory. Tests that look
//! into a module are its children and lie here too, named by `#[path]` at the module's end.
//! `tests/mutants.md` lists planted bugs and what catches them.

pub(crate) mod machine;

mod acpi;
mod capabilities;
mod frames;
mod inbox;
mod keys;
mod memory_map;
mod names;
mod pages;
mod quiescence;
pub(crate) mod watch;
