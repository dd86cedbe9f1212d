//! `close(descriptor)`.

use crate::process::Process;
use crate::system::System;
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::close, support: Support::Full, note: "", handler: call };

fn call(process: &mut Process, _: &mut dyn System, arguments: [u64; 6]) -> Answer {
    let [descriptor, ..] = arguments;
    process.descriptors.close(descriptor).map(|()| 0)
}
