//! `time(seconds)`: seconds since the start of the machine.

use crate::process::{Process, put};
use crate::system::System;
use super::clock_gettime::SECOND;
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::time, support: Support::Partial, note: "counts from boot", handler: call };

fn call(_: &mut Process, system: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [address, ..] = arguments;
    let seconds = system.nanoseconds() / SECOND;
    if address != 0 {
        put(system, address, &seconds.to_le_bytes())?;
    }
    Ok(seconds)
}
