//! `ioctl(descriptor, request, argument)`: no stream is a terminal.

use crate::errno::Errno;
use crate::process::Process;
use crate::system::System;
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::ioctl, support: Support::Partial, note: "every request: ENOTTY", handler: call };

fn call(process: &mut Process, _: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [descriptor, ..] = arguments;
    process.descriptors.get(descriptor)?;
    Err(Errno::ENOTTY)
}
