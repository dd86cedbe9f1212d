//! `clock_getres(clock, resolution)`: one nanosecond.

use crate::process::{Process, put};
use crate::system::System;
use super::clock_gettime::{check_clock, timespec};
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::clock_getres, support: Support::Full, note: "", handler: call };

fn call(_: &mut Process, system: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [clock, resolution, ..] = arguments;
    check_clock(clock)?;
    if resolution != 0 {
        put(system, resolution, &timespec(1))?;
    }
    Ok(0)
}
