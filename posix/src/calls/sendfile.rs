//! `sendfile(out, in, offset, count)`: no source that exists today can be sent from; callers copy instead.

use crate::errno::Errno;
use crate::process::Process;
use crate::system::System;
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::sendfile, support: Support::Refused, note: "EINVAL", handler: call };

fn call(process: &mut Process, _: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [out, from, ..] = arguments;
    process.descriptors.get(out)?;
    process.descriptors.get(from)?;
    Err(Errno::EINVAL)
}
