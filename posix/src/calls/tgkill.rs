//! `tgkill(process, thread, signal)`: to itself alone; how `abort` ends a program.

use crate::errno::Errno;
use crate::process::Process;
use crate::system::System;
use super::kill::send_to_self;
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::tgkill, support: Support::Partial, note: "only to itself; the default action is taken, handlers do not run", handler: call };

fn call(process: &mut Process, system: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [target, thread, signal, ..] = arguments;
    if target as u32 != process.id || thread as u32 != process.id {
        return Err(Errno::ESRCH);
    }
    send_to_self(process, system, signal)
}
