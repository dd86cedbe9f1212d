//! `clock_nanosleep(clock, flags, time, remaining)`: sleeps for or until a time.

use crate::process::Process;
use crate::system::System;
use linux_raw_sys::general::TIMER_ABSTIME;
use super::clock_gettime::{check_clock, read_timespec};
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::clock_nanosleep, support: Support::Full, note: "", handler: call };

fn call(_: &mut Process, system: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [clock, flags, time, ..] = arguments;
    check_clock(clock)?;
    let time = read_timespec(system, time)?;
    let absolute = flags as u32 & TIMER_ABSTIME != 0;
    let start = if absolute { 0 } else { system.nanoseconds() };
    system.sleep_until(start.saturating_add(time));
    Ok(0)
}
