//! `rt_sigprocmask(how, set, old, size)`: recorded and told back.

use crate::errno::Errno;
use crate::process::{Process, get, put};
use crate::signals::{SET_BYTES, UNCATCHABLE};
use crate::system::System;
use linux_raw_sys::general::{SIG_BLOCK, SIG_SETMASK, SIG_UNBLOCK};
use super::kill::send_to_self;
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::rt_sigprocmask, support: Support::Partial, note: "no handler runs yet", handler: call };

fn call(process: &mut Process, system: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [how, set, old, size, ..] = arguments;
    if size != SET_BYTES {
        return Err(Errno::EINVAL);
    }
    let blocked = process.signals.blocked;
    if set != 0 {
        let set = u64::from_le_bytes(get(system, set)?);
        let new = match how as u32 {
            SIG_BLOCK => blocked | set,
            SIG_UNBLOCK => blocked & !set,
            SIG_SETMASK => set,
            _ => return Err(Errno::EINVAL),
        };
        process.signals.blocked = new & !UNCATCHABLE;
    }
    if old != 0 {
        put(system, old, &blocked.to_le_bytes())?;
    }
    while let Some(signal) = process.signals.take_pending() {
        send_to_self(process, system, signal)?;
    }
    Ok(0)
}
