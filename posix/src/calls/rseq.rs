//! `rseq(...)`: restartable sequences. C libraries ask and do without.

use crate::errno::Errno;
use crate::process::Process;
use crate::system::System;
use super::{Answer, Entry, Support};
use syscalls::Sysno;

/// This call's line in the table.
pub const ENTRY: Entry =
    Entry { number: Sysno::rseq, support: Support::Refused, note: "ENOSYS", handler: call };

fn call(_: &mut Process, _: &mut dyn System, _: [u64; 6]) -> Answer {
    Err(Errno::ENOSYS)
}
