//! `tkill(thread, signal)`: to itself alone.

use crate::errno::Errno;
use crate::process::Process;
use crate::system::System;
use super::kill::send_to_self;
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::tkill, support: Support::Partial, note: "only to itself; the default action is taken, handlers do not run", handler: call };

fn call(process: &mut Process, system: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [thread, signal, ..] = arguments;
    if thread as u32 != process.id {
        return Err(Errno::ESRCH);
    }
    send_to_self(process, system, signal)
}
