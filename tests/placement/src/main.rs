//! The fleet `knowledge` on the machine. `placement-test show` starts naming, the fleet, and a probe on each core; then asks what they
//! found out, and for cores until there is none; has a member of the fleet ended and asks the others. Each step prints a line.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod fleet;
mod show;

use libfos::Start;
use libfos::member::status;

libfos::entry!(main);

fn main(start: &Start) -> u8 {
    status(start, show::run(start))
}
