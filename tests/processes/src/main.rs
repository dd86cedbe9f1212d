//! The fleet `processes` on the machine. `processes-test show` starts naming and the fleet, and spawns: children that end in every
//! way, that have children, that stand still, that go on for ever, more than may be. It looks that each end is told once and as
//! it was, that refusals are what they should be, that a member that ends loses nothing, and that nothing is left of thousands of
//! processes. Each step prints a line. `processes-test spawns` and `probe` measure (measure.rs).
//! Every other role is that of such a child.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod child;
mod ends;
mod fleet;
mod many;
mod measure;
mod show;

use libfos::Start;
use libfos::member::status;

libfos::entry!(main, heap = 256 << 10);

fn main(start: &Start) -> u8 {
    match start.arguments.get(1).map(|role| role.as_str()) {
        Some("show") | None => status(start, show::run(start)),
        Some("spawns") => status(start, measure::run(start, false)),
        Some("probe") => status(start, measure::run(start, true)),
        Some(role) => child::run(start, role),
    }
}
