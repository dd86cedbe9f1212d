//! The fleet `pages` on the machine. `pages-test show` starts naming and the fleet, wants memory, maps and writes it, gives it
//! back and finds it zeroed when it has it again; asks for what is not its own; takes all that it can get; has a program that
//! holds memory ended, and a member of the fleet. Its own memory and heap grow meanwhile. Each step prints a line. `pages-test
//! holder` is that program, `pages-test hog` one that takes all it gets.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

extern crate alloc;

mod faults;
mod fleet;
mod grown;
mod paged;
mod show;
mod user;

use libfos::Start;
use libfos::member::status;

libfos::entry!(main);

fn main(start: &Start) -> u8 {
    let ended = match start.arguments.get(1).map(|role| role.as_str()) {
        Some("holder") => user::hold(start, false),
        Some("measure") => faults::measure(start, false),
        Some("count") => faults::measure(start, true),
        Some("times") => faults::work(start, false),
        Some("counts") => faults::work(start, true),
        Some("hog") => user::hold(start, true),
        Some(role @ ("paged" | "overrun" | "stack" | "outside")) => paged::run(start, role),
        _ => show::run(start),
    };
    status(start, ended)
}
