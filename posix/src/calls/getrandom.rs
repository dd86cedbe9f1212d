//! `getrandom(buffer, length, flags)`: never waits.

use alloc::vec;
use crate::errno::Errno;
use crate::process::{Process, TRANSFER_MAX, put};
use crate::system::System;
use linux_raw_sys::general::{GRND_INSECURE, GRND_NONBLOCK, GRND_RANDOM};
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::getrandom, support: Support::Full, note: "", handler: call };

fn call(_: &mut Process, system: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [buffer, length, flags, ..] = arguments;
    if flags as u32 & !(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE) != 0 {
        return Err(Errno::EINVAL);
    }
    let length = usize::try_from(length).map_or(TRANSFER_MAX, |length| length.min(TRANSFER_MAX));
    let mut bytes = vec![0; length];
    system.random(&mut bytes);
    put(system, buffer, &bytes)?;
    Ok(length as u64)
}
