//! `lseek(descriptor, offset, whence)`: streams have no position.

use crate::errno::Errno;
use crate::process::Process;
use crate::system::System;
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::lseek, support: Support::Partial, note: "there are no files yet: ESPIPE", handler: call };

fn call(process: &mut Process, _: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [descriptor, ..] = arguments;
    process.descriptors.get(descriptor)?;
    Err(Errno::ESPIPE)
}
