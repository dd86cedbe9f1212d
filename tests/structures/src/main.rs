//! Distributed data structures on the machine. `structures-test show` starts naming and a fleet whose members have handles, a strong
//! map and an eventual one; has clients use them while the member that has been one longest is ended; and looks whether each structure
//! kept its word. `structures-test member` and the two words of the fleet's key: one of the fleet.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod member;
mod show;

use libfos::Start;
use libfos::member::{run, status};

libfos::entry!(main);

fn main(start: &Start) -> u8 {
    match start.arguments.get(1).map(|role| role.as_str()) {
        Some("member") => run(start, member::live),
        _ => status(start, show::run(start)),
    }
}
