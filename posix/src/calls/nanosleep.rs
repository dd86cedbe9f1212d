//! `nanosleep(duration, remaining)`: sleeps its whole time, since no signal can end it.

use crate::process::Process;
use crate::system::System;
use super::clock_gettime::read_timespec;
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::nanosleep, support: Support::Full, note: "", handler: call };

fn call(_: &mut Process, system: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [duration, ..] = arguments;
    let duration = read_timespec(system, duration)?;
    system.sleep_until(system.nanoseconds().saturating_add(duration));
    Ok(0)
}
