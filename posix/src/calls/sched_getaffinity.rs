//! `sched_getaffinity(thread, size, mask)`: one CPU, as far as the process can tell.

use crate::errno::Errno;
use crate::process::{Process, put};
use crate::system::System;
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::sched_getaffinity, support: Support::Partial, note: "always CPU 0", handler: call };

fn call(process: &mut Process, system: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [thread, size, mask, ..] = arguments;
    if thread != 0 && thread as u32 != process.id {
        return Err(Errno::ESRCH);
    }
    if size < MASK_BYTES || !size.is_multiple_of(MASK_BYTES) {
        return Err(Errno::EINVAL);
    }
    put(system, mask, &1u64.to_le_bytes())?;
    Ok(MASK_BYTES)
}

/// Bytes of a mask for up to 64 CPUs.
const MASK_BYTES: u64 = 8;
