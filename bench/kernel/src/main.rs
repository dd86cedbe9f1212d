//! `bench-kernel`: what the kernel's paths cost, seen from a program.
//!
//! `bench-kernel` counts instructions: it belongs on a machine with one core whose time stamp counter advances by one
//! per instruction (QEMU's `-icount shift=0`). `bench-kernel times` measures in nanoseconds what unmapping a page costs
//! that one core or two have used, and counts the interrupts between cores that each unmapping takes on as many cores
//! as there are. `bench-kernel messages` counts the instructions of channels and of calls; `bench-kernel round-trips`
//! measures in nanoseconds what a call to a server on another core takes. Every number is a line
//! `bench KEY VALUE UNIT HOW`; remarks are lines `note TEXT`; the last line is `end`. `./fos bench kernel` and
//! `./fos bench messages` run them and read the lines.
#![no_std]
#![no_main]

extern crate alloc;

mod calls;
mod channels;
mod entries;
mod ground;
mod messages;
mod pages;
mod ping_pong;
mod round_trips;
mod sample;
mod shootdown;
mod switches;

use libfos::{Start, eprintln, println};

use crate::ground::{Broken, Ground};

libfos::entry!(main, heap = 256 << 10);

/// Exit status when something could not be measured.
const FAILED: u8 = 1;
/// Exit status when the command makes no sense.
const USAGE: u8 = 2;

fn main(start: &Start) -> u8 {
    let arguments: alloc::vec::Vec<&str> = start.arguments.iter().skip(1).map(|text| text.as_str()).collect();
    let measure = match arguments.as_slice() {
        [] | ["counts"] => counts,
        ["times"] => |ground: &mut Ground, _: &Start| shootdown::measure(ground),
        ["messages"] => ways,
        ["round-trips"] => round_trips::measure,
        _ => {
            eprintln!(
                "bench-kernel: say `bench-kernel [counts]`, or one of `times`, `messages`, `round-trips`"
            );
            return USAGE;
        }
    };
    match Ground::new(start).and_then(|mut ground| measure(&mut ground, start)) {
        Ok(()) => {
            println!("end");
            0
        }
        Err(broken) => {
            eprintln!("bench-kernel: {broken}");
            FAILED
        }
    }
}

/// Everything that is counted in instructions.
fn counts(ground: &mut Ground, _: &Start) -> Result<(), Broken> {
    entries::measure(ground)?;
    messages::measure(ground)?;
    ping_pong::measure(ground)?;
    pages::measure(ground)?;
    switches::measure(ground)
}

/// Channels and calls, counted in instructions.
fn ways(ground: &mut Ground, start: &Start) -> Result<(), Broken> {
    channels::measure()?;
    calls::measure(ground, start)
}
