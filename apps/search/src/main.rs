//! The search on the machine. `search show` starts naming and the fleet, has the shortest round trip found while the member that
//! has been one longest is ended, and compares it with what one program finds alone, in another way. `search member` and the two words of the
//! fleet's key: one of the fleet.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod show;
mod start;

use libfos::Start;
use libfos::member::{run, status};

libfos::entry!(main);

fn main(start: &Start) -> u8 {
    match start.arguments.get(1).map(|role| role.as_str()) {
        Some("member") => run(start, start::member),
        _ => status(start, show::run(start)),
    }
}
