//! `prlimit64(process, resource, new, old)`: tells limits.

use crate::descriptors::DESCRIPTORS_MAX;
use crate::errno::Errno;
use crate::layout::Bytes;
use crate::process::{Process, put};
use crate::system::System;
use linux_raw_sys::general::{RLIM_NLIMITS, RLIMIT_CORE, RLIMIT_NOFILE, RLIMIT_STACK};
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::prlimit64, support: Support::Partial, note: "limits cannot be changed: EPERM", handler: call };

fn call(process: &mut Process, system: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [target, resource, new, old, ..] = arguments;
    if target != 0 && target as u32 != process.id {
        return Err(Errno::ESRCH);
    }
    if resource >= u64::from(RLIM_NLIMITS) {
        return Err(Errno::EINVAL);
    }
    if new != 0 {
        return Err(Errno::EPERM);
    }
    if old != 0 {
        let limit = limit(resource as u32);
        put(system, old, &Bytes::<16>::new().u64(0, limit).u64(8, limit).0)?;
    }
    Ok(0)
}

/// Bytes of the stack, which does not grow.
pub const STACK_BYTES: u64 = 1024 * 1024;

fn limit(resource: u32) -> u64 {
    match resource {
        RLIMIT_STACK => STACK_BYTES,
        RLIMIT_NOFILE => DESCRIPTORS_MAX as u64,
        RLIMIT_CORE => 0,
        // RLIM64_INFINITY
        _ => u64::MAX,
    }
}
