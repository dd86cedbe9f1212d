//! `clock_gettime(clock, time)`: every clock here counts from the start of the machine.

use core::mem::offset_of;
use crate::errno::Errno;
use crate::layout::Bytes;
use crate::process::{Process, get, put};
use crate::system::System;
use linux_raw_sys::general::{CLOCK_TAI, __kernel_timespec as Timespec};
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::clock_gettime, support: Support::Partial, note: "CLOCK_REALTIME counts from boot; CPU-time clocks count as the monotonic one", handler: call };

fn call(_: &mut Process, system: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [clock, time, ..] = arguments;
    check_clock(clock)?;
    let now = system.nanoseconds();
    put(system, time, &timespec(now)).map(|()| 0)
}

/// Nanoseconds of a second.
pub const SECOND: u64 = 1_000_000_000;

/// EINVAL for clocks that Linux has not either.
pub fn check_clock(clock: u64) -> Result<(), Errno> {
    if clock <= u64::from(CLOCK_TAI) { Ok(()) } else { Err(Errno::EINVAL) }
}

/// `struct timespec` of a number of nanoseconds.
pub fn timespec(nanoseconds: u64) -> [u8; size_of::<Timespec>()] {
    Bytes::new()
        .u64(offset_of!(Timespec, tv_sec), nanoseconds / SECOND)
        .u64(offset_of!(Timespec, tv_nsec), nanoseconds % SECOND)
        .0
}

/// Reads a `struct timespec` as nanoseconds; EINVAL if it is not one. Ages are cut at `u64::MAX`.
pub fn read_timespec(system: &mut dyn System, address: u64) -> Result<u64, Errno> {
    let seconds = i64::from_le_bytes(get(system, address)?);
    let nanoseconds = i64::from_le_bytes(get(system, address.wrapping_add(8))?);
    let seconds = u64::try_from(seconds).map_err(|_| Errno::EINVAL)?;
    let nanoseconds = u64::try_from(nanoseconds).ok().filter(|n| *n < SECOND).ok_or(Errno::EINVAL)?;
    Ok(seconds.saturating_mul(SECOND).saturating_add(nanoseconds))
}
