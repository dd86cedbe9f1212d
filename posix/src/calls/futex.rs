//! `futex(word, operation, value, timeout, ...)`: with one thread there is nobody to wake.

use crate::errno::Errno;
use crate::process::{Process, get};
use crate::system::System;
use linux_raw_sys::general::{FUTEX_CLOCK_REALTIME, FUTEX_PRIVATE_FLAG, FUTEX_WAIT, FUTEX_WAKE, FUTEX_WAKE_BITSET};
use super::clock_gettime::read_timespec;
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::futex, support: Support::Partial, note: "FUTEX_WAKE wakes nobody; FUTEX_WAIT waits for its timeout, and without one is EDEADLK; others: ENOSYS", handler: call };

fn call(_: &mut Process, system: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [word, operation, value, timeout, ..] = arguments;
    match operation as u32 & !(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME) {
        FUTEX_WAKE | FUTEX_WAKE_BITSET => Ok(0),
        FUTEX_WAIT if u32::from_le_bytes(get(system, word)?) != value as u32 => Err(Errno::EAGAIN),
        FUTEX_WAIT if timeout == 0 => Err(Errno::EDEADLK),
        FUTEX_WAIT => {
            let duration = read_timespec(system, timeout)?;
            system.sleep_until(system.nanoseconds().saturating_add(duration));
            Err(Errno::ETIMEDOUT)
        }
        _ => Err(Errno::ENOSYS),
    }
}
