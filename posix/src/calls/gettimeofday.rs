//! `gettimeofday(time, zone)`: microseconds since the start of the machine.

use crate::layout::Bytes;
use crate::process::{Process, put};
use crate::system::System;
use super::clock_gettime::SECOND;
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::gettimeofday, support: Support::Partial, note: "counts from boot", handler: call };

fn call(_: &mut Process, system: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [time, zone, ..] = arguments;
    let now = system.nanoseconds();
    if time != 0 {
        let bytes = Bytes::<16>::new().u64(0, now / SECOND).u64(8, now % SECOND / 1000);
        put(system, time, &bytes.0)?;
    }
    if zone != 0 {
        put(system, zone, &[0; 8])?;
    }
    Ok(0)
}
