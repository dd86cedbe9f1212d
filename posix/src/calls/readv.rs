//! `readv(descriptor, vector, count)`: standard input is at its end.

use crate::errno::Errno;
use crate::process::Process;
use crate::system::System;
use super::writev::VECTORS_MAX;
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::readv, support: Support::Full, note: "", handler: call };

fn call(process: &mut Process, system: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [_, _, count, ..] = arguments;
    if count > VECTORS_MAX {
        return Err(Errno::EINVAL);
    }
    (super::read::ENTRY.handler)(process, system, arguments)
}
