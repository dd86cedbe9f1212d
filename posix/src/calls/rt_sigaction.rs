//! `rt_sigaction(signal, action, old, size)`: recorded and told back.

use crate::errno::Errno;
use crate::process::{Process, get, put};
use crate::signals::{SET_BYTES, UNCATCHABLE};
use crate::system::System;
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::rt_sigaction, support: Support::Partial, note: "no handler runs yet", handler: call };

fn call(process: &mut Process, system: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [signal, action, old, size, ..] = arguments;
    if size != SET_BYTES {
        return Err(Errno::EINVAL);
    }
    let current = *process.signals.action(signal)?;
    if action != 0 {
        if UNCATCHABLE >> (signal as u32 - 1) & 1 != 0 {
            return Err(Errno::EINVAL);
        }
        *process.signals.action(signal)? = get(system, action)?;
    }
    if old != 0 {
        put(system, old, &current)?;
    }
    Ok(0)
}
