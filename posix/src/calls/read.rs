//! `read(descriptor, buffer, length)`: standard input is at its end.

use crate::descriptors::Description;
use crate::errno::Errno;
use crate::process::Process;
use crate::system::System;
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::read, support: Support::Full, note: "", handler: call };

fn call(process: &mut Process, _: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [descriptor, ..] = arguments;
    match process.descriptors.get(descriptor)?.description {
        Description::Input => Ok(0),
        Description::Sink(_) => Err(Errno::EBADF),
    }
}
